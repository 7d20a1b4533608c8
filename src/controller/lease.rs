//! Who is at work on a release: a Lease beside its records, while a step may leave one pending.
//!
//! The Lease `leadsman-<16 hex digits>` stands in the namespace of the records: who may read those
//! finds it. It is made before the pending record is written, renewed while a step runs there, and
//! deleted after the last one, whose outcome stands in the status by then; a release in sync has
//! none. It lists the releases, and the holder of a record names it.
//!
//! Who finds that another living one lists the same release steps back before anything is done.
//!
//! Invariant: a record is taken over when its holder is proven dead (the Lease is gone, was not
//! renewed for as long as it lasts, or its process ended on this machine) or, where nobody can
//! tell, when it is older than its timeout. Never while the Lease is renewed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::api::annotation::{AT_WORK_ON, PROCESS};
use crate::base::class::chain;
use crate::base::clock::{Clock, rfc3339_micro};
use crate::base::life;
use crate::cluster::{ApplyOptions, Cluster, Error, Object, ObjectId, Propagation, Selection};

/// How long a Lease lasts that is not renewed.
const LASTS: Duration = Duration::from_secs(30);
/// How often it is renewed.
pub(super) const RENEWED: Duration = Duration::from_secs(10);
/// What a Lease's name begins with.
const STEM: &str = "leadsman-";
/// What a holder begins with whose life a Lease tells.
const LEASED: &str = "controller/leadsman-";

/// Who holds a pending record, as far as the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder<'a> {
    /// Not Leadsman: Helm, as a rule.
    Helm,
    /// A `leadsman run` with a Lease of this name.
    Leased(&'a str),
    /// A Leadsman whose life nobody can tell: a command, or one that may not write Leases.
    Other(&'a str),
}

impl<'a> Holder<'a> {
    /// Reads the annotation of a record.
    pub(super) fn read(text: &'a str) -> Self {
        match text.strip_prefix("controller/") {
            _ if text.is_empty() => Self::Helm,
            Some(lease) if text.starts_with(LEASED) => Self::Leased(lease),
            _ => Self::Other(text),
        }
    }
}

/// Whether a holder is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// It is; the text says where.
    Alive(String),
    /// It is not, for certain.
    Dead,
    /// Nobody can tell.
    Unknown,
}

/// Whether a pending record may be taken over.
///
/// `age` is none where the record does not tell when it was written.
pub(super) fn may_take_over(life: &Life, age: Option<Duration>, timeout: Duration) -> bool {
    match life {
        Life::Alive(_) => false,
        Life::Dead => true,
        Life::Unknown => age.is_none_or(|age| age > timeout),
    }
}

/// The Leases of this process, and what was seen of others'.
#[derive(Debug)]
pub struct Leases {
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    name: String,
    /// Names the machine, for people.
    machine: String,
    /// By namespace.
    places: Mutex<BTreeMap<String, Arc<Place>>>,
    /// Others' Leases: their last renewal and when it was seen first, so that clocks need not agree.
    seen: Mutex<HashMap<ObjectId, (String, Instant)>>,
}

/// One namespace.
#[derive(Debug, Default)]
struct Place {
    /// Releases that this process is at work on.
    releases: Mutex<BTreeSet<String>>,
    /// The renewal; whoever makes or deletes the Lease holds it.
    renewal: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// This process is at work on a release.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    leases: &'a Leases,
    namespace: String,
    release: String,
    place: Arc<Place>,
    /// What pending records say.
    pub(super) holder: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leases {
    /// Returns those of a new process; nothing is written before a step begins.
    pub fn new(cluster: &Cluster, clock: &Arc<dyn Clock>) -> Self {
        Self {
            cluster: cluster.clone(),
            clock: Arc::clone(clock),
            name: format!("{STEM}{:016x}", rand::random::<u64>()),
            machine: life::machine(),
            places: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    fn id(&self, namespace: &str) -> ObjectId {
        ObjectId::new("coordination.k8s.io/v1", "Lease", namespace, &self.name)
    }

    /// Says that this process is at work on a release; `None` when it is already.
    pub(super) async fn hold(&self, namespace: &str, release: &str) -> Option<Hold<'_>> {
        let place = Arc::clone(lock(&self.places).entry(namespace.to_owned()).or_default());
        if !lock(&place.releases).insert(release.to_owned()) {
            return None;
        }
        let mut hold = Hold {
            leases: self,
            namespace: namespace.to_owned(),
            release: release.to_owned(),
            place: Arc::clone(&place),
            holder: format!("controller/{}", self.name),
        };
        let mut renewal = place.renewal.lock().await;
        let lease = Renewal {
            cluster: self.cluster.clone(),
            clock: Arc::clone(&self.clock),
            id: self.id(namespace),
            machine: self.machine.clone(),
            place: Arc::clone(&place),
        };
        match lease.renew().await {
            Ok(()) if renewal.as_ref().is_none_or(JoinHandle::is_finished) => {
                *renewal = Some(tokio::spawn(lease.keep()));
            }
            Ok(()) => {}
            Err(error) => {
                // Others then go by the age of the record.
                let error = chain(&error);
                tracing::warn!(
                    namespace,
                    lease = self.name,
                    error,
                    "no Lease can say who is at work"
                );
                hold.holder = format!("controller/{}", &self.name[STEM.len()..]);
            }
        }
        drop(renewal);
        Some(hold)
    }

    /// Returns whether another living one is at work on a release. Asked while it is held, so that
    /// of two at least one sees the other.
    pub(super) async fn is_contested(&self, namespace: &str, release: &str) -> bool {
        let selection = Selection::namespace(namespace);
        let listed = self.cluster.list("coordination.k8s.io/v1", "Lease", &selection).await;
        // Without the right to read Leases none of them is known, and records alone count.
        let listed = listed.unwrap_or_default();
        let others = listed.iter().filter(|lease| {
            let works = lease.annotation(AT_WORK_ON).unwrap_or_default();
            lease.name() != self.name && works.split(',').any(|one| one == release)
        });
        let mut contested = false;
        for lease in others {
            match self.of(lease) {
                Life::Alive(_) | Life::Unknown => contested = true,
                Life::Dead => self.bury(namespace, &format!("controller/{}", lease.name())).await,
            }
        }
        contested
    }

    /// Finds out whether the holder of a release's pending record is at work.
    pub(super) async fn life(
        &self,
        namespace: &str,
        release: &str,
        holder: Holder<'_>,
    ) -> Result<Life, Error> {
        let Holder::Leased(name) = holder else { return Ok(Life::Unknown) };
        if name == self.name {
            let place = lock(&self.places).get(namespace).cloned();
            let busy = place.is_some_and(|place| lock(&place.releases).contains(release));
            return Ok(if busy { Life::Alive("this process".to_owned()) } else { Life::Dead });
        }
        let id = ObjectId { name: name.to_owned(), ..self.id(namespace) };
        let lease = match self.cluster.get(&id).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return Ok(Life::Dead),
            Err(error) if error.code() == Some(403) => return Ok(Life::Unknown),
            Err(error) => return Err(error),
        };
        Ok(self.of(&lease))
    }

    /// Judges the holder of a Lease.
    fn of(&self, lease: &Object) -> Life {
        let now = Instant::now();
        let renewed = lease.text("/spec/renewTime").to_owned();
        let mut seen = lock(&self.seen);
        let (known, since) = seen.entry(lease.id()).or_insert_with(|| (renewed.clone(), now));
        if *known != renewed {
            (*known, *since) = (renewed, now);
        }
        let lasts = lease.at("/spec/leaseDurationSeconds").and_then(serde_json::Value::as_u64);
        let expired = now - *since >= lasts.map_or(LASTS, Duration::from_secs);
        if expired || life::is_gone(lease.annotation(PROCESS).unwrap_or_default()) {
            return Life::Dead;
        }
        let machine = lease.text("/spec/holderIdentity");
        Life::Alive(format!("Lease {} of {machine}", lease.name()))
    }

    /// Deletes the Lease of a dead holder, so that none is left behind.
    pub(super) async fn bury(&self, namespace: &str, holder: &str) {
        let Holder::Leased(name) = Holder::read(holder) else { return };
        if name == self.name {
            return;
        }
        let id = ObjectId { name: name.to_owned(), ..self.id(namespace) };
        lock(&self.seen).remove(&id);
        if let Err(error) = self.cluster.delete(&id, Propagation::Background).await {
            tracing::info!(lease = %id, error = chain(&error), "a dead Lease is left over");
        }
    }
}

impl Hold<'_> {
    /// The step is over: the Lease goes with the last one of its namespace.
    pub(super) async fn end(mut self) {
        let release = std::mem::take(&mut self.release);
        let mut renewal = self.place.renewal.lock().await;
        // Of the others the next renewal tells that this one is over.
        let is_last = {
            let mut releases = lock(&self.place.releases);
            releases.remove(&release);
            releases.is_empty()
        };
        if !is_last {
            return;
        }
        let Some(task) = renewal.take() else { return };
        task.abort();
        // A renewal that is under way must not make it anew.
        let _ = task.await;
        let id = self.leases.id(&self.namespace);
        if let Err(error) = self.leases.cluster.delete(&id, Propagation::Background).await {
            tracing::info!(lease = %id, error = chain(&error), "the Lease is left to expire");
        }
    }
}

impl Drop for Hold<'_> {
    /// After a panic the Lease is no longer renewed for this release alone.
    fn drop(&mut self) {
        lock(&self.place.releases).remove(&self.release);
    }
}

/// Keeps a Lease alive.
struct Renewal {
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    id: ObjectId,
    machine: String,
    place: Arc<Place>,
}

impl Renewal {
    async fn renew(&self) -> Result<(), Error> {
        let works: Vec<String> = lock(&self.place.releases).iter().cloned().collect();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self.id.name,
                "namespace": self.id.namespace,
                "annotations": {PROCESS: life::own(), AT_WORK_ON: works.join(",")},
            },
            "spec": {
                "holderIdentity": self.machine,
                "leaseDurationSeconds": LASTS.as_secs(),
                "renewTime": rfc3339_micro(self.clock.now()),
            },
        });
        self.cluster.apply(&Object(lease), &ApplyOptions::forced()).await.map(drop)
    }

    async fn keep(self) {
        loop {
            tokio::time::sleep(RENEWED).await;
            if let Err(error) = self.renew().await {
                tracing::warn!(lease = %self.id, error = chain(&error), "the Lease is not renewed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_read() {
        let rows = [
            ("", Holder::Helm),
            ("controller/leadsman-0123", Holder::Leased("leadsman-0123")),
            // An earlier version, or one without the right to write Leases.
            ("controller/0123", Holder::Other("controller/0123")),
            ("cli/0123", Holder::Other("cli/0123")),
        ];
        for (text, holder) in rows {
            assert_eq!(Holder::read(text), holder, "{text}");
        }
    }

    #[test]
    fn only_the_dead_and_the_old_are_taken_over() {
        let alive = Life::Alive(String::new());
        let (young, old) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(100)));
        let rows = [
            (&alive, young, false),
            (&alive, old, false),
            (&alive, None, false),
            (&Life::Dead, young, true),
            (&Life::Unknown, young, false),
            (&Life::Unknown, old, true),
            (&Life::Unknown, None, true),
        ];
        for (life, age, taken) in rows {
            assert_eq!(
                may_take_over(life, age, Duration::from_secs(60)),
                taken,
                "{life:?} {age:?}"
            );
        }
    }
}
