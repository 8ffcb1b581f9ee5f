//! Compares Interlude with fixture folders of the original implementation: one row for each
//! comparison, and a non-zero exit when one fails.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use interlude_models::runtime::Runtime;
use interlude_tests::conformance::{self, Fixture, Row, converters};

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("conformance: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    ensure!(!roots.is_empty(), "name at least one folder with fixtures");
    let (mut passed, mut failed) = (0, 0);
    println!("{:<32} {:<36} {:>10} {:>10}", "fixture", "compared", "worst", "tolerance");
    let mut print = |rows: Vec<Row>| {
        for row in rows {
            println!("{row}");
            *(if row.passed() { &mut passed } else { &mut failed }) += 1;
        }
    };
    for root in roots {
        let files = converters::find(&root)?;
        let folders = conformance::fixture_folders(&root)?;
        let none = files.is_empty() && folders.is_empty();
        ensure!(!none, "there is no fixture below `{}`", root.display());
        files.iter().for_each(|file| print(converters::check(file)));
        if folders.is_empty() {
            continue;
        }
        let runtime = Runtime::start(None)?;
        for folder in folders {
            let rows = Fixture::open(&folder).and_then(|fixture| {
                let mut rows = conformance::networks(runtime, &fixture)?;
                rows.extend(conformance::training(runtime, &fixture)?);
                rows.extend(conformance::reconstruction(runtime, &fixture)?);
                Ok(rows)
            });
            print(rows.unwrap_or_else(|error| {
                let fixture = folder.file_name().unwrap_or_default().to_string_lossy();
                vec![Row {
                    fixture: fixture.into_owned(),
                    what: format!("folder: {error:#}"),
                    error: f64::NAN,
                    tolerance: 0.0,
                }]
            }));
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
