//! The Parquet files of a dataset.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, FixedSizeBinaryArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use interlude_models::config::{Config, Scheme};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{DatasetError, Split, Windows};

/// Rows written or read at once.
const ROWS: usize = 65_536;

/// The file of a split in a dataset's folder.
pub fn path(dataset: &Path, split: Split) -> PathBuf {
    dataset.join(format!("{}.parquet", split.name()))
}

/// Writes a split: each window with its source.
///
/// # Errors
/// [`DatasetError`] when the file cannot be written.
pub fn write(
    dataset: &Path,
    split: Split,
    steps: usize,
    rows: &[(Vec<u8>, Arc<str>)],
) -> Result<(), DatasetError> {
    let path = path(dataset, split);
    let io = |source| DatasetError::Io { path: path.clone(), source };
    let format = |reason: String| DatasetError::Format { path: path.clone(), reason };
    let width = i32::try_from(steps).map_err(|_| format("the windows are too long".to_owned()))?;
    let schema = Arc::new(Schema::new(vec![
        Field::new("tokens", DataType::FixedSizeBinary(width), false),
        Field::new("source", DataType::Utf8, false),
    ]));
    let temporary = tempfile::NamedTempFile::new_in(dataset).map_err(io)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(temporary.as_file(), schema.clone(), Some(properties))
        .map_err(|error| format(error.to_string()))?;
    for chunk in rows.chunks(ROWS) {
        let tokens = FixedSizeBinaryArray::try_from_iter(chunk.iter().map(|(window, _)| window))
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
    if !matches!(config.scheme, Scheme::Melody { .. }) {
        return Err(DatasetError::Unsupported(config.name.clone()));
    }
    let path = path(dataset, split);
    let file =
        File::open(&path).map_err(|source| DatasetError::Io { path: path.clone(), source })?;
    let format = |reason: String| DatasetError::Format { path: path.clone(), reason };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| format(error.to_string()))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["tokens"]);
    let reader = builder
        .with_batch_size(ROWS)
        .with_projection(mask)
        .build()
        .map_err(|error| format(error.to_string()))?;
    let steps = config.hparams.max_seq_len;
    let mut windows = Windows::new(steps);
    for batch in reader {
        let batch = batch.map_err(|error| format(error.to_string()))?;
        let tokens = batch
            .column_by_name("tokens")
            .and_then(|column| column.as_any().downcast_ref::<FixedSizeBinaryArray>())
            .ok_or_else(|| {
                format("it has no column `tokens` of equally long windows".to_owned())
            })?;
        let found = usize::try_from(tokens.value_length()).unwrap_or(0);
        if found != steps {
            let config = config.name.clone();
            return Err(DatasetError::Steps { path, config, found, expected: steps });
        }
        for window in tokens.iter().flatten() {
            if window.iter().any(|&token| usize::from(token) >= config.output_depth()) {
                let depth = config.output_depth();
                return Err(format(format!("a token is not below {depth}")));
            }
            windows.push(window);
        }
    }
    Ok(windows)
}
