//! `interlude dataset` and `train` as a program: commands that fail change nothing, tables and names
//! of all kinds, and datasets too small to be split by chance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use interlude_dataset::{Split, store};
use interlude_models::clip::{Clip, Note};
use interlude_models::midi::to_bytes;
use tempfile::TempDir;

/// A melody of some bars from a pitch.
fn midi(pitch: u8, bars: u8) -> Vec<u8> {
    late_midi(pitch, bars, 0.0)
}

/// The same, so many beats later.
fn late_midi(pitch: u8, bars: u8, late: f64) -> Vec<u8> {
    let note = |beat: u8| Note {
        start: f64::from(beat) + late,
        end: f64::from(beat) + 1.0,
        pitch: pitch + beat % 5 + beat / 16,
        velocity: 80,
        channel: 0,
        program: 0,
    };
    let notes = (0..4 * bars).map(note).collect();
    to_bytes(&Clip::new(notes, f64::from(4 * bars)), 120.0)
}

/// A place to work in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, with the folders above it.
    fn write(&self, name: &str, content: &[u8]) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, content).expect("writes");
    }

    /// Runs the program in this place.
    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        command.output().expect("runs")
    }

    /// What the program says when all is well.
    fn told(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let [out, error] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success(), "{arguments}: {error}");
        format!("{out}{error}")
    }

    /// What the program says when it refuses: one line.
    fn refused(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {error}");
        assert!(error.starts_with("interlude: ") && !error.contains('\n'), "{error}");
        error
    }

    /// All files below this place, but for one folder.
    fn files(&self, without: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).expect("lists") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    files.insert(path.clone(), Vec::new());
                    walk(&path, files);
                } else {
                    files.insert(path.clone(), fs::read(&path).expect("reads"));
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(self.0.path(), &mut files);
        files.retain(|path, _| !path.starts_with(self.at(without)));
        files
    }

    /// The files that windows of a dataset's split are from, below this place.
    fn sources(&self, dataset: &str, split: Split) -> Vec<String> {
        let mut sources = Vec::new();
        store::for_each_row(&self.at(dataset), split, &mut |_, source| {
            sources.push(source.to_owned());
        })
        .expect("reads");
        sources.sort();
        sources.dedup();
        sources
    }
}

const BUILD: &str = "--scheme melody-2bar --out D";

// A command that fails leaves the dataset that was there byte for byte, and makes no new folder.
#[test]
fn commands_that_fail_change_nothing() {
    let place = Place::new();
    for pitch in 40..46 {
        place.write(&format!("music/{pitch}.mid"), &midi(pitch, 4));
    }
    place.write("text/readme.mid", b"no music");
    place.write("listed/split.csv", b"name,split\n1.mid,maybe\n");
    place.write("listed/1.mid", &midi(60, 4));
    place.told(&format!("dataset build music {BUILD}"));
    place.told("dataset build music --scheme chords-2bar --out other");
    fs::create_dir(place.at("damaged")).expect("a folder");
    for file in ["dataset.json", "train.parquet", "validation.parquet"] {
        fs::copy(place.at("D").join(file), place.at("damaged").join(file)).expect("copies");
    }
    place.write("damaged/test.parquet", b"PAR1");
    let before = place.files("none");
    for (command, words) in [
        ("dataset build missing --scheme melody-2bar", "no `missing`"),
        ("dataset build music missing.mid --scheme melody-2bar", "no `missing.mid`"),
        ("dataset build text --scheme melody-2bar", "MThd"),
        ("dataset build music --scheme drums-2bar", "drums"),
        ("dataset build listed --scheme melody-2bar", "`maybe`"),
        ("dataset build listed --scheme melody-2bar --split-column part", "`part`"),
        ("dataset arrange music --drums nowhere", "no `nowhere`"),
        ("dataset arrange music --drums music", "no drum performance"),
        ("dataset merge D damaged", "test.parquet"),
        ("dataset merge D other", "cat-mel_2bar_med_chords"),
        ("dataset combine D --lines D", "trios are needed"),
    ] {
        for out in ["D", "new/deep"] {
            let error = place.refused(&format!("{command} --out {out}"));
            assert!(error.contains(words), "{command}: {error}");
            assert!(place.files("none") == before, "{command} --out {out} left something");
        }
    }
    // And one that is well replaces the whole: nothing is left of what it held.
    place.told("dataset build listed/1.mid --scheme melody-2bar --out D");
    let all: Vec<String> = Split::ALL.iter().flat_map(|&split| place.sources("D", split)).collect();
    assert!(all.iter().all(|source| source == "listed/1.mid"), "{all:?}");
}

// Files with other endings, or none, are read when they are MIDI, in folders and archives, plain or
// within RIFF; when nothing is found, it is told what was looked for.
#[test]
fn midi_files_with_other_names_are_read() {
    let place = Place::new();
    let riff = |midi: &[u8]| {
        let length = |bytes: usize| u32::try_from(bytes).expect("short").to_le_bytes();
        [b"RIFF", &length(midi.len() + 12)[..], b"RMIDdata", &length(midi.len()), midi].concat()
    };
    let files: [(&str, Vec<u8>); 6] = [
        ("a.kar", midi(40, 2)),
        ("b.SMF", midi(42, 2)),
        ("c.rmi", riff(&midi(44, 2))),
        ("plain", midi(46, 2)),
        ("within riff", riff(&midi(48, 2))),
        ("odd.bak", midi(50, 2)),
    ];
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in &files {
        place.write(&format!("music/deep/{name}"), content);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append_data(&mut header, name, &content[..]).expect("appends");
    }
    place.write("packed.tar", &archive.into_inner().expect("ends"));
    place.write("music/notes.txt", b"no music");
    for source in ["music", "packed.tar"] {
        let told = place.told(&format!("dataset build {source} {BUILD}"));
        assert!(told.contains("6 files read, 0 without"), "{told}");
    }
    place.told(&format!("dataset build music/deep/plain {BUILD}"));
    place.write("nothing/notes.txt", b"no music");
    let error = place.refused("dataset build nothing --scheme melody-2bar --out E");
    assert!(error.contains(".kar") && error.contains("`nothing`"), "{error}");
    place.write("nothing/old.rar", b"Rar!");
    let error = place.refused("dataset build nothing --scheme melody-2bar --out E");
    assert!(error.contains("unpack it"), "{error}");
}

// Trees with the same file name in each folder give a share of each split, the same wherever they lie,
// packed or not; so do sources that are called by name.
#[test]
fn the_folder_decides_where_names_are_the_same() {
    let place = Place::new();
    let mut archive = tar::Builder::new(Vec::new());
    let mut folders = Vec::new();
    for song in 0..100 {
        let content = late_midi(30 + song % 50, 2, f64::from(song / 50) / 2.0);
        place.write(&format!("tree/song{song:02}/melody.mid"), &content);
        place.write(&format!("moved/to/tree/song{song:02}/melody.mid"), &content);
        folders.push(format!("tree/song{song:02}"));
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        let name = format!("./song{song:02}/melody.mid");
        archive.append_data(&mut header, name, &content[..]).expect("appends");
    }
    place.write("packed/tree.tar", &archive.into_inner().expect("ends"));
    let songs = |source: &str| {
        let told = place.told(&format!("dataset build {source} {BUILD}"));
        assert!(!told.contains("note:"), "by chance, not by force: {told}");
        Split::ALL.map(|split| {
            let of = |source: &String| {
                let folder = source.rsplit(['/', '!']).nth(1).expect("a folder");
                folder.to_owned()
            };
            place.sources("D", split).iter().map(of).collect::<Vec<_>>()
        })
    };
    let expected = songs("tree");
    let [train, validation, test] = expected.each_ref().map(Vec::len);
    assert!(train > 80 && validation > 1 && test > 1, "{expected:?}");
    assert_eq!(songs("moved/to/tree"), expected);
    assert_eq!(songs("packed"), expected);
    assert_eq!(songs("packed/tree.tar"), expected);
    assert_eq!(songs(&folders.join(" ")), expected, "folders that are all called by name");
}

// Tables as spreadsheets write them are obeyed, and it is told how many files they name; so it is where
// they name none.
#[test]
fn tables_are_obeyed_and_told_of() {
    let place = Place::new();
    for (pitch, name) in (40..).step_by(7).zip(["uno", "dos", "tres", "cuatro"]) {
        place.write(&format!("music/{name}.mid"), &midi(pitch, 2));
    }
    let splits = |table: &str, more: &str| {
        place.write("music/split.csv", table.as_bytes());
        let told = place.told(&format!("dataset build music {BUILD} {more}"));
        let name = |source: &String| source["music/".len()..].to_owned();
        (told, Split::ALL.map(|s| place.sources("D", s).iter().map(name).collect::<Vec<_>>()))
    };
    let expected = [vec!["cuatro.mid", "uno.mid"], vec!["tres.mid"], vec!["dos.mid"]]
        .map(|files| files.into_iter().map(str::to_owned).collect::<Vec<_>>());
    for (table, more) in [
        (
            "split;file\r\ntest;dos.mid\r\ntrain;uno.mid\r\nvalidation;tres.mid\r\ntrain;cuatro.mid",
            "",
        ),
        ("id,split\nuno,train\ndos,test\ntres,validation\ncuatro,train\n", ""),
        ("file,set\nuno.mid,train\ndos.mid,test\ntres.mid,validation\ncuatro.mid,train\n", ""),
        (
            "file,set,split\nuno.mid,train,a\ndos.mid,test,b\ntres.mid,dev,c\ncuatro.mid,train,d\n",
            "--split-column Set",
        ),
    ] {
        let (told, found) = splits(table, more);
        assert_eq!(found, expected, "{table}");
        assert!(told.contains("`split.csv` names 4 of 4 files"), "{told}");
    }
    let (told, _) = splits("file,split\nother/eins.mid,test\n", "");
    assert!(told.contains("names 0 of 4 files") && told.contains("other/eins.mid"), "{told}");
    let (told, [train, ..]) = splits("file,split\ndos.mid,test\nuno.mid,train\n", "");
    assert!(
        told.contains("names 2 of 4 files") && !train.contains(&"dos.mid".to_owned()),
        "{told}"
    );
    let info = place.told("dataset info D");
    assert!(info.contains("names 2 of 4 files"), "{info}");
}

/// Sizes that make a step short.
const TRAIN: &str = "train --config cat-mel_2bar_small --steps 2 --threads 1 --evaluate-windows 8 \
                     --hparams enc_rnn_size=[16],dec_rnn_size=[16,16],z_size=8";

// From ten files, and from one, to a model that plays and is measured: some of the music is held out
// for that, and it is told which.
#[test]
fn small_datasets_make_models() {
    let place = Place::new();
    for song in 0..10 {
        place.write(&format!("ten/melody{song}.mid"), &midi(40 + song, 6));
    }
    place.write("one/melody.mid", &midi(50, 30));
    for (source, words) in [("ten", "5 windows) is for it"), ("one", "from the ends of files")] {
        let told = place.told(&format!("dataset build {source} {BUILD}-{source}"));
        assert!(told.contains("note: no file fell to") && told.contains(words), "{told}");
        let dataset = format!("D-{source}");
        place.told(&format!("{TRAIN} --dataset {dataset} --out R-{source}"));
        for model in ["best", "last"] {
            assert!(place.at(&format!("R-{source}/{model}/model.json")).is_file(), "{model}");
        }
        assert!(place.at(&format!("R-{source}/report.html")).is_file());
        place.told(&format!("generate sample --model R-{source}/best --out S-{source}"));
        place.told(&format!(
            "evaluate --model R-{source}/best --dataset {dataset} --samples 2 --pairs 1"
        ));
    }
    let [train, validation, test] = Split::ALL.map(|split| place.sources("D-ten", split));
    assert!(validation.len() + test.len() < 4 && train.len() > 6, "{validation:?} {test:?}");
    assert!(!validation.iter().chain(&test).any(|file| train.contains(file)));
}

// Datasets without validation still make a model: those that were built so hold some windows out, and
// what is too little for that is told before the run; a dataset of test windows is refused with a way
// out.
#[test]
fn datasets_without_validation_make_models() {
    let place = Place::new();
    let dataset = |name: &str, count: u16, split: Split| {
        let window =
            |number: u16| -> Vec<u16> { (0..32).map(|step| 30 + number + step % 3).collect() };
        let windows: Vec<Vec<u16>> = (0..count).map(window).collect();
        fs::create_dir(place.at(name)).expect("a folder");
        for each in Split::ALL {
            let rows: Vec<store::Row<'_>> = windows.iter().map(|w| (&**w, "a.mid")).collect();
            let rows = if each == split { &rows[..] } else { &[] };
            store::write(&place.at(name), each, 32, rows).expect("a dataset");
        }
    };
    dataset("twenty", 20, Split::Train);
    let told = place.told(&format!("{TRAIN} --dataset twenty --out R20"));
    assert!(told.contains("2 windows from the ends"), "{told}");
    assert!(place.at("R20/best/model.json").is_file());
    dataset("single", 1, Split::Train);
    let told = place.told(&format!("{TRAIN} --dataset single --out R1"));
    assert!(told.contains("too little music") && told.contains("R1/last"), "{told}");
    assert!(place.at("R1/last/model.json").is_file() && !place.at("R1/best").exists());
    assert!(place.at("R1/report.html").is_file());
    place.told("generate sample --model R1/last --out S1");
    let from = "--from R1 --schedule original";
    let told = place.told(&format!("{TRAIN} --dataset twenty --out R2 {from}"));
    assert!(told.contains("2 windows from the ends") && place.at("R2/best").is_dir(), "{told}");
    dataset("tests", 5, Split::Test);
    let error = place.refused(&format!("{TRAIN} --dataset tests --out R3"));
    assert!(
        error.contains("(train 0, validation 0, test 5)") && error.contains("again"),
        "{error}"
    );
    assert!(!place.at("R3").exists());
    // A command without `--split` does not advise it, one with it does.
    let error = place.refused("constrain --model R20/best --dataset tests");
    assert!(error.contains("no window to train on") && !error.contains("--split"), "{error}");
    let error = place.refused("constrain --model R20/best --dataset twenty");
    assert!(error.contains("no window for test") && error.contains("--split"), "{error}");
    place.told("constrain --model R20/best --dataset twenty --split train --steps 2 --samples 4");
}
