//! Controllers: each reacts to the store's changes, object by object, after a short delay.
//!
//! A controller is two functions: which objects a change concerns, and what to do about one of
//! them now. The second looks at the present state only, so running it twice does no harm.

mod claim;
mod collector;
mod crd;
mod daemon_set;
mod deployment;
mod job;
mod namespace;
mod pod;
mod quota;
mod replica_set;
mod replicas;
mod role;
mod service;
mod stateful_set;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::core::Core;
use super::store::{Change, Happened};
use super::value;
use crate::yaml::Value;

/// What a controller works on: an object by collection, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) storage: Arc<str>,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    /// Returns the key of an object of a collection.
    pub(super) fn of(storage: &Arc<str>, object: &Value) -> Self {
        Self {
            storage: storage.clone(),
            namespace: value::namespace(object).to_owned(),
            name: value::name(object).to_owned(),
        }
    }

    /// Returns the key of another object in the same namespace.
    pub(super) fn sibling(storage: &str, namespace: &str, name: &str) -> Self {
        Self { storage: storage.into(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Returns the parts, as the doors of the core take them.
    pub(super) fn parts(&self) -> (&str, &str, &str) {
        (&self.storage, &self.namespace, &self.name)
    }
}

type Reconcile = dyn FnMut(&Core, &Key) -> Option<Duration> + Send;

/// A controller: `concerns` and `reconcile`, which may ask to be called again after a while.
pub(super) struct Controller {
    name: &'static str,
    concerns: fn(&Change) -> Vec<Key>,
    reconcile: Box<Reconcile>,
}

impl Controller {
    fn new(
        name: &'static str,
        concerns: fn(&Change) -> Vec<Key>,
        reconcile: impl FnMut(&Core, &Key) -> Option<Duration> + Send + 'static,
    ) -> Self {
        Self { name, concerns, reconcile: Box::new(reconcile) }
    }
}

/// The running controllers; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Running(#[expect(dead_code, reason = "dropping it ends the tasks")] JoinSet<()>);

/// Starts all controllers on the current runtime.
pub(super) fn start(core: &Arc<Core>) -> Running {
    let mut tasks = JoinSet::new();
    let keepers = [
        crd::controller(),
        namespace::controller(),
        collector::controller(),
        quota::controller(),
        role::controller(),
    ];
    let workloads = [
        deployment::controller(),
        replica_set::controller(),
        stateful_set::controller(),
        daemon_set::controller(),
        job::controller(),
        pod::controller(),
        claim::controller(),
        service::controller(),
    ];
    let workloads = workloads.into_iter().filter(|_| core.options.workloads);
    for controller in keepers.into_iter().chain(workloads) {
        tasks.spawn(run(core.clone(), controller));
    }
    Running(tasks)
}

/// Asks for a key to be looked at no later than `due`.
fn ask(queue: &mut HashMap<Key, Instant>, key: Key, due: Instant) {
    let slot = queue.entry(key).or_insert(due);
    *slot = (*slot).min(due);
}

/// Queues what changed since `cursor`; returns the new cursor.
fn take_changes(
    core: &Core,
    concerns: fn(&Change) -> Vec<Key>,
    cursor: u64,
    queue: &mut HashMap<Key, Instant>,
) -> u64 {
    let due = Instant::now() + core.options.controller_delay;
    let store = core.store();
    if let Some(changes) = store.since(cursor) {
        for key in changes.flat_map(concerns) {
            ask(queue, key, due);
        }
    } else {
        // The history does not reach back: look at everything.
        for storage in store.storages() {
            for (_, object) in store.list(&storage, None) {
                let change = Change {
                    revision: store.revision(),
                    storage: storage.clone(),
                    happened: Happened::Added,
                    object: object.clone(),
                    before: None,
                };
                for key in concerns(&change) {
                    ask(queue, key, due);
                }
            }
        }
    }
    store.revision()
}

async fn run(core: Arc<Core>, mut controller: Controller) {
    let mut progress = core.watch_progress();
    let mut queue: HashMap<Key, Instant> = HashMap::new();
    let mut cursor = 0;
    loop {
        progress.mark_unchanged();
        cursor = take_changes(&core, controller.concerns, cursor, &mut queue);
        let now = Instant::now();
        let mut due: Vec<Key> =
            queue.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        due.sort();
        for key in due {
            queue.remove(&key);
            tracing::trace!(
                controller = controller.name,
                namespace = key.namespace,
                name = key.name
            );
            if let Some(again) = (controller.reconcile)(&core, &key) {
                ask(&mut queue, key, Instant::now() + again);
            }
        }
        let next = queue.values().min().copied();
        let timer = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return },
            () = timer => {}
        }
    }
}

/// Returns the controller of an object, when it is of this kind: the owner's name and uid.
pub(super) fn controlled_by<'v>(object: &'v Value, kind: &str) -> Option<(&'v str, &'v str)> {
    let owners = value::items(object, "/metadata/ownerReferences").iter();
    let mut owners = owners.filter(|owner| value::flag(owner, "/controller"));
    let owner = owners.find(|owner| value::text(owner, "/kind") == kind)?;
    Some((value::text(owner, "/name"), value::text(owner, "/uid")))
}

/// Returns a reference to the controlling owner.
pub(super) fn owner_reference(owner: &Value) -> Value {
    serde_json::json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": value::name(owner),
        "uid": value::uid(owner), "controller": true, "blockOwnerDeletion": true,
    })
}

/// Returns a condition of an object's status.
pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    value::items(object, "/status/conditions").iter().find(|one| value::text(one, "/type") == kind)
}

/// A hash of a template, in the letters that Kubernetes uses for names.
pub(super) fn template_hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = crate::base::digest::Digest::of(template.to_string()).to_hex();
    digest
        .bytes()
        .take(10)
        .map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .collect()
}
