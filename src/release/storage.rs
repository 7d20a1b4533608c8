//! Records in a cluster.
//!
//! Source: helm v4.3.1 pkg/storage (storage.go, driver/secrets.go, driver/cfgmaps.go).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::parts::{IN_PARTS, Parts};
use super::split::{self, Lean, Reference, Stored};
use super::{Driver, Error, Record};
use crate::base::clock::Clock;
use crate::cluster::{self, Cluster, Object, ObjectId, Propagation, Selection};
use crate::yaml::Value;

/// Labels that Helm and we set ourselves.
const SYSTEM_LABELS: [&str; 7] =
    ["name", "owner", "status", "version", "createdAt", "modifiedAt", IN_PARTS];
/// Annotation that names who wrote a pending record.
pub(super) const HOLDER: &str = "leadsman.dev/holder";

/// Tries to write a record that nobody else writes, and to read one that others write.
const ATTEMPTS: u32 = 3;

/// What became of a record that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is there with the very same content: the answer to an earlier attempt was lost.
    Ours,
    /// It is as it was read or written last.
    Untouched,
    /// Somebody else wrote or deleted it.
    Others,
}

/// Records of one namespace.
#[derive(Debug, Clone)]
pub struct Storage {
    cluster: Cluster,
    namespace: String,
    driver: Driver,
    /// As which `resourceVersion` each record was read or written last. A record is only written
    /// over what is known: whoever hung for long must not undo what others did meanwhile.
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// What is known of the object of a record.
#[derive(Debug, Clone)]
pub(super) struct Known {
    version: String,
    /// Its parts, if it has some.
    parts: Option<Reference>,
}

/// A record's labels: what a listing tells without reading records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Release name.
    pub name: String,
    /// Namespace of the record.
    pub namespace: String,
    /// Revision.
    pub version: u32,
    /// Helm's status word.
    pub status: String,
    /// Who wrote it, if it was Leadsman.
    pub holder: String,
    /// Whether it is kept in parts.
    pub is_split: bool,
}

impl Head {
    /// Returns the revision that a next one is compared with, of those of a release, newest first:
    /// the newest that is deployed, or the newest.
    pub fn current(heads: &[Self]) -> Option<&Self> {
        heads.iter().find(|head| head.status == "deployed").or(heads.first())
    }

    /// Returns the oldest revisions of a release, of heads that come newest first, without which at
    /// most `keep` are left; never the newest deployed one.
    pub fn surplus(heads: &[Self], keep: usize) -> Vec<u32> {
        let deployed = heads.iter().find(|head| head.status == "deployed").map(|head| head.version);
        let versions = heads.iter().rev().map(|head| head.version);
        let others = versions.filter(|version| Some(*version) != deployed);
        others.take(heads.len().saturating_sub(keep)).collect()
    }
}

impl Storage {
    /// Returns the records of a namespace that are Secrets.
    pub fn new(cluster: &Cluster, namespace: &str) -> Self {
        Self::with_driver(cluster, namespace, Driver::default())
    }

    /// Returns the records of a namespace.
    pub fn with_driver(cluster: &Cluster, namespace: &str, driver: Driver) -> Self {
        let (cluster, namespace) = (cluster.clone(), namespace.to_owned());
        Self { cluster, namespace, driver, known: Arc::default() }
    }

    /// Returns in what the records are kept.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn id(&self, name: &str) -> ObjectId {
        ObjectId::new("v1", self.driver.kind(), &self.namespace, name)
    }

    fn learn(&self, object: &Object, parts: Option<Reference>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let version = object.resource_version().to_owned();
        known.insert(object.name().to_owned(), Known { version, parts });
    }

    pub(super) fn known(&self, object: &str) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(object).cloned()
    }

    /// Returns the heads of a release's records, newest first; of all releases for an empty name.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub async fn heads(&self, release: &str) -> Result<Vec<Head>, Error> {
        let labels = match release {
            "" => "owner=helm".to_owned(),
            release => format!("name={release},owner=helm"),
        };
        let selection = Selection::namespace(&self.namespace).labels(labels);
        self.heads_of(&selection).await
    }

    /// Returns the heads of the records with these labels, of all releases and, if asked for, of
    /// all namespaces; the newest of each release first.
    ///
    /// # Errors
    /// The API cannot be asked, or the selector is none.
    pub async fn heads_with(&self, selector: &str, everywhere: bool) -> Result<Vec<Head>, Error> {
        let selection = match everywhere {
            true => Selection::default(),
            false => Selection::namespace(&self.namespace),
        };
        let separator = if selector.is_empty() { "" } else { "," };
        let labels = format!("owner=helm{separator}{selector}");
        self.heads_of(&selection.labels(labels)).await
    }

    /// Returns all labels of a record, Helm's own included.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub async fn labels(&self, record: &Record) -> Result<BTreeMap<String, String>, Error> {
        let id = self.id(&record.object_name());
        let object = self.cluster.get(&id).await?.unwrap_or_default();
        let labels = object.at("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Ok(labels.filter_map(text).collect())
    }

    /// Returns a record.
    ///
    /// # Errors
    /// The API cannot be asked, or the record is unreadable.
    pub async fn get(&self, release: &str, version: u32) -> Result<Option<Record>, Error> {
        self.read(release, version, Record::decode).await
    }

    /// Returns a record without the files of its chart: enough for all but writing it again.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn outline(&self, release: &str, version: u32) -> Result<Option<Record>, Error> {
        self.read(release, version, Record::decode_outline).await
    }

    async fn read(
        &self,
        release: &str,
        version: u32,
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Option<Record>, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Some(head) = self.head_record(release, version, decode).await? else {
                return Ok(None);
            };
            match self.join(head, decode).await? {
                Ok(record) => return Ok(Some(record)),
                Err(error) if attempts == ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Returns what the object of a record holds: of one in parts all but its objects and hooks,
    /// and without the files of its chart.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn summary(&self, release: &str, version: u32) -> Result<Option<Record>, Error> {
        self.head_record(release, version, Record::decode_outline).await
    }

    async fn head_record(
        &self,
        release: &str,
        version: u32,
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Option<Record>, Error> {
        let Some((object, text)) = self.fetch(release, version).await? else { return Ok(None) };
        self.read_record(&object, &text, decode).map(Some)
    }

    /// Returns the object of a record without what it holds, and that.
    pub(super) async fn fetch(
        &self,
        release: &str,
        version: u32,
    ) -> Result<Option<(Object, Vec<u8>)>, Error> {
        let name = format!("sh.helm.release.v1.{release}.v{version}");
        let Some(mut object) = self.cluster.get(&self.id(&name)).await? else { return Ok(None) };
        let text = self.driver.text(&object).map(Cow::into_owned);
        let text = text.map_err(|error| Error::Record { name, reason: error.to_string() })?;
        object.0["data"].take();
        Ok(Some((object, text)))
    }

    pub(super) fn read_record(
        &self,
        object: &Object,
        text: &[u8],
        decode: fn(&str, &[u8]) -> Result<Record, Error>,
    ) -> Result<Record, Error> {
        let mut record = decode(object.name(), text)?;
        self.learn(object, Reference::of(&record));
        let given = object.at("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let own = given.filter(|(key, _)| !SYSTEM_LABELS.contains(&key.as_str()));
        record.labels = own
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        Ok(record)
    }

    /// Returns the newest record of a release, with its head.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn last(&self, release: &str) -> Result<Option<(Head, Record)>, Error> {
        let Some(head) = self.heads(release).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(self.get(release, head.version).await?.map(|record| (head, record)))
    }

    /// Returns the newest record of a release without the files of its chart, with its head.
    ///
    /// # Errors
    /// As [`Storage::get`].
    pub async fn last_outline(&self, release: &str) -> Result<Option<(Head, Record)>, Error> {
        let Some(head) = self.heads(release).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(self.outline(release, head.version).await?.map(|record| (head, record)))
    }

    /// Stores a new record. One that is there already with the very same content is ours: the
    /// answer to an earlier attempt was lost.
    ///
    /// # Errors
    /// It exists already, does not fit, or the API refuses.
    pub async fn create(
        &self,
        record: &Record,
        holder: &str,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let now = clock.now().as_second().to_string();
        let stored = split::split(record, None, &salt(holder, clock))?;
        tell(record, &stored);
        self.write_set(record, &stored).await?;
        let object = self.object(record, ("createdAt", &now), holder, &stored);
        let created = self.create_object(&object, &stored).await;
        self.tidy(record, &stored, (&created, None)).await?;
        if created.is_ok() && stored.reference().is_some() {
            self.sweep_orphans(&record.name, record.version).await?;
        }
        created
    }

    async fn create_object(&self, object: &Object, stored: &Stored) -> Result<(), Error> {
        let failed = |source| Error::Doing { doing: "create: failed to create".to_owned(), source };
        match self.cluster.create_repeatedly(object).await {
            Ok(live) => {
                self.learn(&live, stored.reference().cloned());
                Ok(())
            }
            Err(error) if error.is_already_exists() => {
                match self.fate(object, stored).await.map_err(failed)? {
                    Fate::Ours => Ok(()),
                    Fate::Untouched | Fate::Others => {
                        Err(Error::Refused("release: already exists".to_owned()))
                    }
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes the parts of a record, if it has some: all, or none.
    async fn write_set(&self, record: &Record, stored: &Stored) -> Result<(), Error> {
        let Stored::Split(split) = stored else { return Ok(()) };
        let written = self.write_parts(record, split).await;
        if written.is_err() {
            self.tidy(record, stored, (&written, None)).await?;
        }
        written
    }

    /// Deletes the parts that no record names once one was written, or was not.
    async fn tidy(
        &self,
        record: &Record,
        stored: &Stored,
        (written, before): (&Result<(), Error>, Option<&Reference>),
    ) -> Result<(), Error> {
        let (name, version) = (&record.name, record.version);
        let now = stored.reference();
        let is_same = now.map(|now| &now.set) == before.map(|before| &before.set);
        let parts = match (written, now) {
            _ if is_same => return Ok(()),
            (Ok(()), Some(now)) => Parts::Others(version, &now.set),
            (Ok(()), None) => Parts::Of(version),
            // Whether it was written nobody knows.
            (Err(error), _) if error.is_outage() => return Ok(()),
            (Err(_), Some(now)) => Parts::Set(version, &now.set),
            (Err(_), None) => return Ok(()),
        };
        self.sweep(name, parts).await
    }

    /// Looks what became of a record that could not be written.
    async fn fate(&self, object: &Object, stored: &Stored) -> Result<Fate, cluster::Error> {
        let data = |object: &Object| object.text("/data/release").to_owned();
        let Some(live) = self.cluster.get(&object.id()).await? else { return Ok(Fate::Others) };
        if data(&live) == data(object) && live.label("status") == object.label("status") {
            self.learn(&live, stored.reference().cloned());
            return Ok(Fate::Ours);
        }
        let known = self.known(object.name());
        let is_known = known.is_some_and(|known| known.version == live.resource_version());
        Ok(if is_known { Fate::Untouched } else { Fate::Others })
    }

    /// Overwrites a record, as it was read or written last by this storage or its clones.
    ///
    /// # Errors
    /// It is gone, somebody else wrote it meanwhile, or the API refuses.
    pub async fn update(
        &self,
        record: &Record,
        holder: &str,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let known = self.known(&record.object_name());
        let before = known.as_ref().and_then(|known| known.parts.as_ref());
        let stored = split::split(record, before, &salt(holder, clock))?;
        self.overwrite(record, stored, known.as_ref(), (holder, clock)).await
    }

    /// Writes what objects hold of a record over what is known of them.
    pub(super) async fn overwrite(
        &self,
        record: &Record,
        stored: Stored,
        known: Option<&Known>,
        (holder, clock): (&str, &dyn Clock),
    ) -> Result<(), Error> {
        let now = clock.now().as_second().to_string();
        let before = known.and_then(|known| known.parts.as_ref());
        if stored.reference().map(|now| &now.set) != before.map(|before| &before.set) {
            self.write_set(record, &stored).await?;
        }
        let mut object = self.object(record, ("modifiedAt", &now), holder, &stored);
        if let Some(known) = known {
            object.0["metadata"]["resourceVersion"] = known.version.clone().into();
        }
        let written = self.replace_object(record, &object, &stored).await;
        self.tidy(record, &stored, (&written, before)).await?;
        written
    }

    async fn replace_object(
        &self,
        record: &Record,
        object: &Object,
        stored: &Stored,
    ) -> Result<(), Error> {
        let failed = |source| Error::Doing {
            doing: format!("update: failed to update {}", record.object_name()),
            source,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.cluster.replace(object).await {
                Ok(live) => {
                    self.learn(&live, stored.reference().cloned());
                    return Ok(());
                }
                Err(error) if !error.is_conflict() => return Err(failed(error)),
                Err(error) => match self.fate(object, stored).await.map_err(failed)? {
                    Fate::Ours => return Ok(()),
                    // The conflict was about something else, such as a quota's bookkeeping.
                    Fate::Untouched if attempts < ATTEMPTS => {}
                    Fate::Untouched => return Err(failed(error)),
                    Fate::Others => {
                        return Err(Error::Refused(format!(
                            "update: {} was changed by somebody else meanwhile, and is left as it \
                             is",
                            record.object_name()
                        )));
                    }
                },
            }
        }
    }

    /// Deletes a record, and then its parts.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn delete(&self, head: &Head) -> Result<(), Error> {
        let name = format!("sh.helm.release.v1.{}.v{}", head.name, head.version);
        self.cluster.delete(&self.id(&name), Propagation::Background).await?;
        if head.is_split {
            self.sweep(&head.name, Parts::Of(head.version)).await?;
        }
        Ok(())
    }

    /// Deletes all that is kept of a release.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn purge(&self, release: &str) -> Result<(), Error> {
        for head in self.heads(release).await? {
            self.delete(&Head { is_split: false, ..head }).await?;
        }
        self.sweep(release, Parts::All).await
    }

    /// Deletes the oldest records until at most `keep` are left; never the newest deployed one.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn prune(&self, release: &str, keep: usize) -> Result<(), Error> {
        let heads = self.heads(release).await?;
        let surplus = Head::surplus(&heads, keep);
        // The oldest first.
        for head in heads.iter().rev().filter(|head| surplus.contains(&head.version)) {
            self.delete(head).await?;
        }
        Ok(())
    }

    fn object(&self, record: &Record, time: (&str, &str), holder: &str, stored: &Stored) -> Object {
        let mut labels = json!({
            "name": record.name,
            "owner": "helm",
            "status": record.info.status,
            "version": record.version.to_string(),
        });
        labels[time.0] = time.1.into();
        for (key, value) in &record.labels {
            labels[key] = value.as_str().into();
        }
        let text = match stored {
            Stored::Whole(text, _) => text.as_str(),
            Stored::Split(split) => {
                labels[IN_PARTS] = split.reference.count.to_string().into();
                &split.head
            }
        };
        let mut metadata = json!({
            "name": record.object_name(),
            "namespace": self.namespace,
            "labels": labels,
        });
        if record.is_pending() && !holder.is_empty() {
            metadata["annotations"] = json!({HOLDER: holder});
        }
        self.driver.object(metadata, text)
    }

    async fn heads_of(&self, selection: &Selection) -> Result<Vec<Head>, Error> {
        let found = self.cluster.list_metadata("v1", self.driver.kind(), selection).await?;
        let mut heads: Vec<Head> = found.iter().filter_map(head).collect();
        heads.sort_by(|a, b| {
            let by_name = a.name.cmp(&b.name).then_with(|| a.namespace.cmp(&b.namespace));
            by_name.then(b.version.cmp(&a.version))
        });
        Ok(heads)
    }
}

/// What makes the name of a set of parts nobody else's.
fn salt(holder: &str, clock: &dyn Clock) -> String {
    format!("{holder} {} {}", std::process::id(), clock.now().as_nanosecond())
}

/// Says what Helm will miss of a record.
fn tell(record: &Record, stored: &Stored) {
    let name = record.object_name();
    match stored {
        Stored::Whole(_, Lean::No) => {}
        Stored::Whole(_, Lean::Yes) => tracing::warn!(
            "record {name} is kept without templates, files and schema of the chart, which no \
             object could hold"
        ),
        Stored::Split(split) => tracing::warn!(
            "record {name} is kept in {} parts, because no object could hold it: helm shows the \
             release, and cannot change it",
            split.reference.count
        ),
    }
}

fn head(object: &Object) -> Option<Head> {
    Some(Head {
        name: object.label("name")?.to_owned(),
        namespace: object.namespace().to_owned(),
        version: object.label("version")?.parse().ok()?,
        status: object.label("status").unwrap_or_default().to_owned(),
        holder: object.annotation(HOLDER).unwrap_or_default().to_owned(),
        is_split: object.label(IN_PARTS).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::release::record::Info;
    use crate::sim::{Fault, Rule, Sim, SimOptions};

    fn record(status: &str) -> Record {
        let info = Info { status: status.to_owned(), ..Info::default() };
        Record { name: "web".to_owned(), version: 1, info, ..Record::default() }
    }

    /// A 409 may be about something else than the record.
    #[tokio::test(start_paused = true)]
    async fn a_conflict_over_a_record_that_nobody_wrote_is_tried_again() {
        for (times, somebody_writes, wanted) in [
            (2, false, Ok("deployed")),
            (3, false, Err("update: failed to update sh.helm.release.v1.web.v1")),
            (1, true, Err("was changed by somebody else meanwhile")),
        ] {
            let sim = Sim::new(SimOptions::default());
            let storage = || Storage::new(&Cluster::new(sim.client("default"), "Helm"), "default");
            let (ours, others) = (storage(), storage());
            ours.create(&record("pending-install"), "", &SystemClock).await.unwrap();
            if somebody_writes {
                others.update(&record("failed"), "", &SystemClock).await.unwrap();
            }
            sim.faults().add(Rule {
                verbs: vec!["update".to_owned()],
                resources: vec!["secrets".to_owned()],
                times: Some(times),
                fault: Some(Fault::status(409)),
                ..Rule::default()
            });
            let written = ours.update(&record("deployed"), "", &SystemClock).await;
            match wanted {
                Ok(status) => {
                    written.unwrap();
                    assert_eq!(ours.heads("web").await.unwrap()[0].status, status);
                }
                Err(text) => {
                    let error = written.unwrap_err().to_string();
                    assert!(error.contains(text), "{error}");
                }
            }
        }
    }
}
