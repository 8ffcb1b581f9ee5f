//! Programs of the system: detection, and installation by Debian's package tool.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{
    platform::System,
    workspace::{output_of, run},
};

/// The package tool of Debian and Ubuntu.
pub(crate) struct Apt {
    root: bool,
}

impl Apt {
    /// The tool, where there is one.
    pub(crate) fn find() -> Option<Self> {
        if System::host() != System::Linux || !Path::new("/etc/debian_version").exists() {
            return None;
        }
        let user = output_of(Command::new("id").arg("-u")).ok()?;
        Some(Self { root: user.trim() == "0" })
    }

    /// Whether packages can be installed without asking for a password.
    pub(crate) fn may_install(&self) -> bool {
        self.root
    }

    /// The command that installs packages.
    pub(crate) fn command(&self, packages: &[&str]) -> String {
        let prefix = if self.root { "" } else { "sudo " };
        format!("{prefix}apt-get install -y --no-install-recommends {}", packages.join(" "))
    }

    /// Installs packages; the package lists are fetched first.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<()> {
        println!("installing {}", packages.join(" "));
        let apt = || {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        run(apt().args(["update", "-qq"]))?;
        run(apt().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
    }
}

/// Whether a program starts with these arguments and exits with 0.
pub(crate) fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether neither `python3 -m pip` nor Python itself is there.
pub(crate) fn pip_missing() -> bool {
    !runs("python3", &["-m", "pip", "--version"])
}
