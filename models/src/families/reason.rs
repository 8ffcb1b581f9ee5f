//! Errors of tokenisation, in words.

use super::error::TokenError;
use super::family::Family;
use super::kinds::Walk;
use super::quantise::{Stretch, split_on_time_changes, whole};
use crate::midi::NoteSequence;

/// Time signatures that a message names.
const MAX_METRES: usize = 3;

/// Why a sequence has no window of so many bars, for the configuration of a name.
pub(crate) fn reason(
    family: &dyn Family,
    name: &str,
    bars: usize,
    sequence: &NoteSequence,
) -> TokenError {
    let config = name.to_owned();
    if !family.has_usable(&sequence.notes) {
        return lost(sequence, family).unwrap_or_else(|| match sequence.notes.is_empty() {
            true => TokenError::Empty,
            false => TokenError::NoUsableNote { config, wanted: family.wanted().of_file },
        });
    }
    if family.walk() == Walk::Windows && whole(sequence).is_none() {
        return TokenError::Changes { config };
    }
    let stretches = split_on_time_changes(sequence);
    if !stretches.iter().any(Stretch::has_common_bars) {
        return TokenError::NoCommonTime { config, metres: metres(&stretches) };
    }
    let found = family.longest(sequence);
    let is_long = found.is_some_and(|found| found >= bars);
    if let Some(refusal) = family.refusal(name, sequence, is_long) {
        return refusal;
    }
    let found = match found {
        None => String::new(),
        Some(1) => ", the longest has 1 bar".to_owned(),
        Some(found) => format!(", the longest has {found} bars"),
    };
    TokenError::TooShort { config, bars, found, and: family.wanted().of_passage }
}

/// The notes that a family needs exist, but the original does not read them.
fn lost(sequence: &NoteSequence, family: &dyn Family) -> Option<TokenError> {
    let lost = &sequence.lost;
    // Where nothing else is in a file, drums may be meant by notes of any channel.
    let reads = |is_drum: bool| sequence.notes.is_empty() || family.reads(is_drum);
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

/// The time signatures of the stretches with notes, in words.
fn metres(stretches: &[Stretch]) -> String {
    let mut found: Vec<String> = Vec::new();
    for stretch in stretches.iter().filter(|stretch| !stretch.notes.is_empty()) {
        let metre = format!("{}/{}", stretch.numerator, stretch.denominator);
        if !found.contains(&metre) && found.len() < MAX_METRES {
            found.push(metre);
        }
    }
    format!("it is in {}", found.join(", "))
}
