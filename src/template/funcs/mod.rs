//! The functions that templates call: Go's builtins, sprig's and Helm's.
//!
//! Each function is a row of a table: name, parameter types, function. The evaluation checks arity
//! and converts arguments by the row; the function itself only computes. A Go panic and a Go error
//! look the same to a template, so both are an `Err` here.

mod addresses;
pub(super) mod builtins;
mod cases;
mod certs;
mod ciphers;
mod crypto;
pub(super) mod dates;
mod dicts;
mod encoding;
mod globs;
mod helm;
mod keys;
mod layouts;
mod letters;
mod lists;
mod math;
pub(super) mod moments;
pub(super) mod objects;
mod paths;
mod readings;
mod regex_syntax;
pub(super) mod regexes;
mod semvers;
mod strings;
mod toml;
mod types;
mod urls;
mod words;

use std::sync::LazyLock;

use super::entries::head;
use super::error::Fail;
use super::eval::Machine;
use super::strconv;
use super::value::{IntKind, List, ListKind, MapKind, MapRef, Str, UintKind, Value, VersionKind};

/// What a function gives.
pub(super) type Outcome = Result<Value, Fail>;

/// A parameter's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    /// `interface {}`: nil is nil.
    Any,
    /// `reflect.Value`: nil inside an interface and the invalid value differ.
    Reflect,
    Str,
    Int,
    Uint32,
    Bool,
    Float,
    /// `map[string]interface {}`
    Map,
    /// `[]interface {}`
    List,
    /// `[]byte`
    Bytes,
    Time,
    Location,
    Duration,
    Certificate,
    Version,
    /// `io.Writer`, which no value is.
    Writer,
}

impl Ty {
    /// Returns Go's name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Str => "string",
            Self::Int => "int",
            Self::Uint32 => "uint32",
            Self::Bool => "bool",
            Self::Float => "float64",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Bytes => "[]uint8",
            Self::Time => "time.Time",
            Self::Location => "*time.Location",
            Self::Duration => "time.Duration",
            Self::Certificate => "sprig.certificate",
            Self::Version => "*semver.Version",
            Self::Writer => "io.Writer",
        }
    }

    /// Returns the nil of the type, if it has one.
    pub(crate) fn nil(self) -> Option<Value> {
        match self {
            Self::Any | Self::Location | Self::Version | Self::Writer => Some(Value::Nil),
            Self::Bytes => Some(Value::nil_bytes()),
            Self::Reflect => Some(Value::Invalid),
            Self::Map => Some(Value::nil_map()),
            Self::List => Some(Value::nil_list(ListKind::Any)),
            _ => None,
        }
    }

    /// Whether a value, not nil, can be passed as it is.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Any | Self::Reflect => true,
            Self::Map => matches!(value, Value::Map(MapKind::Plain | MapKind::Values, _)),
            Self::List => matches!(value, Value::List(list) if list.kind == ListKind::Any),
            _ => value.type_name() == self.name(),
        }
    }
}

/// A function or a method.
#[derive(Debug)]
pub(crate) struct Func {
    pub(crate) name: &'static str,
    /// Fixed parameters; a method's receiver is not one, but comes first in the arguments.
    pub(crate) params: &'static [Ty],
    /// The variadic parameter.
    pub(crate) rest: Option<Ty>,
    pub(crate) call: fn(&mut Machine<'_>, Args<'_>) -> Outcome,
    /// `and` and `or` stop at the first value of this truth.
    pub(crate) short_circuit: Option<bool>,
    /// Whether it may give something else for the same arguments: by chance, by the clock, or
    /// because it asks somebody.
    pub(crate) varies: bool,
}

impl Func {
    const fn new(
        name: &'static str,
        params: &'static [Ty],
        call: fn(&mut Machine<'_>, Args<'_>) -> Outcome,
    ) -> Self {
        Self { name, params, rest: None, call, short_circuit: None, varies: false }
    }

    const fn varying(
        name: &'static str,
        params: &'static [Ty],
        call: fn(&mut Machine<'_>, Args<'_>) -> Outcome,
    ) -> Self {
        Self { name, params, rest: None, call, short_circuit: None, varies: true }
    }

    const fn variadic(
        name: &'static str,
        params: &'static [Ty],
        rest: Ty,
        call: fn(&mut Machine<'_>, Args<'_>) -> Outcome,
    ) -> Self {
        Self { name, params, rest: Some(rest), call, short_circuit: None, varies: false }
    }
}

/// Arguments that have been checked against the row's types.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a>(pub(crate) &'a [Value]);

impl<'a> Args<'a> {
    fn any(self, index: usize) -> &'a Value {
        const NIL: &Value = &Value::Nil;
        self.0.get(index).unwrap_or(NIL)
    }

    fn rest(self, from: usize) -> &'a [Value] {
        self.0.get(from..).unwrap_or_default()
    }

    fn str(self, index: usize) -> &'a [u8] {
        match self.any(index) {
            Value::Str(text) => text,
            _ => b"",
        }
    }

    fn shared_str(self, index: usize) -> Str {
        match self.any(index) {
            Value::Str(text) => Str::clone(text),
            _ => Str::from([]),
        }
    }

    fn int(self, index: usize) -> i64 {
        match self.any(index) {
            Value::Int(number, _) | Value::Duration(number) => *number,
            Value::Uint(number, UintKind::Uint32) => i64::try_from(*number).unwrap_or(0),
            _ => 0,
        }
    }

    fn bool(self, index: usize) -> bool {
        matches!(self.any(index), Value::Bool(true))
    }

    fn float(self, index: usize) -> f64 {
        match self.any(index) {
            Value::Float(number) => *number,
            _ => 0.0,
        }
    }

    fn map(self, index: usize) -> MapRef {
        match self.any(index) {
            Value::Map(_, map) => MapRef::clone(map),
            _ => MapRef::default(),
        }
    }

    fn list(self, index: usize) -> &'a [Value] {
        match self.any(index) {
            Value::List(list) => &list.items,
            _ => &[],
        }
    }
}

/// Lossy text of bytes, for messages and for functions that only know text.
fn lossy(text: &[u8]) -> std::borrow::Cow<'_, str> {
    strconv::lossy(text)
}

const TABLES: &[&[Func]] = &[
    builtins::TABLE,
    certs::TABLE,
    ciphers::TABLE,
    crypto::TABLE,
    dates::TABLE,
    dicts::TABLE,
    encoding::TABLE,
    helm::TABLE,
    lists::TABLE,
    math::TABLE,
    paths::TABLE,
    regexes::TABLE,
    semvers::TABLE,
    strings::TABLE,
    toml::TABLE,
    types::TABLE,
    urls::TABLE,
    words::TABLE,
];

/// All functions, by the first bytes of their names: a template names thousands of them, and most
/// are told apart by one number.
static BY_HEAD: LazyLock<Vec<(u64, &'static Func)>> = LazyLock::new(|| {
    let all = TABLES.iter().flat_map(|table| table.iter());
    let mut all: Vec<_> = all.map(|func| (head(func.name.as_bytes()), func)).collect();
    all.sort_by_key(|(head, _)| *head);
    all
});

/// Returns the names of all functions.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    TABLES.iter().flat_map(|table| table.iter()).map(|func| func.name).collect()
}

/// Returns the names of the functions that may give something else each time.
#[cfg(test)]
pub(super) fn varying() -> Vec<&'static str> {
    let all = TABLES.iter().flat_map(|table| table.iter());
    all.filter(|func| func.varies).map(|func| func.name).collect()
}

/// Returns the function of a name.
pub(super) fn find(name: &[u8]) -> Option<&'static Func> {
    let wanted = head(name);
    let alike = &BY_HEAD[BY_HEAD.partition_point(|(head, _)| *head < wanted)..];
    let alike = alike.iter().take_while(|(head, _)| *head == wanted);
    alike.map(|(_, func)| *func).find(|func| func.name.as_bytes() == name)
}

/// Returns the method of a value.
pub(super) fn method(value: &Value, name: &[u8]) -> Option<&'static Func> {
    // Methods are exported; most keys are not spelled so.
    name.first().filter(|first| first.is_ascii_uppercase())?;
    let mut more: &[Func] = &[];
    let table: &[Func] = match value {
        Value::Map(MapKind::Values, _) => objects::VALUES,
        Value::Files(_) => objects::FILES,
        Value::List(list) if list.kind == ListKind::VersionSet => objects::VERSION_SET,
        Value::Struct(fields) if fields.has_version_methods() => objects::KUBE_VERSION,
        Value::Struct(fields) if fields.error_text().is_some() => objects::ERROR,
        Value::Time(_) => dates::TIME_METHODS,
        Value::Location(_) => dates::LOCATION_METHODS,
        Value::Duration(_) => dates::DURATION_METHODS,
        Value::Int(_, IntKind::Month) => dates::MONTH_METHODS,
        Value::Int(_, IntKind::Weekday) => dates::WEEKDAY_METHODS,
        Value::Version(kind, _) => {
            if *kind == VersionKind::Pointer {
                more = semvers::POINTER_METHODS;
            }
            semvers::PLAIN_METHODS
        }
        _ => return None,
    };
    table.iter().chain(more).find(|func| func.name.as_bytes() == name)
}

/// Whether a value of a type of Go's own has such a field, which is nobody's business.
pub(super) fn has_private_field(value: &Value, name: &[u8]) -> bool {
    let fields: &[&str] = match value {
        Value::Version(..) => &["major", "minor", "patch", "pre", "metadata", "original"],
        Value::Time(_) => &["wall", "ext", "loc"],
        Value::Location(_) => {
            &["name", "zone", "tx", "extend", "cacheStart", "cacheEnd", "cacheZone"]
        }
        _ => &[],
    };
    fields.iter().any(|field| field.as_bytes() == name)
}

/// Why Go does not call a method of a value: it gives several results. None of them takes arguments.
pub(super) fn uncallable(value: &Value, name: &[u8]) -> Option<String> {
    let Value::Time(_) = value else { return None };
    let second = match name {
        b"Date" | b"Clock" => {
            let name = lossy(name);
            return Some(format!("function {name} has 3 return values; should be 1 or 2"));
        }
        b"ISOWeek" | b"Zone" => "int",
        b"ZoneBounds" => "time.Time",
        _ => return None,
    };
    let (name, rule) = (lossy(name), "second return value should be error");
    Some(format!("invalid function signature for {name}: {rule}; is {second}"))
}

/// Go's text for using a nil pointer: what reflecting on a nil value ends in.
const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

/// Returns the elements of a slice of any type.
fn slice_of(value: &Value, verb: &str) -> Result<std::rc::Rc<List>, Fail> {
    match value {
        Value::List(list) => Ok(std::rc::Rc::clone(list)),
        Value::Nil | Value::Invalid => Err(NIL_POINTER.into()),
        other => match other.elements() {
            Some(items) => Ok(std::rc::Rc::new(List { kind: ListKind::Any, nil: false, items })),
            None => Err(format!("Cannot {verb} type {}", other.kind_name()).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name_and_nothing_else_is() {
        let names = names();
        for name in &names {
            assert_eq!(find(name.as_bytes()).map(|found| found.name), Some(*name));
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
        for name in ["", "a", "regexRep", "regexReplaceAllLiterally", "zzzzzzzzz"] {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }
}
