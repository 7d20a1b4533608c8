//! `leadsman verify`, and what other commands do about signatures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args as ClapArgs;

use super::chart_args::Places;
use super::{home, ui};
use crate::base::clock::{Clock as _, SystemClock};
use crate::repo::Trust;

/// Whether a chart must be signed, and by whom.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct Trusted {
    /// Refuse a chart that nobody in the keyring has signed.
    #[arg(long)]
    pub(super) verify: bool,
    #[command(flatten)]
    pub(super) keys: Keys,
}

/// Keys whose signatures are believed.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct Keys {
    /// File of public keys [default: GnuPG's own].
    #[arg(long, value_name = "FILE")]
    pub(super) keyring: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Verify {
    /// Archive of a chart, beside which its `.prov` file is.
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) keys: Keys,
    #[command(flatten)]
    pub(super) places: Places,
}

impl Keys {
    pub(super) fn trust(&self) -> Trust {
        Trust { keyring: self.file(), now: SystemClock.now() }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.keyring.clone().unwrap_or_else(home::keyring)
    }
}

impl Trusted {
    /// Returns whose signatures are believed, if any is asked for.
    pub(super) fn trust(&self) -> Option<Trust> {
        self.verify.then(|| self.keys.trust())
    }

    /// Verifies an archive on disk, if that is asked for.
    pub(super) fn check(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(trust) = self.trust() {
            let whole: PathBuf = std::path::absolute(path)?.components().collect();
            trust.verify_file(&whole)?;
        }
        Ok(())
    }
}

/// Source: helm v4.3.1 pkg/action/verify.go.
pub(super) fn run(args: &Verify) -> anyhow::Result<ExitCode> {
    let verification = args.keys.trust().verify_file(&args.path)?;
    ui::print(&verification.to_string());
    Ok(ExitCode::SUCCESS)
}
