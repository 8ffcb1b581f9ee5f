//! Conditions of a learned prior: classes of attributes of the music, and the codes of the windows
//! before and after.

use serde::{Deserialize, Serialize};

/// Largest number of conditions.
const MOST: usize = 32;
/// Largest number of classes.
const MOST_CLASSES: usize = 64;
/// Longest name.
const LONGEST_NAME: usize = 64;
/// Words for classes, with their position among the classes, 0 to 1.
const WORDS: [(&str, f64); 5] =
    [("lowest", 0.0), ("low", 0.25), ("middle", 0.5), ("high", 0.75), ("highest", 1.0)];

/// An attribute that the prior is conditioned on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Name of the attribute.
    pub name: String,
    /// Of a numeric attribute: the bounds between its classes, in rising order and in the
    /// attribute's unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<f64>,
    /// Of a categorical attribute: the names of its classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl Condition {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        if self.labels.is_empty() { self.bounds.len() + 1 } else { self.labels.len() }
    }

    /// The class of a number.
    pub fn class_of(&self, value: f64) -> usize {
        self.bounds.partition_point(|&bound| bound <= value)
    }

    /// Parses a requested class: one of the labels, or a number, or one of the words lowest, low,
    /// middle, high, highest.
    ///
    /// # Errors
    /// The possible values, as a phrase.
    pub fn parse(&self, text: &str) -> Result<usize, String> {
        let same = |label: &&String| label.eq_ignore_ascii_case(text);
        if !self.labels.is_empty() {
            let class = self.labels.iter().position(|label| same(&label));
            return class.ok_or_else(|| format!("one of {}", self.labels.join(", ")));
        }
        if let Some((_, share)) = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a small number"
            )]
            let class = (share * self.bounds.len() as f64).round() as usize;
            return Ok(class);
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(self.class_of(value)),
            _ => Err("a number, or one of lowest, low, middle, high, highest".to_owned()),
        }
    }

    fn is_sound(&self) -> bool {
        let rising = self.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.bounds.iter().all(|bound| bound.is_finite());
        let kinds = self.bounds.is_empty() || self.labels.is_empty();
        let named = |name: &String| !name.is_empty() && name.len() <= LONGEST_NAME;
        let names = named(&self.name) && self.labels.iter().all(named);
        rising && finite && kinds && names && self.classes() <= MOST_CLASSES
    }
}

/// Conditions of one window; none by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The class of each condition; `None`, and missing ones at the end, are unknown.
    pub classes: Vec<Option<usize>>,
    /// The code of the window before.
    pub before: Option<Vec<f32>>,
    /// The code of the window after.
    pub after: Option<Vec<f32>>,
}

impl Known {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(Option::is_none) && self.before.is_none() && self.after.is_none()
    }
}

/// The conditions of a prior and their layout in a context: one-hot classes, then for each
/// neighbour a one and its code if it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    list: Vec<Condition>,
    latent: usize,
}

impl Conditions {
    /// Conditions of a prior of `latent` dimensions.
    ///
    /// # Errors
    /// A phrase that says what is unusable.
    pub fn new(list: Vec<Condition>, latent: usize) -> Result<Self, String> {
        if list.len() > MOST || !list.iter().all(Condition::is_sound) {
            return Err("its conditions are unusable".to_owned());
        }
        Ok(Self { list, latent })
    }

    /// The attributes.
    pub fn list(&self) -> &[Condition] {
        &self.list
    }

    /// Size of the context, in numbers.
    pub fn size(&self) -> usize {
        self.list.iter().map(Condition::classes).sum::<usize>() + 2 * (1 + self.latent)
    }

    /// Writes conditions into a `context` of zeros.
    ///
    /// # Panics
    /// When `context` is not of [`Conditions::size`], a class is beyond the last, or a code of
    /// another size.
    pub fn tell(&self, context: &mut [f32], known: &Known) {
        assert_eq!(context.len(), self.size(), "a context of these conditions");
        let mut rest = context;
        for (index, condition) in self.list.iter().enumerate() {
            let (own, after) = rest.split_at_mut(condition.classes());
            if let Some(class) = known.classes.get(index).copied().flatten() {
                own[class] = 1.0;
            }
            rest = after;
        }
        let (before, after) = rest.split_at_mut(1 + self.latent);
        for (own, code) in [(before, &known.before), (after, &known.after)] {
            if let Some(code) = code {
                own[0] = 1.0;
                own[1..].copy_from_slice(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn density() -> Condition {
        Condition { name: "density".to_owned(), bounds: vec![2.0, 4.0], labels: Vec::new() }
    }

    fn key() -> Condition {
        let labels = ["C", "G"].map(str::to_owned).to_vec();
        Condition { name: "key".to_owned(), bounds: Vec::new(), labels }
    }

    /// Numbers, words and labels name classes; anything else is told what can be asked for.
    #[test]
    fn classes_are_asked_for() {
        let asked = |text| density().parse(text);
        assert_eq!([asked("1.9"), asked("2"), asked("99")], [Ok(0), Ok(1), Ok(2)]);
        assert_eq!([asked("low"), asked("Middle"), asked("highest")], [Ok(1), Ok(1), Ok(2)]);
        assert_eq!(asked("lowest"), Ok(0));
        assert!(asked("loud").expect_err("no class").contains("highest"));
        assert_eq!(key().parse("g"), Ok(1));
        assert!(key().parse("1").expect_err("no class").contains("C, G"));
    }

    /// Classes and neighbours have places of their own; what is not known leaves zeros.
    #[test]
    fn a_context_holds_what_is_known() {
        let conditions = Conditions::new(vec![density(), key()], 2).expect("sound");
        assert_eq!(conditions.size(), 3 + 2 + 6);
        let told = |known: &Known| {
            let mut context = vec![0.0; conditions.size()];
            conditions.tell(&mut context, known);
            context
        };
        assert_eq!(told(&Known::default()), vec![0.0; 11]);
        let known =
            Known { classes: vec![Some(2)], after: Some(vec![5.0, 6.0]), ..Known::default() };
        assert_eq!(told(&known), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 5.0, 6.0]);
    }

    /// Bounds that do not rise, both kinds at once, and names without letters are refused.
    #[test]
    fn unsound_conditions_are_refused() {
        let falling = Condition { bounds: vec![4.0, 2.0], ..density() };
        let both = Condition { labels: key().labels, ..density() };
        let nameless = Condition { name: String::new(), ..density() };
        let infinite = Condition { bounds: vec![f64::NAN], ..density() };
        for unsound in [falling, both, nameless, infinite] {
            assert!(Conditions::new(vec![unsound], 2).is_err());
        }
    }
}
