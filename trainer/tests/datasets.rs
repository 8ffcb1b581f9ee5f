//! `interlude dataset build` on folders and archives, good and hostile.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use interlude_dataset::build::{self, Description, INCOMPLETE, Options, SKIPPED};
use interlude_dataset::{DatasetError, Split, Windows, splits, store};
use interlude_models::clip::{Clip, Note};
use interlude_models::config;
use interlude_models::midi::to_bytes;
use zip::write::SimpleFileOptions;

/// A melody of two bars from a pitch.
fn midi(pitch: u8) -> Vec<u8> {
    let note = |beat: u8| Note {
        start: f64::from(beat),
        end: f64::from(beat) + 1.0,
        pitch: pitch + beat % 5,
        velocity: 80,
        channel: 0,
        program: 0,
    };
    to_bytes(&Clip::new((0..8).map(note).collect(), 8.0), 120.0)
}

fn options(sources: &[PathBuf], out: &Path) -> Options {
    Options {
        sources: sources.to_vec(),
        config: config::by_name("cat-mel_2bar_small").expect("known"),
        out: out.to_owned(),
        seed: 1,
        monophonic: false,
        least_notes: 1,
        split_column: splits::COLUMN.to_owned(),
        roland: None,
        drums: None,
        every: 1,
        shard: None,
    }
}

fn dataset(sources: &[PathBuf], out: &Path) -> Result<Description, DatasetError> {
    build::build(&options(sources, out), &|_| {})
}

fn windows(out: &Path, split: Split) -> Windows {
    store::read(out, split, &config::by_name("cat-mel_2bar_small").expect("known")).expect("reads")
}

/// All windows of a dataset, in order.
fn all(out: &Path) -> Vec<Vec<u16>> {
    let mut all = Vec::new();
    for split in Split::ALL {
        let windows = windows(out, split);
        all.extend((0..windows.len()).map(|index| windows.get(index).to_vec()));
    }
    all.sort();
    all
}

fn zip_file(path: &Path, entries: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(File::create(path).expect("creates"));
    for (name, content) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        archive.write_all(content).expect("writes");
    }
    archive.finish().expect("ends");
}

/// A tar archive with names as they are, also those that a careful writer refuses.
fn tar_bytes(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("GNU").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, *content).expect("appends");
    }
    archive.into_inner().expect("ends")
}

fn gz(path: &Path, content: &[u8]) {
    let mut encoder = GzEncoder::new(File::create(path).expect("creates"), Compression::fast());
    encoder.write_all(content).expect("writes");
    encoder.finish().expect("ends");
}

// The same files give the same windows from a folder, a zip, a tar and a packed tar; windows that
// come twice are kept once.
#[test]
fn folders_and_archives_are_alike() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let [folder, zip, tar, tgz] =
        ["folder", "a.zip", "a.tar", "a.tar.gz"].map(|name| place.path().join(name));
    let files: Vec<(String, Vec<u8>)> =
        (40..50).map(|pitch| (format!("deep/{pitch}.MID"), midi(pitch))).collect();
    let entries: Vec<(&str, &[u8])> =
        files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    fs::create_dir_all(folder.join("deep")).expect("a folder");
    for (name, content) in &entries {
        fs::write(folder.join(name), content).expect("writes");
    }
    zip_file(&zip, &entries);
    fs::write(&tar, tar_bytes(&entries)).expect("writes");
    gz(&tgz, &tar_bytes(&entries));
    let out = place.path().join("out");
    let expected = dataset(&[folder], &out).expect("builds");
    assert_eq!((expected.files, expected.skipped, expected.duplicates), (10, 0, 0));
    let expected = all(&out);
    assert_eq!(expected.len(), 10);
    for archive in [&zip, &tar, &tgz] {
        dataset(std::slice::from_ref(archive), &out).expect("builds");
        assert_eq!(all(&out), expected, "{}", archive.display());
    }
    let twice = dataset(&[zip, tgz], &out).expect("builds");
    assert_eq!((twice.files, twice.duplicates), (20, 10));
    assert_eq!(all(&out), expected);
}

// Unreadable files among good ones are skipped with their reason; nothing is written outside of
// the dataset, whatever names an archive holds.
#[test]
fn hostile_files_are_skipped() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = place.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let good = midi(60);
    let zeros = vec![0; 17 << 20];
    zip_file(
        &data.join("a.zip"),
        &[
            ("../../escape.mid", &good),
            ("/absolute.mid", &midi(61)),
            ("bomb.mid", &zeros),
            ("not midi.mid", b"hello"),
            ("line\nbreak.mid", b""),
        ],
    );
    let escape = tar_bytes(&[("../escape.mid", &midi(62)), ("cut.mid", &good[..good.len() / 2])]);
    gz(&data.join("b.tar.gz"), &escape);
    let mut cut = Vec::new();
    let whole = data.join("c.tar.gz");
    gz(&whole, &tar_bytes(&[("one.mid", &midi(63)), ("two.mid", &midi(64))]));
    cut.extend_from_slice(&fs::read(&whole).expect("reads")[..120]);
    fs::write(&whole, cut).expect("writes");
    fs::write(data.join("d.zip"), b"PK\x03\x04 nothing").expect("writes");
    fs::write(data.join("e.json"), b"[1, 2").expect("writes");
    fs::write(data.join("f.mid"), vec![b'x'; 17 << 20]).expect("writes");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&data, data.join("loop")).expect("a link");

    let out = place.path().join("out");
    let description = dataset(&[data], &out).expect("builds");
    assert_eq!(all(&out).len(), 3, "only the good files inside of whole entries");
    let skipped = fs::read_to_string(out.join(SKIPPED)).expect("a list");
    assert_eq!(skipped.lines().count(), description.skipped);
    for (file, reason) in [
        ("bomb.mid", "longer than 16 MiB"),
        ("not midi.mid", "MThd"),
        ("line break.mid", "empty"),
        ("cut.mid", "cut off"),
        ("c.tar.gz", ""),
        ("d.zip", ""),
        ("e.json", "no list of drum patterns"),
        ("f.mid", "longer than 16 MiB"),
    ] {
        let line = skipped.lines().find(|line| line.contains(file));
        assert!(line.is_some_and(|line| line.contains(reason)), "{file}: {skipped}");
    }
    let names: Vec<_> = fs::read_dir(place.path()).expect("lists").flatten().collect();
    assert_eq!(names.len(), 2, "data and dataset");
}

// Files of which tracks cannot be read give the windows of the others; the summary says of how many, names
// the first with what is missing, and all are listed. A later build without damage has no such list.
#[test]
fn lost_tracks_are_told() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (data, out) = (place.path().join("data"), place.path().join("out"));
    fs::create_dir(&data).expect("a folder");
    fs::write(data.join("good.mid"), midi(60)).expect("written");
    for index in 0..5u8 {
        let mut bytes = midi(62 + 2 * index);
        // One track more, which breaks off within a note; the header counts it.
        bytes[11] += 1;
        bytes.extend(b"MTrk\0\0\0\x08\0\x90\x3c");
        fs::write(data.join(format!("cut{index}.mid")), bytes).expect("written");
    }
    let description = dataset(std::slice::from_ref(&data), &out).expect("builds");
    assert_eq!((description.files, description.skipped, description.incomplete), (6, 0, 5));
    let note = description.notes.iter().find(|note| note.contains("5 files")).expect("a note");
    for word in ["cut0.mid", "cut2.mid", "track", "and 2 more", INCOMPLETE] {
        assert!(note.contains(word), "{word}: {note}");
    }
    assert!(!note.contains("cut3.mid"), "{note}");
    let list = fs::read_to_string(out.join(INCOMPLETE)).expect("a list");
    assert_eq!(list.lines().count(), 5);
    assert!(list.contains("cut4.mid: track"), "{list}");
    let counts = build::describe(&out).expect("a description");
    assert_eq!(counts, description);

    for index in 0..5 {
        fs::remove_file(data.join(format!("cut{index}.mid"))).expect("removed");
    }
    let description = dataset(&[data], &out).expect("builds");
    assert_eq!(description.incomplete, 0);
    assert!(!description.notes.iter().any(|note| note.contains("missing")), "{description:?}");
    assert!(!out.join(INCOMPLETE).exists());
}

// Nothing usable is an error that tells why, a source that is not there too.
#[test]
fn nothing_usable_is_told() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let out = place.path().join("out");
    let missing = place.path().join("missing");
    let error = dataset(&[missing], &out).expect_err("no such folder");
    assert!(matches!(error, DatasetError::Missing { .. }), "{error}");
    let empty = place.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    assert!(matches!(dataset(&[empty], &out), Err(DatasetError::Empty { files: 0, .. })));
}

// A table among the sources says which file belongs to which split; without it the name decides,
// wherever the files lie.
#[test]
fn splits_follow_tables_and_names() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let [first, second] = ["first", "second"].map(|name| place.path().join(name));
    for folder in [&first, &second] {
        fs::create_dir(folder).expect("a folder");
        for pitch in 40..80 {
            fs::write(folder.join(format!("{pitch}.mid")), midi(pitch)).expect("writes");
        }
    }
    let (one, other) = (place.path().join("one"), place.path().join("other"));
    dataset(std::slice::from_ref(&first), &one).expect("builds");
    dataset(std::slice::from_ref(&second), &other).expect("builds");
    for split in Split::ALL {
        assert_eq!(windows(&one, split), windows(&other, split));
    }
    fs::write(first.join("splits.csv"), "file,split\n40.mid,test\n41.mid,validation\n")
        .expect("writes");
    let described = dataset(&[first], &one).expect("builds");
    assert_eq!(described.files, 40, "the table is no music");
    let holds = |split, pitch: u16| {
        let windows = windows(&one, split);
        (0..windows.len()).any(|index| windows.get(index)[0] == pitch - 19)
    };
    assert!(holds(Split::Test, 40) && holds(Split::Validation, 41));
    assert!(!holds(Split::Train, 40) && !holds(Split::Train, 41));
}

// Shares of the files, built apart and merged, have the windows of one build.
#[test]
fn shares_make_the_whole() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = place.path().join("data");
    fs::create_dir(&data).expect("a folder");
    for pitch in 40..70 {
        fs::write(data.join(format!("{pitch}.mid")), midi(pitch)).expect("writes");
    }
    let whole = place.path().join("whole");
    dataset(std::slice::from_ref(&data), &whole).expect("builds");
    let mut shares = Vec::new();
    let mut files = 0;
    for number in 1..=3 {
        let share = place.path().join(format!("share-{number}"));
        let options =
            Options { shard: Some((number, 3)), ..options(std::slice::from_ref(&data), &share) };
        files += build::build(&options, &|_| {}).expect("builds").files;
        shares.push(share);
    }
    assert_eq!(files, 30, "every file is in one share");
    let merged = place.path().join("merged");
    interlude_dataset::merge::merge(&shares, &merged).expect("merges");
    let sorted = |out: &Path, split| {
        let windows = windows(out, split);
        let mut all: Vec<_> = (0..windows.len()).map(|index| windows.get(index).to_vec()).collect();
        all.sort();
        all
    };
    for split in Split::ALL {
        assert_eq!(sorted(&merged, split), sorted(&whole, split), "{}", split.name());
    }
}

// A build that stopped in the middle goes on: what its journal holds is not read again, and the
// dataset is that of an unbroken build.
#[test]
fn interrupted_builds_go_on() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let data = place.path().join("data");
    fs::create_dir(&data).expect("a folder");
    for pitch in 40..60 {
        fs::write(data.join(format!("{pitch}.mid")), midi(pitch)).expect("writes");
    }
    let (whole, broken) = (place.path().join("whole"), place.path().join("broken"));
    let expected = dataset(std::slice::from_ref(&data), &whole).expect("builds");
    let stopped = std::panic::catch_unwind(|| {
        let options = options(std::slice::from_ref(&data), &broken);
        build::build(&options, &|done| assert!(done.files < 10, "stopped on purpose"))
    });
    assert!(stopped.is_err());
    assert!(broken.join(interlude_dataset::journal::FILE).is_file());
    // A file that was read already may change now: what it gave is known.
    let journal = fs::read(broken.join(interlude_dataset::journal::FILE)).expect("reads");
    let known = (40..60).map(|pitch| data.join(format!("{pitch}.mid"))).filter(|path| {
        let name = path.to_str().expect("Unicode").as_bytes();
        journal.windows(name.len()).any(|part| part == name)
    });
    let known: Vec<PathBuf> = known.collect();
    assert!(known.len() >= 5, "{}", known.len());
    known.iter().for_each(|path| fs::write(path, b"").expect("writes"));
    let description = dataset(&[data], &broken).expect("builds");
    assert_eq!(description, expected);
    assert_eq!(all(&broken), all(&whole));
    assert!(!broken.join(interlude_dataset::journal::FILE).exists());
}

// Windows of another kind are refused by name, even when they are as long; those of a configuration
// with the same steps are read.
#[test]
fn windows_of_another_kind_are_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let file = place.path().join("a.mid");
    fs::write(&file, midi(60)).expect("writes");
    let out = place.path().join("out");
    dataset(&[file], &out).expect("builds");
    let read = |name| store::read(&out, Split::Train, &config::by_name(name).expect("known"));
    let error = read("cat-drums_2bar_small").expect_err("melodies").to_string();
    assert!(error.contains("cat-mel_2bar_small") && error.contains("cat-drums"), "{error}");
    read("cat-mel_2bar_big").expect("the same melodies");
}
