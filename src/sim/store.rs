//! Objects, one counter of revisions, and the recent history that watches read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::resource::Registry;
use super::value;
use crate::yaml::Value;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    Added,
    Modified,
    Deleted,
}

/// One change: the object after it (before it, when deleted, but with the deletion's revision).
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) storage: Arc<str>,
    pub(crate) happened: Happened,
    pub(crate) object: Arc<Value>,
    /// The object before, when it existed.
    pub(crate) before: Option<Arc<Value>>,
}

/// All objects of one API server.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    collections: HashMap<Arc<str>, BTreeMap<String, Arc<Value>>>,
    history: VecDeque<Change>,
    /// The newest revision whose change is no longer in the history.
    floor: u64,
    history_limit: usize,
    pub(crate) registry: Registry,
    next_address: u32,
}

/// Returns the key of an object in its collection: `namespace/name`, or `/name`.
pub(crate) fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl Store {
    /// Returns an empty store with the built-in resources.
    pub(crate) fn new(history_limit: usize) -> Self {
        Self {
            revision: 1,
            collections: HashMap::new(),
            history: VecDeque::new(),
            floor: 1,
            history_limit,
            registry: Registry::built_in(),
            next_address: 0,
        }
    }

    /// Returns the present revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns an object.
    pub(crate) fn get(&self, storage: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.collections.get(storage)?.get(&key(namespace, name))
    }

    /// Returns the objects of a collection (of one namespace), in the order of their keys.
    pub(crate) fn list<'s>(
        &'s self,
        storage: &str,
        namespace: Option<&'s str>,
    ) -> impl Iterator<Item = (&'s String, &'s Arc<Value>)> {
        let start = namespace.map_or(String::new(), |namespace| format!("{namespace}/"));
        let prefix = start.clone();
        let objects =
            self.collections.get(storage).into_iter().flat_map(move |c| c.range(start.clone()..));
        objects.take_while(move |(key, _)| key.starts_with(&prefix))
    }

    /// Returns the names of the collections that hold something.
    pub(crate) fn storages(&self) -> Vec<Arc<str>> {
        let full = self.collections.iter().filter(|(_, objects)| !objects.is_empty());
        full.map(|(storage, _)| storage.clone()).collect()
    }

    /// Stores an object under a new revision and returns it.
    pub(crate) fn put(&mut self, storage: &Arc<str>, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        value::set(&mut object, &["metadata", "resourceVersion"], self.revision.to_string());
        let key = key(value::namespace(&object), value::name(&object));
        let object = Arc::new(object);
        let collection = self.collections.entry(storage.clone()).or_default();
        let before = collection.insert(key, object.clone());
        let happened = if before.is_some() { Happened::Modified } else { Happened::Added };
        self.note(storage, happened, object.clone(), before);
        object
    }

    /// Removes an object and returns its last state, with the deletion's revision.
    pub(crate) fn remove(
        &mut self,
        storage: &Arc<str>,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Value>> {
        let before = self.collections.get_mut(storage)?.remove(&key(namespace, name))?;
        self.revision += 1;
        let mut last = Value::clone(&before);
        value::set(&mut last, &["metadata", "resourceVersion"], self.revision.to_string());
        let last = Arc::new(last);
        self.note(storage, Happened::Deleted, last.clone(), Some(before));
        Some(last)
    }

    fn note(
        &mut self,
        storage: &Arc<str>,
        happened: Happened,
        object: Arc<Value>,
        before: Option<Arc<Value>>,
    ) {
        let revision = self.revision;
        self.history.push_back(Change {
            revision,
            storage: storage.clone(),
            happened,
            object,
            before,
        });
        if self.history.len() > self.history_limit
            && let Some(dropped) = self.history.pop_front()
        {
            self.floor = dropped.revision;
        }
    }

    /// Returns the changes after a revision, or nothing when the history no longer reaches back.
    pub(crate) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        if revision < self.floor {
            return None;
        }
        let start = self.history.partition_point(|change| change.revision <= revision);
        Some(self.history.range(start..))
    }

    /// Returns the oldest revision from which changes are still known.
    pub(crate) fn oldest(&self) -> u64 {
        self.floor
    }

    /// Forgets the history: every older revision is too old from now on.
    pub(crate) fn forget_history(&mut self) {
        self.history.clear();
        self.floor = self.revision;
    }

    /// Returns a free cluster address of `10.0.0.0/16`.
    pub(crate) fn allocate_address(&mut self) -> String {
        self.next_address += 1;
        let number = self.next_address % 65_000 + 9;
        format!("10.0.{}.{}", number / 256, number % 256)
    }
}
