//! Dependencies of the hosts, and their installation.

use std::{env, path::Path};

use anyhow::Result;

use super::Which;
use crate::{apt::Apt, platform::System};

/// Programs with the Debian package of each.
const JACK: [(&str, &str); 3] =
    [("jackd", "jackd2"), ("jack_midi_dump", "jackd2"), ("jack_rec", "jackd2")];
const ARDOUR: (&str, &str) = ("ardour", "ardour");
const QTRACTOR: (&str, &str) = ("qtractor", "qtractor");
const DESK: [(&str, &str); 3] = [("Xvfb", "xvfb"), ("xdotool", "xdotool"), ("openbox", "openbox")];

/// Why a host cannot run here; `None` when it can. What is missing is installed where that needs no
/// questions and `install` allows it.
pub(super) fn missing(host: Which, install: bool) -> Result<Option<String>> {
    if System::host() != System::Linux {
        return Ok(Some("these hosts are run on Linux only".to_owned()));
    }
    let own = match host {
        Which::Ardour => ARDOUR,
        Which::Qtractor => QTRACTOR,
    };
    let programs: Vec<_> = JACK.into_iter().chain([own]).collect();
    get(&programs, install)
}

/// Why no host can be run with its window here, in the same way.
pub(super) fn missing_desk(install: bool) -> Result<Option<String>> {
    get(&DESK, install)
}

fn get(programs: &[(&str, &'static str)], install: bool) -> Result<Option<String>> {
    let absent = || {
        let mut packages: Vec<&str> = programs
            .iter()
            .filter(|(program, _)| !on_path(program))
            .map(|&(_, package)| package)
            .collect();
        packages.dedup();
        packages
    };
    let packages = absent();
    if packages.is_empty() {
        return Ok(None);
    }
    let Some(apt) = Apt::find() else {
        return Ok(Some(format!(
            "missing: {}; install what your system calls so",
            packages.join(", ")
        )));
    };
    if !install || !apt.may_install() {
        return Ok(Some(format!("missing; run `{}`", apt.command(&packages))));
    }
    if let Err(error) = apt.install(&packages) {
        return Ok(Some(format!("cannot be installed: {error:#}")));
    }
    let left = absent();
    Ok((!left.is_empty()).then(|| format!("still missing after installing: {}", left.join(", "))))
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
    })
}
