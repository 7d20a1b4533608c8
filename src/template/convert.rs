//! Plain data to values and back.

use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Fail;
use super::eval::Machine;
use super::frozen::Frozen;
use super::value::{
    Files, IntKind, ListKind, Map, MapKind, MapRef, Str, Struct, Value, Watch, text,
};
use super::{Capabilities, Context, strconv};
use crate::base::limit::Limit;
use crate::yaml;

/// Deepest value that becomes JSON; beyond it Go looks for cycles, and there are none otherwise.
const MAX_DEPTH: usize = 1_000;
/// About what a node of plain data takes.
const NODE_BYTES: usize = 64;
/// What a level of nesting adds to a line of text.
const INDENT_BYTES: usize = 2;

/// Turns plain data into a value.
pub(crate) fn from_plain(plain: &yaml::Value) -> Value {
    Frozen::new(plain).value(None)
}

/// Whose encoder looks at a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// The same, with bytes that are no text marked.
    MarkedJson,
    /// Version 3 of go-yaml, which does not go through JSON.
    Yaml,
    Toml,
}

/// What YAML or TOML write without quotes, such as a time.
fn word(text: impl std::fmt::Display) -> yaml::Value {
    format!("{}{text}", yaml::WORD).into()
}

/// Turns a value into plain data, as Go's JSON encoder sees it.
///
/// # Errors
/// Go's text: a value that JSON cannot hold; or a bound was reached.
pub(crate) fn to_plain(machine: &mut Machine<'_>, value: &Value) -> Result<yaml::Value, NotPlain> {
    to_plain_as(machine, value, Form::Json)
}

/// Turns a value into plain data, as an encoder of Go sees it.
///
/// # Errors
/// As [`to_plain`].
pub(crate) fn to_plain_as(
    machine: &mut Machine<'_>,
    value: &Value,
    form: Form,
) -> Result<yaml::Value, NotPlain> {
    made_plain(machine, value, form).map(|(plain, _)| plain)
}

/// Prints a value as JSON. Bytes in it that are no text are escaped, which a replacement character
/// that was there before is not.
///
/// # Errors
/// As [`to_plain`].
pub(crate) fn to_json(
    machine: &mut Machine<'_>,
    value: &Value,
    print: fn(&yaml::Value) -> String,
) -> Result<String, NotPlain> {
    let (plain, is_marked) = made_plain(machine, value, Form::MarkedJson)?;
    let printed = print(&plain);
    Ok(if is_marked { without_marks(&printed) } else { printed })
}

fn made_plain(
    machine: &mut Machine<'_>,
    value: &Value,
    form: Form,
) -> Result<(yaml::Value, bool), NotPlain> {
    let parts = machine.limits().size(Limit::Parts);
    let text = machine.limits().size(Limit::Text);
    let mut left = Left { parts, bytes: text, form, is_marked: false };
    let made = plain(value, 0, &mut left);
    if left.parts == 0 {
        let what = "a value with too many parts is written out";
        return Err(NotPlain::Bound(machine.refusal(Limit::Parts, what)));
    }
    if left.bytes == 0 {
        let what = "a value that is too large is written out";
        return Err(NotPlain::Bound(machine.refusal(Limit::Text, what)));
    }
    let steps = (parts - left.parts).saturating_mul(PART_STEPS);
    machine.spend(steps).map_err(NotPlain::Bound)?;
    made.map(|plain| (plain, left.is_marked)).map_err(NotPlain::Json)
}

/// What it costs to write a part, in steps.
const PART_STEPS: usize = 8;

/// Why a value does not become plain data.
pub(crate) enum NotPlain {
    /// What Go says; most functions of Helm give an empty text then.
    Json(String),
    /// A bound was reached.
    Bound(Fail),
}

impl From<NotPlain> for Fail {
    fn from(error: NotPlain) -> Self {
        match error {
            NotPlain::Json(text) => Self::Text(text),
            NotPlain::Bound(fail) => fail,
        }
    }
}

/// How much may still be written: shared parts are written each time.
struct Left {
    parts: usize,
    bytes: usize,
    form: Form,
    /// Whether bytes that are no text were marked.
    is_marked: bool,
}

impl Left {
    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_sub(bytes);
        if self.bytes == 0 { Err(String::new()) } else { Ok(()) }
    }

    fn text(&mut self, bytes: &[u8]) -> Result<String, String> {
        self.count(bytes.len())?;
        if self.form == Form::MarkedJson {
            match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains(MARK) => return Ok(text.to_owned()),
                _ => {
                    self.is_marked = true;
                    return Ok(marked(bytes));
                }
            }
        }
        Ok(strconv::lossy(bytes).into_owned())
    }

    /// The key of a map: never taken for the name of a field.
    fn key(&mut self, bytes: &[u8]) -> Result<String, String> {
        let key = self.text(bytes)?;
        let is_field = key.starts_with(yaml::WORD);
        let escapes = is_field && matches!(self.form, Form::Yaml | Form::Toml);
        Ok(if escapes { format!("{}{key}", yaml::WORD) } else { key })
    }
}

/// Stands before what is not as it seems.
const MARK: char = '\u{10ff80}';
/// Stands behind [`MARK`] for a byte that is no text. The mark itself is written twice; a digit
/// behind it is the place of a field, which a key begins with.
const NO_TEXT: char = 'x';

/// Marks bytes that are no text.
fn marked(bytes: &[u8]) -> String {
    let mut marked = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            marked.extend(std::iter::repeat_n(c, 1 + usize::from(c == MARK)));
        }
        chunk.invalid().iter().for_each(|_| marked.extend([MARK, NO_TEXT]));
    }
    marked
}

/// Writes `\ufffd`, as Go does, for each mark of a byte that is no text, and no marks of places.
fn without_marks(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match if c == MARK { chars.next() } else { Some(c) } {
            Some(NO_TEXT) if c == MARK => out.push_str("\\ufffd"),
            Some('0'..='9') if c == MARK => {}
            Some(c) => out.push(c),
            None => {}
        }
    }
    out
}

/// Returns about how many bytes plain data takes as a value.
pub(crate) fn weight(plain: &yaml::Value) -> usize {
    let inside = match plain {
        yaml::Value::Null | yaml::Value::Bool(_) | yaml::Value::Number(_) => 0,
        yaml::Value::String(text) => text.len(),
        yaml::Value::Array(items) => items.iter().map(weight).sum(),
        yaml::Value::Object(map) => map.iter().map(|(key, item)| key.len() + weight(item)).sum(),
    };
    NODE_BYTES + inside
}

fn plain(value: &Value, depth: usize, left: &mut Left) -> Result<yaml::Value, String> {
    if depth > MAX_DEPTH {
        let name = value.type_name();
        return Err(format!("json: unsupported value: encountered a cycle via {name}"));
    }
    left.parts = left.parts.saturating_sub(1);
    if left.parts == 0 {
        return Err(String::new());
    }
    left.count(depth * INDENT_BYTES)?;
    if matches!(left.form, Form::Yaml | Form::Toml)
        && let Some(made) = otherwise(value, left)
    {
        return made;
    }
    Ok(match value {
        Value::Invalid | Value::Nil => yaml::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number, _) | Value::Duration(number) => (*number).into(),
        Value::Uint(number, _) => (*number).into(),
        Value::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => yaml::Value::Number(number),
            None => {
                let text = super::strconv::format_float(*number, b'g', -1);
                return Err(format!("json: unsupported value: {text}"));
            }
        },
        Value::Complex(..) => return Err("json: unsupported type: complex128".to_owned()),
        Value::Str(text) => left.text(text)?.into(),
        Value::Bytes(_) if value.is_nil_bytes() && left.form != Form::Yaml => yaml::Value::Null,
        Value::Bytes(bytes) => bytes_plain(bytes, left)?,
        Value::List(list) if list.nil => yaml::Value::Null,
        Value::List(list) => yaml::Value::Array(
            list.items.iter().map(|item| plain(item, depth + 1, left)).collect::<Result<_, _>>()?,
        ),
        Value::Map(_, map) if map.nil => yaml::Value::Null,
        Value::Map(_, map) => map.with_entries(|entries| {
            let mut object = yaml::Map::new();
            for (key, item) in entries {
                let key = left.key(key)?;
                object.insert(key, plain(item, depth + 1, left)?);
            }
            Ok::<_, String>(yaml::Value::Object(object))
        })?,
        Value::Files(files) => files_plain(files, left)?,
        Value::Time(time) => match time.rfc3339_nano() {
            Ok(text) => text.into(),
            Err(why) => {
                let call = "json: error calling MarshalJSON for type time.Time";
                return Err(format!("{call}: Time.MarshalJSON: {why}"));
            }
        },
        // All that it has is private.
        Value::Location(_) => yaml::Value::Object(yaml::Map::new()),
        Value::Version(_, version) => version.to_string().into(),
        Value::Struct(value) => struct_plain(value, depth, left)?,
    })
}

/// Fields stand in their own order, except where JSON becomes YAML.
fn struct_plain(value: &Struct, depth: usize, left: &mut Left) -> Result<yaml::Value, String> {
    let mut object = yaml::Map::new();
    for (place, (name, field)) in ('0'..='9').zip(&value.fields) {
        let Some(name) = written_name(value.type_name, (name, field), left.form) else { continue };
        let key = match left.form {
            Form::Json => name,
            Form::MarkedJson => {
                left.is_marked = true;
                format!("{MARK}{place}{name}")
            }
            Form::Yaml | Form::Toml => format!("{}{place}{name}", yaml::WORD),
        };
        object.insert(key, plain(field, depth + 1, left)?);
    }
    Ok(yaml::Value::Object(object))
}

/// The name that an encoder gives to a field; none: it leaves the field out.
///
/// Source: helm v4.3.2 internal/version/version.go (tags of `BuildInfo`).
fn written_name(type_name: &str, (name, value): (&str, &Value), form: Form) -> Option<String> {
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    match form {
        Form::Yaml => Some(name.to_ascii_lowercase()),
        Form::Json | Form::MarkedJson if type_name == "version.BuildInfo" => {
            let is_empty = matches!(value, Value::Str(text) if text.is_empty());
            let tag = match name {
                "KubeClientVersion" => "kube_client_version",
                _ if is_empty => return None,
                "GitCommit" => "git_commit",
                "GitTreeState" => "git_tree_state",
                "GoVersion" => "go_version",
                _ => "version",
            };
            Some(tag.to_owned())
        }
        Form::Json | Form::MarkedJson | Form::Toml => Some(name.to_owned()),
    }
}

fn files_plain(files: &Files, left: &mut Left) -> Result<yaml::Value, String> {
    let mut object = yaml::Map::new();
    for (name, content) in files.iter() {
        left.count(name.len())?;
        object.insert(name.to_owned(), bytes_plain(content, left)?);
    }
    Ok(yaml::Value::Object(object))
}

fn bytes_plain(bytes: &[u8], left: &mut Left) -> Result<yaml::Value, String> {
    if matches!(left.form, Form::Json | Form::MarkedJson) {
        left.count(bytes.len() * 2)?;
        return Ok(STANDARD.encode(bytes).into());
    }
    left.parts = left.parts.saturating_sub(bytes.len());
    if left.parts == 0 {
        return Err(String::new());
    }
    Ok(bytes.iter().map(|byte| yaml::Value::from(*byte)).collect())
}

/// What YAML or TOML have another form for than JSON.
fn otherwise(value: &Value, left: &mut Left) -> Option<Result<yaml::Value, String>> {
    let is_yaml = left.form == Form::Yaml;
    Some(Ok(match value {
        Value::Duration(nanos) => super::funcs::dates::duration_text(*nanos).into(),
        Value::Time(time) if is_yaml => word(time.rfc3339_text()),
        Value::Time(time) => word(super::funcs::dates::to_toml(time)),
        Value::Float(number) if !number.is_finite() => {
            // What is no number has a sign in TOML.
            let is_negative = *number < 0.0 || (!is_yaml && number.is_sign_negative());
            let sign = if is_negative { "-" } else { "" };
            let name = if number.is_nan() { "nan" } else { "inf" };
            word(format_args!("{sign}{}{name}", if is_yaml { "." } else { "" }))
        }
        Value::Complex(..) if is_yaml => {
            return Some(Err("cannot marshal type: complex128".to_owned()));
        }
        Value::Str(text) if is_yaml && std::str::from_utf8(text).is_err() => {
            if let Err(error) = left.count(text.len() * 2) {
                return Some(Err(error));
            }
            word(format_args!("!!binary {}", STANDARD.encode(text)))
        }
        Value::Str(text) if text.starts_with(yaml::WORD.encode_utf8(&mut [0; 4]).as_bytes()) => {
            word(strconv::lossy(text))
        }
        Value::List(list) if list.nil && is_yaml => yaml::Value::Array(Vec::new()),
        Value::Map(_, map) if map.nil && is_yaml => yaml::Value::Object(yaml::Map::new()),
        _ => return None,
    }))
}

/// Builds the root context of each chart; the trees of values are shared between them. All maps
/// tell `watch` when a template changes them.
///
/// Source: helm v4.3.1 pkg/engine/engine.go (recAllTpls), pkg/chart/common/util/values.go
/// (ToRenderValuesWithSchemaValidation).
pub(super) fn roots(context: &Context<'_>, watch: &Watch) -> Vec<MapRef> {
    let release = release(context, watch);
    let capabilities = capabilities(context.capabilities);
    let mut roots: Vec<MapRef> = Vec::with_capacity(context.scopes.len());
    for scope in context.scopes {
        let parent = scope.parent.and_then(|index| roots.get(index)).map(Rc::clone);
        let section = match &parent {
            None => Some(context.values.value(Some(watch))),
            Some(parent) => match parent.get(b"Values") {
                Some(Value::Map(_, values)) => values.get(scope.name.as_bytes()),
                _ => None,
            },
        };
        let values = match section {
            Some(Value::Map(_, values)) => values,
            _ => Rc::new(Map::watched(watch)),
        };
        let root = Map::watched(watch);
        root.put(text("Capabilities"), capabilities.clone());
        root.put(text("Chart"), chart(&scope.chart, watch));
        root.put(text("Files"), Value::Files(Rc::new(Files::new(Arc::clone(&scope.files)))));
        root.put(text("Release"), release.clone());
        root.put(text("Subcharts"), Value::map(Map::watched(watch)));
        root.put(text("Values"), Value::Map(MapKind::Values, values));
        let root = Rc::new(root);
        if let Some(Value::Map(_, siblings)) = parent.and_then(|parent| parent.get(b"Subcharts")) {
            siblings.put(text(&scope.name), Value::Map(MapKind::Plain, Rc::clone(&root)));
        }
        roots.push(root);
    }
    roots
}

/// Sets `.Template` for the file that is rendered next, and returns it: frozen until a template
/// looks into it.
pub(super) fn set_template(root: &MapRef, name: &Str) -> MapRef {
    let path = String::from_utf8_lossy(name);
    let own = base_path(&path);
    let template = Frozen::of_texts([
        ("BasePath", format!("{own}/templates").into_bytes().into()),
        ("Name", Arc::clone(name)),
    ]);
    let template = Rc::new(Map::of_frozen(&template, None));
    root.put(text("Template"), Value::Map(MapKind::Values, Rc::clone(&template)));
    template
}

/// The chart's path: `root`, then `charts/NAME` as often as it is nested.
fn base_path(path: &str) -> &str {
    let mut end = path.find('/').unwrap_or(path.len());
    while let Some(rest) = path[end..].strip_prefix("/charts/") {
        let Some(name) = rest.find('/') else { break };
        end += "/charts/".len() + name;
    }
    &path[..end]
}

fn chart(plain: &yaml::Value, watch: &Watch) -> Value {
    let value = Frozen::new(plain).value(Some(watch));
    // A map of strings in Go: a missing annotation is the empty string.
    if let Value::Map(_, map) = &value
        && let Some(Value::Map(MapKind::Plain, annotations)) = map.get(b"Annotations")
    {
        map.put(text("Annotations"), Value::Map(MapKind::Strings, annotations));
    }
    value
}

fn release(context: &Context<'_>, watch: &Watch) -> Value {
    let release = context.release;
    let map = Map::watched(watch);
    // A linter neither installs nor upgrades.
    map.put(text("IsInstall"), Value::Bool(!release.is_upgrade && !context.lenient));
    map.put(text("IsUpgrade"), Value::Bool(release.is_upgrade));
    map.put(text("Name"), Value::str(&release.name));
    map.put(text("Namespace"), Value::str(&release.namespace));
    map.put(text("Revision"), Value::Int(i64::from(release.revision), IntKind::Int));
    map.put(text("Service"), Value::str("Helm"));
    Value::map(map)
}

/// A structure that a pointer leads to, or the pointer.
fn structure(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
    let is_addressable = !type_name.starts_with('*');
    Value::Struct(Rc::new(Struct { type_name, is_addressable, fields }))
}

fn capabilities(capabilities: &Capabilities) -> Value {
    let kube = structure(
        "common.KubeVersion",
        vec![
            ("Version", Value::str(&capabilities.kube_version)),
            ("normalizedVersion", Value::str(&capabilities.kube_normalized)),
            ("Major", Value::str(&capabilities.kube_major)),
            ("Minor", Value::str(&capabilities.kube_minor)),
        ],
    );
    let versions = capabilities.api_versions.iter().map(Value::str).collect();
    let helm = capabilities.helm;
    let helm = structure(
        "version.BuildInfo",
        vec![
            ("Version", Value::str(helm.version)),
            ("GitCommit", Value::str("")),
            ("GitTreeState", Value::str("")),
            ("GoVersion", Value::str(helm.go_version)),
            ("KubeClientVersion", Value::str(helm.kube_client_version)),
        ],
    );
    structure(
        "*common.Capabilities",
        vec![
            ("KubeVersion", kube),
            ("APIVersions", Value::typed_list(ListKind::VersionSet, versions)),
            ("HelmVersion", helm),
        ],
    )
}
