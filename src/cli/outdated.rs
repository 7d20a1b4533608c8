//! `leadsman outdated`: which newer versions there are of what runs, or of what a folder asks for,
//! and why they are not taken.

mod written;

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use serde::Serialize;

use super::args::{Connection, Output, Sources};
use super::chart_args::{Login, Places};
use super::connect::Connected;
use super::pull::TIMEOUT;
use super::{connect, explain, home, registry, ui};
use crate::api::crd::{HELM_RELEASE_API, HELM_REPOSITORY_API};
use crate::api::{HelmRelease, HelmRepository};
use crate::base::class::chain;
use crate::base::secret::SafeUrl;
use crate::cluster::{Error, Object, Selection};
use crate::controller::context::Context;
use crate::controller::offer::{self, Found, Running, Unknown};
use crate::controller::target::Target;
use crate::policy::{Offer, Offers};
use crate::release::{Head, Storage};
use crate::repo::{Entry, Error as RepoError, RepositorySpec};

/// Exit code where something is outdated, if that was asked for.
const OUTDATED: u8 = 3;

#[derive(Debug, ClapArgs)]
pub(super) struct Outdated {
    /// Names of releases or HelmReleases; all without any.
    #[arg(value_name = "RELEASE")]
    pub(super) names: Vec<String>,
    /// Releases of all namespaces.
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Folder of YAML (or a file) whose HelmReleases are looked at, without a cluster: what each would
    /// run is the newest version of its range.
    #[arg(short, long, value_name = "PATH", conflicts_with = "repo")]
    pub(super) filename: Option<PathBuf>,
    /// Exit with code 3 where there is a newer version of anything.
    #[arg(long)]
    pub(super) exit_code: bool,
    /// Repository of the charts of releases that no HelmRelease keeps; without it, the first
    /// registered one, or HelmRepository of the cluster, that has the chart in the version that runs.
    #[arg(long, value_name = "URL")]
    pub(super) repo: Option<String>,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) login: Login,
    #[command(flatten)]
    pub(super) places: Places,
    #[command(flatten)]
    pub(super) sources: Sources,
}

/// A release, and what is newer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    /// `HelmRelease`, or `Release` if nobody keeps it.
    kind: &'static str,
    chart: String,
    current: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    outdated: bool,
    deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Newer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<Newer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    major: Option<Newer>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "told")]
    unknown: Option<Unknown>,
}

/// Writes why nothing is known as a text.
fn told<S: serde::Serializer>(unknown: &Option<Unknown>, to: S) -> Result<S::Ok, S::Error> {
    text(unknown.as_ref()).serialize(to)
}

fn text(unknown: Option<&Unknown>) -> &str {
    match unknown {
        Some(Unknown::Nothing(text) | Unknown::Failed(text)) => text,
        None => "",
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Newer {
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_range: Option<bool>,
    deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Held {
    rule: &'static str,
    reason: String,
}

impl Row {
    fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            kind,
            chart: String::new(),
            current: String::new(),
            range: None,
            outdated: false,
            deprecated: false,
            patch: None,
            minor: None,
            major: None,
            unknown: None,
        }
    }

    fn with(mut self, found: Result<Found, Unknown>) -> Self {
        match found {
            Ok(Found { chart, current, range, offers }) => {
                (self.chart, self.current) = (chart, current);
                self.range = Some(range);
                self.offered(&offers)
            }
            Err(unknown) => self.without(unknown),
        }
    }

    fn without(mut self, unknown: Unknown) -> Self {
        self.unknown = Some(unknown);
        self
    }

    /// Whether it could not be found out what is newer.
    fn is_failed(&self) -> bool {
        matches!(self.unknown, Some(Unknown::Failed(_)))
    }

    fn offered(mut self, offers: &Offers) -> Self {
        let ranged = self.range.is_some();
        let newer = |offer: &Option<Offer>| {
            offer.as_ref().map(|offer| Newer {
                version: offer.version.clone(),
                in_range: ranged.then_some(offer.allowed),
                deprecated: offer.deprecated,
                held: offer
                    .held
                    .as_ref()
                    .map(|(rule, reason)| Held { rule: rule.as_str(), reason: reason.clone() }),
            })
        };
        self.patch = newer(&offers.patch);
        self.minor = newer(&offers.minor);
        self.major = newer(&offers.major);
        self.deprecated = offers.deprecated;
        self.outdated = offers.each().next().is_some();
        self
    }

    /// Says what holds the versions, and what is deprecated.
    fn note(&self) -> String {
        if self.unknown.is_some() {
            return text(self.unknown.as_ref()).replace('\n', "; ");
        }
        let newer: Vec<&Newer> =
            [&self.patch, &self.minor, &self.major].into_iter().flatten().collect();
        let mut notes = Vec::new();
        let same = newer.iter().all(|one| one.held == newer[0].held);
        for (at, one) in newer.iter().enumerate() {
            let Some(held) = &one.held else { continue };
            if same && at > 0 {
                continue;
            }
            let which = if same { String::new() } else { format!("{}: ", one.version) };
            notes.push(format!("{which}{}: {}", held.rule, held.reason.replace('\n', "; ")));
        }
        let current = self.deprecated.then_some(self.current.as_str());
        let deprecated = newer.iter().filter(|one| one.deprecated).map(|one| one.version.as_str());
        let deprecated: Vec<&str> = current.into_iter().chain(deprecated).collect();
        if !deprecated.is_empty() {
            notes.push(format!("deprecated: {}", deprecated.join(", ")));
        }
        notes.join("; ")
    }
}

pub(super) async fn run(args: Outdated, connection: &Connection) -> anyhow::Result<ExitCode> {
    let (connected, is_complete) = match &args.filename {
        Some(path) => written::read(path, connection).await?,
        None => (connect::cluster(connection).await?, true),
    };
    let context = explain::context(&connected, &args.sources)?;
    let is_wanted = Wanted {
        // A folder is small: all of it is looked at.
        everywhere: args.all_namespaces
            || args.filename.is_some() && connection.namespace.is_none(),
        namespace: &connected.namespace,
        names: &args.names,
    };
    let rows = rows(&connected, &context, &args, &is_wanted).await?;
    for name in &args.names {
        if rows.iter().all(|row| row.name != *name) {
            anyhow::bail!("release: `{name}` not found");
        }
    }
    ui::show(args.output, &rows, || table(&rows))?;
    // What is not known is not up to date.
    if !is_complete || rows.iter().any(|row| row.is_failed()) {
        return Ok(ExitCode::FAILURE);
    }
    let outdated = args.exit_code && rows.iter().any(|row| row.outdated);
    Ok(if outdated { ExitCode::from(OUTDATED) } else { ExitCode::SUCCESS })
}

fn table(rows: &[Row]) -> String {
    let version = |newer: &Option<Newer>| {
        newer.as_ref().map_or_else(|| "-".to_owned(), |newer| newer.version.clone())
    };
    let or = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let cells = |row: &Row| {
        vec![
            row.namespace.clone(),
            row.name.clone(),
            or(&row.chart),
            or(&row.current),
            version(&row.patch),
            version(&row.minor),
            version(&row.major),
            row.note(),
        ]
    };
    let header = ["NAMESPACE", "NAME", "CHART", "CURRENT", "PATCH", "MINOR", "MAJOR", "NOTE"];
    ui::table(&header, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Which releases are asked for.
struct Wanted<'a> {
    everywhere: bool,
    namespace: &'a str,
    names: &'a [String],
}

impl Wanted<'_> {
    fn is_here(&self, namespace: &str) -> bool {
        self.everywhere || namespace == self.namespace
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|one| one == name)
    }
}

/// Looks at each release, in the order of namespaces and names.
async fn rows(
    connected: &Connected,
    context: &Context,
    args: &Outdated,
    wanted: &Wanted<'_>,
) -> anyhow::Result<Vec<Row>> {
    let mut asked = HashSet::new();
    let mut kept = Kept::new();
    let mut rows = Vec::new();
    for object in everywhere(connected, args, (HELM_RELEASE_API, "HelmRelease")).await? {
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        let row = Row::new("HelmRelease", &namespace, &name);
        let release: HelmRelease = match serde_json::from_value(object.0) {
            Ok(release) => release,
            Err(error) => {
                let row = row.without(Unknown::Failed(error.to_string()));
                rows.extend(wanted.is_here(&namespace).then_some(row));
                continue;
            }
        };
        let target = Target::of(&release);
        kept.insert((target.storage_namespace, target.name));
        if wanted.is_here(&namespace) && wanted.is_named(&name) {
            rows.push(row.with(match &args.filename {
                Some(_) => offer::foresee(context, &release, &mut asked).await,
                None => offer::look(context, &release, &mut asked).await,
            }));
        }
    }
    if args.filename.is_none() {
        rows.extend(unkept(connected, context, args, (wanted, &kept, asked)).await?);
    }
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(rows)
}

/// Names of releases, and the namespaces of their records.
type Kept = BTreeSet<(String, String)>;

/// Looks at the releases that no `HelmRelease` keeps.
async fn unkept(
    connected: &Connected,
    context: &Context,
    args: &Outdated,
    (wanted, kept, mut asked): (&Wanted<'_>, &Kept, HashSet<SafeUrl>),
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let storage = Storage::new(&connected.cluster, &connected.namespace);
    let heads = storage.heads_with("", args.all_namespaces).await?;
    let mut others = Others { connected, context, args, repositories: None };
    for heads in heads.chunk_by(|a, b| (&a.namespace, &a.name) == (&b.namespace, &b.name)) {
        let Some(head) = Head::current(heads) else { continue };
        let is_kept = kept.contains(&(head.namespace.clone(), head.name.clone()));
        if !is_kept && wanted.is_named(&head.name) && !head.status.starts_with("uninstall") {
            rows.push(others.row(head, &mut asked).await?);
        }
    }
    Ok(rows)
}

/// Lists objects of all namespaces, because a `HelmRelease` may keep its release in another one; who
/// may not see all of them sees those of the namespace.
async fn everywhere(
    connected: &Connected,
    args: &Outdated,
    (api, kind): (&str, &str),
) -> anyhow::Result<Vec<Object>> {
    let cluster = &connected.cluster;
    if cluster.resource(api, kind).await?.is_none() {
        return Ok(Vec::new());
    }
    match cluster.list(api, kind, &Selection::default()).await {
        Err(Error::Api { code: 403, .. }) if !args.all_namespaces => {
            Ok(cluster.list(api, kind, &Selection::namespace(&connected.namespace)).await?)
        }
        listed => Ok(listed?),
    }
}

/// Releases that no `HelmRelease` keeps.
struct Others<'a> {
    connected: &'a Connected,
    context: &'a Context,
    args: &'a Outdated,
    /// Where their charts may come from, once anybody asked.
    repositories: Option<Vec<RepositorySpec>>,
}

impl Others<'_> {
    async fn row(&mut self, head: &Head, asked: &mut HashSet<SafeUrl>) -> anyhow::Result<Row> {
        let row = Row::new("Release", &head.namespace, &head.name);
        let storage = Storage::new(&self.connected.cluster, &head.namespace);
        let Some(record) = storage.outline(&head.name, head.version).await? else {
            return Ok(row.without(Unknown::Nothing("its record is gone".to_owned())));
        };
        let metadata = record.metadata();
        let (chart, current) = (metadata.name, metadata.version);
        let row = Row { chart: chart.clone(), current: current.clone(), ..row };
        let entries = match self.entries((&chart, &current), asked).await? {
            Ok(entries) => entries,
            Err(unknown) => return Ok(row.without(unknown)),
        };
        let running = Running { version: &current, keeper: None };
        Ok(match offer::newer(&entries, running) {
            Ok(offers) => row.offered(&offers),
            Err(text) => row.without(Unknown::Failed(text)),
        })
    }

    /// Returns the versions of a chart, from the repository that was named, or from the first that
    /// has what runs.
    async fn entries(
        &mut self,
        (chart, current): (&str, &str),
        asked: &mut HashSet<SafeUrl>,
    ) -> anyhow::Result<Result<Arc<[Entry]>, Unknown>> {
        if self.repositories.is_none() {
            self.repositories = Some(self.known().await?);
        }
        let named = self.args.repo.is_some();
        for spec in self.repositories.iter().flatten() {
            let versions = offer::versions(&self.context.repositories, (spec, chart), asked).await;
            match versions {
                Ok(entries) if named || entries.iter().any(|entry| entry.text == current) => {
                    return Ok(Ok(entries));
                }
                Err(error) if named => return Ok(Err(Unknown::Failed(chain(&error)))),
                Ok(_) | Err(RepoError::NoChart { .. } | RepoError::NoVersions { .. }) => {}
                Err(error) => ui::say(&format!("WARNING: {}", chain(&error))),
            }
        }
        let text = format!("no known repository has {chart} {current}; name one with --repo");
        Ok(Err(Unknown::Nothing(text)))
    }

    /// Returns the repository that was named, or those that are registered and those of the cluster.
    async fn known(&self) -> anyhow::Result<Vec<RepositorySpec>> {
        if let Some(url) = &self.args.repo {
            return Ok(vec![registry::repository(url, &self.args.login)?]);
        }
        let list = home::helm_files(&self.args.places).read()?.unwrap_or_default();
        let of_helm: Result<Vec<_>, _> =
            list.repositories.iter().map(|one| one.spec(TIMEOUT)).collect();
        let mut specs = of_helm.context("read the registered repositories")?;
        let objects =
            everywhere(self.connected, self.args, (HELM_REPOSITORY_API, "HelmRepository")).await?;
        for object in objects {
            let Ok(repository) = serde_json::from_value::<HelmRepository>(object.0) else {
                continue;
            };
            if !repository.spec.is_oci() {
                // Whose Secrets cannot be read is no place to look.
                specs.extend(offer::repository_spec(self.context, &repository).await);
            }
        }
        Ok(specs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Rule;

    fn offer(version: &str, deprecated: bool, held: Option<(Rule, &str)>) -> Option<Offer> {
        let held = held.map(|(rule, reason)| (rule, reason.to_owned()));
        Some(Offer { version: version.to_owned(), allowed: true, deprecated, held })
    }

    #[test]
    fn notes_are_short() {
        let outside = Some((Rule::Constraint, "1.x does not allow it"));
        let frozen = Some((Rule::Hold, "frozen"));
        let rows = [
            ("nothing", Offers::default(), ""),
            ("free", Offers { patch: offer("1.0.1", false, None), ..Offers::default() }, ""),
            (
                "one of two",
                Offers {
                    minor: offer("1.1.0", false, None),
                    major: offer("2.0.0", true, outside),
                    deprecated: true,
                    ..Offers::default()
                },
                "2.0.0: constraint: 1.x does not allow it; deprecated: 1.0.0, 2.0.0",
            ),
            (
                "the same for all",
                Offers {
                    minor: offer("1.1.0", false, frozen),
                    major: offer("2.0.0", false, frozen),
                    ..Offers::default()
                },
                "hold: frozen",
            ),
        ];
        for (name, offers, want) in rows {
            let mut row = Row::new("HelmRelease", "apps", "web").offered(&offers);
            row.current = "1.0.0".to_owned();
            assert_eq!(row.note(), want, "{name}");
        }
        let failed = Row::new("HelmRelease", "apps", "web");
        let failed = failed.without(Unknown::Failed("fetch: refused".to_owned()));
        assert_eq!((failed.note().as_str(), failed.is_failed()), ("fetch: refused", true));
    }
}
