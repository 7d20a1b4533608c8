//! The shared heart: store, clock, faults, and the in-process doors that the controllers use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::delete::{self, DeleteOptions, Deleted};
use super::fault::{Calls, Faults};
use super::resource::Resource;
use super::status::ApiError;
use super::store::Store;
use super::write::{self, Circumstances, Outcome, Unknown};
use super::{SimOptions, value};
use crate::base::clock::{Clock, Timestamp, rfc3339_seconds};
use crate::yaml::Value;

/// How far the store has come, and how often watches were cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    pub(crate) revision: u64,
    pub(crate) cuts: u64,
}

/// One simulated API server.
#[derive(Debug)]
pub(crate) struct Core {
    store: Mutex<Store>,
    progress: tokio::sync::watch::Sender<Progress>,
    clock: Arc<dyn Clock>,
    pub(crate) options: SimOptions,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

impl Core {
    /// Returns a server with nothing in it.
    pub(crate) fn new(options: SimOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            store: Mutex::new(Store::new(options.history)),
            progress: tokio::sync::watch::channel(Progress::default()).0,
            clock,
            options,
            faults: Faults::default(),
            calls: Calls::default(),
        }
    }

    /// Locks the store. Never held across an `await`.
    pub(crate) fn store(&self) -> Locked<'_> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let before = store.revision();
        Locked { core: self, store, before }
    }

    /// Returns the present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the present moment as Kubernetes prints it.
    pub(crate) fn now_text(&self) -> String {
        rfc3339_seconds(self.now())
    }

    /// Returns a receiver that hears of every change.
    pub(crate) fn watch_progress(&self) -> tokio::sync::watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Ends the running watches.
    pub(crate) fn cut_watches(&self) {
        self.progress.send_modify(|progress| progress.cuts += 1);
    }

    /// Forgets the history and ends the running watches.
    pub(crate) fn expire(&self) {
        self.store().forget_history();
        self.cut_watches();
    }

    fn circumstances(&self, manager: &str, subresource: &str) -> Circumstances {
        Circumstances {
            manager: manager.to_owned(),
            dry_run: false,
            unknown: Unknown::Drop,
            now: self.now_text(),
            subresource: subresource.to_owned(),
            giver: None,
        }
    }

    fn resource(store: &Store, storage: &str) -> Result<Arc<Resource>, ApiError> {
        store.registry.storage(storage).ok_or_else(ApiError::no_resource)
    }

    /// Returns an object.
    pub(crate) fn get(&self, storage: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.store().get(storage, namespace, name).cloned()
    }

    /// Returns the objects of a collection, or of one namespace of it.
    pub(crate) fn list(&self, storage: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.store().list(storage, namespace).map(|(_, object)| object.clone()).collect()
    }

    /// Creates an object as a controller does.
    pub(crate) fn create(
        &self,
        storage: &str,
        manager: &str,
        body: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let how = self.circumstances(manager, "");
        let mut store = self.store();
        let resource = Self::resource(&store, storage)?;
        let (mut object, _) = write::read(&resource, body, Unknown::Drop)?;
        let namespace = value::namespace(&object).to_owned();
        write::check_place(&resource, &mut object, &namespace, None)?;
        write::create(&mut store, &resource, object, &how).map(|outcome| outcome.object)
    }

    /// Reads, changes and writes an object as a controller does; nothing is written when `change`
    /// changes nothing. `subresource` is empty or `status`.
    pub(crate) fn edit(
        &self,
        (storage, namespace, name): (&str, &str, &str),
        manager: &str,
        subresource: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        let how = self.circumstances(manager, subresource);
        let mut store = self.store();
        let resource = Self::resource(&store, storage)?;
        let live = store.get(storage, namespace, name).cloned();
        let live = live.ok_or_else(|| ApiError::not_found(&resource, name))?;
        let mut object = Value::clone(&live);
        change(&mut object);
        if object == *live {
            return Ok(live);
        }
        write::update(&mut store, &resource, &live, object, &how)
            .map(|Outcome { object, .. }| object)
    }

    /// Deletes an object as a controller does.
    pub(crate) fn delete(
        &self,
        (storage, namespace, name): (&str, &str, &str),
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let now = self.now();
        let mut store = self.store();
        let resource = Self::resource(&store, storage)?;
        delete::delete(&mut store, &resource, (namespace, name), options, now)
    }

    /// Records an event about an object.
    pub(crate) fn event(
        &self,
        about: &Value,
        component: &str,
        (kind, reason): (&str, &str),
        message: &str,
    ) {
        let namespace = value::namespace(about);
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let now = self.now_text();
        let name = format!("{}.{:016x}", value::name(about), rand::random::<u64>());
        let body = serde_json::json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"], "name": value::name(about),
                "namespace": value::namespace(about), "uid": value::uid(about),
                "resourceVersion": value::text(about, "/metadata/resourceVersion"),
            },
            "reason": reason, "message": message, "type": kind, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "eventTime": null,
            "source": {"component": component}, "reportingComponent": component, "reportingInstance": "",
        });
        // An event that cannot be stored (its namespace is going) is lost, as on a real server.
        let _ = self.create("events", component, body);
    }
}

/// The locked store; tells the watches when something was written.
pub(crate) struct Locked<'a> {
    core: &'a Core,
    store: MutexGuard<'a, Store>,
    before: u64,
}

impl std::ops::Deref for Locked<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.store
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let revision = self.store.revision();
        if revision != self.before {
            self.core.progress.send_modify(|progress| progress.revision = revision);
        }
    }
}
