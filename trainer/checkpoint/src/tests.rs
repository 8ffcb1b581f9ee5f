//! Tests of reading checkpoints whole, cut off, damaged and made to do harm.

mod magenta_js;

use std::fs;
use std::path::{Path, PathBuf};

use interlude_models::weights::Tensor;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn example() -> Vec<(&'static str, Tensor)> {
    let tensor = |shape: &[usize], first: f32| {
        let mut tensor = Tensor::zeros(shape);
        let mut value = first;
        for element in &mut tensor.data {
            *element = value;
            value += 0.25;
        }
        tensor
    };
    vec![
        ("decoder/multi_rnn_cell/cell_0/lstm_cell/kernel", tensor(&[5, 8], -1.0)),
        ("decoder/multi_rnn_cell/cell_0/lstm_cell/kernel/Adam", tensor(&[5, 8], 40.0)),
        ("decoder/multi_rnn_cell/cell_0/lstm_cell/kernel/Adam_1", tensor(&[5, 8], 50.0)),
        ("decoder/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell/bias", tensor(&[8], 3.0)),
        ("encoder/mu/kernel", tensor(&[0, 4], 0.0)),
        ("beta1_power", tensor(&[], 0.9)),
        ("beta2_power", tensor(&[], 0.999)),
    ]
}

/// A folder with the checkpoint `model.ckpt-7`.
fn written() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prefix = folder.path().join("model.ckpt-7");
    let mut writer = Writer::create(&prefix).expect("created");
    for (name, tensor) in example() {
        writer.add(name, &tensor).expect("added");
    }
    writer.finish(7).expect("finished");
    (folder, prefix)
}

fn file(prefix: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", prefix.display()))
}

/// Opens and reads everything.
fn read_all(source: &Path) -> Result<Weights, CheckpointError> {
    let checkpoint = Checkpoint::open(source)?;
    checkpoint.global_step()?;
    checkpoint.weights()
}

fn tarred(folder: &Path, members: &[(&str, &Path)]) -> PathBuf {
    let path = folder.join("model.tar");
    let mut archive = tar::Builder::new(fs::File::create(&path).expect("created"));
    for (name, source) in members {
        archive.append_path_with_name(source, name).expect("appended");
    }
    archive.finish().expect("finished");
    path
}

// What is written is read back, bit for bit, with training values apart.
#[test]
fn reads_what_is_written() {
    let (_folder, prefix) = written();
    let checkpoint = Checkpoint::open(&prefix).expect("opens");
    let names: Vec<_> = checkpoint.variables().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(
        names,
        [
            "decoder/multi_rnn_cell/cell_0/lstm_cell/bias",
            "decoder/multi_rnn_cell/cell_0/lstm_cell/kernel",
            "encoder/mu/kernel"
        ]
    );
    let examples = example();
    let kernel = "decoder/multi_rnn_cell/cell_0/lstm_cell/kernel";
    assert_eq!(checkpoint.read(kernel).expect("reads"), examples[0].1);
    assert_eq!(checkpoint.moment(kernel, Moment::First).expect("reads"), examples[1].1);
    assert_eq!(checkpoint.moment(kernel, Moment::Second).expect("reads"), examples[2].1);
    assert_eq!(checkpoint.beta_powers().expect("reads"), (0.9, 0.999));
    assert_eq!(checkpoint.global_step().expect("reads"), Some(7));
}

// The forget gate's share of a cuDNN bias, its third quarter, is lowered by the 1 added later.
#[test]
fn cudnn_biases_lose_the_one_of_the_forget_gate() {
    let (_folder, prefix) = written();
    let checkpoint = Checkpoint::open(&prefix).expect("opens");
    let bias = checkpoint.read("decoder/multi_rnn_cell/cell_0/lstm_cell/bias").expect("reads");
    assert_eq!(bias.data, [3.0, 3.25, 3.5, 3.75, 3.0, 3.25, 4.5, 4.75]);
}

// Every way to name one checkpoint leads to the same tensors.
#[test]
fn all_ways_to_name_a_checkpoint_agree() {
    let (folder, prefix) = written();
    let weights = read_all(&prefix).expect("prefix");
    for suffix in [".index", ".data-00000-of-00001"] {
        assert_eq!(read_all(&file(&prefix, suffix)).expect(suffix), weights);
    }
    assert_eq!(read_all(folder.path()).expect("folder with one checkpoint"), weights);

    let run = tempfile::tempdir().expect("a temporary folder");
    let train = run.path().join("train");
    fs::create_dir(&train).expect("created");
    for suffix in [".index", ".data-00000-of-00001"] {
        fs::copy(file(&prefix, suffix), train.join(format!("model.ckpt-7{suffix}")))
            .expect("copied");
    }
    // Another checkpoint beside it, and a path of some other machine.
    fs::write(train.join("model.ckpt-3.index"), b"").expect("written");
    let state = "model_checkpoint_path: \"/gone/run/train/model.ckpt-7\"\nall_model_checkpoint_paths: \"x\"\n";
    fs::write(train.join("checkpoint"), state).expect("written");
    assert_eq!(read_all(run.path()).expect("run"), weights);
    assert_eq!(read_all(&train).expect("folder of checkpoints"), weights);

    let index = file(&prefix, ".index");
    let data = file(&prefix, ".data-00000-of-00001");
    let tar = tarred(
        folder.path(),
        &[("a/model.ckpt-7.index", &index), ("a/model.ckpt-7.data-00000-of-00001", &data)],
    );
    assert_eq!(read_all(&tar).expect("archive"), weights);
    let gzipped = folder.path().join("model.tar.gz");
    let output = fs::File::create(&gzipped).expect("created");
    let mut encoder = flate2::write::GzEncoder::new(output, flate2::Compression::fast());
    std::io::copy(&mut fs::File::open(&tar).expect("opens"), &mut encoder).expect("packed");
    encoder.finish().expect("finished");
    assert_eq!(read_all(&gzipped).expect("gzipped archive"), weights);
}

// A path that means no checkpoint, or several, is refused with what to do.
#[test]
fn unclear_paths_are_refused() {
    let (folder, prefix) = written();
    let message = read_all(&folder.path().join("nothing")).expect_err("absent").to_string();
    assert!(message.contains("nothing") && message.contains(".index"), "{message}");

    fs::copy(file(&prefix, ".index"), folder.path().join("other.index")).expect("copied");
    let message = read_all(folder.path()).expect_err("two").to_string();
    assert!(message.contains("2 checkpoints"), "{message}");

    let empty = tempfile::tempdir().expect("a temporary folder");
    let message = read_all(empty.path()).expect_err("empty").to_string();
    assert!(message.contains("no checkpoint"), "{message}");
    fs::write(empty.path().join("checkpoint"), "model_checkpoint_path: \"../..\"")
        .expect("written");
    assert!(matches!(read_all(empty.path()), Err(CheckpointError::Locate { .. })));

    fs::remove_file(file(&prefix, ".data-00000-of-00001")).expect("removed");
    let message = read_all(&prefix).expect_err("no shard").to_string();
    assert!(message.contains(".data-00000-of-00001 is missing"), "{message}");
}

// An index cut off anywhere is an error that names the file.
#[test]
fn every_cut_of_the_index_is_an_error() {
    let (_folder, prefix) = written();
    let index = file(&prefix, ".index");
    let whole = fs::read(&index).expect("reads");
    for length in 0..whole.len() {
        fs::write(&index, &whole[..length]).expect("cut");
        let message = read_all(&prefix).expect_err("cut off").to_string();
        assert!(message.contains("model.ckpt-7.index"), "{message}");
    }
}

// A shard cut off anywhere is an error that names the file and a tensor.
#[test]
fn every_cut_of_the_shard_is_an_error() {
    let (_folder, prefix) = written();
    let shard = file(&prefix, ".data-00000-of-00001");
    let whole = fs::read(&shard).expect("reads");
    for length in 0..whole.len() {
        fs::write(&shard, &whole[..length]).expect("cut");
        let message = read_all(&prefix).expect_err("cut off").to_string();
        assert!(message.contains(".data-00000-of-00001: tensor `"), "{message}");
    }
}

// An archive cut off at every 64th byte is an error, or still whole when only padding is gone.
#[test]
fn every_cut_of_an_archive_is_an_error() {
    let (folder, prefix) = written();
    let index = file(&prefix, ".index");
    let data = file(&prefix, ".data-00000-of-00001");
    let path = tarred(folder.path(), &[("m.index", &index), ("m.data-00000-of-00001", &data)]);
    let expected = read_all(&path).expect("whole");
    let whole = fs::read(&path).expect("reads");
    let padded = 1024 + 512;
    for length in (0..whole.len()).step_by(64) {
        fs::write(&path, &whole[..length]).expect("cut");
        match read_all(&path) {
            Ok(weights) => {
                assert!(length + padded >= whole.len(), "{length} of {}", whole.len());
                assert_eq!(weights, expected);
            }
            Err(error) => assert!(error.to_string().contains("model.tar"), "{error}"),
        }
    }
}

// Members that could be written elsewhere when unpacked, links and doubles are refused by name.
#[test]
fn harmful_archives_are_refused() {
    let (folder, prefix) = written();
    let index = fs::read(file(&prefix, ".index")).expect("reads");
    let path = folder.path().join("harm.tar");
    let build = |name: &str, kind: tar::EntryType, twice: bool| {
        let mut archive = tar::Builder::new(fs::File::create(&path).expect("created"));
        for _ in 0..=usize::from(twice) {
            let mut header = tar::Header::new_gnu();
            // `set_path` refuses such names itself.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_size(if kind.is_file() { index.len() as u64 } else { 0 });
            header.set_cksum();
            let content = if kind.is_file() { index.as_slice() } else { &[] };
            archive.append(&header, content).expect("appended");
        }
        archive.finish().expect("finished");
        Checkpoint::open(&path).expect_err("refused").to_string()
    };
    for name in ["../m.index", "/elsewhere/m.index", "a/../../m.index", "..\\m.index"] {
        let message = build(name, tar::EntryType::Regular, false);
        assert!(message.contains("outside"), "{message}");
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo] {
        let message = build("m.index", kind, false);
        assert!(message.contains("link or a special file"), "{message}");
    }
    let message = build("m.index", tar::EntryType::Regular, true);
    assert!(message.contains("twice"), "{message}");
    assert!(!folder.path().join("m.index").exists());
}

/// Rewrites the index with a changed entry of the kernel, checksums in order.
fn with_entry(prefix: &Path, change: impl Fn(&mut bundle::BundleEntry)) {
    use prost::Message;
    let path = file(prefix, ".index");
    let mut rows = table::entries(&fs::read(&path).expect("reads")).expect("a table");
    for (key, value) in &mut rows {
        if key.ends_with(b"kernel") {
            let mut entry = bundle::BundleEntry::decode(value.as_slice()).expect("an entry");
            change(&mut entry);
            *value = entry.encode_to_vec();
        }
    }
    fs::write(&path, table::build(&rows)).expect("written");
}

// Sizes that the files cannot have are refused before memory is taken for them.
#[test]
fn absurd_sizes_are_refused() {
    let dim = |size| bundle::Dimension { size };
    let changes: [&dyn Fn(&mut bundle::BundleEntry); 8] = [
        &|entry| entry.size = i64::MAX,
        &|entry| entry.offset = i64::MAX,
        &|entry| entry.offset = -1,
        &|entry| entry.size = -4,
        &|entry| entry.shard_id = 12,
        &|entry| {
            entry.shape =
                Some(bundle::TensorShape { dim: vec![dim(i64::MAX); 4], unknown_rank: false })
        },
        &|entry| {
            entry.shape = Some(bundle::TensorShape { dim: vec![dim(-1)], unknown_rank: false })
        },
        &|entry| {
            entry.size = 1 << 50;
            entry.shape =
                Some(bundle::TensorShape { dim: vec![dim(1 << 48)], unknown_rank: false });
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let (_folder, prefix) = written();
        with_entry(&prefix, change);
        let message = read_all(&prefix).expect_err("refused").to_string();
        assert!(message.contains("kernel") || message.contains("mu"), "{number}: {message}");
    }
}

// A tensor of another element type is refused by name when it is read.
#[test]
fn other_element_types_are_refused() {
    let (_folder, prefix) = written();
    with_entry(&prefix, |entry| entry.dtype = 3);
    let message = read_all(&prefix).expect_err("refused").to_string();
    assert!(message.contains("32-bit integers"), "{message}");
}

// A flipped bit in the shard is found by the checksum of the tensor it lies in.
#[test]
fn damage_in_the_shard_is_found() {
    let (_folder, prefix) = written();
    let shard = file(&prefix, ".data-00000-of-00001");
    let whole = fs::read(&shard).expect("reads");
    for position in (0..160).step_by(7) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x10;
        fs::write(&shard, &damaged).expect("written");
        let message = read_all(&prefix).expect_err("damaged").to_string();
        assert!(message.contains("checksum"), "{position}: {message}");
    }
}

// Blocks compressed with Snappy and keys with shared prefixes, as TensorFlow writes, are read.
#[test]
fn compressed_blocks_and_shared_prefixes_are_read() {
    // Two entries, `ab` -> `x` and `ac` -> `yz`, the second sharing one byte; one restart point.
    let mut block = vec![0, 2, 1, b'a', b'b', b'x', 1, 1, 2, b'c', b'y', b'z'];
    block.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    let compressed = snap::raw::Encoder::new().compress_vec(&block).expect("compressed");
    let append = |file: &mut Vec<u8>, content: &[u8], kind: u8| {
        let handle =
            [u8::try_from(file.len()).expect("small"), u8::try_from(content.len()).expect("small")];
        file.extend_from_slice(content);
        file.push(kind);
        let crc = crc32c::crc32c(&file[usize::from(handle[0])..]);
        file.extend(table::masked_crc(crc).to_le_bytes());
        handle
    };
    let mut table = Vec::new();
    let data = append(&mut table, &compressed, 1);
    let index_block = [&[0, 1, 2, b'b'], data.as_slice(), &[0, 0, 0, 0, 1, 0, 0, 0]].concat();
    let index = append(&mut table, &index_block, 0);
    table.extend([[0, 0], index].concat());
    table.extend([0; 36]);
    table.extend(0xdb47_7524_8b80_fb57u64.to_le_bytes());
    let entries = table::entries(&table).expect("a table");
    assert_eq!(entries, [(b"ab".to_vec(), b"x".to_vec()), (b"ac".to_vec(), b"yz".to_vec())]);
}

proptest! {
    // Random bytes in place of any part of an index never panic; neither do they when the checksums
    // are made to fit, so that everything behind them is reached.
    #[test]
    fn damaged_indexes_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        checksums_fit in any::<bool>(),
    ) {
        let (_folder, prefix) = written();
        let path = file(&prefix, ".index");
        let mut bytes = fs::read(&path).expect("reads");
        if checksums_fit {
            let mut rows = table::entries(&bytes).expect("a table");
            for (position, value) in changes {
                let row = position.index(rows.len());
                let value_bytes = &mut rows[row].1;
                if !value_bytes.is_empty() {
                    let at = position.index(value_bytes.len());
                    value_bytes[at] = value;
                }
            }
            bytes = table::build(&rows);
        } else {
            for (position, value) in changes {
                let at = position.index(bytes.len());
                bytes[at] = value;
            }
        }
        fs::write(&path, &bytes).expect("written");
        if let Err(error) = read_all(&prefix) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    // Any bytes at all are refused or read as a table, never a panic.
    #[test]
    fn any_bytes_as_a_table(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        bytes.extend([0; 40]);
        bytes.extend(0xdb47_7524_8b80_fb57u64.to_le_bytes());
        let _ = table::entries(&bytes);
    }
}
