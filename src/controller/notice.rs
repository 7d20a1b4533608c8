//! What happened, told twice: as a Kubernetes event and as a line for whoever listens.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::broadcast;

use super::advice::advice;
use crate::api::Meta;
use crate::base::clock::{Clock, Timestamp, rfc3339_seconds};
use crate::base::name::NamespacedName;
use crate::base::shorten::shorten;
use crate::cluster::{Cluster, Object, ObjectId};

/// Events that a slow listener may lag behind.
const BACKLOG: usize = 1024;
/// Kubernetes refuses longer event messages.
const MESSAGE_BYTES: usize = 1024;
/// Events whose count is remembered.
const REMEMBERED: usize = 4096;

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Normal,
    /// A person may want to look.
    Warning,
    /// On the way; becomes a line, not an event.
    Progress,
}

/// The object that a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// API version.
    pub api_version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Name.
    pub key: NamespacedName,
    /// Identity of this very object.
    pub uid: String,
}

impl Subject {
    /// Returns the subject of an object.
    pub fn new(api_version: &'static str, kind: &'static str, meta: &Meta) -> Self {
        Self { api_version, kind, key: meta.key(), uid: meta.uid.clone() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// To which object.
    pub subject: Subject,
    /// How serious.
    pub severity: Severity,
    /// One word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// What to do about it; empty where the message says it, or nothing is to be done.
    pub advice: &'static str,
}

/// Records notices. A failure to write an event is logged, and nothing else.
#[derive(Debug)]
pub struct Recorder {
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    listeners: broadcast::Sender<Notice>,
    counts: Mutex<HashMap<String, (String, u64)>>,
}

impl Recorder {
    /// Returns a recorder that writes events through `cluster`.
    pub fn new(cluster: Cluster, clock: Arc<dyn Clock>) -> Self {
        let (listeners, _) = broadcast::channel(BACKLOG);
        Self { cluster, clock, listeners, counts: Mutex::default() }
    }

    /// Returns a stream of all notices from now on.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.listeners.subscribe()
    }

    /// Tells listeners only.
    pub fn progress(&self, subject: &Subject, reason: &str, message: impl Into<String>) {
        self.tell(subject, Severity::Progress, reason, &message.into());
    }

    /// Tells listeners and writes an event; the same one again only raises its count.
    pub async fn record(
        &self,
        subject: &Subject,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
        annotations: &BTreeMap<String, String>,
    ) {
        let message = message.into();
        self.tell(subject, severity, reason, &message);
        if let Err(error) = self.write(subject, severity, reason, &message, annotations).await {
            tracing::warn!(object = %subject, reason, error = %error, "event could not be written");
        }
    }

    fn tell(&self, subject: &Subject, severity: Severity, reason: &str, message: &str) {
        let notice = Notice {
            at: self.clock.now(),
            subject: subject.clone(),
            severity,
            reason: reason.to_owned(),
            message: message.to_owned(),
            advice: if severity == Severity::Progress { "" } else { advice(reason, message) },
        };
        // Nobody listening is no failure.
        let _ = self.listeners.send(notice);
    }

    async fn write(
        &self,
        subject: &Subject,
        severity: Severity,
        reason: &str,
        message: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Result<(), crate::cluster::Error> {
        let now = rfc3339_seconds(self.clock.now());
        let id = |name: &str| ObjectId::new("v1", "Event", &subject.key.namespace, name);
        let told = format!("{severity:?}\n{reason}\n{message}\n{annotations:?}");
        let key = format!("{subject}\n{}\n{told}", subject.uid);
        let known = self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((name, count)) = known {
            let patch = json!({"count": count + 1, "lastTimestamp": now});
            match self.cluster.patch_merge(&id(&name), &patch, "").await {
                Ok(_) => {
                    self.remember(key, name, count + 1);
                    return Ok(());
                }
                // Expired, or deleted with its namespace: write it anew.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let name = format!("{}.{:016x}", subject.key.name, rand::random::<u64>());
        let kind = if severity == Severity::Warning { "Warning" } else { "Normal" };
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": name,
                "namespace": subject.key.namespace,
                "annotations": annotations,
            },
            "involvedObject": {
                "apiVersion": subject.api_version,
                "kind": subject.kind,
                "namespace": subject.key.namespace,
                "name": subject.key.name,
                "uid": subject.uid,
            },
            "type": kind,
            "reason": reason,
            "message": shorten(message, MESSAGE_BYTES),
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "leadsman"},
            "reportingComponent": "leadsman",
            "reportingInstance": "",
        });
        self.cluster.create(&Object(event)).await?;
        self.remember(key, name, 1);
        Ok(())
    }

    fn remember(&self, key: String, name: String, count: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        counts.insert(key, (name, count));
    }
}
