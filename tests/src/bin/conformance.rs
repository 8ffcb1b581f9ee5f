//! Compares Interlude with fixture folders of the original implementation: one row for each
//! comparison, and a non-zero exit when one fails.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use interlude_models::runtime::Runtime;
use interlude_tests::conformance::{self, Fixture};

fn main() -> Result<ExitCode> {
    let roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    ensure!(!roots.is_empty(), "name at least one folder with fixtures");
    let runtime = Runtime::start(None)?;
    let (mut passed, mut failed) = (0, 0);
    println!("{:<32} {:<36} {:>10} {:>10}", "fixture", "compared", "worst", "tolerance");
    for root in roots {
        let folders = conformance::fixture_folders(&root)?;
        ensure!(!folders.is_empty(), "there is no fixture below `{}`", root.display());
        for folder in folders {
            let rows =
                Fixture::open(&folder).and_then(|fixture| conformance::networks(runtime, &fixture));
            match rows {
                Ok(rows) => {
                    for row in rows {
                        println!("{row}");
                        *(if row.passed() { &mut passed } else { &mut failed }) += 1;
                    }
                }
                Err(error) => {
                    println!("{}: {error:#}", folder.display());
                    failed += 1;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
