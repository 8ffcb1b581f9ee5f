//! Golden files: what the plug-in played when they were made, one case to a line.
//!
//! Floating-point and int8 kernels of ONNX Runtime differ between instruction sets, and a note that
//! is drawn close to a tie falls on either side. A file therefore names the processor's instruction
//! sets and the runtime that it was made with. Where both are the same, every line must be the same
//! byte for byte. Elsewhere the cases must be the same, and [`ENOUGH`] of all onsets, by 16th and key.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use interlude_models::clip::{Clip, Note};

/// Set to `write`, the files are made anew instead of compared with.
pub const VARIABLE: &str = "INTERLUDE_GOLDEN";
/// Share of onsets that must be the same on a processor with other instruction sets.
pub const ENOUGH: f64 = 0.5;
/// Begins the line that names what the file was made with.
const MADE_WITH: &str = "made with: ";

/// The folder of the golden files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Whether files are to be made anew.
pub fn writes() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == "write")
}

/// Cases by name, each with what was made of it: words separated by spaces.
pub type Cases = Vec<(String, String)>;

/// Compares cases with a golden file, whose `about` says what it holds. A 16th has `grid` of the units
/// in which onsets are written.
///
/// # Panics
/// When a case differs, with each that does and where; when the file is missing.
pub fn check(file: &str, about: &str, made_with: &str, grid: f64, cases: &Cases) {
    let path = folder().join(file);
    if writes() {
        let mut text = format!("# {about}\n{MADE_WITH}{made_with}\n");
        for (name, value) in cases {
            writeln!(text, "{name} | {value}").unwrap();
        }
        fs::write(&path, text).unwrap();
        println!("{file}: {} cases written", cases.len());
        return;
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; make it with {VARIABLE}=write", path.display())
    });
    let then = text.lines().find_map(|line| line.strip_prefix(MADE_WITH)).unwrap_or_default();
    let golden: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once(" | ")).collect();
    let names: Vec<&str> = cases.iter().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<&&str> = golden.keys().filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "{file}: cases that are no longer made: {missing:?}");
    let (mut differences, mut same, mut all) = (String::new(), 0, 0);
    for (name, value) in cases {
        let Some(&expected) = golden.get(name.as_str()) else {
            writeln!(differences, "{name}: not in the file").unwrap();
            continue;
        };
        let (equal, count) = shared_words(&onsets(expected, grid), &onsets(value, grid));
        (same, all) = (same + equal, all + count);
        if expected != value {
            writeln!(differences, "{name}: {}", first_difference(expected, value)).unwrap();
        }
    }
    if differences.is_empty() {
        println!("{file}: {} cases, all the same", cases.len());
    } else if then == made_with {
        panic!(
            "{file}: on the same kind of processor as it was made with, these differ:\n{differences}\
             If that is intended, make it anew with {VARIABLE}=write and say why."
        );
    } else {
        println!(
            "{file}: {same} of {all} onsets are the same; it was made with {then}, this is {made_with}\n{differences}"
        );
        let share = f64::from(same) / f64::from(all.max(1));
        assert!(share >= ENOUGH && !differences.contains("not in the file"), "{share}");
    }
}

/// How many words two texts share, whatever their place, and how many there are in the longer one.
fn shared_words(a: &str, b: &str) -> (u32, u32) {
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut count_a, mut count_b, mut shared) = (0, 0, 0);
    for word in a.split_whitespace() {
        *left.entry(word).or_default() += 1;
        count_a += 1;
    }
    for word in b.split_whitespace() {
        count_b += 1;
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    (shared, count_a.max(count_b))
}

/// For each note `onset-end/…/velocity` the nearest 16th and what stands between; other words as they
/// are.
fn onsets(words: &str, grid: f64) -> String {
    let onset = |word: &str| {
        let (place, rest) = word.split_once('/')?;
        let start: f64 = place.split_once('-')?.0.parse().ok()?;
        let (rest, _velocity) = rest.rsplit_once('/')?;
        Some(format!("{:.0}/{rest}", start / grid))
    };
    let words = words.split_whitespace();
    words.map(|word| onset(word).unwrap_or_else(|| word.to_owned())).collect::<Vec<_>>().join(" ")
}

fn first_difference(expected: &str, value: &str) -> String {
    let [a, b] = [expected, value].map(|text| text.split(' ').collect::<Vec<_>>());
    let place = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let part = |words: &[&str]| {
        let words = &words[place.min(words.len())..];
        words.iter().take(4).copied().collect::<Vec<_>>().join(" ")
    };
    let (was, is) = (part(&a), part(&b));
    format!("{} words before, {} now; from word {place} on `{was}` became `{is}`", a.len(), b.len())
}

/// Names what decides how ONNX Runtime computes: its version and the processor's instruction sets.
pub fn arithmetic(runtime: &str) -> String {
    let mut text = format!("ONNX Runtime {runtime}, {}", std::env::consts::ARCH);
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ] {
        if there {
            write!(text, " {name}").unwrap();
        }
    }
    text
}

/// A clip's notes: for each `onset-end/key/velocity` in 16ths, exact, behind a word for each change
/// of channel or program.
pub fn words(clip: &Clip) -> String {
    let mut words = Vec::new();
    let mut part = None;
    for note in &clip.notes {
        if part.replace((note.channel, note.program)) != Some((note.channel, note.program)) {
            words.push(format!("[{},{}]", note.channel, note.program));
        }
        words.push(format!(
            "{}-{}/{}/{}",
            note.start * 4.0,
            note.end * 4.0,
            note.pitch,
            note.velocity
        ));
    }
    words.join(" ")
}

/// A model of those that Interlude ships, and what its cases are made from.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The name of its folder.
    pub name: &'static str,
    /// Bars of a cycle.
    pub bars: u8,
    has_tune: bool,
    has_drums: bool,
    has_bass: bool,
}

/// The shipped models.
pub const SHIPPED: [Shipped; 5] = [
    Shipped { name: "mel-2bar", bars: 2, has_tune: true, has_drums: false, has_bass: false },
    Shipped { name: "drums-2bar", bars: 2, has_tune: false, has_drums: true, has_bass: false },
    Shipped { name: "groove-2bar", bars: 2, has_tune: false, has_drums: true, has_bass: false },
    Shipped { name: "mel-16bar", bars: 16, has_tune: true, has_drums: false, has_bass: false },
    Shipped { name: "trio-16bar", bars: 16, has_tune: true, has_drums: true, has_bass: true },
];

impl Shipped {
    /// Two clips of a window that the model can read.
    pub fn clips(&self) -> [Clip; 2] {
        [0, 1].map(|which| self.clip(which))
    }

    fn clip(&self, which: usize) -> Clip {
        let mut notes = Vec::new();
        let mut add =
            |channel: u8, program: u8, pitch: u8, start: f64, beats: f64, velocity: u8| {
                notes.push(Note { start, end: start + beats, pitch, velocity, channel, program });
            };
        let tune: &[u8] = [&[60, 62, 64, 67, 65, 64, 62, 59][..], &[72, 67, 64, 60, 69, 65]][which];
        let kit: &[u8] = [&[36, 42, 38, 42][..], &[36, 46, 36, 38, 42]][which];
        let mut beat = 0.0;
        for step in 0_usize.. {
            if beat >= f64::from(self.bars) * 4.0 {
                break;
            }
            if self.has_tune {
                add(0, 0, tune[step % tune.len()], beat, [0.75, 0.5][which], 80);
                if step % 3 == which {
                    add(0, 0, tune[(step + 3) % tune.len()] + 2, beat + 0.5, 0.25, 96);
                }
            }
            if self.has_bass {
                add(1, 32, [36, 43, 41, 38][(step / 2 + which) % 4], beat, 0.75, 90);
            }
            if self.has_drums {
                add(9, 0, kit[step % kit.len()], beat + 0.02, 0.2, 110);
                add(9, 0, 42, beat + 0.5, 0.2, if step % 2 == which { 50 } else { 70 });
            }
            beat += 1.0;
        }
        Clip::new(notes, f64::from(self.bars) * 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Onsets are counted whatever their place, and the first word that differs is told.
    #[test]
    fn differences_are_told() {
        assert_eq!(onsets("[9,0] 1.9-2.9/36/66 4-5/42/8", 1.0), "[9,0] 2/36 4/42");
        assert_eq!(onsets("6010-9000/9/42/0.31 a/b", 3000.0), "2/9/42 a/b");
        assert_eq!(shared_words("a b b c", "b a d"), (2, 4));
        assert_eq!(shared_words("", ""), (0, 0));
        let told = first_difference("a b c", "a x");
        assert_eq!(told, "3 words before, 2 now; from word 1 on `b c` became `x`");
    }

    /// Numbers are written to the last bit.
    #[test]
    fn notes_are_written_exactly() {
        let note =
            |start, end| Note { start, end, pitch: 60, velocity: 80, channel: 9, program: 0 };
        let clip = Clip::new(vec![note(0.0, 0.1 + 0.2), note(1.0, 1.25)], 8.0);
        assert_eq!(words(&clip), "[9,0] 0-1.2000000000000002/60/80 4-5/60/80");
    }
}
