//! Finds the chart that a person means: `NAME/CHART`, an address, or a chart of a repository.
//!
//! Source: helm v4.3.1 pkg/downloader/chart_downloader.go (`ResolveChartVersion`),
//! pkg/repo/v1/{index,chartrepo}.go (`Get`, `FindChartInRepoURL`).

use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use super::error::Error;
use super::helm_fetch::helm_text;
use super::helm_file::{HelmFiles, Registered, RepositoryFile};
use super::index::{Index, Row, Versions};
use super::indexes::{Indexes, Text, refused};
use super::repositories::{RepositorySpec, chart_url};
use crate::base::constraint::Constraint;
use crate::base::secret::SafeUrl;
use crate::source::Fetcher;

/// A chart that was found.
#[derive(Debug, Clone)]
pub struct Located {
    /// How its repository is asked.
    pub spec: RepositorySpec,
    /// Where its archive is.
    pub url: SafeUrl,
    /// What the index says of it; none for an address.
    pub entry: Option<Entry>,
}

impl Located {
    /// Returns the digest that the index tells; empty when it tells none.
    pub fn digest(&self) -> &str {
        self.entry.as_ref().map_or("", |entry| &entry.digest)
    }

    /// Returns the name of the archive's file: the last part of its address, which never leads
    /// to another folder.
    pub fn file_name(&self) -> String {
        let path = decoded(self.url.expose().path());
        match path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default() {
            "" | "." | ".." => "chart.tgz".to_owned(),
            name => name.to_owned(),
        }
    }
}

/// Finds a chart by `NAME/CHART`, from the copied index of that repository, or by an address.
/// `login` says how an address is asked that belongs to no repository.
///
/// # Errors
/// Helm's texts: the repository is not registered, has no copied index, or not that chart.
pub fn locate(
    files: &HelmFiles,
    reference: &str,
    wanted: &str,
    login: &Registered,
    timeout: Duration,
) -> Result<Located, Error> {
    let list = files.read()?.unwrap_or_default();
    if reference.contains("://") {
        return by_address(files, &list, reference, login, timeout);
    }
    let (name, chart) = reference.split_once('/').ok_or_else(|| {
        let text = "non-absolute URLs should be in form of repo_name/path_to_chart, got";
        Error::Helm(format!("{text}: {reference}"))
    })?;
    let entry = list.find(name).ok_or_else(|| Error::Helm(format!("repo {name} not found")))?;
    let found = files.ask(name, |index| lookup(index, chart, wanted)).map_err(|why| {
        Error::Helm(format!("no cached repo found. (try 'helm repo update'): {why}"))
    })?;
    let found = found.map_err(|why| {
        Error::Helm(format!(
            "chart {chart:?} matching {wanted} not found in {name} index. (try 'helm repo update'): {why}"
        ))
    })?;
    let spec = with_login(entry, login).spec(timeout)?;
    let missing = || Error::Helm(format!("chart {reference:?} has no downloadable URLs"));
    let url = chart_url(&spec.url, found.urls.first().ok_or_else(missing)?)?;
    Ok(Located { spec, url, entry: Some(found) })
}

/// Finds a chart in a repository that need not be registered; its index is fetched, if it changed
/// since `files` had it last.
///
/// # Errors
/// The index cannot be had, or has not that chart.
pub async fn locate_in(
    (fetcher, files): (&Fetcher, &HelmFiles),
    repository: &Registered,
    chart: &str,
    wanted: &str,
    timeout: Duration,
) -> Result<Located, Error> {
    let spec = repository.spec(timeout)?;
    let address = &repository.url;
    let index = fetched((fetcher, files), &spec, address).await?;
    let mut found = lookup(&index, chart, wanted);
    if index.is_damaged() {
        let index = fetched((fetcher, files), &spec, address).await?;
        found = lookup(&index, chart, wanted);
    }
    let version = if wanted.is_empty() { String::new() } else { format!(" version {wanted:?}") };
    let named = format!("chart {chart:?}{version}");
    let found =
        found.map_err(|_| Error::Helm(format!("{named} not found in {address} repository")))?;
    let missing = || Error::Helm(format!("{named} has no downloadable URLs"));
    let url = chart_url(&spec.url, found.urls.first().ok_or_else(missing)?)?;
    Ok(Located { spec, url, entry: Some(found) })
}

/// Fetches the index of a repository that need not be registered, if it changed.
///
/// # Errors
/// The index cannot be had.
pub async fn fetch_index(
    fetcher: &Fetcher,
    files: &HelmFiles,
    repository: &Registered,
    timeout: Duration,
) -> Result<Arc<Index>, Error> {
    let spec = repository.spec(timeout)?;
    fetched((fetcher, files), &spec, &repository.url).await
}

/// Fetches the index of a repository, if it changed; its address is as it was typed.
async fn fetched(
    (fetcher, files): (&Fetcher, &HelmFiles),
    spec: &RepositorySpec,
    address: &str,
) -> Result<Arc<Index>, Error> {
    let unreachable = |error| {
        let text = helm_text(&error);
        Error::Helm(format!(
            "looks like {address:?} is not a valid chart repository or cannot be reached: {text}"
        ))
    };
    let indexes = Indexes::new(&files.packed);
    let (refreshed, _) = indexes.refresh(fetcher, spec, Text::No).await.map_err(unreachable)?;
    let index = indexes.index(&spec.url, &refreshed.revision);
    index.map_err(|problem| refused(&spec.url, problem))
}

/// Finds a version in an index: exactly that text, else the newest that satisfies.
///
/// # Errors
/// Helm's text.
pub(super) fn lookup(index: &Index, chart: &str, wanted: &str) -> Result<Entry, String> {
    let entries = versions(index, chart)?.ok_or("no chart name found")?;
    if entries.is_empty() {
        return Err("no chart version found".to_owned());
    }
    let range = if wanted.is_empty() { "*" } else { wanted };
    let constraint: Constraint = range.parse().map_err(|error| format!("{error}"))?;
    let exact = entries.iter().find(|entry| entry.text == wanted);
    let satisfies = |entry: &&Entry| constraint.matches(&entry.version);
    let found = exact.or_else(|| entries.iter().find(satisfies));
    found.cloned().ok_or_else(|| format!("no chart version found for {chart}-{wanted}"))
}

/// Returns the versions of a chart, newest first; none when the index does not name it.
pub(super) fn versions(index: &Index, chart: &str) -> Result<Option<Vec<Entry>>, String> {
    if !index.has(chart) {
        return Ok(None);
    }
    Ok(Some(index.entries(chart)?.0))
}

/// An address is asked with the credentials of the repository whose index names it.
fn by_address(
    files: &HelmFiles,
    list: &RepositoryFile,
    address: &str,
    login: &Registered,
    timeout: Duration,
) -> Result<Located, Error> {
    let invalid = || Error::Helm(format!("invalid chart URL format: {address}"));
    let url: SafeUrl = address.parse().map_err(|_| invalid())?;
    let owner = list.repositories.iter().find(|entry| owns(files, entry, &url));
    let spec = match owner {
        Some(owner) => with_login(owner, login).spec(timeout)?,
        None => Registered { url: address.to_owned(), ..login.clone() }.spec(timeout)?,
    };
    Ok(Located { spec, url, entry: None })
}

/// Returns whether the copied index of a repository names an archive. What cannot be read owns
/// nothing.
fn owns(files: &HelmFiles, entry: &Registered, url: &SafeUrl) -> bool {
    let Ok(root) = entry.url.parse::<SafeUrl>() else { return false };
    let last = url.expose().path().rsplit('/').next().unwrap_or_default();
    let plain = decoded(last);
    let is_it = |version: &Row<'_>| {
        let Some(reference) = version.urls.first() else { return false };
        (reference.contains(last) || reference.contains(&plain))
            && chart_url(&root, reference).is_ok_and(|known| known == *url)
    };
    let ask = |index: &Index| {
        let look = |versions: &Versions<'_>| versions.list.iter().any(is_it);
        index.charts().any(|chart| index.look(chart, look).unwrap_or(false))
    };
    files.ask(&entry.name, ask).unwrap_or(false)
}

/// The user that was typed is for a repository that is registered without one.
fn with_login(entry: &Registered, login: &Registered) -> Registered {
    let mut entry = entry.clone();
    if entry.username.is_empty() {
        entry.username.clone_from(&login.username);
        entry.password.clone_from(&login.password);
        entry.pass_credentials |= login.pass_credentials;
    }
    if entry.ca_file.is_empty() && entry.cert_file.is_empty() && entry.key_file.is_empty() {
        entry.ca_file.clone_from(&login.ca_file);
        entry.cert_file.clone_from(&login.cert_file);
        entry.key_file.clone_from(&login.key_file);
    }
    entry.insecure |= login.insecure;
    entry
}

/// Reads the `%XX` of an address.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n  web:\n  - name: web\n    version: 1.0.0\n  \
        - name: web\n    version: 1.10.0\n  - name: web\n    version: 2.0.0-rc.1\n  none: []\n";

    #[test]
    fn versions_are_looked_up_as_helm_does() {
        let rows = [
            ("web", "", Ok("1.10.0")),
            ("web", "1.0.0", Ok("1.0.0")),
            ("web", "v1.0", Ok("1.0.0")),
            ("web", ">0.0.0-0", Ok("2.0.0-rc.1")),
            ("web", "9", Err("no chart version found for web-9")),
            ("web", "latest", Err("improper constraint: \"latest\"")),
            ("other", "", Err("no chart name found")),
        ];
        let index = Index::of(INDEX).unwrap();
        for (chart, wanted, expected) in rows {
            let found = lookup(&index, chart, wanted).map(|entry| entry.text);
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found, expected, "{chart} {wanted}");
        }
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(decoded("a%2Bb%zz%4"), "a+b%zz%4");
        let spec = Registered { url: "http://a".to_owned(), ..Registered::default() };
        let spec = spec.spec(Duration::from_secs(1)).unwrap();
        let rows = [
            ("http://a/b/web-1.0.0%2B1.tgz?x=/y", "web-1.0.0+1.tgz"),
            ("http://a/b/..%2F..%2Fetc", "etc"),
            ("http://a/b/x%2F..", "chart.tgz"),
            ("http://a", "chart.tgz"),
        ];
        for (url, expected) in rows {
            let url = url.parse().unwrap();
            let located = Located { spec: spec.clone(), url, entry: None };
            assert_eq!(located.file_name(), expected, "{}", located.url);
        }
    }
}
