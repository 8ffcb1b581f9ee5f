//! `cargo xtask hosts`: the plug-in in real hosts, compared note for note with the headless one.
//!
//! A JACK server without sound hardware runs them; what comes out of Interlude is recorded beside a
//! track of beats that the host itself plays, so that every note is measured against the host's own
//! bars. Everything they write lies below `target/hosts`, their home included.

mod ardour;
mod code;
mod compare;
mod desk;
mod ear;
mod in_ardour;
mod in_qtractor;
mod jack;
mod music;
mod needs;
mod place;
mod project;
mod qtractor;
mod reference;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use interlude_models::{clip::Clip, config::by_name};

use crate::{
    bundle::{BundleCommand, Bundled},
    demo::{
        clips,
        trace::{Event, Trace},
    },
    runtime::Origin,
    workspace::{self, copy},
};
use compare::Findings;
use place::Place;
use reference::Reference;

/// Test the plug-in in Ardour and qtractor: compare every note with the headless host.
///
/// Ends with a table of host and case. What is missing is installed where that needs no password.
#[derive(clap::Args, Clone, Debug)]
pub struct Hosts {
    /// Test only starts, export and reopening, in Ardour.
    #[arg(long)]
    quick: bool,
    /// Use existing bundles in this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    bundles: Option<PathBuf>,
    /// Test only this host.
    #[arg(long, value_name = "HOST")]
    only: Option<Which>,
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    runtime: Origin,
}

/// A host.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Ardour,
    Qtractor,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Ardour => "Ardour",
            Self::Qtractor => "qtractor",
        }
    }
}

impl Hosts {
    /// Runs the cases and prints the table.
    ///
    /// # Errors
    /// When the plug-in cannot be built, or a case is wrong.
    pub fn run(&self) -> Result<()> {
        let begun = Instant::now();
        let wanted: Vec<Which> = [Which::Ardour, Which::Qtractor]
            .into_iter()
            .filter(|&host| {
                self.only.map_or(!self.quick || host == Which::Ardour, |one| one == host)
            })
            .collect();
        let mut table = Table::default();
        let mut present = Vec::new();
        for host in wanted {
            match needs::missing(host, !self.runtime.no_install)? {
                Some(reason) => table.of(host.name()).skip("all cases", &reason),
                None => present.push(host),
            }
        }
        if !present.is_empty() {
            self.play(&present, &mut table)?;
        }
        println!("\n{}", table.text());
        println!(
            "hosts: {} s, logs and sessions in {}",
            begun.elapsed().as_secs(),
            folder().display()
        );
        if table.rows.iter().any(|row| matches!(row.outcome, Outcome::Wrong(_))) {
            bail!("not everything is right in these hosts, see above");
        }
        Ok(())
    }

    fn play(&self, hosts: &[Which], table: &mut Table) -> Result<()> {
        let bundled = match &self.bundles {
            Some(folder) => Bundled::in_folder(&std::path::absolute(folder)?)?,
            None => {
                let runtime = self.runtime.clone();
                BundleCommand { runtime, ..BundleCommand::release() }.run()?
            }
        };
        let ear = ear::build()?;
        let config = by_name("cat-mel_2bar_small").context("a configuration of ours")?;
        let clip =
            |name: &str| clips::load(&workspace::root().join("bundler/clips").join(name), &config);
        let (a, b) = (clip("a.mid")?, clip("b.mid")?);
        let reference = Reference::new(&bundled.clap_binary, [&a, &b])?;
        let place = Place::new(&folder())?;
        let _server = jack::Server::start(&place)?;
        for host in hosts {
            table.of(host.name());
            match host {
                Which::Ardour => {
                    let clips = [&a, &b];
                    let desk = match self.quick {
                        true => None,
                        false => Some(needs::missing_desk(!self.runtime.no_install)?),
                    };
                    ardour(&place, &bundled, &ear, &reference, clips, desk, table)?;
                }
                Which::Qtractor => qtractor(&place, &bundled, &ear, &reference, table)?,
            }
        }
        Ok(())
    }
}

fn ardour(
    place: &Place,
    bundled: &Bundled,
    ear: &Path,
    reference: &Reference,
    clips: [&Clip; 2],
    desk: Option<Option<String>>,
    table: &mut Table,
) -> Result<()> {
    let Some(installation) = ardour::Installation::find() else {
        table.skip("all cases", "there is no Ardour with a Lua interpreter in /usr/bin");
        return Ok(());
    };
    table.of(&installation.name);
    let plugins = place.home().join(".vst3");
    let interlude = plugins.join("Interlude.vst3");
    copy(&bundled.vst3, &interlude)?;
    for plugin in [interlude, ear::vst3(ear, &plugins)?] {
        installation.scan(place, &plugin)?;
    }
    let installation = &installation;
    let quick = desk.is_none();
    let stage = in_ardour::Stage { place, installation, reference, clips, quick };
    let filled = stage.run(table);
    match (filled, desk) {
        (Some(filled), Some(None)) => stage.at_the_desk(&filled, table),
        (Some(_), Some(Some(reason))) => table.skip("with its window", &reason),
        _ => {}
    }
    Ok(())
}

fn qtractor(
    place: &Place,
    bundled: &Bundled,
    ear: &Path,
    reference: &Reference,
    table: &mut Table,
) -> Result<()> {
    let plugins = place.home().join(".clap");
    let interlude = plugins.join("Interlude.clap");
    copy(&bundled.clap, &interlude)?;
    copy(&bundled.clap.with_extension("resources"), &interlude.with_extension("resources"))?;
    let audible = plugins.join("Ear.clap");
    copy(ear, &audible)?;
    // Where the kernel has no sequencer, qtractor would not start.
    let sequencer = match Path::new("/dev/snd/seq").exists() {
        true => None,
        false => Some(qtractor::build_sequencer()?),
    };
    let (interlude, ear, sequencer) = (&*interlude, &*audible, sequencer.as_deref());
    in_qtractor::Stage { place, reference, interlude, ear, sequencer }.run(table);
    Ok(())
}

/// How long a model may take to load and a clip to be encoded.
const PATIENCE: Duration = Duration::from_secs(30);

fn folder() -> PathBuf {
    workspace::target().join("hosts")
}

/// Outcome of a case.
#[derive(Debug)]
enum Outcome {
    Right(String),
    Wrong(String),
    Skipped(String),
}

#[derive(Debug)]
struct Row {
    host: String,
    case: String,
    outcome: Outcome,
}

/// Host by case.
#[derive(Debug, Default)]
struct Table {
    host: String,
    rows: Vec<Row>,
}

impl Table {
    /// Goes on with another host.
    fn of(&mut self, host: &str) -> &mut Self {
        host.clone_into(&mut self.host);
        self
    }

    fn push(&mut self, case: &str, outcome: Outcome) {
        let row = Row { host: self.host.clone(), case: case.to_owned(), outcome };
        println!("{}", row.text(self.host.len(), case.len()));
        self.rows.push(row);
    }

    fn right(&mut self, case: &str, how: &str) {
        self.push(case, Outcome::Right(how.to_owned()));
    }

    fn wrong(&mut self, case: &str, what: String) {
        self.push(case, Outcome::Wrong(what));
    }

    fn skip(&mut self, case: &str, why: &str) {
        interlude_skip::report(&format!("{} in {}", case, self.host), why);
        self.push(case, Outcome::Skipped(why.to_owned()));
    }

    /// Adds what a comparison found, or why there is none.
    fn add(&mut self, case: &str, findings: Result<Findings>) {
        let outcome = match findings {
            Ok(findings) if !findings.wrong.is_empty() => Outcome::Wrong(findings.sentence()),
            Ok(findings) if findings.right == 0 => Outcome::Wrong("no note was heard".to_owned()),
            Ok(findings) => Outcome::Right(findings.sentence()),
            Err(error) => Outcome::Wrong(format!("{error:#}")),
        };
        self.push(case, outcome);
    }

    fn text(&self) -> String {
        let width = |text: fn(&Row) -> &str| {
            self.rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0)
        };
        let (host, case) = (width(|row| &row.host), width(|row| &row.case));
        self.rows.iter().map(|row| row.text(host, case)).collect::<Vec<_>>().join("\n")
    }
}

impl Row {
    fn text(&self, host: usize, case: usize) -> String {
        let (word, detail) = match &self.outcome {
            Outcome::Right(how) => ("right", how),
            Outcome::Wrong(what) => ("WRONG", what),
            Outcome::Skipped(why) => ("skipped", why),
        };
        format!("{:<host$}  {:<case$}  {word:<7}  {detail}", self.host, self.case)
    }
}

fn model_ready(trace: &Path) -> Result<()> {
    wait(trace, "no model was ready", |event| matches!(event, Event::Model { .. }))
}

/// Waits until the worker's trace shows something.
fn wait(trace: &Path, otherwise: &str, found: impl Fn(&Event) -> bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        let events = Trace::new(trace).events();
        if events.iter().any(&found) {
            return Ok(());
        }
        if let Some(Event::Error { message }) =
            events.iter().find(|event| matches!(event, Event::Error { .. }))
        {
            bail!("the plug-in says: {message}");
        }
        ensure!(begun.elapsed() < PATIENCE, "{otherwise} within {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
