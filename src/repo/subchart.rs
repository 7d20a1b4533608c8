//! Gets the dependencies of a chart's folder into its `charts/`, and locks their versions.
//!
//! Source: helm v4.3.1 pkg/downloader/manager.go, internal/resolver/resolver.go.

mod oci;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use super::error::Error;
use super::helm_fetch::{download_archive, helm_text, outcome, refresh};
use super::helm_file::{HelmFiles, Registered, RepositoryFile};
use super::oci::is_oci;
use super::provenance::Trust;
use super::reference::{Located, locate_in, versions};
use super::repositories::chart_url;
use crate::base::class::chain;
use crate::base::clock::rfc3339_nano;
use crate::base::constraint::Constraint;
use crate::base::digest::Digest;
use crate::base::version::Version;
use crate::base::{file, limit};
use crate::chart::{
    self, Chart, Dependency, Lock, Stamp, load_archive, load_folder, lock_digest, old_lock_digest,
};
use crate::source::Fetcher;

pub use self::oci::Registries;

/// Whether what is fetched must be signed.
#[derive(Debug, Clone)]
pub enum Verify {
    /// Nobody asks.
    Never,
    /// What has a provenance is verified by it.
    IfPossible(Trust),
    /// What has no provenance is refused.
    Always(Trust),
}

/// The dependencies of a chart's folder.
pub struct Subcharts<'a> {
    /// Folder of the chart.
    pub folder: &'a Path,
    /// Helm's files.
    pub files: &'a HelmFiles,
    /// Fetches.
    pub fetcher: &'a Fetcher,
    /// Pulls from registries.
    pub registries: Registries<'a>,
    /// Whether the copied indexes are used as they are.
    pub skip_refresh: bool,
    /// Longest time of one download.
    pub timeout: Duration,
    /// The time of what is written.
    pub stamp: Stamp,
    /// Whether archives must be signed.
    pub verify: Verify,
    /// Says what is being done.
    pub say: &'a (dyn Fn(&str) + Sync),
}

impl fmt::Debug for Subcharts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subcharts").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn helm(text: impl Into<String>) -> Error {
    Error::Helm(text.into())
}

impl Subcharts<'_> {
    /// Chooses versions anew, gets them and writes the lock.
    ///
    /// # Errors
    /// Helm's texts: a repository is unknown, no version satisfies, a download failed.
    pub async fn update(&self) -> Result<(), Error> {
        let chart = self.load()?;
        let mut declared = chart.metadata.dependencies.clone();
        if declared.is_empty() {
            return Ok(());
        }
        let list = self.files.read()?.unwrap_or_default();
        let mut names = self.repository_names(&list, &mut declared)?;
        self.refresh_unmanaged(&mut names, &declared).await;
        if !self.skip_refresh {
            self.refresh_registered(&list).await;
        }
        let mut locked = self.resolve(&declared, &names).await?;
        self.download(&list, &mut locked).await?;
        let digest = lock_digest(&declared, &locked);
        if Lock::of(&chart).is_some_and(|old| old.digest == digest) {
            return Ok(());
        }
        let generated = rfc3339_nano(self.stamp.time());
        self.write_lock(&chart, &Lock { generated, digest, dependencies: locked })
    }

    /// Gets the versions that the lock says; without a lock, as [`Self::update`].
    ///
    /// # Errors
    /// As [`Self::update`], and a lock that does not fit what is declared.
    pub async fn build(&self) -> Result<(), Error> {
        let chart = self.load()?;
        let Some(lock) = Lock::of(&chart) else { return self.update().await };
        let old = chart.metadata.api_version == "v1";
        let mut declared = chart.metadata.dependencies.clone();
        let old_digest = old_lock_digest(&declared);
        let list = self.files.read()?.unwrap_or_default();
        self.repository_names(&list, &mut declared)?;
        if lock_digest(&declared, &lock.dependencies) != lock.digest {
            if !old {
                return Err(helm(
                    "the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml). Please update the dependencies with 'helm dependency update'",
                ));
            }
            tracing::warn!("a valid Helm v3 hash was not found: checking against Helm v2 hash");
            if old_digest != lock.digest {
                return Err(helm(
                    "the lock file (requirements.lock) is out of sync with the dependencies file (requirements.yaml). Please update the dependencies",
                ));
            }
        }
        let remote = |dep: &&Dependency| is_remote(&dep.repository);
        let unknown = |dep: &&Dependency| by_url(&list, &dep.repository).is_none();
        let missing: Vec<&str> = lock
            .dependencies
            .iter()
            .filter(remote)
            .filter(unknown)
            .map(|dep| dep.repository.as_str())
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(helm(format!(
                "no repository definition for {missing}. Please add the missing repos via 'helm repo add'"
            )));
        }
        if !self.skip_refresh {
            self.refresh_registered(&list).await;
        }
        let mut locked = lock.dependencies;
        self.download(&list, &mut locked).await
    }

    fn load(&self) -> Result<Chart, Error> {
        let path = self.folder.display();
        match std::fs::metadata(self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(helm(format!("could not find {path}: stat {path}: no such file or directory")))
            }
            Err(error) => Err(helm(format!("could not find {path}: {error}"))),
            Ok(meta) if !meta.is_dir() => Err(helm("only unpacked charts can be updated")),
            Ok(_) => load_folder(self.folder).map_err(|error| helm(chain(&error))),
        }
    }

    /// Returns the registered names of the dependencies' repositories, by the names of the
    /// dependencies; aliases become addresses.
    fn repository_names(
        &self,
        list: &RepositoryFile,
        declared: &mut [Dependency],
    ) -> Result<HashMap<String, String>, Error> {
        let mut names = HashMap::new();
        let mut missing = Vec::new();
        for dep in declared.iter_mut().filter(|dep| !dep.repository.is_empty()) {
            if dep.repository.starts_with("file://") {
                self.local_path(&dep.repository)?;
                names.insert(dep.name.clone(), dep.repository.clone());
                continue;
            }
            let text = dep.repository.as_str();
            let alias = text.strip_prefix('@').or_else(|| text.strip_prefix("alias:"));
            let known = match alias {
                Some(alias) => list.find(alias),
                None => by_url(list, text),
            };
            if let Some(known) = known {
                names.insert(dep.name.clone(), known.name.clone());
                if alias.is_some() {
                    dep.repository.clone_from(&known.url);
                }
            } else if !(text.contains("://") || text.starts_with('/')) {
                missing.push(text.to_owned());
            }
        }
        if missing.is_empty() { Ok(names) } else { Err(helm(no_definition(&missing))) }
    }

    /// Fetches the indexes of repositories that are not registered.
    async fn refresh_unmanaged(
        &self,
        names: &mut HashMap<String, String>,
        declared: &[Dependency],
    ) {
        let mut unmanaged: BTreeMap<&str, Registered> = BTreeMap::new();
        for dep in declared.iter().filter(|dep| is_remote(&dep.repository)) {
            if names.contains_key(&dep.name) {
                continue;
            }
            let name = format!("helm-manager-{}", Digest::of(&dep.repository).to_hex());
            names.insert(dep.name.clone(), name.clone());
            let url = dep.repository.clone();
            let entry = Registered { name, url, ..Registered::default() };
            unmanaged.insert(&dep.repository, entry);
        }
        if self.skip_refresh || unmanaged.is_empty() {
            return;
        }
        (self.say)("Getting updates for unmanaged Helm repositories...\n");
        let entries: Vec<&Registered> = unmanaged.values().collect();
        let results = refresh(self.fetcher, &entries, self.files, self.timeout).await;
        for (entry, result) in entries.iter().zip(results) {
            let url = &entry.url;
            // Their names are made up, so the address is said instead.
            let text = outcome(url, url, &result);
            (self.say)(&text.replace(&format!(" ({url}):\n"), ":\n"));
        }
    }

    async fn refresh_registered(&self, list: &RepositoryFile) {
        if list.repositories.is_empty() {
            return;
        }
        (self.say)("Hang tight while we grab the latest from your chart repositories...\n");
        let entries: Vec<&Registered> = list.repositories.iter().collect();
        let results = refresh(self.fetcher, &entries, self.files, self.timeout).await;
        for (entry, result) in entries.iter().zip(results) {
            (self.say)(&outcome(&entry.name, &entry.url, &result));
        }
        (self.say)("Update Complete. ⎈Happy Helming!⎈\n");
    }

    async fn resolve(
        &self,
        declared: &[Dependency],
        names: &HashMap<String, String>,
    ) -> Result<Vec<Dependency>, Error> {
        let (mut locked, mut missing) = (Vec::new(), Vec::new());
        for dep in declared {
            match self.choose(dep, names).await? {
                Some(version) => locked.push(Dependency {
                    name: dep.name.clone(),
                    repository: dep.repository.clone(),
                    version,
                    ..Dependency::default()
                }),
                None => missing.push(format!(
                    "{:?} (repository {:?}, version {:?})",
                    dep.name, dep.repository, dep.version
                )),
            }
        }
        if missing.is_empty() {
            return Ok(locked);
        }
        Err(helm(format!(
            "can't get a valid version for {} subchart(s): {}. Make sure a matching chart version exists in the repo, or change the version constraint in Chart.yaml",
            missing.len(),
            missing.join(", ")
        )))
    }

    /// Chooses the version of a dependency; none when no version satisfies.
    async fn choose(
        &self,
        dep: &Dependency,
        names: &HashMap<String, String>,
    ) -> Result<Option<String>, Error> {
        let constraint: Constraint = dep.version.parse().map_err(|error| {
            helm(format!(
                "dependency {:?} has an invalid version/constraint format: {error}",
                dep.name
            ))
        })?;
        if dep.repository.is_empty() {
            self.local_path(&format!("charts/{}", dep.name))?;
            return Ok(Some(dep.version.clone()));
        }
        if dep.repository.starts_with("file://") {
            let path = self.local_path(&dep.repository)?;
            let found = load_folder(&path).map_err(|error| helm(chain(&error)))?.metadata.version;
            return Ok(satisfies(&constraint, &found).then_some(found));
        }
        if is_oci(&dep.repository) {
            return self.choose_oci(dep, &constraint).await.map(Some);
        }
        let name = names.get(&dep.name).map_or("", String::as_str);
        let uncached = |why| {
            helm(format!("no cached repository for {name} found. (try 'helm repo update'): {why}"))
        };
        let entries = self.files.ask(name, |index| versions(index, &dep.name));
        let entries = entries.and_then(|found| found).map_err(uncached)?.ok_or_else(|| {
            helm(format!("{} chart not found in repo {}", dep.name, dep.repository))
        })?;
        let fits = entries.iter().find(|e| !e.urls.is_empty() && constraint.matches(&e.version));
        Ok(fits.map(|entry| entry.text.clone()))
    }

    /// Gets every dependency, then puts them into `charts/` and removes what is outdated. A
    /// dependency of a folder gets the version that is there.
    async fn download(&self, list: &RepositoryFile, deps: &mut [Dependency]) -> Result<(), Error> {
        let charts = self.folder.join("charts");
        if charts.exists() && !charts.is_dir() {
            return Err(helm(format!("{:?} is not a directory", charts.display().to_string())));
        }
        std::fs::create_dir_all(&charts)
            .map_err(|error| Error::File(file::failed("create folder", &charts)(error)))?;
        (self.say)(&format!("Saving {} charts\n", deps.len()));
        let mut archives: BTreeMap<String, Bytes> = BTreeMap::new();
        let mut seen = Vec::new();
        for dep in deps.iter_mut() {
            if dep.repository.is_empty() {
                self.check_local(&charts, dep)?;
                continue;
            }
            let got = self.get(list, dep, &mut seen).await;
            let got = got.inspect_err(|error| {
                (self.say)(&format!("Save error occurred:  {error}\n"));
            })?;
            archives.extend(got);
        }
        let before = std::fs::read_dir(&charts).into_iter().flatten().flatten();
        let before: Vec<PathBuf> = before.map(|entry| entry.path()).collect();
        for (name, bytes) in &archives {
            file::write_atomic(&charts.join(name), bytes).map_err(Error::File)?;
        }
        (self.say)("Deleting outdated charts\n");
        let local = |name: &str| deps.iter().any(|d| d.repository.is_empty() && d.name == name);
        for path in before {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !path.is_dir() && !archives.contains_key(&name) {
                self.remove_outdated(&path, &local);
            }
        }
        Ok(())
    }

    fn remove_outdated(&self, path: &Path, local: &dyn Fn(&str) -> bool) {
        let loaded = file::read_bytes(path, limit::ARCHIVE_BYTES)
            .map_err(|error| chain(&error))
            .and_then(|bytes| load_archive(&bytes).map_err(|error| chain(&error)));
        let shown = path.display();
        match loaded {
            Err(error) => {
                (self.say)(&format!("Could not verify {shown} for deletion: {error} (Skipping)\n"));
            }
            Ok(chart) if local(&chart.metadata.name) => {}
            Ok(_) => {
                if let Err(error) = std::fs::remove_file(path) {
                    (self.say)(&format!("Could not delete {shown}: {error} (Skipping)\n"));
                }
            }
        }
    }

    /// Checks a dependency that is expected to be in `charts/`.
    fn check_local(&self, charts: &Path, dep: &Dependency) -> Result<(), Error> {
        let name = &dep.name;
        (self.say)(&format!(
            "Dependency {name} did not declare a repository. Assuming it exists in the charts directory\n"
        ));
        let path = charts.join(name);
        let found = load_folder(&path).map_err(|error| {
            helm(format!("unable to load chart '{}': {}", path.display(), chain(&error)))
        })?;
        let (found, wanted) = (found.metadata.version, &dep.version);
        let constraint: Constraint = wanted.parse().map_err(|error| {
            helm(format!("dependency {name} has an invalid version/constraint format: {error}"))
        })?;
        if satisfies(&constraint, &found) {
            return Ok(());
        }
        let text = format!(
            "dependency {name} at version {found} does not satisfy the constraint {wanted}"
        );
        (self.say)(&format!("Save error occurred:  {text}\n"));
        Err(helm(text))
    }

    /// Gets the archive of a dependency and the name of its file; none when it was got before.
    async fn get(
        &self,
        list: &RepositoryFile,
        dep: &mut Dependency,
        seen: &mut Vec<String>,
    ) -> Result<Option<(String, Bytes)>, Error> {
        if dep.repository.starts_with("file://") {
            return self.pack(dep).map(Some);
        }
        if is_oci(&dep.repository) {
            return self.get_oci(dep).await.map(Some);
        }
        let located = self
            .find(list, dep)
            .await
            .map_err(|error| helm(format!("could not find : {error}")))?;
        let (name, repository) = (&dep.name, &dep.repository);
        let url = located.url.expose().as_str().to_owned();
        if seen.contains(&url) {
            (self.say)(&format!("Already downloaded {name} from repo {repository}\n"));
            return Ok(None);
        }
        (self.say)(&format!("Downloading {name} from repo {repository}\n"));
        let failed = |why: String| helm(format!("could not download {}: {why}", located.url));
        let bytes = download_archive(self.fetcher, &located.spec, &located.url, located.digest())
            .await
            .map_err(|error| failed(helm_text(&error)))?;
        self.check(&located, &bytes).await.map_err(|error| failed(chain(&error)))?;
        load_archive(&bytes).map_err(|error| failed(chain(&error)))?;
        seen.push(url);
        Ok(Some((located.file_name(), bytes)))
    }

    /// Verifies an archive, as far as that is asked for.
    async fn check(&self, located: &Located, bytes: &[u8]) -> Result<(), Error> {
        let trust = match &self.verify {
            Verify::Never => return Ok(()),
            Verify::Always(trust) => {
                return located.verified(self.fetcher, bytes, trust).await.map(|_| ());
            }
            Verify::IfPossible(trust) => trust,
        };
        match located.provenance(self.fetcher).await {
            Ok(signed) => trust.verify(bytes, &signed, &located.file_name()).map(|_| ()),
            Err(why) => {
                let url = &located.url;
                (self.say)(&format!("WARNING: Verification not found for {url}: {why}\n"));
                Ok(())
            }
        }
    }

    async fn find(&self, list: &RepositoryFile, dep: &Dependency) -> Result<Located, Error> {
        let Some(entry) = by_url(list, &dep.repository) else {
            let url = dep.repository.clone();
            let entry = Registered { url, ..Registered::default() };
            let from = (self.fetcher, self.files);
            let found = locate_in(from, &entry, &dep.name, &dep.version, self.timeout);
            return found.await.map_err(|error| {
                helm(format!("chart {} not found in {}: {error}", dep.name, dep.repository))
            });
        };
        let entries = self.files.ask(&entry.name, |index| versions(index, &dep.name));
        let entries = entries.and_then(|found| found).map_err(helm)?;
        let entries = entries.ok_or_else(|| helm("entry not found"))?;
        let same = |text: &str| match (text.parse::<Version>(), dep.version.parse::<Version>()) {
            (Ok(one), Ok(other)) => one.cmp(&other).is_eq(),
            _ => text == dep.version,
        };
        let fits =
            |e: &&super::Entry| !e.urls.is_empty() && (dep.version.is_empty() || same(&e.text));
        let found = entries.iter().find(fits).ok_or_else(|| helm("no matching version"))?;
        let spec = entry.spec(self.timeout)?;
        let url = chart_url(&spec.url, &found.urls[0])?;
        Ok(Located { spec, url, entry: Some(found.clone()) })
    }

    /// Packs a dependency that is a folder.
    fn pack(&self, dep: &mut Dependency) -> Result<(String, Bytes), Error> {
        let said = |error: chart::Error| helm(chain(&error));
        let chart = load_folder(&self.local_path(&dep.repository)?).map_err(said)?;
        let constraint: Constraint = dep.version.parse().map_err(|error| {
            helm(format!(
                "dependency {} has an invalid version/constraint format: {error}",
                dep.name
            ))
        })?;
        if !satisfies(&constraint, &chart.metadata.version) {
            return Err(helm(format!("can't get a valid version for dependency {}", dep.name)));
        }
        let bytes = chart::save(&chart, self.stamp).map_err(said)?;
        dep.version.clone_from(&chart.metadata.version);
        let name = format!("{}-{}.tgz", chart.metadata.name, chart.metadata.version);
        Ok((name, bytes.into()))
    }

    fn local_path(&self, repository: &str) -> Result<PathBuf, Error> {
        let path = repository.strip_prefix("file://").unwrap_or(repository);
        let path = clean(&self.folder.join(path));
        if path.exists() {
            return Ok(path);
        }
        Err(helm(format!("directory {} not found", path.display())))
    }

    fn write_lock(&self, chart: &Chart, lock: &Lock) -> Result<(), Error> {
        let old = chart.metadata.api_version == "v1";
        let name = if old { "requirements.lock" } else { "Chart.lock" };
        let path = self.folder.join(name);
        if let Ok(target) = std::fs::read_link(&path) {
            let target = target.display().to_string();
            return Err(helm(format!("the {name} file is a symlink to {target:?}")));
        }
        let text = lock.print().map_err(|error| helm(chain(&error)))?;
        file::write_atomic(&path, text.as_bytes()).map_err(Error::File)
    }
}

/// Cleans a path as Go does: `.` goes, and `..` with what it leaves.
fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        let inner = matches!(out.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if inner => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn is_remote(repository: &str) -> bool {
    !repository.is_empty() && !repository.starts_with("file://") && !is_oci(repository)
}

fn satisfies(constraint: &Constraint, version: &str) -> bool {
    version.parse::<Version>().is_ok_and(|version| constraint.matches(&version))
}

/// Source: helm v4.3.1 internal/urlutil/urlutil.go (`Equal`).
fn by_url<'a>(list: &'a RepositoryFile, url: &str) -> Option<&'a Registered> {
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    list.repositories.iter().find(|entry| plain(&entry.url) == plain(url))
}

fn no_definition(missing: &[String]) -> String {
    let names = missing.join(", ");
    let text = format!("no repository definition for {names}. Please add them via 'helm repo add'");
    let plain = |text: &String| {
        !text.contains("//") && !text.starts_with('@') && !text.starts_with("alias:")
    };
    if !missing.iter().any(plain) {
        return text;
    }
    format!(
        "{text}\nNote that repositories must be URLs or aliases. For example, to refer to the \"example\"\n\
         repository, use \"https://charts.example.com/\" or \"@example\" instead of\n\
         \"example\". Don't forget to add the repo, too ('helm repo add')."
    )
}
