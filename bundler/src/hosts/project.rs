//! Ardour's session file: puts clips on tracks, and sets tempo, metre, loop and length.
//!
//! Only what the tests need is changed, in a session that Ardour itself has written; a file that
//! looks otherwise than expected is an error.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use interlude_models::clip::Clip;
use midly::{
    Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind,
    num::{u15, u28},
};

use super::compare::Tempos;
use crate::workspace::{copy, write};

/// Ardour's ticks in a quarter note.
const TICKS: u16 = 1920;
/// Ardour's superclock ticks in a second.
const SUPERCLOCK: f64 = 282_240_000.0;
/// Ids from here on are free in a fresh session.
const FREE_ID: u32 = 9000;

/// A session folder whose session is called `song`.
pub(super) struct Project {
    folder: PathBuf,
    text: String,
    next_id: u32,
}

impl Project {
    /// Copies a session and reads the copy.
    pub(super) fn copy(from: &Path, to: &Path) -> Result<Self> {
        if to.exists() {
            fs::remove_dir_all(to).with_context(|| format!("cannot clear {}", to.display()))?;
        }
        copy(from, to)?;
        let file = to.join("song.ardour");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("Ardour left no {}", file.display()))?;
        Ok(Self { folder: to.to_owned(), text, next_id: FREE_ID })
    }

    /// Puts clips on a track, each at its beat; what was on the track goes.
    pub(super) fn place(mut self, track: &str, clips: &[(f64, &Clip)]) -> Result<Self> {
        let (mut sources, mut regions, mut placed) = (String::new(), String::new(), String::new());
        for (at, clip) in clips {
            let (source, whole, part) = (self.id(), self.id(), self.id());
            let name = format!("{track}-{source}.mid");
            write(&self.folder.join("interchange/song/midifiles").join(&name), &file(clip)?)?;
            let (at, length) = (ticks(*at)?, ticks(clip.length)?);
            sources += &format!(
                "<Source name=\"{name}\" take-id=\"\" type=\"midi\" flags=\"Writable,CanRename\" \
                 id=\"{source}\" origin=\"\"/>"
            );
            let region = |id: u32, at: u32, is_whole: bool| {
                format!(
                    "<Region name=\"{track}-{source}\" muted=\"0\" opaque=\"1\" locked=\"0\" \
                     whole-file=\"{}\" start=\"b0\" length=\"b{length}@b{at}\" \
                     sync-position=\"b0\" ancestral-start=\"b0\" ancestral-length=\"b{length}@b0\" \
                     stretch=\"1\" shift=\"1\" first-edit=\"nothing\" layer=\"0\" id=\"{id}\" \
                     type=\"midi\" source-0=\"{source}\" master-source-0=\"{source}\"/>",
                    u8::from(is_whole)
                )
            };
            regions += &region(whole, 0, true);
            placed += &region(part, at, false);
        }
        self.append("Sources", &sources)?;
        self.append("Regions", &regions)?;
        let head = self.text.find("<Playlists>").context("a session has playlists")?;
        let name = format!(" name=\"{track}\" type=\"midi\"");
        let tag = self.text[head..]
            .find(&name)
            .with_context(|| format!("the session has no playlist of the track {track}"))?;
        let close = head + tag + self.text[head + tag..].find('>').context("a tag ends")?;
        let end = if self.text[..close].ends_with('/') {
            close + 1
        } else {
            let close = self.text[close..].find("</Playlist>").context("a playlist ends")? + close;
            close + "</Playlist>".len()
        };
        let open = self.text[..close].trim_end_matches('/').len();
        self.text.replace_range(open..end, &format!(">{placed}</Playlist>"));
        Ok(self)
    }

    /// Sets the tempos and the metre of the whole song.
    pub(super) fn metre(mut self, tempos: &Tempos, metre: (u16, u16)) -> Result<Self> {
        let (numerator, denominator) = metre;
        let bar = f64::from(numerator) * 4.0 / f64::from(denominator);
        let mut map = String::from("<Tempos>");
        let mut seconds = 0.0;
        for (index, tempo) in tempos.0.iter().enumerate() {
            if let Some(before) = index.checked_sub(1).map(|index| tempos.0[index]) {
                seconds += (tempo.from - before.from) * 60.0 / before.bpm;
            }
            ensure!((tempo.from / bar).fract() == 0.0, "tempos change at the start of a bar");
            map += &format!(
                "<Tempo npm=\"{0}\" enpm=\"{0}\" note-type=\"4\" type=\"Tempo::Constant\" \
                 active=\"1\" locked-to-meter=\"0\" continuing=\"0\" sclock=\"{1:.0}\" \
                 quarters=\"{2}:0\" bbt=\"{3}|1|0\" omega=\"0\"/>",
                tempo.bpm,
                seconds * SUPERCLOCK,
                tempo.from,
                tempo.from / bar + 1.0,
            );
        }
        map += &format!(
            "</Tempos><Meters><Meter note-value=\"{denominator}\" divisions-per-bar=\"{numerator}\" \
             sclock=\"0\" quarters=\"0:0\" bbt=\"1|1|0\"/></Meters>"
        );
        self.replace("<Tempos>", "</Meters>", &map)?;
        Ok(self)
    }

    /// Sets the loop, and where the session begins and ends, in beats.
    pub(super) fn ranges(mut self, looping: Range<f64>, session: Range<f64>) -> Result<Self> {
        let (one, two) = (self.id(), self.id());
        let location = |id: u32, name: &str, range: Range<f64>, flag: &str| {
            anyhow::Ok(format!(
                "<Location id=\"{id}\" name=\"{name}\" start=\"b{}\" end=\"b{}\" flags=\"{flag}\" \
                 locked=\"0\" timestamp=\"0\" cue=\"0\"/>",
                ticks(range.start)?,
                ticks(range.end)?
            ))
        };
        let ranges = location(one, "Loop", looping, "IsAutoLoop")?
            + &location(two, "session", session, "IsSessionRange")?;
        let whole = format!("<Locations>{ranges}</Locations>");
        if self.text.contains("<Locations/>") {
            self.text = self.text.replacen("<Locations/>", &whole, 1);
        } else {
            self.replace("<Locations>", "</Locations>", &whole)?;
        }
        Ok(self)
    }

    /// Has the window of a plug-in on a track open with the session.
    pub(super) fn show(mut self, track: &str, plugin: &str) -> Result<Self> {
        let (route, processor) = (self.id_of("Route", track)?, self.id_of("Processor", plugin)?);
        let end = self.text.rfind("</Session>").context("a session ends")?;
        ensure!(!self.text.contains("<Extra>"), "the session keeps windows already");
        let window = format!(
            "<Extra><UI><Window name=\"P-{route}-{processor}\" visible=\"1\" x-off=\"200\" \
             y-off=\"150\" x-size=\"-1\" y-size=\"-1\" custom-ui=\"1\"/></UI></Extra>"
        );
        self.text.insert_str(end, &window);
        Ok(self)
    }

    /// The id of the first element of a kind that has such a name.
    fn id_of(&self, element: &str, name: &str) -> Result<String> {
        let (start, name) = (format!("<{element} "), format!(" name=\"{name}\""));
        let tags = self.text.split(&start).skip(1).filter_map(|rest| rest.split('>').next());
        let tag = tags.into_iter().find(|tag| tag.contains(&name));
        let id = tag.and_then(|tag| format!(" {tag}").split(" id=\"").nth(1).map(str::to_owned));
        let id = id.and_then(|rest| rest.split('"').next().map(str::to_owned));
        id.with_context(|| format!("the session has no {element} of the{name}"))
    }

    /// Writes the session file and gives the session's folder.
    pub(super) fn save(mut self) -> Result<PathBuf> {
        let counter = self.text.find("id-counter=\"").context("a session counts ids")?;
        let digits = counter + "id-counter=\"".len();
        let end = digits + self.text[digits..].find('"').context("an attribute ends")?;
        self.text.replace_range(digits..end, &(self.next_id + 1000).to_string());
        write(&self.folder.join("song.ardour"), self.text.as_bytes())?;
        Ok(self.folder)
    }

    fn id(&mut self) -> u32 {
        while self.text.contains(&format!("id=\"{}\"", self.next_id)) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    /// Adds to an element that may be empty.
    fn append(&mut self, element: &str, what: &str) -> Result<()> {
        let (empty, close) = (format!("<{element}/>"), format!("</{element}>"));
        if self.text.contains(&empty) {
            let whole = format!("<{element}>{what}{close}");
            self.text = self.text.replacen(&empty, &whole, 1);
        } else {
            let at = self.text.find(&close);
            let at = at.with_context(|| format!("the session has no {element}"))?;
            self.text.insert_str(at, what);
        }
        Ok(())
    }

    fn replace(&mut self, from: &str, to: &str, what: &str) -> Result<()> {
        let missing = || format!("the session has no {from} … {to}");
        let start = self.text.find(from).with_context(missing)?;
        let end = start + self.text[start..].find(to).with_context(missing)? + to.len();
        self.text.replace_range(start..end, what);
        Ok(())
    }
}

/// A clip as a MIDI file of one track, as Ardour keeps its own.
pub(super) fn file(clip: &Clip) -> Result<Vec<u8>> {
    let mut events: Vec<(u32, bool, TrackEventKind<'static>)> = Vec::new();
    for note in &clip.notes {
        let message = |message| TrackEventKind::Midi { channel: note.channel.into(), message };
        let (key, vel) = (note.pitch.into(), note.velocity.into());
        events.push((ticks(note.start)?, true, message(MidiMessage::NoteOn { key, vel })));
        let off = MidiMessage::NoteOff { key, vel: 64.into() };
        events.push((ticks(note.end)?, false, message(off)));
    }
    events.push((ticks(clip.length)?, true, TrackEventKind::Meta(MetaMessage::EndOfTrack)));
    // Of events on one tick, the ends come first; the end of the track is the last of all.
    events.sort_by_key(|(tick, begins, _)| (*tick, *begins));
    let mut before = 0;
    let track = events
        .into_iter()
        .map(|(tick, _, kind)| {
            let delta = u28::from_int_lossy(tick - before);
            before = tick;
            TrackEvent { delta, kind }
        })
        .collect();
    let header = Header::new(Format::SingleTrack, Timing::Metrical(u15::from_int_lossy(TICKS)));
    let mut bytes = Vec::new();
    Smf { header, tracks: vec![track] }.write_std(&mut bytes)?;
    Ok(bytes)
}

fn ticks(beats: f64) -> Result<u32> {
    let ticks = (beats * f64::from(TICKS)).round();
    ensure!((0.0..1e9).contains(&ticks), "{beats} beats are no place in a song");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let ticks = ticks as u32;
    Ok(ticks)
}
