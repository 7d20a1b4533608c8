//! Methods of the built-in objects.
//!
//! Source: helm v4.3.1 pkg/engine/files.go, pkg/chart/common (values.go, capabilities.go).

use std::rc::Rc;

use super::super::convert::{NotPlain, to_plain};
use super::super::strconv;
use super::super::value::{Files, Map, MapKind, MapRef, Struct, Value};
use super::globs::{Glob, Work};
use super::{Args, Fail, Func, NIL_POINTER, Outcome, Ty, lossy};
use crate::yaml;

const S: Ty = Ty::Str;

pub(super) const VALUES: &[Func] = &[
    Func::new("YAML", &[], |m, a| {
        let plain = to_plain(m, a.any(0))?;
        printed(&plain).map(Value::str).map_err(Fail::from)
    }),
    Func::new("AsMap", &[], |_, a| match a.any(0) {
        Value::Map(_, map) => Ok(Value::Map(MapKind::Plain, MapRef::clone(map))),
        _ => Ok(Value::map(Map::default())),
    }),
    Func::new("Table", &[S], |_, a| table(a.any(0), &lossy(a.str(1)))),
    Func::new("PathValue", &[S], |_, a| value_at(a)),
    // It writes to something that no template has: what reaches it is nil. An error that comes
    // before is what it gives.
    Func::new("Encode", &[Ty::Writer], |m, a| match to_plain(m, a.any(0)) {
        Ok(plain) => match printed(&plain) {
            Ok(_) => Err(NIL_POINTER.into()),
            Err(words) => Ok(Value::error("*errors.errorString", &words)),
        },
        Err(NotPlain::Json(text)) => {
            let words = format!("error marshaling into JSON: {text}");
            Ok(Value::error("*fmt.wrapError", &words))
        }
        Err(bound) => Err(bound.into()),
    }),
];

/// Values as YAML. It is printed, and read by nobody, so what is wrong is told in fewer words.
fn printed(plain: &yaml::Value) -> Result<String, String> {
    let words = |error: yaml::Error| error.to_string();
    yaml::print(plain)
        .map_err(words)
        .map_err(|text| text.replace("error converting YAML to JSON: ", ""))
}

/// Follows a dotted path through tables.
fn table(receiver: &Value, path: &str) -> Outcome {
    let mut here = receiver.clone();
    for part in path.split('.') {
        let next = match &here {
            Value::Map(_, map) => map.get(part.as_bytes()),
            _ => None,
        };
        here = match next {
            Some(Value::Map(_, map)) => Value::Map(MapKind::Values, map),
            _ => return Err(format!("{} is not a table", strconv::quote(part.as_bytes())).into()),
        };
    }
    Ok(here)
}

/// The value at a dotted path, which is no table; the receiver is the first argument.
fn value_at(args: Args<'_>) -> Outcome {
    let path = lossy(args.str(1)).into_owned();
    if path.is_empty() {
        return Err("YAML path cannot be empty".into());
    }
    let (outer, key) = path.rsplit_once('.').unwrap_or(("", &path));
    let inside = match outer {
        "" if !path.contains('.') => Ok(args.any(0).clone()),
        outer => table(args.any(0), outer),
    };
    let found = match inside {
        Ok(Value::Map(_, map)) => map.get(key.as_bytes()),
        _ => None,
    };
    let found = found.filter(|value| !matches!(value, Value::Map(..)));
    found.ok_or_else(|| format!("{} is not a value", strconv::quote(key.as_bytes())).into())
}

pub(super) const FILES: &[Func] = &[
    Func::new("Get", &[S], |_, a| {
        Ok(Value::str(files(a).get(a.str(1)).map_or(&[][..], |content| content)))
    }),
    Func::new("GetBytes", &[S], |_, a| {
        let content = files(a).get(a.str(1)).map_or(&[][..], |content| &content[..]).into();
        Ok(Value::Bytes(content))
    }),
    Func::new("Lines", &[S], |_, a| {
        let files = files(a);
        let content = files.get(a.str(1)).map_or(&[][..], |content| content);
        if content.is_empty() {
            return Ok(Value::strings::<&str>([]));
        }
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        Ok(Value::strings(content.split(|byte| *byte == b'\n')))
    }),
    Func::new("Glob", &[S], |m, a| {
        let mut work = Work::up_to(m.steps_left());
        let glob = Glob::new(&lossy(a.str(1)), &mut work);
        let chosen = glob.and_then(|glob| files(a).filter(|name| glob.matches(name, &mut work)));
        m.spend(work.steps())?;
        Ok(Value::Files(Rc::new(chosen?)))
    }),
    Func::new("AsConfig", &[], |_, a| Ok(as_map(&files(a), |content| lossy(content).into_owned()))),
    Func::new("AsSecrets", &[], |_, a| {
        use base64::Engine as _;
        Ok(as_map(&files(a), |content| base64::engine::general_purpose::STANDARD.encode(content)))
    }),
];

fn files(args: Args<'_>) -> Rc<Files> {
    match args.any(0) {
        Value::Files(files) => Rc::clone(files),
        _ => Rc::new(Files::new(std::sync::Arc::from([]))),
    }
}

fn as_map(files: &Files, content: impl Fn(&[u8]) -> String) -> Value {
    let map: yaml::Map = files
        .iter()
        .map(|(name, data)| {
            let base = name.rsplit('/').next().unwrap_or(name);
            (base.to_owned(), yaml::Value::String(content(data)))
        })
        .collect();
    let text = yaml::print(&yaml::Value::Object(map)).unwrap_or_default();
    Value::str(text.strip_suffix('\n').unwrap_or(&text))
}

pub(super) const VERSION_SET: &[Func] = &[Func::new("Has", &[S], |_, a| {
    let known = a.any(0).elements().unwrap_or_default();
    let wanted = a.str(1);
    Ok(Value::Bool(known.iter().any(|one| matches!(one, Value::Str(text) if **text == *wanted))))
})];

pub(super) const ERROR: &[Func] = &[Func::new("Error", &[], |_, a| match a.any(0) {
    Value::Struct(error) => Ok(error.error_text().map(Value::str).unwrap_or_default()),
    _ => Ok(Value::str("")),
})];

pub(super) const KUBE_VERSION: &[Func] = &[
    Func::new("GitVersion", &[], |_, a| Ok(field(a, b"Version"))),
    Func::new("String", &[], |_, a| match a.any(0) {
        Value::Struct(fields) => Ok(kube_version_text(fields)),
        _ => Ok(Value::str("")),
    }),
];

fn field(args: Args<'_>, name: &[u8]) -> Value {
    let of = |fields: &Struct| fields.field(name).cloned();
    match args.any(0) {
        Value::Struct(fields) => of(fields).unwrap_or_default(),
        _ => Value::Invalid,
    }
}

/// Source: helm v4.3.1 pkg/chart/common/capabilities.go (`KubeVersion.String`).
pub(in crate::template) fn kube_version_text(fields: &Struct) -> Value {
    let known = fields
        .field(b"normalizedVersion")
        .filter(|text| !matches!(text, Value::Str(text) if text.is_empty()));
    known.or_else(|| fields.field(b"Version")).cloned().unwrap_or_default()
}
