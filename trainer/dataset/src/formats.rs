//! Formats: what files and archives hold, MIDI and others, as sequences. `source` opens them, `names`
//! knows their endings.

pub mod leadsheets;
pub mod monophony;
pub mod names;
pub mod patterns;
pub mod records;
pub mod source;
