//! Why music has no tokens, in words.

use thiserror::Error;

use super::melody::{self, Cut};
use super::quantise::{Part, split_on_time_changes, whole};
use super::{drums, groove, trio};
use crate::clip::STEPS_PER_BAR;
use crate::config::{Config, DrumMap, Scheme};
use crate::midi::{NoteSequence, SequenceNote};

/// Time signatures that a message names.
const MAX_METRES: usize = 3;

/// Why music has no tokens.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// No note at all.
    #[error("there is no note in it; choose music with notes")]
    Empty,
    /// Only notes that end where they begin.
    #[error(
        "its {count} {what} have no length: each ends where it begins, and such notes are not \
         read; make them a 16th long, say, and export the file again"
    )]
    NoLength {
        /// How many.
        count: usize,
        /// What they are.
        what: &'static str,
    },
    /// Only notes that never end.
    #[error(
        "its {count} {what} never end, as no note-off follows them, and such notes are not read; \
         export the file again"
    )]
    NoEnd {
        /// How many.
        count: usize,
        /// What they are.
        what: &'static str,
    },
    /// No note that the configuration can express.
    #[error("`{config}` finds nothing to read: it needs {wanted}")]
    NoUsableNote {
        /// The configuration's name.
        config: String,
        /// What it reads.
        wanted: &'static str,
    },
    /// No stretch of 16-step bars.
    #[error("no part of it is in 4/4 ({metres}); `{config}` knows bars of four quarter notes only")]
    NoCommonTime {
        /// The configuration's name.
        config: String,
        /// What it is in.
        metres: String,
    },
    /// A groove in several tempos or time signatures.
    #[error(
        "its tempo or time signature changes; `{config}` reads music in one tempo and 4/4 only"
    )]
    Changes {
        /// The configuration's name.
        config: String,
    },
    /// Not long enough.
    #[error(
        "no passage in 4/4 is long enough{found}: `{config}` needs {bars} bars without a change of \
         tempo or time signature{and}"
    )]
    TooShort {
        /// The configuration's name.
        config: String,
        /// Bars of one window.
        bars: usize,
        /// How long the longest is, where that is known.
        found: String,
        /// What else it needs.
        and: &'static str,
    },
    /// A melody whose chords cannot be told.
    #[error(
        "its chords cannot be told, which `{config}` needs: they are looked for in up to 500 bars \
         of 4/4 or 2/2; take a part of it"
    )]
    NoChords {
        /// The configuration's name.
        config: String,
    },
    /// Chord symbols that are not understood, in every passage that is long enough.
    #[error(
        "its chord symbols are not understood everywhere, or stand for chords that `{config}` does \
         not know: it has major, minor, augmented and diminished triads, with and without more notes"
    )]
    UnknownChords {
        /// The configuration's name.
        config: String,
    },
    /// Numbers that do not belong to the configuration.
    #[error("these are not steps of `{config}`: {what}")]
    Shape {
        /// The configuration's name.
        config: String,
        /// What is wrong.
        what: String,
    },
}

/// What a configuration reads of a file, in words.
fn wanted(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Melody { melodic_programs_only: true } => {
            "notes from A0 to C8 of programs 1 to 32 (pianos to guitars), not drums"
        }
        Scheme::Melody { .. } | Scheme::MelodyChords => "notes from A0 to C8, not drums",
        Scheme::Drums | Scheme::DrumRoll(_) => "General MIDI drums on channel 10",
        Scheme::Groove(_) => "General MIDI drums",
        Scheme::Trio => "a melody (programs 1 to 32), a bass (33 to 40) and drums (channel 10)",
    }
}

/// What a configuration reads of a clip, in words.
pub(super) fn wanted_of_clip(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Melody { .. } | Scheme::MelodyChords => "notes from A0 to C8, not drums",
        Scheme::Drums | Scheme::DrumRoll(_) | Scheme::Groove(_) => "General MIDI drums",
        Scheme::Trio => "a melody, a bass or drums",
    }
}

/// Why a sequence has no window.
pub(super) fn reason(config: &Config, sequence: &NoteSequence) -> TokenError {
    let name = || config.name.clone();
    let (scheme, notes) = (config.scheme, &sequence.notes);
    let usable = match scheme {
        Scheme::Trio => trio::has_all_roles(notes),
        _ => notes.iter().any(|note| is_usable(scheme, note)),
    };
    if !usable {
        return lost(sequence, scheme).unwrap_or_else(|| match notes.is_empty() {
            true => TokenError::Empty,
            false => TokenError::NoUsableNote { config: name(), wanted: wanted(scheme) },
        });
    }
    if matches!(scheme, Scheme::Groove(_)) && whole(sequence).is_none() {
        return TokenError::Changes { config: name() };
    }
    let parts = split_on_time_changes(sequence);
    if !parts.iter().any(Part::has_common_bars) {
        return TokenError::NoCommonTime { config: name(), metres: metres(&parts) };
    }
    if scheme == Scheme::MelodyChords && sequence.chords.iter().any(|change| change.chord.is_none())
    {
        return TokenError::UnknownChords { config: name() };
    }
    let (found, bars) = (longest(config, sequence, &parts), config.bars());
    if scheme == Scheme::MelodyChords && found.is_some_and(|found| found >= bars) {
        return TokenError::NoChords { config: name() };
    }
    let found = match found {
        None => String::new(),
        Some(1) => ", the longest has 1 bar".to_owned(),
        Some(found) => format!(", the longest has {found} bars"),
    };
    let and = match scheme {
        Scheme::Melody { .. } | Scheme::MelodyChords => {
            ", and less than a bar of silence between notes"
        }
        Scheme::Drums | Scheme::DrumRoll(_) => ", and less than a bar without a hit",
        Scheme::Groove(_) => "; the bar of the last hit is the last that counts",
        Scheme::Trio => ", with melody, bass and drums never silent for more than four bars",
    };
    TokenError::TooShort { config: name(), bars, found, and }
}

fn is_usable(scheme: Scheme, note: &SequenceNote) -> bool {
    let is_drum_of = |map| note.is_drum && drums::class(map, note.pitch).is_some();
    match scheme {
        Scheme::Melody { melodic_programs_only } => {
            !note.is_drum
                && melody::has_token(note.pitch)
                && (!melodic_programs_only || note.program < 32)
        }
        Scheme::MelodyChords => !note.is_drum && melody::has_token(note.pitch),
        Scheme::Drums => is_drum_of(DrumMap::Reduced),
        Scheme::DrumRoll(map) => is_drum_of(map),
        Scheme::Groove(_) => drums::class(DrumMap::Reduced, note.pitch).is_some(),
        Scheme::Trio => true,
    }
}

/// That what a configuration reads is there, but in notes that the original does not read.
fn lost(sequence: &NoteSequence, scheme: Scheme) -> Option<TokenError> {
    let lost = &sequence.lost;
    // Where nothing else is in a file, drums may be meant by notes of any channel.
    let reads = |is_drum: bool| match scheme {
        _ if sequence.notes.is_empty() => true,
        Scheme::Melody { .. } | Scheme::MelodyChords => !is_drum,
        Scheme::Drums | Scheme::DrumRoll(_) => is_drum,
        Scheme::Groove(_) | Scheme::Trio => true,
    };
    let (drums, notes) = ("drum hits", "notes");
    let counts = [
        (true, lost.drums_without_length, lost.drums_without_end, drums),
        (false, lost.notes_without_length, lost.notes_without_end, notes),
    ];
    counts.into_iter().filter(|(is_drum, ..)| reads(*is_drum)).find_map(
        |(_, without_length, without_end, what)| match (without_length, without_end) {
            (0, 0) => None,
            (0, count) => Some(TokenError::NoEnd { count, what }),
            (count, _) => Some(TokenError::NoLength { count, what }),
        },
    )
}

/// The time signatures of the parts with notes, in words.
fn metres(parts: &[Part]) -> String {
    let mut found: Vec<String> = Vec::new();
    for part in parts.iter().filter(|part| !part.notes.is_empty()) {
        let metre = format!("{}/{}", part.numerator, part.denominator);
        if !found.contains(&metre) && found.len() < MAX_METRES {
            found.push(metre);
        }
    }
    format!("it is in {}", found.join(", "))
}

/// Bars of the longest passage, where it takes one instrument to have one.
fn longest(config: &Config, sequence: &NoteSequence, parts: &[Part]) -> Option<usize> {
    let Cut { gap_steps, max_steps } = Cut::DEFAULT;
    let mut steps = 0;
    match config.scheme {
        Scheme::Melody { melodic_programs_only } => {
            steps = longest_line(parts, melodic_programs_only);
        }
        Scheme::MelodyChords => steps = longest_line(parts, false),
        Scheme::Drums | Scheme::DrumRoll(_) => {
            let map = match config.scheme {
                Scheme::DrumRoll(map) => map,
                _ => DrumMap::Reduced,
            };
            for hits in parts.iter().filter_map(|part| drums::hits(part, map)) {
                drums::for_each_track(&hits, gap_steps, max_steps, |_, track| {
                    steps = steps.max(track.len());
                    true
                });
            }
        }
        Scheme::Groove(_) => return groove::bars(&whole(sequence)?),
        Scheme::Trio => return None,
    }
    Some(steps / STEPS_PER_BAR)
}

/// Steps of the longest melody.
fn longest_line(parts: &[Part], melodic_programs_only: bool) -> usize {
    let notes = parts.iter().filter_map(|part| melody::usable_notes(part, melodic_programs_only));
    let instruments = notes.flat_map(melody::by_instrument);
    let lines = instruments.flat_map(|notes| melody::lines(notes, Cut::DEFAULT));
    let longest = lines.map(|line| line.length).max().unwrap_or(0);
    usize::try_from(longest).unwrap_or(usize::MAX)
}
