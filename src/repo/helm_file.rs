//! Helm's own files: the registered repositories, and the copies of their indexes.
//!
//! ```text
//! $HELM_CONFIG_HOME/repositories.yaml            names, addresses, credentials (mode 0600)
//! $HELM_CONFIG_HOME/repositories.lock            held while that file is changed
//! $HELM_CACHE_HOME/repository/NAME-index.yaml    the index, as downloaded
//! $HELM_CACHE_HOME/repository/NAME-charts.txt    the names of its charts, a line each
//! ```
//!
//! Helm and Leadsman may be used in turn: each reads what the other wrote. A file is replaced
//! whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::cache::{Cache, touch};
use super::error::Error;
use super::index::{Before, Index, Made, Problem, Raw, Reading, stamp};
use super::indexes::refused;
use super::repositories::{RepositorySpec, below, fetch};
use crate::base::class::chain;
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::file;
use crate::base::limit::{self, Limit};
use crate::base::secret::{SafeUrl, Secret};
use crate::base::spool::Spool;
use crate::source::{Credentials, Fetcher, Kind, Poured, Tls};
use crate::yaml::{self, Map, Numbers, Value};

/// Largest list of repositories, and largest certificate.
const SMALL_BYTES: u64 = 5 << 20;
/// What Go writes for a time that was never set.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Where Helm keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmFiles {
    /// `repositories.yaml`.
    pub config: PathBuf,
    /// The folder of the indexes.
    pub cache: PathBuf,
    /// The folder of our own cache, which has packed forms of the indexes.
    pub packed: PathBuf,
}

/// A registered repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// Name, as in `NAME/CHART`.
    pub name: String,
    /// Address.
    pub url: String,
    /// User; may be empty.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
    /// File of our certificate; may be empty.
    pub cert_file: String,
    /// File of its key; may be empty.
    pub key_file: String,
    /// File of the authorities to trust; may be empty.
    pub ca_file: String,
    /// Whether the server's certificate is not verified.
    pub insecure: bool,
    /// Whether every host gets user and password.
    pub pass_credentials: bool,
}

/// `repositories.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFile {
    api_version: String,
    generated: String,
    /// The repositories, in the order of the file.
    pub repositories: Vec<Registered>,
}

impl Default for RepositoryFile {
    fn default() -> Self {
        let generated = NO_TIME.to_owned();
        Self { api_version: String::new(), generated, repositories: Vec::new() }
    }
}

impl RepositoryFile {
    /// Reads the text of the file.
    ///
    /// Source: helm v4.3.1 pkg/repo/v1/repo.go (`LoadFile`).
    ///
    /// # Errors
    /// It is not YAML, or not a map.
    pub fn parse(text: &str) -> Result<Self, yaml::Error> {
        let map = yaml::parse_map(text, Numbers::Exact)?;
        let items = map.get("repositories").and_then(Value::as_array).into_iter().flatten();
        let repositories = items.filter_map(Value::as_object).map(registered).collect();
        let generated = text_of(&map, "generated");
        let generated = if generated.is_empty() { NO_TIME.to_owned() } else { generated };
        Ok(Self { api_version: text_of(&map, "apiVersion"), generated, repositories })
    }

    /// Returns the text of the file, as Helm writes it.
    pub fn print(&self) -> String {
        let entry = |entry: &Registered| {
            json!({
                "name": entry.name,
                "url": entry.url,
                "username": entry.username,
                "password": entry.password.expose(),
                "certFile": entry.cert_file,
                "keyFile": entry.key_file,
                "caFile": entry.ca_file,
                "insecure_skip_tls_verify": entry.insecure,
                "pass_credentials_all": entry.pass_credentials,
            })
        };
        yaml::print_sorted(&json!({
            "apiVersion": self.api_version,
            "generated": self.generated,
            "repositories": self.repositories.iter().map(entry).collect::<Vec<_>>(),
        }))
    }

    /// Returns a repository by its name.
    pub fn find(&self, name: &str) -> Option<&Registered> {
        self.repositories.iter().find(|entry| entry.name == name)
    }

    /// Adds a repository, or replaces the one of its name.
    pub fn put(&mut self, entry: Registered) {
        match self.repositories.iter_mut().find(|known| known.name == entry.name) {
            Some(known) => *known = entry,
            None => self.repositories.push(entry),
        }
    }

    /// Takes a repository out; returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.repositories.len();
        self.repositories.retain(|entry| entry.name != name);
        self.repositories.len() < before
    }
}

fn registered(map: &Map) -> Registered {
    let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
    Registered {
        name: text_of(map, "name"),
        url: text_of(map, "url"),
        username: text_of(map, "username"),
        password: Secret::new(text_of(map, "password")),
        cert_file: text_of(map, "certFile"),
        key_file: text_of(map, "keyFile"),
        ca_file: text_of(map, "caFile"),
        insecure: flag("insecure_skip_tls_verify"),
        pass_credentials: flag("pass_credentials_all"),
    }
}

/// A text; a number or a flag becomes one, as in Go where a text is wanted.
fn text_of(map: &Map, key: &str) -> String {
    match map.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    }
}

impl Registered {
    /// Returns how the repository is asked; certificates are read from their files.
    ///
    /// # Errors
    /// The address is none, a file cannot be read, or certificates are not to be verified.
    pub fn spec(&self, timeout: Duration) -> Result<RepositorySpec, Error> {
        let invalid = || Error::Helm(format!("invalid chart URL format: {}", self.url));
        let url: SafeUrl = self.url.parse().map_err(|_| invalid())?;
        let scheme = url.expose().scheme();
        if !matches!(scheme, "http" | "https") {
            return Err(Error::Helm(format!("could not find protocol handler for: {scheme}")));
        }
        if self.insecure && scheme == "https" {
            return Err(Error::Insecure(url));
        }
        let credentials = (!self.username.is_empty()).then(|| Credentials {
            user: self.username.clone(),
            password: self.password.clone(),
            repository: url.clone(),
            everywhere: self.pass_credentials,
        });
        Ok(RepositorySpec { tls: self.tls()?, url, timeout, credentials, registry: None })
    }

    /// Returns the certificates, read from their files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn tls(&self) -> Result<Option<Tls>, Error> {
        let read = |path: &str| match path {
            "" => Ok(String::new()),
            path => file::read_text(Path::new(path), SMALL_BYTES).map_err(Error::File),
        };
        let tls = Tls {
            authorities: read(&self.ca_file)?,
            certificate: read(&self.cert_file)?,
            key: Secret::new(read(&self.key_file)?),
        };
        Ok((tls != Tls::default()).then_some(tls))
    }
}

impl HelmFiles {
    /// Reads the list of repositories; none when there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or is no such list.
    pub fn read(&self) -> Result<Option<RepositoryFile>, Error> {
        let text = match file::read_text(&self.config, SMALL_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == Some(std::io::ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(Error::File(error)),
        };
        let wrong = |error| Error::Helm(format!("read `{}`: {error}", self.config.display()));
        RepositoryFile::parse(&text).map(Some).map_err(wrong)
    }

    /// Replaces the list of repositories. A link stays a link: its target is replaced.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, list: &RepositoryFile) -> Result<(), Error> {
        let path = std::fs::canonicalize(&self.config).unwrap_or_else(|_| self.config.clone());
        file::write_private(&path, list.print().as_bytes()).map_err(Error::File)
    }

    /// Keeps others, Helm among them, from changing the list until the result is dropped.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub fn lock(&self) -> Result<std::fs::File, Error> {
        file::lock(&self.config.with_extension("lock")).map_err(Error::File)
    }

    /// Returns the file of an index.
    pub fn index_file(&self, name: &str) -> PathBuf {
        self.cache.join(format!("{name}-index.yaml"))
    }

    fn charts_file(&self, name: &str) -> PathBuf {
        self.cache.join(format!("{name}-charts.txt"))
    }

    /// Fetches the index of a repository, and keeps it as it comes.
    ///
    /// # Errors
    /// It cannot be fetched, or is no index; or ([`Error::File`]) a file cannot be written.
    pub async fn fetch_index(
        &self,
        fetcher: &Fetcher,
        spec: &RepositorySpec,
        name: &str,
    ) -> Result<(), Error> {
        let url = below(&spec.url, "index.yaml");
        let limit_bytes = limit::current().of(Limit::Index);
        let fetch = fetch(spec, url.clone(), limit_bytes, Kind::Text);
        let path = self.index_file(name);
        let place = Cache::new(&self.packed).helm_file(&path);
        let raw = Raw::Spool(Spool::in_file(&path));
        let before = Before::of(Index::open(&place).ok(), fetcher.clock().now());
        let mut reading = Reading::new(raw, Some(place.clone()), before);
        let poured = fetcher.fetch_into(&fetch, &mut reading).await?;
        if poured == Poured::NotModified {
            let reason = "the server has nothing new of it".to_owned();
            return Err(Error::Index { url, reason });
        }
        let stamp = reading.stamp();
        let made = reading.finish(stamp.as_deref()).map_err(|problem| refused(&url, problem))?;
        let Made { packed, raw: Raw::Spool(raw), .. } = made else { return Ok(()) };
        raw.sync().map_err(Error::File)?;
        let kept = match packed.keep() {
            Ok(()) => Index::open(&place),
            // Our own cache is not what was asked for.
            Err((bytes, _)) => Index::of_packed(bytes),
        };
        let index = kept.map_err(|problem| refused(&url, problem))?;
        let names: String = index.charts().map(|chart| format!("{chart}\n")).collect();
        file::write_atomic(&self.charts_file(name), names.as_bytes()).map_err(Error::File)?;
        match raw.keep() {
            Err((_, Some(error))) => Err(Error::File(error)),
            Err((_, None)) | Ok(()) => Ok(()),
        }
    }

    /// Opens the index of a repository, as it was fetched last. What was packed of the same file
    /// before is used.
    ///
    /// # Errors
    /// Helm's text, or one for people: there is none, or it cannot be read.
    pub fn index(&self, name: &str) -> Result<Index, String> {
        let path = self.index_file(name);
        let open = || {
            let file = std::fs::File::open(&path)?;
            let meta = file.metadata()?;
            Ok((file, meta))
        };
        let (file, meta) = open().map_err(|error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("open {}: no such file or directory", path.display())
            }
            _ => chain(&file::failed("read", &path)(error)),
        })?;
        let limit_bytes = limit::current().of(Limit::Index);
        if meta.len() > limit_bytes {
            return Err(chain(&file::Error::TooLarge { path, limit_bytes }));
        }
        let place = Cache::new(&self.packed).helm_file(&path);
        let (known, now) = (Index::open(&place).ok(), SystemClock.now());
        match known {
            Some(known) if known.stamp() == stamp(&meta) => {
                touch(&place, now);
                Ok(known)
            }
            known => Self::pack(file, (&path, &place), Before::of(known, now))
                .map_err(|problem| problem.to_string()),
        }
    }

    /// Asks the index of a repository. Where its packed form is damaged, it is made again.
    ///
    /// # Errors
    /// As [`HelmFiles::index`].
    pub(super) fn ask<T>(&self, name: &str, ask: impl Fn(&Index) -> T) -> Result<T, String> {
        let index = self.index(name)?;
        let answer = ask(&index);
        if index.is_damaged() { Ok(ask(&self.index(name)?)) } else { Ok(answer) }
    }

    /// Packs a copied index.
    fn pack(
        mut file: std::fs::File,
        (path, place): (&Path, &Path),
        before: Before,
    ) -> Result<Index, Problem> {
        let is_of = file.metadata().map(|meta| stamp(&meta)).unwrap_or_default();
        let read_from = file.try_clone().map_err(file::failed("read", path));
        let raw = Raw::File(read_from.map_err(Problem::Unreadable)?, path.to_owned());
        let mut reading = Reading::new(raw, Some(place.to_owned()), before);
        let copied = std::io::copy(&mut file, &mut reading).map_err(file::failed("read", path));
        copied.map_err(Problem::Unreadable)?;
        // What was changed meanwhile has another stamp, and is packed anew the next time.
        let made = reading.finish(Some(&is_of))?;
        match made.packed.keep() {
            Ok(()) => Index::open(place),
            Err((bytes, _)) => Index::of_packed(bytes),
        }
    }

    /// Deletes the copy of an index.
    ///
    /// # Errors
    /// It is there and cannot be deleted.
    pub fn forget_index(&self, name: &str) -> Result<(), Error> {
        let _ = std::fs::remove_file(self.charts_file(name));
        let path = self.index_file(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File(file::failed("delete", &path)(error)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_wrote_is_written_again_alike() {
        let text = "apiVersion: \"\"\ngenerated: \"0001-01-01T00:00:00Z\"\nrepositories:\n\
            - caFile: \"\"\n  certFile: \"\"\n  insecure_skip_tls_verify: false\n  keyFile: \"\"\n  \
            name: podinfo\n  pass_credentials_all: true\n  password: 'x: y'\n  \
            url: http://127.0.0.1/podinfo\n  username: me\n";
        let mut list = RepositoryFile::parse(text).unwrap();
        assert_eq!(list.print(), text);
        assert!(list.remove("podinfo") && !list.remove("podinfo"));
        assert_eq!(
            list.print(),
            "apiVersion: \"\"\ngenerated: \"0001-01-01T00:00:00Z\"\nrepositories: []\n"
        );
        assert_eq!(RepositoryFile::parse("").unwrap(), RepositoryFile::default());
    }

    #[test]
    fn careless_texts_are_read() {
        let text = "repositories:\n- {name: a, url: \"http://a\", password: 123, username: null}\n- null\n";
        let list = RepositoryFile::parse(text).unwrap();
        assert_eq!(list.repositories.len(), 1);
        assert_eq!(list.find("a").unwrap().password.expose(), "123");
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let entry = |url: &str, insecure| Registered {
            url: url.to_owned(),
            insecure,
            ..Registered::default()
        };
        let timeout = Duration::from_secs(1);
        let error = |entry: Registered| entry.spec(timeout).unwrap_err().to_string();
        assert!(entry("http://a", true).spec(timeout).is_ok());
        assert!(error(entry("https://a", true)).contains("--ca-file"));
        assert_eq!(error(entry("ftp://a", false)), "could not find protocol handler for: ftp");
        assert_eq!(error(entry("a", false)), "invalid chart URL format: a");
    }

    #[test]
    fn a_copy_is_packed_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files =
            HelmFiles { config: at("list.yaml"), cache: at("copies"), packed: at("packed") };
        let error = files.index("a").unwrap_err();
        assert!(error.starts_with("open ") && error.ends_with(": no such file or directory"));
        let put = |version: &str| {
            let text =
                format!("apiVersion: v1\nentries:\n  a:\n  - name: a\n    version: {version}\n");
            file::write_atomic(&files.index_file("a"), text.as_bytes()).unwrap();
        };
        let version = || files.index("a").unwrap().entries("a").unwrap().0[0].text.clone();
        put("1.0.0");
        assert_eq!(version(), "1.0.0");
        let place = Cache::new(&files.packed).helm_file(&files.index_file("a"));
        let packed = file::read_bytes(&place, 1 << 20).unwrap();
        // As long as the copy is the same file, what was packed of it is used, unless it is damaged.
        let at = memchr::memmem::find(&packed, b"1.0.0").unwrap();
        let damage = |at: usize| {
            let mut other = packed.clone();
            other[at] ^= 1;
            file::write_atomic(&place, &other).unwrap();
        };
        damage(at);
        assert!(files.index("a").unwrap().entries("a").is_err());
        assert_eq!(version(), "1.0.0");
        damage(at);
        let ask = |index: &Index| index.entries("a").map(|(entries, _)| entries[0].text.clone());
        assert_eq!(files.ask("a", ask).unwrap().unwrap(), "1.0.0");
        put("1.0.1");
        assert_eq!(version(), "1.0.1");
        // A damaged table is made again at once.
        damage(packed.len() - 1);
        assert_eq!(version(), "1.0.1");
    }
}
