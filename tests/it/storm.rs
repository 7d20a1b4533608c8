//! Five hundred releases of one repository, for hours of simulated time: what its server is asked.
//!
//! The clock is tokio's paused one, and everything is on one thread: Leadsman's controller, the
//! simulated cluster, and a real HTTP server on loopback. Time jumps to the next timer only while
//! none of them has anything to do, so hours pass in seconds and pauses are as long as they say.

use std::sync::Arc;
use std::time::Duration;

use leadsman::api::annotation::RELEASE_MANAGER;
use leadsman::api::crd::ALL;
use leadsman::base::clock::{Clock, Timestamp};
use leadsman::cluster::{ApplyOptions, Cluster, Object, ObjectId};
use leadsman::controller::context::{Context, Options};
use leadsman::controller::manager::{Manager, Standing};
use leadsman::controller::notice::Recorder;
use leadsman::controller::queue::Backoff;
use leadsman::controller::site::{SiteOptions, Sites};
use leadsman::release::Renderer;
use leadsman::repo::Repositories;
use leadsman::sim::{Sim, SimOptions};
use leadsman::source::{Fetcher, Mirrors};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::support::api::condition;
use crate::support::fault::Fault;
use crate::support::pack::Package;
use crate::support::repository::Repository;

const RELEASES: usize = 500;
/// What a large cluster has, of one chart.
const MANY: usize = 1_000;
/// Where each of them fails again and again.
const FEW: usize = 50;
/// Of the repository.
const INTERVAL: Duration = Duration::from_secs(300);
/// Of each release: all together look more often than every four seconds.
const LOOK: Duration = Duration::from_secs(1800);
/// Between tries to get an archive, however many wait for it.
const SHARED: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
const HOUR: Duration = Duration::from_secs(3600);
const INDEX: &str = "/index.yaml";
const ARCHIVE: &str = "/tiny-1.0.0.tgz";

/// Wall-clock time that goes as tokio's does.
#[derive(Debug)]
struct Paused {
    start: Timestamp,
    since: Instant,
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        self.start.saturating_add(self.since.elapsed()).unwrap()
    }
}

struct World {
    simulated: Sim,
    cluster: Cluster,
    repository: Repository,
    standing: watch::Receiver<Standing>,
    _cache: tempfile::TempDir,
    _managing: tokio::task::JoinSet<()>,
}

impl World {
    /// Starts with a server that behaves as told.
    async fn start(releases: usize, fault: Option<(&str, Fault)>) -> Self {
        Self::start_with(fault, async |cluster, url| install(cluster, url, releases).await).await
    }

    /// Starts with the objects that are made for the address of the server.
    async fn start_with(
        fault: Option<(&str, Fault)>,
        install: impl AsyncFnOnce(&Cluster, &str),
    ) -> Self {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Paused { start, since: Instant::now() });
        let options = SimOptions { clock: Some(Arc::clone(&clock)), ..SimOptions::default() };
        let simulated = Sim::new(options);
        let cluster = Cluster::new(simulated.client("default"), RELEASE_MANAGER);
        let repository = Repository::beside().await;
        repository.publish_package(tiny("1.0.0"));
        if let Some((path, fault)) = fault {
            repository.misbehave(path, fault);
        }
        let cache = tempfile::tempdir().unwrap();
        let fetcher = Fetcher::new(Mirrors::default()).unwrap().with_clock(Arc::clone(&clock));
        let context = Arc::new(Context {
            cluster: cluster.clone(),
            repositories: Arc::new(Repositories::new(fetcher, cache.path())),
            renderer: Renderer::default(),
            recorder: Recorder::new(cluster.clone(), Arc::clone(&clock)),
            sites: Sites::new(&cluster, &clock, SiteOptions::default()),
            clock,
            options: Options::default(),
        });
        install(&cluster, &repository.url()).await;
        let manager = Manager::new(context);
        let standing = manager.standing();
        let mut managing = tokio::task::JoinSet::new();
        managing.spawn(async move { manager.run(None).await });
        Self { simulated, cluster, repository, standing, _cache: cache, _managing: managing }
    }

    /// Waits until each release is ready; returns how long that took.
    async fn is_ready(&mut self, within: Duration) -> Duration {
        let began = Instant::now();
        let all = |standing: &Standing| standing.releases.len() > 1 && standing.is_ready();
        let ready = tokio::time::timeout(within, self.standing.wait_for(all));
        assert!(ready.await.is_ok(), "not ready: {:?}", self.repository().await["status"]);
        began.elapsed()
    }

    async fn repository(&self) -> Value {
        let id = ObjectId::new(REPOSITORIES, "HelmRepository", "storm", "charts");
        self.cluster.get(&id).await.unwrap().unwrap().0
    }

    /// Returns what was asked since the last time: of the index, and of the archive.
    fn asked(&self, since: &mut usize) -> (usize, usize) {
        let all = self.repository.asked();
        let new = &all[*since..];
        *since = all.len();
        let of = |path: &str| new.iter().filter(|asked| asked.path == path).count();
        let asked = (of(INDEX), of(ARCHIVE));
        assert_eq!(asked.0 + asked.1, new.len(), "something else was asked: {new:?}");
        asked
    }
}

const REPOSITORIES: &str = "source.toolkit.fluxcd.io/v1";

/// Makes the kinds known, and a namespace.
async fn prepare(cluster: &Cluster) {
    let crds = ALL.map(|text| serde_yaml::from_str::<Value>(text).unwrap());
    let options = ApplyOptions::forced();
    for crd in crds {
        cluster.apply(&Object(crd), &options).await.unwrap();
    }
    // Until they are served.
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.forget_discovery();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "storm"}});
    cluster.apply(&Object(namespace), &options).await.unwrap();
}

fn seconds(interval: Duration) -> String {
    format!("{}s", interval.as_secs())
}

async fn install(cluster: &Cluster, url: &str, releases: usize) {
    prepare(cluster).await;
    let repository = json!({
        "apiVersion": REPOSITORIES, "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": "storm"},
        "spec": {"interval": seconds(INTERVAL), "url": url},
    });
    let release = |number: usize| {
        json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": format!("tiny-{number}"), "namespace": "storm"},
            "spec": {"interval": seconds(LOOK), "chart": {"spec": {
                "chart": "tiny", "version": "1.x",
                "sourceRef": {"kind": "HelmRepository", "name": "charts"},
            }}},
        })
    };
    for object in [repository].into_iter().chain((0..releases).map(release)) {
        cluster.apply(&Object(object), &ApplyOptions::forced()).await.unwrap();
    }
}

fn tiny(version: &str) -> Package {
    let chart = format!("apiVersion: v2\nname: tiny\nversion: {version}\n");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\"}\n\
               data: {version: \"{{ .Chart.Version }}\"}\n";
    Package::files([("Chart.yaml", chart), ("templates/map.yaml", map.to_owned())])
}

/// Returns how often something is tried within a time that fails each time.
fn tries(backoff: Backoff, within: Duration) -> usize {
    let (mut tries, mut passed) = (1, Duration::ZERO);
    loop {
        passed += backoff.pause(u32::try_from(tries).unwrap());
        if passed > within {
            return tries;
        }
        tries += 1;
    }
}

/// How often something with an interval happens within a time: at least, and at most.
fn times(within: Duration) -> std::ops::RangeInclusive<usize> {
    // Each interval is up to a twentieth longer or shorter.
    let number = within.as_secs_f64() / INTERVAL.as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let whole = |number: f64| number as usize;
    whole(number / 1.05)..=whole(number / 0.95) + 1
}

#[tokio::test(start_paused = true)]
async fn an_hour_costs_one_request_per_interval_and_failures_no_more_than_the_back_off() {
    let mut world = World::start(RELEASES, None).await;
    let mut since = 0;
    world.is_ready(HOUR).await;
    assert_eq!(world.asked(&mut since), (1, 1));
    // What was new to the releases is told once more.
    tokio::time::sleep(LOOK * 2).await;
    world.asked(&mut since);
    world.simulated.calls().reset();
    tokio::time::sleep(HOUR).await;
    let (index, archive) = world.asked(&mut since);
    assert!(times(HOUR).contains(&index), "{index}");
    assert_eq!(archive, 0);
    assert_eq!(world.simulated.calls().writes(), Vec::<String>::new());
    for trouble in [
        Trouble { fault: Some(Fault::Status(500)), most: tries(backoff(), HOUR) },
        Trouble { fault: Some(Fault::TooManyRequests("120")), most: 1 + 3600 / 120 },
        // Nobody is there to count.
        Trouble { fault: None, most: 0 },
    ] {
        world.goes_through(trouble, &mut since).await;
    }
    assert_eq!(world.repository.count(INDEX, 200), 1);
    assert_eq!(world.repository.count(ARCHIVE, 200), 1);
    // A new version is one index, and one download.
    world.repository.publish_package(tiny("1.1.0"));
    tokio::time::sleep(INTERVAL * 3).await;
    world.is_ready(HOUR).await;
    assert_eq!(world.repository.count(INDEX, 200), 2);
    assert_eq!(world.repository.count("/tiny-1.1.0.tgz", 200), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_releases_are_one_download_of_each_version() {
    let mut world = World::start(MANY, None).await;
    let mut since = 0;
    world.is_ready(HOUR).await;
    assert_eq!(world.asked(&mut since), (1, 1));
    world.repository.publish_package(tiny("1.1.0"));
    tokio::time::sleep(INTERVAL * 2).await;
    world.is_ready(HOUR).await;
    assert_eq!(world.repository.count(ARCHIVE, 200), 1);
    assert_eq!(world.repository.count("/tiny-1.1.0.tgz", 200), 1);
    // Each of them runs it.
    for number in 0..MANY {
        let id = ObjectId::new("v1", "ConfigMap", "storm", &format!("tiny-{number}"));
        let map = world.cluster.get(&id).await.unwrap().unwrap().0;
        assert_eq!(map["data"]["version"], "1.1.0", "{number}");
    }
}

/// What the server does, and how often it may be asked in an hour of it.
struct Trouble {
    fault: Option<Fault>,
    most: usize,
}

impl World {
    /// The server is in trouble for an hour, and is there again.
    async fn goes_through(&mut self, trouble: Trouble, since: &mut usize) {
        let Trouble { fault, most } = trouble;
        let name = format!("{fault:?}");
        match &fault {
            Some(fault) => self.repository.misbehave("*", fault.clone()),
            None => self.repository.be_there(false).await,
        }
        // Until a request fails.
        tokio::time::sleep(INTERVAL.mul_f64(1.1)).await;
        let ready = self.ready().await;
        assert_eq!(ready["status"], "False", "{name}: {ready}");
        self.asked(since);
        tokio::time::sleep(HOUR).await;
        let (index, archive) = self.asked(since);
        assert!(index <= most && archive == 0, "{name}: {index}, {archive}");
        assert!(fault.is_none() || index > 2, "{name}: it was given up after {index} requests");
        // What runs is not touched.
        assert!(self.standing.borrow().is_ready(), "{name}");
        match fault {
            Some(_) => self.repository.behave(),
            None => self.repository.be_there(true).await,
        }
        // It recovers by itself, at the latest after the longest pause.
        tokio::time::sleep(backoff().longest + Duration::from_secs(1)).await;
        let ready = self.ready().await;
        assert_eq!(ready["status"], "True", "{name}: {ready}");
        let (index, archive) = self.asked(since);
        assert!((1..=1 + times(backoff().longest).end()).contains(&index), "{name}: {index}");
        assert_eq!(archive, 0, "{name}");
    }

    async fn ready(&self) -> Value {
        condition(&self.repository().await, "Ready").cloned().unwrap_or_default()
    }
}

fn backoff() -> Backoff {
    Options::default().backoff
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_from_the_start_is_not_stormed() {
    let half = HOUR / 2;
    let rows = [
        ("no index", INDEX, Fault::Status(500), tries(backoff(), half)),
        ("no index, told to wait", INDEX, Fault::TooManyRequests("120"), 1 + 1800 / 120),
        ("no archive", ARCHIVE, Fault::Status(500), tries(SHARED, half)),
        ("no archive, told to wait", ARCHIVE, Fault::TooManyRequests("120"), 1 + 1800 / 120),
        ("another archive", ARCHIVE, Fault::Html, tries(SHARED, half)),
    ];
    for (name, path, fault, most) in rows {
        let mut since = 0;
        let mut world = World::start(FEW, Some((path, fault))).await;
        tokio::time::sleep(half).await;
        assert!(!world.standing.borrow().is_ready(), "{name}");
        let (index, archive) = world.asked(&mut since);
        let failed = if path == INDEX { index } else { archive };
        assert!((3..=most).contains(&failed), "{name}: {failed} requests");
        let other = if path == INDEX { archive } else { index };
        assert!(other <= *times(half).end() + 1, "{name}: {other} other requests");
        world.repository.behave();
        world.is_ready(backoff().longest * 2).await;
        let (_, archive) = world.asked(&mut since);
        assert_eq!(archive, 1, "{name}");
    }
}

/// A source in a registry, and releases of it.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A `HelmRepository` of type `oci`: tags are listed.
    Repository,
    /// An `OCIRepository` whose artifact was there before, and is in the cache no more.
    Artifact,
}

async fn install_from_registry(cluster: &Cluster, url: &str, (source, releases): (Source, usize)) {
    prepare(cluster).await;
    let options = ApplyOptions::forced();
    let address = url.trim_start_matches("http://");
    let (kind, chart) = match source {
        Source::Repository => {
            let named = json!({"kind": "HelmRepository", "name": "charts"});
            let spec = json!({"chart": "tiny", "version": "1.x", "sourceRef": named});
            ("HelmRepository", json!({"chart": {"spec": spec}}))
        }
        Source::Artifact => {
            ("OCIRepository", json!({"chartRef": {"kind": "OCIRepository", "name": "charts"}}))
        }
    };
    let mut spec = json!({"interval": seconds(INTERVAL), "insecure": true});
    spec["url"] = match source {
        Source::Repository => json!(format!("oci://{address}/charts")),
        Source::Artifact => json!(format!("oci://{address}/charts/tiny")),
    };
    if matches!(source, Source::Repository) {
        spec["type"] = json!("oci");
    }
    let object = json!({"apiVersion": REPOSITORIES, "kind": kind, "spec": spec,
        "metadata": {"name": "charts", "namespace": "storm"}});
    cluster.apply(&Object(object), &options).await.unwrap();
    if matches!(source, Source::Artifact) {
        let digest = format!("sha256:{}", "1".repeat(64));
        let artifact = json!({"revision": format!("latest@{digest}"), "digest": digest,
            "path": "x", "url": "x", "lastUpdateTime": "2026-01-01T00:00:00Z"});
        let status = json!({"status": {"observedGeneration": 1, "artifact": artifact}});
        let id = ObjectId::new(REPOSITORIES, kind, "storm", "charts");
        cluster.patch_merge(&id, &status, "status").await.unwrap();
    }
    for number in 0..releases {
        let mut spec = json!({"interval": seconds(LOOK)});
        spec.as_object_mut().unwrap().extend(chart.as_object().unwrap().clone());
        let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": format!("tiny-{number}"), "namespace": "storm"}, "spec": spec});
        cluster.apply(&Object(release), &options).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_fails_is_asked_for_many_releases_as_often_as_for_one() {
    let half = HOUR / 2;
    let rows = [
        (Source::Repository, "/v2/charts/tiny/tags/list"),
        (Source::Artifact, "/v2/charts/tiny/manifests/sha256:"),
    ];
    for (source, path) in rows {
        for releases in [1, FEW] {
            let fault = Some(("*", Fault::Status(500)));
            let world = World::start_with(fault, async |cluster, url| {
                install_from_registry(cluster, url, (source, releases)).await;
            });
            let world = world.await;
            tokio::time::sleep(half).await;
            let asked = world.repository.asked();
            let count = asked.iter().filter(|asked| asked.path.starts_with(path)).count();
            let most = tries(SHARED, half);
            let name = format!("{source:?}, {releases} releases");
            assert!((3..=most).contains(&count), "{name}: {count} requests, {most} at most");
            // The object itself asks what its tag means.
            let others = asked.len() - count;
            assert!(others <= tries(backoff(), half), "{name}: {others} other requests");
        }
    }
}
