//! Lists and watches as one endless stream of changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt as _};
use serde_json::{Value, json};

use super::client::{Cluster, Selection, typed};
use super::discovery::Resource;
use super::error::Error;
use super::object::{Object, ObjectId};
use super::transport::{self, Call, with_query};

/// How long the server may keep one watch open.
const WATCH: Duration = Duration::from_secs(290);
/// A watch that is silent for so long is dead, whatever the socket says.
const SILENT: Duration = Duration::from_secs(330);
/// Longest pause between attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// What a watch saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An object is there, in this state.
    Applied(Object),
    /// An object is gone. After a gap in the watch only its identity may be known.
    Deleted(Object),
    /// Everything that exists has been said once (again, after a gap).
    Synced,
}

enum State {
    List,
    Watch { version: String },
    Read { version: String, lines: Lines },
}

type Lines = BoxStream<'static, Result<Value, Error>>;

struct Watcher {
    cluster: Cluster,
    api_version: String,
    kind: String,
    selection: Selection,
    state: State,
    /// What was said to exist, to say what vanished during a gap.
    known: BTreeMap<(String, String), ()>,
    ready: VecDeque<Result<Change, Error>>,
    failures: u32,
}

impl Cluster {
    /// Lists and then watches a kind. The stream never ends: cuts and expired versions are healed
    /// inside; a failure is said once as an `Err` and tried again with growing pauses.
    pub fn watch(
        &self,
        api_version: &str,
        kind: &str,
        selection: Selection,
    ) -> impl Stream<Item = Result<Change, Error>> + Send + Unpin + use<> {
        let watcher = Watcher {
            cluster: self.clone(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            selection,
            state: State::List,
            known: BTreeMap::new(),
            ready: VecDeque::new(),
            failures: 0,
        };
        futures::stream::unfold(watcher, |mut watcher| async move {
            let item = watcher.next().await;
            Some((item, watcher))
        })
        .boxed()
    }
}

impl Watcher {
    async fn next(&mut self) -> Result<Change, Error> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return item;
            }
            if self.failures > 0 {
                let pause = Duration::from_millis(200) * 2_u32.pow(self.failures.min(8) - 1);
                tokio::time::sleep(pause.min(LONGEST)).await;
            }
            if let Err(error) = self.step().await {
                self.failures += 1;
                // An expired version only means listing again.
                if error.code() == Some(410) {
                    self.failures = 0;
                    self.state = State::List;
                } else {
                    return Err(error);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::List) {
            State::List => {
                let id = ObjectId::new(&self.api_version, &self.kind, "", "");
                let resource = self.cluster.served(&id).await?;
                let (objects, version) =
                    self.cluster.list_pages(&resource, &self.selection, "application/json").await?;
                self.take_list(objects);
                self.failures = 0;
                self.state = State::Watch { version };
            }
            State::Watch { version } => {
                let id = ObjectId::new(&self.api_version, &self.kind, "", "");
                let opened = open(&self.cluster, &id, &self.selection, &version).await;
                self.state = match &opened {
                    Err(error) if error.is_transient() => State::Watch { version: version.clone() },
                    Err(_) => State::List,
                    Ok(_) => State::Watch { version: version.clone() },
                };
                let lines = opened?;
                self.failures = 0;
                self.state = State::Read { version, lines };
            }
            State::Read { version, mut lines } => {
                let line = tokio::time::timeout(SILENT, lines.next()).await;
                match line {
                    // Ended, silent, or cut in the middle: watch on from where we are.
                    Err(_) | Ok(None) => {
                        // A server that closes at once must not be asked in a tight loop.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        self.state = State::Watch { version };
                    }
                    Ok(Some(Err(error))) => {
                        tracing::debug!(kind = self.kind, %error, "watch broke");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        self.state = State::Watch { version };
                    }
                    Ok(Some(Ok(event))) => {
                        let version = self.take_event(event)?.unwrap_or(version);
                        self.state = State::Read { version, lines };
                    }
                }
            }
        }
        Ok(())
    }

    fn take_list(&mut self, objects: Vec<Object>) {
        let mut gone = std::mem::take(&mut self.known);
        for object in objects {
            let key = (object.namespace().to_owned(), object.name().to_owned());
            gone.remove(&key);
            self.known.insert(key, ());
            self.ready.push_back(Ok(Change::Applied(object)));
        }
        for (namespace, name) in gone.into_keys() {
            let mut object = Object(json!({
                "apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name},
            }));
            object.set_namespace(&namespace);
            self.ready.push_back(Ok(Change::Deleted(object)));
        }
        self.ready.push_back(Ok(Change::Synced));
    }

    /// Takes one event of the watch; returns the resource version to go on from.
    fn take_event(&mut self, mut event: Value) -> Result<Option<String>, Error> {
        let object = Object(event["object"].take());
        let version = object.resource_version().to_owned();
        let key = (object.namespace().to_owned(), object.name().to_owned());
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => {
                self.known.insert(key, ());
                self.ready.push_back(Ok(Change::Applied(object)));
            }
            Some("DELETED") => {
                self.known.remove(&key);
                self.ready.push_back(Ok(Change::Deleted(object)));
            }
            Some("BOOKMARK") => {}
            _ => {
                let code = object.at("/code").and_then(Value::as_u64).unwrap_or(500);
                let body = object.0.to_string();
                let code = u16::try_from(code).unwrap_or(500);
                return Err(Error::from_body(code, body.as_bytes(), None));
            }
        }
        Ok(Some(version).filter(|version| !version.is_empty()))
    }
}

/// Opens a watch from a resource version on.
async fn open(
    cluster: &Cluster,
    id: &ObjectId,
    selection: &Selection,
    version: &str,
) -> Result<Lines, Error> {
    let resource = cluster.served(id).await?;
    let namespace = selection.namespace.as_deref().unwrap_or_default();
    let path = with_query(
        resource.path(namespace, "", ""),
        &[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", &WATCH.as_secs().to_string()),
            ("resourceVersion", version),
            ("labelSelector", &selection.labels),
            ("fieldSelector", &selection.fields),
        ],
    );
    let call = Call::read(path);
    let opening = transport::open(cluster.client(), &call);
    let response =
        tokio::time::timeout(transport::REQUEST, opening).await.map_err(|_| Error::Timeout {
            method: "GET".to_owned(),
            path: transport::path_of(&call.path).to_owned(),
            seconds: transport::REQUEST.as_secs(),
        })??;
    Ok(lines(response.into_body(), resource))
}

/// Cuts a body into lines of JSON.
fn lines(body: kube::client::Body, resource: Resource) -> Lines {
    use http_body_util::BodyExt as _;
    let state = (body.into_data_stream(), Vec::<u8>::new(), resource);
    futures::stream::unfold(state, |(mut chunks, mut buffer, resource)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let parsed = serde_json::from_slice::<Value>(&line).map(|mut event| {
                    if event["type"] != "ERROR" && event["type"] != "BOOKMARK" {
                        event["object"] = typed(event["object"].take(), &resource).0;
                    }
                    event
                });
                let parsed = parsed.map_err(|error| Error::Broken { detail: error.to_string() });
                return Some((parsed, (chunks, buffer, resource)));
            }
            match chunks.next().await? {
                Ok(bytes) => buffer.extend_from_slice(&bytes),
                Err(error) => {
                    let error = Error::Broken { detail: error.to_string() };
                    return Some((Err(error), (chunks, Vec::new(), resource)));
                }
            }
        }
    })
    .boxed()
}
