//! Go values as templates see them: the Go type decides how a value prints, compares and is passed.
//!
//! Strings are bytes. Maps have reference semantics: `set` and `merge` change the map that others
//! hold too. Lists never change. Everything clones by counting a reference.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use super::entries::Entries;
use super::frozen::FrozenMap;
use super::funcs::moments::{GoTime, Zone};
use crate::base::content::Content;
use crate::base::version::Version;

/// A byte string.
pub(crate) type Str = Arc<[u8]>;

/// The bytes of the nil `[]byte`, which no other `[]byte` shares: there is one in a thousand charts,
/// and telling it apart in the type would cost every other one.
static NIL_BYTES: LazyLock<Str> = LazyLock::new(|| Arc::from([]));

/// Returns a text as a byte string.
pub(crate) fn text(text: &str) -> Str {
    Arc::from(text.as_bytes())
}

/// Go's integer types that reach templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntKind {
    Int,
    Int64,
    /// `time.Month`: prints its English name.
    Month,
    /// `time.Weekday`: prints its English name.
    Weekday,
}

/// Go's unsigned types that reach templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UintKind {
    Uint8,
    Uint32,
    Uint64,
}

/// The element type of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Strings,
    /// `[]int`
    Ints,
    /// `[][]interface {}`
    Lists,
    /// `[]map[string]interface {}`: the tables below one header of TOML.
    Tables,
    /// `common.VersionSet`, a `[]string` with a method.
    VersionSet,
}

/// The type of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapKind {
    /// `map[string]interface {}`
    Plain,
    /// `common.Values`: `.Values` and `.Template`; has methods.
    Values,
    /// `map[string]string`
    Strings,
}

/// How a version is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionKind {
    /// `*semver.Version`: has all methods.
    Pointer,
    /// `semver.Version`: what the methods of a version give; has those that take no pointer.
    Plain,
}

/// A slice.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) kind: ListKind,
    /// Whether it is the nil slice: prints as an empty one, but is `null` in JSON.
    pub(crate) nil: bool,
    pub(crate) items: Vec<Value>,
}

/// The entries of a map, in bytewise key order.
#[derive(Debug, Default)]
pub(crate) struct Map {
    /// Whether it is the nil map, which cannot be written to.
    pub(crate) nil: bool,
    entries: RefCell<Entries>,
    /// Set when the map changes, for those who want to know.
    watch: Option<Watch>,
}

/// Tells that one of the maps that share it was changed.
pub(crate) type Watch = Rc<Cell<bool>>;

/// A map that others may hold too.
pub(crate) type MapRef = Rc<Map>;

/// A struct with named fields.
#[derive(Debug)]
pub(crate) struct Struct {
    /// Its Go type, with `*` for a pointer.
    pub(crate) type_name: &'static str,
    /// Whether Go can point at it, as at a part of what a pointer leads to: methods of its pointer
    /// are methods of it then. What a function gets is a copy, and has none of them.
    pub(crate) is_addressable: bool,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

/// The field with an error's text, which only errors have.
const ERROR_TEXT: &str = "msg";

/// `.Files`, or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    all: Arc<[(String, Content)]>,
    /// Indexes of the chosen ones; none: all.
    chosen: Option<Vec<usize>>,
}

/// A Go value.
#[derive(Debug, Clone, Default)]
pub(crate) enum Value {
    /// What is left of nil once a pipeline or a variable has held it: the invalid value.
    #[default]
    Invalid,
    /// A nil inside an interface: what a lookup in a map gives.
    Nil,
    Bool(bool),
    Int(i64, IntKind),
    Uint(u64, UintKind),
    Float(f64),
    Complex(f64, f64),
    Str(Str),
    /// `[]byte`
    Bytes(Str),
    List(Rc<List>),
    Map(MapKind, MapRef),
    Files(Rc<Files>),
    Time(Rc<GoTime>),
    /// `*time.Location`
    Location(Zone),
    /// Nanoseconds.
    Duration(i64),
    Version(VersionKind, Rc<Version>),
    Struct(Rc<Struct>),
}

impl Value {
    /// Returns a string.
    pub(crate) fn str(value: impl AsRef<[u8]>) -> Self {
        Self::Str(Arc::from(value.as_ref()))
    }

    /// Returns an error that a function gave as a value.
    pub(crate) fn error(type_name: &'static str, text: &str) -> Self {
        let fields = vec![(ERROR_TEXT, Self::str(text))];
        Self::Struct(Rc::new(Struct { type_name, is_addressable: false, fields }))
    }

    /// Returns an `int`.
    pub(crate) fn int(value: i64) -> Self {
        Self::Int(value, IntKind::Int)
    }

    /// Returns an `int64`.
    pub(crate) fn int64(value: i64) -> Self {
        Self::Int(value, IntKind::Int64)
    }

    /// Returns a length or an index as an `int`.
    pub(crate) fn size(value: usize) -> Self {
        Self::int(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Returns an `[]interface {}`.
    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::typed_list(ListKind::Any, items)
    }

    /// Returns a slice of a type.
    pub(crate) fn typed_list(kind: ListKind, items: Vec<Self>) -> Self {
        Self::List(Rc::new(List { kind, nil: false, items }))
    }

    /// Returns the nil slice of a type.
    pub(crate) fn nil_list(kind: ListKind) -> Self {
        Self::List(Rc::new(List { kind, nil: true, items: Vec::new() }))
    }

    /// Returns a `[]string`.
    pub(crate) fn strings<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::typed_list(ListKind::Strings, items.into_iter().map(Self::str).collect())
    }

    /// Returns a `map[string]interface {}`.
    pub(crate) fn map(map: Map) -> Self {
        Self::Map(MapKind::Plain, Rc::new(map))
    }

    /// Returns the nil `[]byte`: prints as an empty one, but is `null` in JSON.
    pub(crate) fn nil_bytes() -> Self {
        Self::Bytes(Str::clone(&NIL_BYTES))
    }

    /// Whether it is the nil `[]byte`.
    pub(crate) fn is_nil_bytes(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if Arc::ptr_eq(bytes, &NIL_BYTES))
    }

    /// Returns the nil map.
    pub(crate) fn nil_map() -> Self {
        let map = Map { nil: true, entries: RefCell::default(), watch: None };
        Self::Map(MapKind::Plain, Rc::new(map))
    }

    /// Whether it is nil as an argument of type `interface {}`.
    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Invalid | Self::Nil)
    }

    /// Returns about how many bytes it takes, if nothing else holds it yet; of what is inside, only
    /// the texts of a list of them are counted.
    #[inline]
    pub(crate) fn fresh_bytes(&self) -> usize {
        /// What a shared value takes beside its content.
        const HEAD: usize = 32;
        match self {
            Self::Str(text) | Self::Bytes(text) if Arc::strong_count(text) == 1 => {
                HEAD + text.len()
            }
            Self::List(list) if Rc::strong_count(list) == 1 => {
                let texts = |item: &Self| match item {
                    Self::Str(text) => HEAD + text.len(),
                    _ => 0,
                };
                let items = HEAD + list.items.len() * size_of::<Self>();
                match list.kind {
                    ListKind::Strings => items + list.items.iter().map(texts).sum::<usize>(),
                    _ => items,
                }
            }
            Self::Map(_, map) if Rc::strong_count(map) == 1 => {
                2 * HEAD + map.len() * size_of::<(Str, Self)>()
            }
            _ => 0,
        }
    }

    /// Returns how many bytes or items it has; 0 for what has none.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Str(text) | Self::Bytes(text) => text.len(),
            Self::List(list) => list.items.len(),
            Self::Map(_, map) => map.len(),
            _ => 0,
        }
    }

    /// Whether it counts as true in `if`, `and`, `or`, `not`.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Invalid | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value, _) | Self::Duration(value) => *value != 0,
            Self::Uint(value, _) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::Str(value) | Self::Bytes(value) => !value.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(_, map) => map.len() > 0,
            Self::Files(files) => files.len() > 0,
            Self::Time(_) | Self::Location(_) | Self::Version(..) | Self::Struct(_) => true,
        }
    }

    /// Returns the name of its Go type, as `%T` prints it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Invalid | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, kind) => match kind {
                IntKind::Int => "int",
                IntKind::Int64 => "int64",
                IntKind::Month => "time.Month",
                IntKind::Weekday => "time.Weekday",
            },
            Self::Uint(_, kind) => match kind {
                UintKind::Uint8 => "uint8",
                UintKind::Uint32 => "uint32",
                UintKind::Uint64 => "uint64",
            },
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::Str(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => list.kind.type_name(),
            Self::Map(kind, _) => match kind {
                MapKind::Plain => "map[string]interface {}",
                MapKind::Values => "common.Values",
                MapKind::Strings => "map[string]string",
            },
            Self::Files(_) => "engine.files",
            Self::Time(_) => "time.Time",
            Self::Location(_) => "*time.Location",
            Self::Duration(_) => "time.Duration",
            Self::Version(VersionKind::Pointer, _) => "*semver.Version",
            Self::Version(VersionKind::Plain, _) => "semver.Version",
            Self::Struct(value) => value.type_name,
        }
    }

    /// Returns the name of its `reflect.Kind`.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Invalid | Self::Nil => "invalid",
            Self::Int(_, IntKind::Month | IntKind::Weekday) => "int",
            Self::Bytes(_) | Self::List(_) => "slice",
            Self::Map(..) | Self::Files(_) => "map",
            Self::Time(_) | Self::Version(VersionKind::Plain, _) => "struct",
            Self::Duration(_) => "int64",
            Self::Version(VersionKind::Pointer, _) | Self::Location(_) => "ptr",
            Self::Struct(value) if value.type_name.starts_with('*') => "ptr",
            Self::Struct(_) => "struct",
            _ => self.type_name(),
        }
    }

    /// Returns it as an element of an `interface {}`: the invalid value becomes nil.
    pub(crate) fn boxed(self) -> Self {
        if matches!(self, Self::Invalid) { Self::Nil } else { self }
    }

    /// Returns it as a pipeline does: a nil loses its interface.
    pub(crate) fn unboxed(self) -> Self {
        if matches!(self, Self::Nil) { Self::Invalid } else { self }
    }

    /// Returns the elements, if it is a slice of any type.
    pub(crate) fn elements(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list.items.clone()),
            Self::Bytes(bytes) => Some(
                bytes.iter().map(|&byte| Self::Uint(u64::from(byte), UintKind::Uint8)).collect(),
            ),
            _ => None,
        }
    }
}

impl ListKind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Strings => "[]string",
            Self::Ints => "[]int",
            Self::Lists => "[][]interface {}",
            Self::Tables => "[]map[string]interface {}",
            Self::VersionSet => "common.VersionSet",
        }
    }
}

impl Map {
    /// Returns a map of entries that are in bytewise key order already.
    pub(crate) fn from_sorted(entries: Vec<(Str, Value)>) -> Self {
        let entries = RefCell::new(Entries::from_sorted(entries));
        Self { nil: false, entries, watch: None }
    }

    /// Returns a map of what was frozen. It is unfrozen level by level when it is read.
    pub(crate) fn of_frozen(frozen: &Arc<FrozenMap>, watch: Option<&Watch>) -> Self {
        let entries = RefCell::new(Entries::of_frozen(Arc::clone(frozen)));
        Self { nil: false, entries, watch: watch.map(Rc::clone) }
    }

    /// Returns an empty map that tells when it changes.
    pub(crate) fn watched(watch: &Watch) -> Self {
        Self { nil: false, entries: RefCell::default(), watch: Some(Rc::clone(watch)) }
    }

    fn read(&self) -> Ref<'_, Entries> {
        let entries = self.entries.borrow();
        if !entries.is_frozen() {
            return entries;
        }
        drop(entries);
        self.entries.borrow_mut().unfreeze(self.watch.as_ref());
        self.entries.borrow()
    }

    /// Whether nobody has read or changed it since it was frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.entries.borrow().is_frozen()
    }

    fn write(&self) -> RefMut<'_, Entries> {
        let mut entries = self.entries.borrow_mut();
        entries.unfreeze(self.watch.as_ref());
        entries
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Value> {
        self.read().get(key).cloned()
    }

    /// Whether the key is present.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.read().get(key).is_some()
    }

    /// Sets the value of a key.
    pub(crate) fn set(&self, key: Str, value: Value) {
        self.changed();
        self.put(key, value);
    }

    /// Sets the value of a key as [`Map::set`], which nobody needs to know.
    pub(crate) fn put(&self, key: Str, value: Value) {
        self.write().put(key, value.boxed());
    }

    /// Removes a key.
    pub(crate) fn unset(&self, key: &[u8]) {
        self.changed();
        self.write().remove(key);
    }

    /// Returns the entries as they are now: later changes don't show.
    pub(crate) fn entries(&self) -> Vec<(Str, Value)> {
        self.read().all().to_vec()
    }

    /// Returns the keys as they are now.
    pub(crate) fn keys(&self) -> Vec<Str> {
        self.read().all().iter().map(|(key, _)| Arc::clone(key)).collect()
    }

    /// Runs a function on the entries; it must not change the map.
    pub(crate) fn with_entries<T>(&self, read: impl FnOnce(&[(Str, Value)]) -> T) -> T {
        read(self.read().all())
    }

    fn changed(&self) {
        if let Some(watch) = &self.watch {
            watch.set(true);
        }
    }

    /// Drops all entries.
    pub(crate) fn clear(&self) {
        self.entries.take();
    }
}

/// Taking a deep value apart must not recurse: its depth is up to the template.
impl Drop for Map {
    fn drop(&mut self) {
        take_apart(self.entries.get_mut().take_values().collect());
    }
}

impl Drop for List {
    fn drop(&mut self) {
        take_apart(std::mem::take(&mut self.items));
    }
}

fn take_apart(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::Map(_, map) => {
                if let Some(mut map) = Rc::into_inner(map) {
                    pending.extend(map.entries.get_mut().take_values());
                }
            }
            Value::List(list) => {
                if let Some(mut list) = Rc::into_inner(list) {
                    pending.append(&mut list.items);
                }
            }
            _ => {}
        }
    }
}

impl Struct {
    /// Returns the value of a field.
    pub(crate) fn field(&self, name: &[u8]) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, value)| value)
    }

    /// Whether it is a version of Kubernetes with the methods that its pointer has.
    pub(crate) fn has_version_methods(&self) -> bool {
        self.is_addressable && self.type_name == "common.KubeVersion"
    }

    /// Returns the text of an error.
    pub(crate) fn error_text(&self) -> Option<&Str> {
        match &self.fields[..] {
            [(ERROR_TEXT, Value::Str(text))] => Some(text),
            _ => None,
        }
    }

    /// Returns a copy, as what is passed by value.
    pub(crate) fn copy(&self) -> Self {
        Self { is_addressable: false, fields: self.fields.clone(), ..*self }
    }
}

impl Files {
    /// Returns all files of a chart.
    pub(crate) fn new(all: Arc<[(String, Content)]>) -> Self {
        Self { all, chosen: None }
    }

    /// Iterates in name order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Content)> {
        let whole = self.chosen.is_none().then_some(self.all.iter());
        let part = self.chosen.iter().flatten().filter_map(|&index| self.all.get(index));
        whole.into_iter().flatten().chain(part).map(|(name, content)| (name.as_str(), content))
    }

    /// Returns the number of files.
    pub(crate) fn len(&self) -> usize {
        self.chosen.as_ref().map_or(self.all.len(), Vec::len)
    }

    /// Returns a file's content.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Content> {
        self.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, content)| content)
    }

    /// Returns those whose name matches; the first that it is not known of fails.
    pub(crate) fn filter<E>(
        &self,
        mut matches: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let mut chosen = Vec::new();
        for (index, (name, _)) in self.all.iter().enumerate() {
            // They are in order.
            let is_here = |chosen: &Vec<usize>| chosen.binary_search(&index).is_ok();
            if self.chosen.as_ref().is_none_or(is_here) && matches(name)? {
                chosen.push(index);
            }
        }
        Ok(Self { all: Arc::clone(&self.all), chosen: Some(chosen) })
    }
}
