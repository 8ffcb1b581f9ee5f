//! Conditions of a learned prior, measured on windows: the key of melodies, the likeness of the two
//! halves, and the attributes of such music.

use interlude_models::attributes::{self, Measure};
use interlude_models::clip::{BEATS_PER_STEP, Clip, Note};
use interlude_models::config::Config;
use interlude_models::latent::flow::Condition;
use interlude_models::tokens::{Window, drum_class, to_clip};

/// Classes of an attribute at most, each with about as many windows.
const CLASSES: usize = 5;
/// Attributes of trios are many; two classes less of each.
const CLASSES_OF_PARTS: usize = 3;
/// The major scales, by their roots; each stands for its relative minor too.
const KEYS: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"];
/// Semitones of a major scale from its root.
const MAJOR: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
/// Name of the condition of keys.
pub const KEY: &str = "key";
/// Name of the likeness of the two halves of a window.
pub const LIKENESS: &str = "repetition";

/// The measures of windows of a configuration.
#[derive(Clone, Debug)]
pub struct Measures {
    config: Config,
    measures: Vec<Measure>,
    pitched: bool,
}

impl Measures {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let measures = attributes::of_config(config);
        let pitched = measures.iter().any(|measure| measure.name.ends_with("pitch"));
        Self { config: config.clone(), measures, pitched }
    }

    /// The values of a window: key, likeness, then the attributes.
    fn values(&self, window: &Window) -> Vec<Option<f64>> {
        let clip = to_clip(&self.config, &window.tokens);
        let own = self.pitched.then(|| key(&clip)).into_iter();
        let rest = self.measures.iter().map(|measure| measure.of(&clip));
        own.chain([likeness(&clip)]).chain(rest).collect()
    }

    /// Chooses conditions whose classes divide some windows evenly, and returns the classes of each
    /// window.
    pub fn conditions(&self, windows: &[Window]) -> (Vec<Condition>, Vec<Vec<Option<usize>>>) {
        let values: Vec<_> = windows.iter().map(|window| self.values(window)).collect();
        let mut conditions = Vec::new();
        if self.pitched {
            let labels = KEYS.map(str::to_owned).to_vec();
            conditions.push(Condition { name: KEY.to_owned(), bounds: Vec::new(), labels });
        }
        let names = self.measures.iter().map(|measure| measure.name.clone());
        let many = self.measures.len() > MOST_WITH_ALL;
        let classes = if many { CLASSES_OF_PARTS } else { CLASSES };
        for name in std::iter::once(LIKENESS.to_owned()).chain(names) {
            let column = conditions.len();
            let column = values.iter().filter_map(|values| values[column]).collect();
            let bounds = bounds(column, classes);
            conditions.push(Condition { name, bounds, labels: Vec::new() });
        }
        let classes = values.iter().map(|values| classes_of(&conditions, values)).collect();
        (conditions, classes)
    }

    /// The classes of other windows under conditions that were found for this configuration.
    pub fn classes(&self, conditions: &[Condition], windows: &[Window]) -> Vec<Vec<Option<usize>>> {
        windows.iter().map(|window| classes_of(conditions, &self.values(window))).collect()
    }
}

/// Attributes up to which each has all its classes.
const MOST_WITH_ALL: usize = 11;

fn classes_of(conditions: &[Condition], values: &[Option<f64>]) -> Vec<Option<usize>> {
    let class = |(condition, value): (&Condition, &Option<f64>)| {
        let value = (*value)?;
        if condition.labels.is_empty() {
            return Some(condition.class_of(value));
        }
        KEYS.iter().enumerate().find_map(|(index, _)| {
            (u32::try_from(index).map(f64::from) == Ok(value)).then_some(index)
        })
    };
    conditions.iter().zip(values).map(class).collect()
}

/// Bounds that divide values into classes of about the same size; fewer where many are equal.
fn bounds(mut values: Vec<f64>, classes: usize) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let mut bounds: Vec<f64> = Vec::new();
    for part in 1..classes {
        if let Some(&bound) = values.get(part * values.len() / classes)
            && values.first().is_some_and(|&first| first < bound)
            && bounds.last().is_none_or(|&last| last < bound)
        {
            bounds.push(bound);
        }
    }
    bounds
}

/// The root of the major scale that has most of the notes; the lowest of several.
fn key(clip: &Clip) -> Option<f64> {
    let mut counts = [0u32; 12];
    for note in clip.notes.iter().filter(|note| !note.is_drum()) {
        counts[usize::from(note.pitch % 12)] += 1;
    }
    let held =
        |root: u8| MAJOR.map(|step| counts[usize::from((root + step) % 12)]).iter().sum::<u32>();
    let best = (0..12u8).max_by_key(|&root| (held(root), std::cmp::Reverse(root)))?;
    (held(best) > 0).then_some(f64::from(best))
}

/// What of the first half of a clip comes again in the second: notes that begin at the same place,
/// drums of the same class, as a share of those in either half.
fn likeness(clip: &Clip) -> Option<f64> {
    let half = clip.length / 2.0;
    let place = |note: &Note| {
        let late = note.start + BEATS_PER_STEP / 2.0 >= half;
        let start = if late { note.start - half } else { note.start };
        #[expect(clippy::cast_possible_truncation, reason = "clips are short")]
        let step = (start / BEATS_PER_STEP).round() as i64;
        let class = note.is_drum().then(|| drum_class(note.pitch)).flatten();
        (late, (step, note.channel, class))
    };
    let mut halves = [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()];
    for (late, place) in clip.notes.iter().map(place) {
        halves[usize::from(late)].insert(place);
    }
    let [first, second] = &halves;
    let either = crate::evaluate::number(first.union(second).count());
    (either > 0.0).then(|| crate::evaluate::number(first.intersection(second).count()) / either)
}

#[cfg(test)]
mod tests {
    use interlude_models::config;
    use interlude_models::tokens::Tokens;

    use super::*;

    fn melody(events: &[(usize, u8)]) -> Window {
        let mut tokens = vec![0; 32];
        events.iter().for_each(|&(step, token)| tokens[step] = token);
        Window { tokens: Tokens::Melody(tokens), controls: None }
    }

    /// A tune in D major is told as D, and its second bar as half like the first.
    #[test]
    fn windows_have_classes() {
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let measures = Measures::of(&config);
        // D4, F#4, A4, C#5 in the first bar, two of the same places in the second.
        let tune = melody(&[(0, 43), (4, 47), (8, 50), (12, 54), (16, 43), (20, 45)]);
        let values = measures.values(&tune);
        assert_eq!(values[..2], [Some(2.0), Some(0.5)]);
        let plain = melody(&[(0, 41)]);
        let (conditions, classes) = measures.conditions(&[tune.clone(), plain.clone()]);
        assert_eq!(conditions[0].labels[classes[0][0].expect("a key")], "D");
        assert_eq!(conditions[2].name, "density");
        assert!(classes[0][2] > classes[1][2], "six notes are more than one");
        assert_eq!(measures.classes(&conditions, &[tune, plain]), classes);
        assert_eq!(measures.values(&melody(&[]))[0], None, "silence has no key");
    }

    /// Classes are equally large where values differ, and fewer where they do not.
    #[test]
    fn bounds_part_values() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(bounds(values, 5), [20.0, 40.0, 60.0, 80.0]);
        assert_eq!(bounds(vec![0.0, 0.0, 0.0, 0.0, 1.0, 2.0], 5), [1.0]);
        assert!(bounds(vec![3.0; 9], 5).is_empty());
    }
}
