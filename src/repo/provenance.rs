//! Archives that must be signed: where their provenance is, and whether it holds.
//!
//! Source: helm v4.3.1 pkg/downloader/chart_downloader.go (`VerifyChart`, `DownloadTo`).

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::Error;
use super::helm_fetch::{body, helm_text};
use super::reference::Located;
use crate::base::class::chain;
use crate::base::clock::Timestamp;
use crate::base::secret::SafeUrl;
use crate::base::{file, limit};
use crate::chart::Keyring;
use crate::chart::provenance::{Verification, verify};
use crate::source::{Fetcher, Kind};

/// Longest keyring.
const KEYRING_BYTES: u64 = 64 << 20;

/// Whose signatures are believed, and when it is.
#[derive(Debug, Clone)]
pub struct Trust {
    /// File of the keys.
    pub keyring: PathBuf,
    /// Now: keys and signatures expire.
    pub now: Timestamp,
}

fn helm(text: impl Into<String>) -> Error {
    Error::Helm(text.into())
}

impl Trust {
    /// Verifies an archive on disk by the `.prov` file beside it.
    ///
    /// # Errors
    /// Helm's texts.
    pub fn verify_file(&self, path: &Path) -> Result<Verification, Error> {
        let shown = path.display();
        let stat = |path: &Path| {
            std::fs::metadata(path)
                .map_err(|error| format!("stat {}: {}", path.display(), words(&error)))
        };
        if stat(path).map_err(helm)?.is_dir() {
            return Err(helm("unpacked charts cannot be verified"));
        }
        if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("tgz")) {
            return Err(helm("chart must be a tgz file"));
        }
        let provenance = PathBuf::from(format!("{shown}.prov"));
        stat(&provenance).map_err(|why| {
            helm(format!("could not load provenance file {}: {why}", provenance.display()))
        })?;
        let keyring = self.keys()?;
        let archive = file::read_bytes(path, limit::ARCHIVE_BYTES).map_err(Error::File)?;
        let signed =
            file::read_bytes(&provenance, limit::SOURCE_FILE_BYTES).map_err(Error::File)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.check(&archive, &signed, &name, &keyring)
    }

    /// Verifies an archive that was fetched.
    ///
    /// # Errors
    /// Helm's texts.
    pub fn verify(&self, archive: &[u8], signed: &[u8], name: &str) -> Result<Verification, Error> {
        let keyring = self.keys()?;
        self.check(archive, signed, name, &keyring)
    }

    fn check(
        &self,
        archive: &[u8],
        signed: &[u8],
        name: &str,
        keyring: &Keyring,
    ) -> Result<Verification, Error> {
        verify(archive, signed, name, keyring, self.now).map_err(|error| helm(chain(&error)))
    }

    fn keys(&self) -> Result<Keyring, Error> {
        read_keyring(&self.keyring).map_err(|why| helm(format!("failed to load keyring: {why}")))
    }
}

/// Reads the keys of a file.
///
/// # Errors
/// Helm's texts.
pub fn read_keyring(path: &Path) -> Result<Keyring, String> {
    let bytes = file::read_bytes(path, KEYRING_BYTES).map_err(|error| match error.kind() {
        Some(std::io::ErrorKind::NotFound) => {
            format!("open {}: no such file or directory", path.display())
        }
        _ => chain(&error),
    })?;
    Keyring::read(&bytes).map_err(|error| {
        let shown = path.display();
        match bytes.trim_ascii_start().starts_with(b"-----BEGIN ") {
            true => format!("reading armored keyring {shown}: {}", chain(&error)),
            false => chain(&error),
        }
    })
}

/// Go's words for an error of the operating system.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

impl Located {
    /// Fetches the provenance of the archive.
    ///
    /// # Errors
    /// Helm's text: it cannot be fetched.
    pub async fn provenance(&self, fetcher: &Fetcher) -> Result<Bytes, String> {
        let url: SafeUrl = format!("{}.prov", self.url.expose())
            .parse()
            .map_err(|_| format!("invalid chart URL format: {}.prov", self.url))?;
        let fetched = body(fetcher, &self.spec, &url, limit::SOURCE_FILE_BYTES, Kind::Text).await;
        fetched.map_err(|error| helm_text(&error))
    }

    /// Fetches the provenance of an archive, which must have one, and verifies it.
    ///
    /// # Errors
    /// Helm's texts.
    pub async fn verified(
        &self,
        fetcher: &Fetcher,
        archive: &[u8],
        trust: &Trust,
    ) -> Result<(Verification, Bytes), Error> {
        let signed = self.provenance(fetcher).await.map_err(|_| {
            helm(format!("failed to fetch provenance {:?}", format!("{}.prov", self.url)))
        })?;
        let verification = trust.verify(archive, &signed, &self.file_name())?;
        Ok((verification, signed))
    }
}
