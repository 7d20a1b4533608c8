//! An action, played in a simulated cluster that begins where the real one is.
//!
//! Invariant: the real cluster is only read.
//!
//! Narrow on purpose: what the simulated cluster does not do ([`crate::sim`]: webhooks, CEL rules,
//! quotas, permissions) is not found out; Jobs of hooks succeed; whether objects become ready is
//! not waited for, because nothing of theirs runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::api::CrdPolicy;
use crate::base::class::chain;
use crate::base::clock::SystemClock;
use crate::chart::Chart;
use crate::cluster::wait::Rules;
use crate::cluster::{self, Cluster, Object, ObjectId, Selection};
use crate::release::{self, Deploy, Driver, Env, Error, Kind, Origin, Storage, manifest};
use crate::sim::{Sim, SimOptions};

/// Longest wait for a hook: the simulated ones take moments.
const PATIENCE: Duration = Duration::from_secs(30);
/// Objects that are read at the same time.
const AT_ONCE: usize = 8;
/// Kinds that belong to no namespace, and that others refer to.
const COMMON: [(&str, &str); 3] = [
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("storage.k8s.io/v1", "StorageClass"),
];

/// What is played.
pub struct Rehearsal<'a> {
    /// Where it would be done, and as whom.
    pub real: &'a Cluster,
    /// Namespace of the records.
    pub storage_namespace: &'a str,
    /// In what its records are kept.
    pub driver: Driver,
    /// The chart, dependencies processed, whose definitions come first.
    pub chart: &'a Chart,
    /// What is done about them.
    pub crds: CrdPolicy,
    /// The `HelmRelease`, if there is one.
    pub origin: Option<Origin>,
    /// The action.
    pub deploy: Deploy,
}

/// How it went.
#[derive(Debug)]
pub struct Rehearsed {
    /// Why it would fail, if it would.
    pub failure: Option<Failure>,
    /// Objects that were left out: the real cluster serves their kinds, the simulated one cannot.
    pub left_out: Vec<ObjectId>,
}

/// Why an action would fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step, the object, and the cluster's words.
    pub reason: String,
    /// What to do about it; may be empty.
    pub hint: &'static str,
}

impl Rehearsal<'_> {
    /// Plays it.
    ///
    /// # Errors
    /// The real cluster cannot be read.
    pub async fn play(mut self) -> Result<Rehearsed, Error> {
        let sim = Sim::new(SimOptions::default());
        self.seed(&sim).await?;
        let client = || sim.client(&self.deploy.namespace);
        let cluster = Cluster::new(client(), self.real.manager());
        let left_out = self.leave_out(&cluster).await?;
        let env = Env {
            storage: Storage::with_driver(&cluster, self.storage_namespace, self.driver),
            cluster,
            clock: Arc::new(SystemClock),
            holder: "simulation",
            rules: Rules::default(),
            progress: &|_| {},
            output: &|_| {},
            left: &|_, _| {},
        };
        let options = &self.deploy.options;
        let how = (self.crds, options.method, &options.conflicts);
        let mut played = release::install_crds(&env, self.chart, how, self.origin.as_ref()).await;
        if played.is_ok() {
            let (wait, timeout) = (false, self.deploy.timeout.min(PATIENCE));
            let deploy = Deploy { wait, timeout, ..self.deploy };
            played = release::deploy(&env, deploy).await.result;
        }
        let failure =
            played.err().map(|error| Failure { reason: chain(&error), hint: hint(&error) });
        Ok(Rehearsed { failure, left_out })
    }

    /// Copies what the action is about.
    async fn seed(&self, sim: &Sim) -> Result<(), Error> {
        sim.restrict(&self.real.api_versions().await?.into_iter().collect());
        for (api_version, kind) in COMMON {
            match self.real.list(api_version, kind, &Selection::default()).await {
                Ok(found) => found.into_iter().for_each(|object| {
                    sim.seed(object.0);
                }),
                // Who may not look at them plays without them.
                Err(error) if error.code() == Some(403) => {}
                Err(cluster::Error::NoKind { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Records, and parts of such as no object can hold.
        let labels = format!("owner in (helm,leadsman),name={}", self.deploy.name);
        let records = Selection::namespace(self.storage_namespace).labels(labels);
        for record in self.real.list("v1", self.driver.kind(), &records).await? {
            sim.seed(record.0);
        }
        let ids = self.ids().await?;
        let mut namespaces: BTreeSet<&str> = ids.iter().map(|id| id.namespace.as_str()).collect();
        namespaces.extend([self.storage_namespace, &self.deploy.namespace]);
        namespaces.remove("");
        let namespaces = namespaces.iter().map(|name| ObjectId::new("v1", "Namespace", "", name));
        let wanted: Vec<ObjectId> = namespaces.chain(ids.iter().cloned()).collect();
        for part in wanted.chunks(AT_ONCE) {
            for found in join_all(part.iter().map(|id| self.real.get(id))).await {
                if let Some(object) = found? {
                    sim.seed(object.0);
                }
            }
        }
        Ok(())
    }

    /// Returns the objects that the action may touch, as far as the real cluster serves their kinds.
    async fn ids(&self) -> Result<Vec<ObjectId>, Error> {
        let rendered = &self.deploy.rendered;
        let mut texts = vec![rendered.manifest.as_str()];
        texts.extend(rendered.hooks.iter().map(|hook| hook.manifest.as_str()));
        if let Kind::Upgrade { current, .. } = &self.deploy.kind {
            texts.push(&current.manifest);
        }
        let mut found = BTreeSet::new();
        for text in texts {
            for value in manifest::objects(text)? {
                let mut object = Object(value);
                let id = object.id();
                let served = self.real.resource(&id.api_version(), &id.kind).await?;
                let Some(resource) = served.filter(|_| !id.name.is_empty()) else { continue };
                match (resource.namespaced, id.namespace.is_empty()) {
                    (false, _) => object.set_namespace(""),
                    (true, true) => object.set_namespace(&self.deploy.namespace),
                    (true, false) => {}
                }
                found.insert(object.id());
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Takes out what the simulated cluster cannot serve, and the real one does.
    async fn leave_out(&mut self, simulated: &Cluster) -> Result<Vec<ObjectId>, Error> {
        let mut left_out = Vec::new();
        for value in manifest::objects(&self.deploy.rendered.manifest)? {
            let id = Object(value).id();
            let (api_version, kind) = (id.api_version(), &id.kind);
            if simulated.resource(&api_version, kind).await?.is_none()
                && self.real.resource(&api_version, kind).await?.is_some()
            {
                left_out.push(id);
            }
        }
        if left_out.is_empty() {
            return Ok(left_out);
        }
        let mut kept = String::new();
        for document in manifest::split(&self.deploy.rendered.manifest) {
            let ids = manifest::objects(document)?.into_iter().map(|value| Object(value).id());
            if !{ ids }.any(|id| left_out.contains(&id)) {
                kept.push_str("---\n");
                kept.push_str(document);
                kept.push('\n');
            }
        }
        self.deploy.rendered.manifest = kept;
        Ok(left_out)
    }
}

/// Returns what to do about a failure.
fn hint(error: &Error) -> &'static str {
    if is_unserved(error) {
        return "its kind is not served when it is needed: put its definition into the chart's \
                crds/, or install it before";
    }
    let text = chain(error);
    let rows = [
        (
            "immutable",
            "keep the field as it is, or delete the object first (a hook: by the policy \
             before-hook-creation)",
        ),
        ("Forbidden: updates to", "keep the fields as they are, or delete the object first"),
        (
            "conflict occurred",
            "--force-conflicts takes the fields over, --conflicts rules each of them",
        ),
        ("invalid ownership metadata", "--take-ownership takes the object over"),
        ("already exists", "delete the object first"),
        ("namespaces \"", "--create-namespace makes the namespace of a new release"),
    ];
    rows.iter().find(|(part, _)| text.contains(part)).map_or("", |(_, hint)| hint)
}

fn is_unserved(error: &Error) -> bool {
    match error {
        Error::Cluster(error) | Error::Doing { source: error, .. } => {
            matches!(error, cluster::Error::NoKind { .. })
        }
        Error::Step { source, .. } => is_unserved(source),
        _ => false,
    }
}
