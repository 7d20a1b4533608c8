//! Watches: a plan made under the lock, then a stream that reads the store's history.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Reply;
use super::read::{Filter, revision};
use crate::sim::core::{Core, Progress};
use crate::sim::decode;
use crate::sim::request::{Form, Place, Request};
use crate::sim::resource::Resource;
use crate::sim::status::{ApiError, FieldError};
use crate::sim::store::{Change, Happened, Store};
use crate::sim::{table, value};
use crate::yaml::Value;

/// A watch that is about to begin.
#[derive(Debug)]
pub(crate) struct Watch {
    resource: Arc<Resource>,
    namespace: Option<String>,
    filter: Filter,
    form: Form,
    include: String,
    bookmarks: bool,
    timeout: Option<Duration>,
    cursor: u64,
    pending: VecDeque<Bytes>,
    progress: watch::Receiver<Progress>,
    cuts: u64,
}

const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Answers `watch`.
pub(super) fn plan(
    core: &Core,
    request: &Request,
    resource: &Arc<Resource>,
    place: &Place,
    form: Form,
) -> Result<Reply, ApiError> {
    let filter = Filter::parse(request, resource)?;
    let store = core.store();
    let progress = core.watch_progress();
    let cuts = progress.borrow().cuts;
    let seconds = request.query("timeoutSeconds").and_then(|text| text.parse().ok());
    let initial = request.flag("sendInitialEvents");
    if initial && request.query("resourceVersionMatch") != Some("NotOlderThan") {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let error = FieldError::forbidden("resourceVersionMatch", why);
        return Err(ApiError::invalid_options("ListOptions", &[error]));
    }
    let asked = revision(request)?;
    let mut watch = Watch {
        resource: resource.clone(),
        namespace: place.namespace.clone(),
        filter,
        form,
        include: request.query("includeObject").unwrap_or("Metadata").to_owned(),
        bookmarks: request.flag("allowWatchBookmarks"),
        timeout: seconds.map(Duration::from_secs),
        cursor: asked.unwrap_or(store.revision()),
        pending: VecDeque::new(),
        progress,
        cuts,
    };
    if let Some(asked) = asked.filter(|asked| *asked > store.revision()) {
        return Err(ApiError::too_large_version(asked, store.revision()));
    }
    if initial || asked.is_none() {
        watch.begin(core, &store, initial);
    }
    drop(store);
    Ok(Reply::Watch(Box::new(watch)))
}

impl Watch {
    /// Queues the present state.
    fn begin(&mut self, core: &Core, store: &Store, mark_end: bool) {
        self.cursor = store.revision();
        for (_, object) in store.list(&self.resource.storage, self.namespace.as_deref()) {
            let object = self.resource.present(object);
            if self.filter.matches(&object) {
                let line = self.event(core, "ADDED", &object);
                self.pending.push_back(line);
            }
        }
        if mark_end {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            let line = self.bookmark(Some(annotations));
            self.pending.push_back(line);
        }
    }

    fn line(kind: &str, object: &Value) -> Bytes {
        let mut line = format!("{{\"type\":\"{kind}\",\"object\":").into_bytes();
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(&mut line, object);
        line.extend_from_slice(b"}\n");
        line.into()
    }

    fn event(&self, core: &Core, kind: &str, object: &Arc<Value>) -> Bytes {
        match self.form {
            Form::Object | Form::Discovery => Self::line(kind, object),
            Form::Metadata => Self::line(kind, &table::metadata_only(object)),
            Form::Table => {
                let objects = std::slice::from_ref(object);
                Self::line(kind, &table::table(&self.resource, objects, &self.include, core.now()))
            }
        }
    }

    fn bookmark(&self, annotations: Option<Value>) -> Bytes {
        let (kind, version) = match self.form {
            Form::Object | Form::Discovery => {
                (self.resource.kind.as_str(), self.resource.api_version())
            }
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Table => ("Table", "meta.k8s.io/v1".to_owned()),
        };
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        // Go's struct with nothing in it but the version.
        let mut object = match self.form {
            Form::Object | Form::Discovery if self.resource.custom.is_none() => {
                decode::zero(self.resource.ty())
            }
            _ => json!({}),
        };
        object["kind"] = kind.into();
        object["apiVersion"] = version.into();
        object["metadata"] = metadata;
        Self::line("BOOKMARK", &object)
    }

    fn wants(&self, object: &Arc<Value>) -> Option<Arc<Value>> {
        let fits =
            self.namespace.as_ref().is_none_or(|namespace| namespace == value::namespace(object));
        let object = self.resource.present(object);
        (fits && self.filter.matches(&object)).then_some(object)
    }

    /// Returns the event that a change is to this watch: an object that stops to match is deleted.
    fn seen(&self, core: &Core, change: &Change) -> Option<Bytes> {
        if change.storage != self.resource.storage {
            return None;
        }
        let old = change.before.as_ref().and_then(|before| self.wants(before));
        let new =
            (change.happened != Happened::Deleted).then(|| self.wants(&change.object)).flatten();
        match (old, new) {
            (None, Some(new)) => Some(self.event(core, "ADDED", &new)),
            (Some(_), Some(new)) => Some(self.event(core, "MODIFIED", &new)),
            (Some(old), None) => {
                let mut last = Value::clone(&old);
                let revision = change.revision.to_string();
                value::set(&mut last, &["metadata", "resourceVersion"], revision);
                Some(self.event(core, "DELETED", &Arc::new(last)))
            }
            (None, None) => None,
        }
    }

    /// Queues what happened since the last look; the answer is whether the watch can go on.
    fn advance(&mut self, core: &Core) -> bool {
        let store = core.store();
        let Some(changes) = store.since(self.cursor) else {
            let message = format!("too old resource version: {} ({})", self.cursor, store.oldest());
            self.pending.push_back(Self::line("ERROR", &ApiError::expired(&message).body));
            return false;
        };
        let lines: Vec<_> = changes.filter_map(|change| self.seen(core, change)).collect();
        self.cursor = store.revision();
        self.pending.extend(lines);
        true
    }
}

struct Running {
    core: Arc<Core>,
    watch: Watch,
    deadline: Option<Instant>,
    next_bookmark: Instant,
    over: bool,
}

/// Returns the lines of a watch.
pub(crate) fn stream(core: Arc<Core>, watch: Watch) -> impl Stream<Item = Bytes> + Send {
    let deadline = watch.timeout.map(|timeout| Instant::now() + timeout);
    let next_bookmark = Instant::now() + BOOKMARK_EVERY;
    let running = Running { core, watch, deadline, next_bookmark, over: false };
    stream::unfold(running, |mut running| async move {
        let line = running.next().await?;
        Some((line, running))
    })
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.watch.pending.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            let progress = *self.watch.progress.borrow_and_update();
            if progress.cuts != self.watch.cuts {
                return None;
            }
            self.over = !self.watch.advance(&self.core);
            if !self.watch.pending.is_empty() {
                continue;
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let end = self.deadline;
        let at_end = async move {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.watch.progress.changed() => self.over |= changed.is_err(),
            () = at_end => {
                self.over = true;
                if self.watch.bookmarks {
                    self.watch.pending.push_back(self.watch.bookmark(None));
                }
            }
            () = tokio::time::sleep_until(self.next_bookmark), if self.watch.bookmarks => {
                self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                self.watch.pending.push_back(self.watch.bookmark(None));
            }
        }
    }
}
