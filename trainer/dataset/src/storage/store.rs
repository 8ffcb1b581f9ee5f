//! The Parquet files of a dataset.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt16Type;
use arrow_array::{Array, FixedSizeListArray, RecordBatch, StringArray, UInt16Array};
use arrow_schema::{DataType, Field, Schema};
use interlude_models::config::Config;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::description::describe;
use crate::{DatasetError, Split, Windows, layout};
use interlude_models::files;

/// Rows written or read at once.
const ROWS: usize = 65_536;

/// The file of a split in a dataset's folder.
pub fn path(dataset: &Path, split: Split) -> PathBuf {
    dataset.join(format!("{}.parquet", split.name()))
}

/// A window with its source.
pub type Row<'a> = (&'a [u16], &'a str);

/// Writes a split: windows of `length` numbers with their sources.
///
/// # Errors
/// [`DatasetError`] when the file cannot be written.
pub fn write(
    dataset: &Path,
    split: Split,
    length: usize,
    rows: &[Row<'_>],
) -> Result<(), DatasetError> {
    let path = path(dataset, split);
    let io = |source| DatasetError::Io { path: path.clone(), source };
    let format = |reason: String| DatasetError::Format { path: path.clone(), reason };
    let width = i32::try_from(length).map_err(|_| format("the windows are too long".to_owned()))?;
    let item = Arc::new(Field::new_list_field(DataType::UInt16, false));
    let schema = Arc::new(Schema::new(vec![
        Field::new("tokens", DataType::FixedSizeList(item.clone(), width), false),
        Field::new("source", DataType::Utf8, false),
    ]));
    let temporary = files::beside(&path).map_err(io)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(temporary.as_file(), schema.clone(), Some(properties))
        .map_err(|error| format(error.to_string()))?;
    for chunk in rows.chunks(ROWS) {
        let numbers =
            UInt16Array::from_iter_values(chunk.iter().flat_map(|(window, _)| *window).copied());
        let tokens = FixedSizeListArray::try_new(item.clone(), width, Arc::new(numbers), None)
            .map_err(|error| format(error.to_string()))?;
        let sources = StringArray::from_iter_values(chunk.iter().map(|(_, source)| source));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(tokens), Arc::new(sources)])
            .map_err(|error| format(error.to_string()))?;
        writer.write(&batch).map_err(|error| format(error.to_string()))?;
    }
    writer.close().map_err(|error| format(error.to_string()))?;
    temporary.persist(&path).map_err(|error| io(error.error))?;
    Ok(())
}

/// Reads the windows of a split.
///
/// # Errors
/// [`DatasetError`] when the file is missing, damaged, or for other models.
pub fn read(dataset: &Path, split: Split, config: &Config) -> Result<Windows, DatasetError> {
    let (steps, limits) = (config.hparams.max_seq_len, layout::limits(config));
    if let Ok(description) = describe(dataset)
        && let Some((found, _)) = description.scheme()
        && found != limits
    {
        let (found, config) = (description.config, config.name.clone());
        return Err(DatasetError::Scheme { dataset: dataset.to_owned(), found, config });
    }
    let mut windows = Windows::new(steps, limits.len());
    for_each_batch(dataset, split, &["tokens"], &mut |path, numbers, found, _| {
        if found != steps * limits.len() {
            let (config, width) = (config.name.clone(), limits.len());
            return Err(DatasetError::Length {
                path: path.to_owned(),
                config,
                found,
                steps,
                width,
            });
        }
        let beyond = |(&number, &limit): (&u16, &u32)| u32::from(number) >= limit;
        if numbers.iter().zip(limits.iter().cycle()).any(beyond) {
            let reason = format!("a token does not belong to `{}`", config.name);
            return Err(DatasetError::Format { path: path.to_owned(), reason });
        }
        numbers.chunks_exact(found).for_each(|window| windows.push(window));
        Ok(())
    })?;
    Ok(windows)
}

/// Calls `each` with every window of a split and its source, whatever its scheme.
///
/// # Errors
/// [`DatasetError`] when the file is missing or damaged.
pub fn for_each_row(
    dataset: &Path,
    split: Split,
    each: &mut dyn FnMut(&[u16], &str),
) -> Result<(), DatasetError> {
    for_each_batch(dataset, split, &["tokens", "source"], &mut |path, numbers, length, batch| {
        let sources =
            batch.column_by_name("source").and_then(|column| column.as_string_opt::<i32>());
        let sources = sources.ok_or_else(|| DatasetError::Format {
            path: path.to_owned(),
            reason: "it has no column `source` of texts".to_owned(),
        })?;
        let windows = numbers.chunks_exact(length.max(1));
        windows.zip(sources).for_each(|(window, source)| each(window, source.unwrap_or("")));
        Ok(())
    })
}

/// Number of windows of each split of a dataset, as text.
pub fn counted(dataset: &Path) -> String {
    let of = |split: Split| {
        let mut count = 0;
        match for_each_row(dataset, split, &mut |_, _| count += 1) {
            Ok(()) => format!("{} {count}", split.name()),
            Err(_) => format!("{} cannot be read", split.name()),
        }
    };
    Split::ALL.map(of).join(", ")
}

/// What is done with rows: the file, the numbers of all windows, their length, and the rows.
type EachBatch<'a> = dyn FnMut(&Path, &[u16], usize, &RecordBatch) -> Result<(), DatasetError> + 'a;

fn for_each_batch(
    dataset: &Path,
    split: Split,
    columns: &[&str],
    each: &mut EachBatch<'_>,
) -> Result<(), DatasetError> {
    let path = path(dataset, split);
    let file =
        File::open(&path).map_err(|source| DatasetError::Io { path: path.clone(), source })?;
    let format = |reason: String| DatasetError::Format { path: path.clone(), reason };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| format(error.to_string()))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder
        .with_batch_size(ROWS)
        .with_projection(mask)
        .build()
        .map_err(|error| format(error.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|error| format(error.to_string()))?;
        let tokens = batch
            .column_by_name("tokens")
            .and_then(|column| column.as_any().downcast_ref::<FixedSizeListArray>())
            .ok_or_else(|| format("it has no column `tokens` of equally long lists".to_owned()))?;
        let length = usize::try_from(tokens.value_length()).unwrap_or(0);
        let numbers = tokens
            .values()
            .as_primitive_opt::<UInt16Type>()
            .filter(|numbers| numbers.null_count() == 0 && tokens.null_count() == 0);
        let numbers = numbers
            .ok_or_else(|| format("its column `tokens` is not of whole numbers".to_owned()))?;
        each(&path, &numbers.values()[..tokens.len() * length], length, &batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    // Windows come back from a file in their order, and only for a configuration with such steps.
    #[test]
    fn windows_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let window = |token: u16| vec![token; 768];
        let (first, second) = (window(3), window(89));
        let rows = [(&*first, "a.mid"), (&*second, "b.mid")];
        write(folder.path(), Split::Test, 768, &rows).expect("writes");
        let trio = config::by_name("hierdec-trio_16bar").expect("known");
        let windows = read(folder.path(), Split::Test, &trio).expect("reads");
        assert_eq!((windows.len(), windows.steps(), windows.width()), (2, 256, 3));
        assert_eq!(windows.get(0), first);
        assert_eq!(windows.get(1), second);
        let melody = config::by_name("hierdec-mel_16bar").expect("known");
        let error = read(folder.path(), Split::Test, &melody).expect_err("other steps");
        assert!(matches!(error, DatasetError::Length { found: 768, .. }), "{error}");
        assert!(read(folder.path(), Split::Train, &trio).is_err(), "there is no such file");
    }

    // A number beyond its column's limit is refused: it would be read outside a table.
    #[test]
    fn numbers_out_of_range_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut window = vec![0; 32];
        window[31] = 512;
        write(folder.path(), Split::Train, 32, &[(&*window, "a.mid")]).expect("writes");
        let drums = config::by_name("cat-drums_2bar_small").expect("known");
        let error = read(folder.path(), Split::Train, &drums).expect_err("512 tokens");
        assert!(error.to_string().contains("cat-drums_2bar_small"), "{error}");
    }
}
