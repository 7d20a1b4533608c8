//! An in-process Kubernetes API: objects, watches, field ownership, and workloads that come alive.
//!
//! [`Sim`] answers the HTTP requests that a Kubernetes API server answers, in process through
//! [`Sim::client`] or on a loopback port through [`Sim::serve`]. It mirrors Kubernetes 1.34.
//!
//! Invariants:
//! - Requests are answered by synchronous functions over one locked [`store`]; only faults and
//!   watches wait. Every change has its own revision, in one order.
//! - What is known of kinds is data (`tables/` here and in [`shape`](crate::shape), made from a
//!   real server's discovery and OpenAPI).
//! - Controllers write through the same functions as clients, but past fault rules and counters.
//! - Waiting is `tokio::time`, so that a paused clock works; what time it is comes from a clock.
//!
//! - Who asks is one who may do everything, a service account whose token was given here, or whom one
//!   of them impersonates; roles and bindings count where [`SimOptions::rbac`] says so.
//!
//! Narrow on purpose: protobuf bodies are read but answers are JSON, admission webhooks are not run,
//! CEL rules only as far as the evaluator knows their functions, Pods have no logs but those of an
//! annotation.
//!
//! ```no_run
//! # async fn example() {
//! use leadsman::sim::{Sim, SimOptions};
//!
//! let sim = Sim::new(SimOptions::default());
//! let client = sim.client("default");
//! let version = client.apiserver_version().await;
//! # }
//! ```

mod access;
mod controllers;
mod core;
mod custom;
mod decode;
mod default;
mod delete;
mod duplicate;
mod error;
mod fault;
mod handle;
mod limits;
mod managed;
mod name;
mod protobuf;
mod quota;
mod request;
mod resource;
mod roles;
mod rules;
mod seed;
mod selector;
mod serve;
mod status;
mod store;
mod strategy;
mod table;
mod validate;
mod value;
mod version;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::base::clock::{Clock, SystemClock, Timestamp};
use crate::yaml::Value;
use core::Core;

pub use error::Error;
pub use fault::{Calls, Fault, Faults, Rule};
pub use serve::{Served, SimService};

/// Annotation of a Pod (template): what becomes of it. One of `ready`, `never-ready`, `crash`,
/// `image-pull`, `pending`, `mount`, `fail`, `succeed`.
pub const OUTCOME_ANNOTATION: &str = "sim.leadsman.dev/outcome";
/// Annotation of a Pod (template): how long it takes, such as `2s`.
pub const AFTER_ANNOTATION: &str = "sim.leadsman.dev/after";
/// Annotation of a Pod (template): the exit code of `fail`.
pub const EXIT_CODE_ANNOTATION: &str = "sim.leadsman.dev/exit-code";
/// Annotation of a Pod (template): how many Pods of one owner fail before one does not.
pub const FLAKY_ANNOTATION: &str = "sim.leadsman.dev/flaky";
/// Annotation of a Pod: the text that its log holds.
pub const LOG_ANNOTATION: &str = "sim.leadsman.dev/log";
/// Annotation of a Pod template that the real test cluster understands too: `image`, `crash`,
/// `unready`, `fail`.
pub const TEST_ANNOTATION: &str = "test/fail";

/// How a simulated cluster behaves.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that have nothing to do with each other"
)]
pub struct SimOptions {
    /// The clock of timestamps; absent: the machine's at the start, moving with `tokio::time`.
    pub clock: Option<Arc<dyn Clock>>,
    /// From a Pod's scheduling to its being ready; also from running to completed.
    pub ready_delay: Duration,
    /// From a change to a controller's reaction to it.
    pub controller_delay: Duration,
    /// From a failure of a Job's Pod to the next Pod; doubles each time. Kubernetes waits 10 s.
    pub job_backoff: Duration,
    /// How many changes watches can go back.
    pub history: usize,
    /// Whether claims are bound to new volumes. A real cluster without a provisioner does not.
    pub bind_volumes: bool,
    /// Whether Services of type `LoadBalancer` get an address.
    pub load_balancers: bool,
    /// Whether roles and bindings decide who may do what; else everybody may do everything.
    pub rbac: bool,
    /// Whether workloads come alive. Without, statuses are what is written into them.
    pub workloads: bool,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            clock: None,
            ready_delay: Duration::from_millis(100),
            controller_delay: Duration::from_millis(2),
            job_backoff: Duration::from_millis(500),
            history: 4096,
            bind_volumes: true,
            load_balancers: true,
            rbac: false,
            workloads: true,
        }
    }
}

/// The machine's time at the start, moved by tokio's: a paused runtime pauses it too.
#[derive(Debug)]
struct RuntimeClock {
    start: Timestamp,
    since: tokio::time::Instant,
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let passed = jiff::SignedDuration::try_from(self.since.elapsed()).unwrap_or_default();
        self.start.saturating_add(passed).unwrap_or(self.start)
    }
}

/// A simulated cluster. Clones share it; its controllers stop with the last clone, client and
/// service.
#[derive(Debug, Clone)]
pub struct Sim {
    core: Arc<Core>,
    _controllers: Arc<controllers::Running>,
}

impl Sim {
    /// Starts a cluster: namespaces, one node, and controllers on the current tokio runtime.
    pub fn new(options: SimOptions) -> Self {
        let runtime = RuntimeClock { start: SystemClock.now(), since: tokio::time::Instant::now() };
        let clock = options.clock.clone().unwrap_or_else(|| Arc::new(runtime));
        let core = Arc::new(Core::new(options, clock));
        bootstrap(&core);
        let running = controllers::start(&core);
        Self { core, _controllers: Arc::new(running) }
    }

    /// Returns a client that speaks to this cluster in process.
    pub fn client(&self, default_namespace: &str) -> kube::Client {
        kube::Client::new(self.service(), default_namespace)
    }

    /// Returns the API server as a service.
    pub fn service(&self) -> SimService {
        SimService::new(self.clone())
    }

    /// Returns the fault rules.
    pub fn faults(&self) -> Faults {
        self.core.faults.clone()
    }

    /// Returns the counters of calls.
    pub fn calls(&self) -> Calls {
        self.core.calls.clone()
    }

    /// Ends all running watches, as a restarting API server does.
    pub fn cut_watches(&self) {
        self.core.cut_watches();
    }

    /// Forgets the history and ends all running watches: they come back and get a 410.
    pub fn expire(&self) {
        self.core.expire();
    }

    /// Returns an object by its collection (`deployments.apps`, `secrets`), namespace and name.
    pub fn object(&self, collection: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.core.get(collection, namespace, name)
    }

    /// Returns all objects: collection → list, in the order of namespaces and names.
    pub fn snapshot(&self) -> Value {
        let storages = self.core.store().storages();
        let dump = storages.into_iter().map(|storage| {
            let objects = self.core.list(&storage, None);
            (storage.to_string(), objects.iter().map(|object| Value::clone(object)).collect())
        });
        Value::Object(dump.collect())
    }
}

/// Makes what every cluster has.
fn bootstrap(core: &Core) {
    let make = |storage: &str, body: Value| {
        if let Err(error) = core.create(storage, "kube-apiserver", body) {
            tracing::error!(storage, error = error.message(), "bootstrap of the simulated cluster");
        }
    };
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        make("namespaces", json!({"metadata": {"name": name}}));
    }
    make(
        "services",
        json!({
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
        }),
    );
    let resources = json!({"cpu": "256", "memory": "1Ti", "pods": "10k"});
    let now = core.now_text();
    make(
        "nodes",
        json!({
            "metadata": {"name": "node-1", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": "node-1"}},
            "status": {"allocatable": resources, "capacity": resources,
                "nodeInfo": {"kubeletVersion": "v1.34.2", "operatingSystem": "linux", "architecture": "amd64",
                    "containerRuntimeVersion": "", "kernelVersion": "", "osImage": "", "bootID": "",
                    "kubeProxyVersion": "", "machineID": "", "systemUUID": ""},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "kubelet is posting ready status", "lastHeartbeatTime": now,
                    "lastTransitionTime": now}]},
        }),
    );
    for (name, value) in
        [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)]
    {
        make(
            "priorityclasses.scheduling.k8s.io",
            json!({"metadata": {"name": name}, "value": value}),
        );
    }
    make(
        "clusterroles.rbac.authorization.k8s.io",
        json!({
            "metadata": {"name": "cluster-admin"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]}],
        }),
    );
    if core.options.rbac {
        roles::all().into_iter().for_each(|role| make(access::CLUSTER_ROLES, role));
    }
}
