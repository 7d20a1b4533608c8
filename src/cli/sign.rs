//! `leadsman package --sign`.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;

use super::verify::Keys;
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::{file, limit};
use crate::chart::{self, provenance};
use crate::repo::read_keyring;

/// Longest passphrase, with the line end.
const PASSPHRASE_BYTES: u64 = 64 << 10;

/// Whether a package is signed, and by whom.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Sign {
    /// Sign the package; the signature is written beside it.
    #[arg(long)]
    pub(super) sign: bool,
    /// Name of the key's user, or a part of it.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(super) key: String,
    #[command(flatten)]
    pub(super) keys: Keys,
    /// File whose first line is the passphrase of the key (`-` is stdin); without it, a terminal is
    /// asked.
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

impl Sign {
    /// Refuses what cannot be meant, before anything is done.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.sign && self.key.is_empty() {
            bail!("--key is required for signing a package");
        }
        if self.sign && self.keys.file().as_os_str().is_empty() {
            bail!("--keyring is required for signing a package");
        }
        Ok(())
    }

    /// Signs a package. The passphrase is read once, also for many packages.
    ///
    /// Source: helm v4.3.1 pkg/action/package.go (`Clearsign`).
    pub(super) fn apply(
        &self,
        package: &Path,
        passphrase: &mut Option<Vec<u8>>,
    ) -> anyhow::Result<()> {
        if !self.sign {
            return Ok(());
        }
        let keyring = read_keyring(&self.keys.file()).map_err(anyhow::Error::msg)?;
        if let Some(file) = &self.passphrase_file
            && passphrase.is_none()
        {
            *passphrase = Some(read_passphrase(file)?);
        }
        let archive = file::read_bytes(package, limit::ARCHIVE_BYTES)?;
        let chart = chart::load_archive(&archive).context("failed to load chart for signing")?;
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let mut ask = |user: &str| match passphrase {
            Some(known) => Ok(known.clone()),
            None => Ok(passphrase.insert(prompt(user)?).clone()),
        };
        let keys = (&keyring, self.key.as_str());
        let now = SystemClock.now();
        let text = provenance::sign(&archive, &name, &chart.metadata, keys, &mut ask, now)?;
        let path = PathBuf::from(format!("{}.prov", package.display()));
        file::write_atomic(&path, text.as_bytes())?;
        Ok(())
    }
}

/// Asks for the passphrase of a key on the terminal, which shows nothing of it.
fn prompt(user: &str) -> Result<Vec<u8>, String> {
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "the key of {user} is locked and there is no terminal to ask for its passphrase: give \
             it with --passphrase-file"
        ));
    }
    let typed = rpassword::prompt_password(format!("Password for key {user:?} >  "));
    let typed = typed.map_err(|error| format!("ask for the passphrase of {user}: {error}"))?;
    Ok(typed.into_bytes())
}

/// Returns the first line of a file.
fn read_passphrase(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(PASSPHRASE_BYTES).read_to_end(&mut bytes)?;
    } else {
        bytes = file::read_bytes(path, PASSPHRASE_BYTES).map_err(|error| match error.kind() {
            Some(std::io::ErrorKind::NotFound) => {
                anyhow::anyhow!("open {}: no such file or directory", path.display())
            }
            _ => error.into(),
        })?;
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}
