//! The verbs: get, list, create, apply, replace, patch, delete.

use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::access::Access;
use super::discovery::{Discovery, Resource, ServerVersion};
use super::error::Error;
use super::object::{Object, ObjectId};
use super::retry::Repeatable;
use super::transport::{Call, send, send_json, with_query};
use crate::yaml::Value;

/// Pages of a list hold at most so many objects.
const PAGE: &str = "500";
/// Most bytes of a log that are read.
const LOG_BYTES: &str = "65536";
/// A miss within this time of the last reading is a miss; later it is asked afresh.
const FRESH: Duration = Duration::from_millis(300);

/// A connection to one API server, cheap to clone, with what the server serves.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    /// How long a request waits for what heals by itself.
    patience: Duration,
}

struct Inner {
    client: kube::Client,
    /// Where the API server is; empty where that has no address.
    address: String,
    manager: String,
    discovery: RwLock<Option<(Instant, Arc<Discovery>)>>,
    reading: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("manager", &self.inner.manager).finish_non_exhaustive()
    }
}

/// Which objects of a kind are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only this namespace; none: all of them.
    pub namespace: Option<String>,
    /// Label selector in Kubernetes' text form; may be empty.
    pub labels: String,
    /// Field selector in Kubernetes' text form; may be empty.
    pub fields: String,
}

impl Selection {
    /// Returns all objects of one namespace.
    pub fn namespace(namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..Self::default() }
    }

    /// Narrows by a label selector.
    #[must_use]
    pub fn labels(mut self, labels: impl Into<String>) -> Self {
        self.labels = labels.into();
        self
    }

    /// Narrows by a field selector.
    #[must_use]
    pub fn fields(mut self, fields: impl Into<String>) -> Self {
        self.fields = fields.into();
        self
    }
}

/// What the server does about fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// They are an error.
    Strict,
    /// They are dropped.
    Ignore,
}

/// How a server-side apply is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Take fields over from other managers instead of failing.
    pub force: bool,
    /// Only compute the result.
    pub dry_run: bool,
    /// Unknown fields.
    pub validation: Validation,
    /// `status`, or empty for the object itself.
    pub subresource: &'static str,
}

impl ApplyOptions {
    /// Takes conflicting fields over; unknown fields are errors.
    pub fn forced() -> Self {
        Self { force: true, dry_run: false, validation: Validation::Strict, subresource: "" }
    }

    /// Fails on conflicts; unknown fields are errors.
    pub fn polite() -> Self {
        Self { force: false, ..Self::forced() }
    }

    /// Computes what [`ApplyOptions::forced`] would give.
    pub fn dry_run() -> Self {
        Self { dry_run: true, ..Self::forced() }
    }
}

impl Cluster {
    /// Wraps a client. Field manager of every write is `manager`.
    pub fn new(client: kube::Client, manager: impl Into<String>) -> Self {
        Self::at(client, manager.into(), String::new())
    }

    pub(super) fn at(client: kube::Client, manager: String, address: String) -> Self {
        let inner = Inner {
            client,
            address,
            manager,
            discovery: RwLock::new(None),
            reading: tokio::sync::Mutex::new(()),
        };
        Self { inner: Arc::new(inner), patience: Duration::ZERO }
    }

    /// Connects to the cluster that is meant.
    ///
    /// # Errors
    /// There is no usable configuration.
    pub async fn of(access: &Access, manager: &str) -> Result<Self, Error> {
        Self::connect(access.config().await?, manager)
    }

    /// Connects as a kubeconfig or the Pod's service account says. Repetition of requests is this
    /// room's business ([`super::retry`]), so the client's own is turned off.
    ///
    /// # Errors
    /// The configuration cannot be used (certificates, credentials).
    pub fn connect(mut config: kube::Config, manager: impl Into<String>) -> Result<Self, Error> {
        config.default_retry = false;
        // A watch may be silent for long; its own idle limit is in the watch.
        config.read_timeout = None;
        let address = config.cluster_url.to_string();
        let client = kube::Client::try_from(config).map_err(|error| {
            Error::Request(format!("use the Kubernetes configuration: {error}"))
        })?;
        Ok(Self::at(client, manager.into(), address))
    }

    /// Returns the client below.
    pub fn client(&self) -> &kube::Client {
        &self.inner.client
    }

    /// Returns the field manager of every write.
    pub fn manager(&self) -> &str {
        &self.inner.manager
    }

    /// Returns the same connection (discovery not shared) that writes as another manager.
    #[must_use]
    pub fn with_manager(&self, manager: impl Into<String>) -> Self {
        let (client, address) = (self.inner.client.clone(), self.inner.address.clone());
        Self { patience: self.patience, ..Self::at(client, manager.into(), address) }
    }

    /// Returns the same connection for who would rather wait than fail: for so long a request
    /// waits for an API server that is away or overloaded. A change is never made twice.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), patience }
    }

    /// Returns where the API server is; empty where that has no address.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    pub(super) async fn send(&self, call: &Call) -> Result<Bytes, Error> {
        send(&self.inner.client, call, self.patience).await
    }

    pub(super) async fn send_json(&self, call: &Call) -> Result<Value, Error> {
        send_json(&self.inner.client, call, self.patience).await
    }

    /// Asks for the server's version.
    ///
    /// # Errors
    /// The request fails.
    pub async fn version(&self) -> Result<ServerVersion, Error> {
        let value = self.send_json(&Call::read("/version".to_owned())).await?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(ServerVersion {
            git_version: text("gitVersion"),
            major: text("major"),
            minor: text("minor"),
        })
    }

    /// Returns `group/version` and `group/version/Kind` of everything served, sorted: Helm's
    /// `.Capabilities.APIVersions`.
    ///
    /// # Errors
    /// Discovery fails.
    pub async fn api_versions(&self) -> Result<Vec<String>, Error> {
        Ok(self.discovery(None).await?.api_versions())
    }

    /// Returns how a kind is served; a miss is asked afresh once.
    ///
    /// # Errors
    /// Discovery fails.
    pub async fn resource(&self, api_version: &str, kind: &str) -> Result<Option<Resource>, Error> {
        let known = self.discovery(None).await?;
        if let Some(found) = known.resource(api_version, kind) {
            return Ok(Some(found.clone()));
        }
        let fresh = self.discovery(Some(&known)).await?;
        Ok(fresh.resource(api_version, kind).cloned())
    }

    /// Returns a kind in whichever version its group prefers.
    ///
    /// # Errors
    /// Discovery fails.
    pub async fn preferred(&self, group: &str, kind: &str) -> Result<Option<Resource>, Error> {
        Ok(self.discovery(None).await?.preferred(group, kind).cloned())
    }

    /// Forgets what the server serves: the next question asks afresh.
    pub fn forget_discovery(&self) {
        *self.inner.discovery.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    fn cached(&self) -> Option<(Instant, Arc<Discovery>)> {
        self.inner.discovery.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Returns what is served; `stale` is a reading that did not have what was looked for.
    async fn discovery(&self, stale: Option<&Arc<Discovery>>) -> Result<Arc<Discovery>, Error> {
        let usable = |cached: Option<(Instant, Arc<Discovery>)>| {
            cached.filter(|(at, found)| match stale {
                Some(stale) => !Arc::ptr_eq(found, stale) || at.elapsed() < FRESH,
                None => true,
            })
        };
        if let Some((_, found)) = usable(self.cached()) {
            return Ok(found);
        }
        // One reading at a time; whoever waited takes the result of the one before.
        let _reading = self.inner.reading.lock().await;
        if let Some((_, found)) = usable(self.cached()) {
            return Ok(found);
        }
        let found = Arc::new(Discovery::read(&self.inner.client, self.patience).await?);
        let mut slot =
            self.inner.discovery.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *slot = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    /// Returns how an object's kind is served, or Helm's error about it.
    pub(crate) async fn served(&self, id: &ObjectId) -> Result<Resource, Error> {
        let api_version = id.api_version();
        self.resource(&api_version, &id.kind).await?.ok_or_else(|| Error::NoKind {
            api_version,
            kind: id.kind.clone(),
            namespace: id.namespace.clone(),
            name: id.name.clone(),
        })
    }

    /// Reads one object.
    ///
    /// # Errors
    /// The request fails; an object that does not exist is `None`.
    pub async fn get(&self, id: &ObjectId) -> Result<Option<Object>, Error> {
        id.check_named()?;
        let path = self.served(id).await?.path(&id.namespace, &id.name, "");
        match self.send_json(&Call::read(path)).await {
            Ok(value) => Ok(Some(Object(value))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object, or (`name` is empty) the list of them, whole and as the server writes it.
    /// An empty `namespace` means all namespaces.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_not_found`].
    pub async fn read(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Error> {
        self.send_json(&Call::read(resource.path(namespace, name, ""))).await
    }

    /// Lists objects of a kind, page by page.
    ///
    /// # Errors
    /// A request fails, or the kind is not served.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        selection: &Selection,
    ) -> Result<Vec<Object>, Error> {
        let resource = self.served(&ObjectId::new(api_version, kind, "", "")).await?;
        Ok(self.list_pages(&resource, selection, "application/json").await?.0)
    }

    /// Lists objects of a kind without their content: `metadata` only, where the server can.
    ///
    /// # Errors
    /// A request fails, or the kind is not served.
    pub async fn list_metadata(
        &self,
        api_version: &str,
        kind: &str,
        selection: &Selection,
    ) -> Result<Vec<Object>, Error> {
        let resource = self.served(&ObjectId::new(api_version, kind, "", "")).await?;
        let accept =
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        Ok(self.list_pages(&resource, selection, accept).await?.0)
    }

    /// Lists a resource; returns also the resource version of the list.
    pub(crate) async fn list_pages(
        &self,
        resource: &Resource,
        selection: &Selection,
        accept: &'static str,
    ) -> Result<(Vec<Object>, String), Error> {
        let namespace = selection.namespace.as_deref().unwrap_or_default();
        let mut objects = Vec::new();
        let mut next = String::new();
        loop {
            let path = with_query(
                resource.path(namespace, "", ""),
                &[
                    ("labelSelector", &selection.labels),
                    ("fieldSelector", &selection.fields),
                    ("limit", PAGE),
                    ("continue", &next),
                ],
            );
            let call = Call { accept, ..Call::read(path) };
            let mut list = match self.send_json(&call).await {
                Ok(list) => list,
                // The pages' snapshot is too old: begin again.
                Err(error) if error.code() == Some(410) && !next.is_empty() => {
                    objects.clear();
                    next.clear();
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) {
                objects.reserve(items.len());
                objects.extend(items.into_iter().map(|item| typed(item, resource)));
            }
            let meta = |name: &str| list["metadata"][name].as_str().unwrap_or_default().to_owned();
            next = meta("continue");
            if next.is_empty() {
                return Ok((objects, meta("resourceVersion")));
            }
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_already_exists`].
    pub async fn create(&self, object: &Object) -> Result<Object, Error> {
        let id = object.id();
        let path = self.served(&id).await?.path(&id.namespace, "", "");
        let path = with_query(path, &[("fieldManager", self.manager())]);
        let call =
            Call { repeatable: Repeatable::No, ..Call::write(Method::POST, path, &object.0) };
        Ok(Object(self.send_json(&call).await?))
    }

    /// Creates an object, again where the answer to the first attempt was lost: it may then be
    /// said to exist already although nobody else made it.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_already_exists`].
    pub async fn create_repeatedly(&self, object: &Object) -> Result<Object, Error> {
        let id = object.id();
        let path = self.served(&id).await?.path(&id.namespace, "", "");
        let path = with_query(path, &[("fieldManager", self.manager())]);
        Ok(Object(self.send_json(&Call::write(Method::POST, path, &object.0)).await?))
    }

    /// Applies an object on the server side and returns the result.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_conflict`].
    pub async fn apply(&self, object: &Object, options: &ApplyOptions) -> Result<Object, Error> {
        let id = object.id();
        id.check_named()?;
        let path = self.served(&id).await?.path(&id.namespace, &id.name, options.subresource);
        let validation = match options.validation {
            Validation::Strict => "Strict",
            Validation::Ignore => "Ignore",
        };
        let path = with_query(
            path,
            &[
                ("fieldManager", self.manager()),
                ("force", if options.force { "true" } else { "false" }),
                ("fieldValidation", validation),
                ("dryRun", if options.dry_run { "All" } else { "" }),
            ],
        );
        let call = Call {
            content_type: "application/apply-patch+yaml",
            ..Call::write(Method::PATCH, path, &object.0)
        };
        match self.send_json(&call).await {
            Ok(live) => Ok(Object(live)),
            Err(error) => Err(self.unserved(&id, error).await),
        }
    }

    /// What was known of a kind may be out of date: its definition is gone meanwhile.
    async fn unserved(&self, id: &ObjectId, error: Error) -> Error {
        if !error.is_not_found() {
            return error;
        }
        self.forget_discovery();
        match self.served(id).await {
            Err(gone @ Error::NoKind { .. }) => gone,
            Ok(_) | Err(_) => error,
        }
    }

    /// Replaces an object; with a `resourceVersion` only that version of it.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_conflict`].
    pub async fn replace(&self, object: &Object) -> Result<Object, Error> {
        self.replace_part(object, "").await
    }

    /// Replaces an object's subresource, such as `status`.
    ///
    /// # Errors
    /// The request fails; see [`Error::is_conflict`].
    pub async fn replace_part(&self, object: &Object, subresource: &str) -> Result<Object, Error> {
        let id = object.id();
        let path = self.served(&id).await?.path(&id.namespace, &id.name, subresource);
        let path = with_query(path, &[("fieldManager", self.manager())]);
        let call = Call::write(Method::PUT, path, &object.0);
        Ok(Object(self.send_json(&call).await?))
    }

    /// Patches an object with JSON patch operations (RFC 6902).
    ///
    /// # Errors
    /// The request fails.
    pub async fn patch_json(
        &self,
        id: &ObjectId,
        operations: &Value,
        subresource: &str,
    ) -> Result<Object, Error> {
        self.patch(id, operations, "application/json-patch+json", subresource).await
    }

    /// Patches an object with a JSON merge patch (RFC 7386); a `metadata.resourceVersion` in it
    /// makes it conditional.
    ///
    /// # Errors
    /// The request fails.
    pub async fn patch_merge(
        &self,
        id: &ObjectId,
        patch: &Value,
        subresource: &str,
    ) -> Result<Object, Error> {
        self.patch(id, patch, "application/merge-patch+json", subresource).await
    }

    async fn patch(
        &self,
        id: &ObjectId,
        patch: &Value,
        content_type: &'static str,
        subresource: &str,
    ) -> Result<Object, Error> {
        let path = self.served(id).await?.path(&id.namespace, &id.name, subresource);
        let path = with_query(path, &[("fieldManager", self.manager())]);
        // A JSON patch may append: sending it twice is not sending it once.
        let repeatable =
            if content_type.contains("json-patch") { Repeatable::No } else { Repeatable::Yes };
        let call = Call { content_type, repeatable, ..Call::write(Method::PATCH, path, patch) };
        Ok(Object(self.send_json(&call).await?))
    }

    /// Reads the last lines of a container's log; of its life before, where it was restarted.
    ///
    /// # Errors
    /// The request fails.
    pub async fn log(
        &self,
        pod: &ObjectId,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<String, Error> {
        let path = self.served(pod).await?.path(&pod.namespace, &pod.name, "log");
        let lines = lines.to_string();
        let path = with_query(
            path,
            &[
                ("container", container),
                ("previous", if previous { "true" } else { "" }),
                ("tailLines", &lines),
                ("limitBytes", LOG_BYTES),
            ],
        );
        let body = self.send(&Call { accept: "*/*", ..Call::read(path) }).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a plain read to any path, such as `/readyz`.
    ///
    /// # Errors
    /// The request fails.
    pub async fn read_path(&self, path: &str) -> Result<Bytes, Error> {
        self.send(&Call::read(path.to_owned())).await
    }
}

/// Gives an item of a list its `apiVersion` and `kind`, which lists leave out.
pub(crate) fn typed(item: Value, resource: &Resource) -> Object {
    let mut item = item;
    if let Some(map) = item.as_object_mut() {
        // Metadata-only items name their own wrapper kind.
        map.insert("apiVersion".to_owned(), resource.api_version.clone().into());
        map.insert("kind".to_owned(), resource.kind.clone().into());
    }
    Object(item)
}
