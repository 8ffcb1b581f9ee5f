//! Tables in CSV as spreadsheets write them, and the column in them that names splits.

use crate::Split;

/// A row that says something about a split.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its cells.
    pub(crate) cells: Vec<String>,
    /// The split; `None` where the table has another word.
    pub(crate) split: Option<Split>,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    /// Which column names the split; `None` if none does.
    pub(crate) split: Option<usize>,
    /// The name of that column where another one was looked for.
    pub(crate) guessed: Option<String>,
    /// Rows with something in that column.
    pub(crate) rows: Vec<Row>,
    /// The first cell of that column that is no split, with its line.
    pub(crate) unknown: Option<(u64, String)>,
}

/// What may stand between cells, likely ones first.
const DELIMITERS: [u8; 4] = *b",;\t|";

impl Table {
    /// Reads a table whose splits are in `column`. With `guess` the only column whose cells are all
    /// splits serves where that is missing, and the table may have no head.
    pub(crate) fn read(bytes: &[u8], column: &str, guess: bool) -> Result<Self, String> {
        let text = decoded(bytes);
        let records = records(&text, column)?;
        let Some((_, head)) = records.first() else {
            return Ok(Self {
                columns: Vec::new(),
                split: None,
                guessed: None,
                rows: Vec::new(),
                unknown: None,
            });
        };
        let mut split = head.iter().position(|name| same(name, column));
        let has_head = split.is_some() || !head.iter().any(|cell| parse(cell).is_some());
        let body = &records[usize::from(has_head)..];
        let mut guessed = None;
        if split.is_none() && guess {
            let all_splits = |&column: &usize| {
                let mut cells = body.iter().map(|(_, cells)| cells.get(column));
                cells.all(|cell| cell.is_some_and(|cell| parse(cell).is_some()))
            };
            let mut columns = (0..head.len()).filter(all_splits).filter(|_| !body.is_empty());
            split = columns.next().filter(|_| columns.next().is_none());
            let name = |index: usize| match has_head {
                true => head[index].clone(),
                false => (index + 1).to_string(),
            };
            guessed = split.map(name);
        }
        let mut rows = Vec::new();
        let mut unknown = None;
        for (line, cells) in body {
            let Some(cell) = split.and_then(|split| cells.get(split)) else { continue };
            if cell.is_empty() {
                continue;
            }
            let split = parse(cell);
            if split.is_none() {
                unknown = unknown.or_else(|| Some((*line, cell.clone())));
            }
            rows.push(Row { cells: cells.clone(), split });
        }
        let columns = if has_head { head.clone() } else { Vec::new() };
        Ok(Self { columns, split, guessed, rows, unknown })
    }

    /// The names of its columns, as text.
    pub(crate) fn named_columns(&self) -> String {
        if self.columns.is_empty() { "none".to_owned() } else { self.columns.join(", ") }
    }
}

/// Whether two names of columns are equal up to case, accents and spaces.
fn same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// The text of a table: UTF-8, UTF-16 with a byte order mark, or else Windows-1252.
fn decoded(bytes: &[u8]) -> String {
    if encoding_rs::Encoding::for_bom(bytes).is_none()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.to_owned();
    }
    // A byte order mark decides.
    encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned()
}

/// The rows of a table with the numbers of their lines, cells without space around them. What stands
/// between cells is what gives the first row the column, or else most columns.
fn records(text: &str, column: &str) -> Result<Vec<(u64, Vec<String>)>, String> {
    // Spreadsheets may say it themselves.
    let first = text.lines().next().unwrap_or("");
    let said = first.trim().strip_prefix("sep=").map(str::as_bytes);
    let (text, before, delimiters) = match said {
        Some(&[delimiter]) => (text.split_once('\n').map_or("", |rest| rest.1), 1, vec![delimiter]),
        _ => (text, 0, DELIMITERS.to_vec()),
    };
    let reader = |delimiter: u8| {
        csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes())
    };
    let head = |delimiter: u8| reader(delimiter).records().next().and_then(Result::ok);
    let fit = |&delimiter: &u8| {
        let head = head(delimiter).unwrap_or_default();
        (head.iter().any(|name| same(name, column)), head.len())
    };
    // The first of equals.
    let delimiter = delimiters.into_iter().rev().max_by_key(fit).unwrap_or(b',');
    let mut rows = Vec::new();
    for record in reader(delimiter).records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line) + before;
        rows.push((line, record.iter().map(str::to_owned).collect()));
    }
    Ok(rows)
}

/// The split of a name, in any case.
fn parse(name: &str) -> Option<Split> {
    match name.trim().to_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "validation" | "valid" | "val" | "dev" | "development" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}
