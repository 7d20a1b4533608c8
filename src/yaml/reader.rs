//! Events of the YAML parser → values, by go-yaml's rules.
//!
//! Source: go.yaml.in/yaml/v2 v2.4.4 decode.go, sigs.k8s.io/yaml v1.6.0 (convertToJSONableObject).

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};

use super::flaw::{Flaw, merge};
use super::float::{format_g, format_g32};
use super::guard::guarded;
use super::quick::{self, Keep};
use super::resolve::{Scalar, resolve};
use super::{Document, Error, MAX_DEPTH, Map, Numbers, Value};

/// How a text is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) numbers: Numbers,
    /// Whether a duplicate key is an error.
    pub(crate) strict: bool,
    /// Whether only the first document is looked at.
    pub(crate) first: bool,
}

/// Reads the documents of a text.
pub(crate) fn read(text: &str, options: Options) -> Result<Vec<Document>, Error> {
    match quick::read(text, options, Keep::All) {
        Some(document) => Ok(vec![document]),
        None => read_any(text, options),
    }
}

/// Reads the first document of a text for these keys alone, if it is a map; all of it is checked.
pub(crate) fn read_keys(text: &str, options: Options, keys: &[&str]) -> Result<Value, Error> {
    if let Some(document) = quick::read(text, options, Keep::Keys(keys)) {
        return Ok(document.value);
    }
    let document = read_any(text, options)?.into_iter().next();
    let mut value = document.map_or(Value::Null, |document| document.value);
    if let Value::Object(map) = &mut value {
        map.retain(|key, _| keys.contains(&key.as_str()));
    }
    Ok(value)
}

/// Reads the documents of a text in any style.
pub(super) fn read_any(text: &str, options: Options) -> Result<Vec<Document>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(error) = forbidden(text) {
        return Err(error);
    }
    // The parser takes the first byte of such a character for that of a byte order mark.
    let marked;
    let text = if text.as_bytes().first() == Some(&0xef) {
        marked = format!("\u{feff}{text}");
        &marked
    } else {
        text
    };
    // The parser needs a line break behind a block scalar, which then has one too many.
    let unfinished = !text.ends_with('\n') && text.contains(['|', '>']);
    let owned;
    let whole = if unfinished {
        owned = format!("{text}\n");
        &owned
    } else {
        text
    };
    let last_line = text.rsplit('\n').next().unwrap_or_default();
    let cut = (unfinished && !last_line.trim().is_empty()).then_some(text.len() as u64);
    let mut bytes = whole.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut reader = Reader {
        parser,
        options,
        cut,
        anchors: HashMap::new(),
        duplicates: Vec::new(),
        decoded: 0,
        aliased: 0,
        line: 1,
    };
    let read = guarded(|| reader.documents()).unwrap_or_else(|| {
        let problem = "did not find expected whitespace or line break";
        Err(Error::syntax(format!("yaml: line {}: {problem}", reader.line), Some(reader.line)))
    });
    // Go parses all of a document before it looks at what the parts mean.
    read.map_err(|error| misspelled(whole, options.first).unwrap_or(error))
}

/// What is wrong with a text before anything is made of it.
fn misspelled(text: &str, first: bool) -> Option<Error> {
    let mut bytes = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut anchors = std::collections::HashSet::new();
    guarded(|| {
        loop {
            let event = match parser.parse() {
                Err(error) => return Some(failure(&error)),
                Ok(event) => event,
            };
            match event.data {
                EventData::DocumentStart { .. } => anchors.clear(),
                EventData::DocumentEnd { .. } if first => return None,
                EventData::StreamEnd => return None,
                EventData::Scalar { anchor: Some(anchor), .. }
                | EventData::SequenceStart { anchor: Some(anchor), .. }
                | EventData::MappingStart { anchor: Some(anchor), .. } => {
                    anchors.insert(anchor);
                }
                EventData::Alias { anchor } if !anchors.contains(&anchor) => {
                    let text = format!("yaml: unknown anchor '{anchor}' referenced");
                    return Some(Error::syntax(text, Some(line(&event.start_mark))));
                }
                _ => {}
            }
        }
    })
    .flatten()
}

/// go-yaml refuses control characters before it parses.
pub(super) fn forbidden(text: &str) -> Option<Error> {
    let control = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => false,
    };
    let at = text.find(control)?;
    let line = text[..at].matches('\n').count() + 1;
    Some(Error::syntax("yaml: control characters are not allowed", Some(line)))
}

struct Reader<'a, 'b> {
    parser: Parser<&'a mut &'b [u8]>,
    options: Options,
    /// Where the text really ends, in bytes, if a final line break was added.
    cut: Option<u64>,
    anchors: HashMap<String, Anchor>,
    duplicates: Vec<String>,
    /// Nodes that were made, and how many of them by aliases (Go's guard against bombs).
    decoded: u64,
    aliased: u64,
    /// How far it was read.
    line: usize,
}

/// A node that aliases may repeat.
struct Anchor {
    /// None while the node is still being read: it contains itself.
    value: Option<Node>,
    /// How many nodes there were when it began, itself included.
    number: u64,
    nodes: u64,
    /// How deep the node is nested: an alias may stand deep already.
    height: usize,
}

/// A node and, for a scalar, what it is as a key.
#[derive(Clone)]
struct Node {
    value: Value,
    key: Key,
    flaw: Option<Rc<Flaw>>,
}

impl Node {
    fn new(key: Key, value: Value) -> Self {
        Self { value, key, flaw: None }
    }
}

/// What a node is as a key of a map.
#[derive(Clone)]
enum Key {
    Text(String),
    Merge,
    /// What JSON has no key for, in Go's words.
    Refused(Cow<'static, str>),
    /// A list or a map.
    Other,
}

impl Reader<'_, '_> {
    fn documents(&mut self) -> Result<Vec<Document>, Error> {
        let mut found = Vec::new();
        loop {
            let event = self.event()?;
            match event.data {
                EventData::StreamStart { .. } => {}
                EventData::StreamEnd => return Ok(found),
                EventData::DocumentStart { .. } => {
                    self.anchors.clear();
                    let first = self.event()?;
                    let line = line(&first.start_mark);
                    let node = self.node(first, 0)?;
                    if !self.duplicates.is_empty() {
                        let lines = self.duplicates.join("\n");
                        let text = format!("yaml: unmarshal errors:\n{lines}");
                        return Err(Error::syntax(text, None));
                    }
                    if let Some(error) = node.flaw.as_deref().and_then(Flaw::first) {
                        return Err(error.clone());
                    }
                    found.push(Document { value: node.value, line });
                    if self.options.first {
                        // What follows the document must not belong to it.
                        self.event()?;
                        return Ok(found);
                    }
                }
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event, Error> {
        let event = self.parser.parse().map_err(|error| failure(&error))?;
        self.line = line(&event.end_mark);
        Ok(event)
    }

    fn node(&mut self, event: Event, depth: usize) -> Result<Node, Error> {
        if depth > MAX_DEPTH {
            let text = format!("yaml: exceeded max depth of {MAX_DEPTH}");
            return Err(Error::syntax(text, Some(line(&event.start_mark))));
        }
        self.decoded += 1;
        let before = self.decoded;
        let at = event.start_mark;
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, depth, &at),
            EventData::Scalar { anchor, tag, mut value, plain_implicit, style, .. } => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let last = self.cut.is_some_and(|end| event.end_mark.index >= end);
                if block && last && value.ends_with('\n') {
                    value.pop();
                }
                let plain = plain_implicit && style == ScalarStyle::Plain;
                let node = self.scalar(tag.as_deref(), value, plain, &at)?;
                self.keep(anchor, &node, before);
                Ok(node)
            }
            EventData::SequenceStart { anchor, .. } => {
                self.open(anchor.as_deref(), before);
                let node = self.sequence(depth)?;
                self.close(anchor, &node, before);
                Ok(node)
            }
            EventData::MappingStart { anchor, .. } => {
                self.open(anchor.as_deref(), before);
                let node = self.mapping(depth)?;
                self.close(anchor, &node, before);
                Ok(node)
            }
            _ => Err(Error::syntax("yaml: unexpected event", Some(line(&at)))),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, Error> {
        let (mut list, mut flaw) = (Vec::new(), Flaw::default());
        loop {
            let event = self.event()?;
            if event.data == EventData::SequenceEnd {
                let flaw = flaw.into_node();
                return Ok(Node { value: Value::Array(list), key: Key::Other, flaw });
            }
            let item = self.node(event, depth + 1)?;
            if item.flaw.is_some() {
                flaw.set(&list.len().to_string(), item.flaw);
            }
            list.push(item.value);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node, Error> {
        let (mut map, mut flaw) = (Map::new(), Flaw::default());
        let mut own = std::collections::HashSet::new();
        loop {
            let event = self.event()?;
            if event.data == EventData::MappingEnd {
                let flaw = flaw.into_node();
                return Ok(Node { value: Value::Object(map), key: Key::Other, flaw });
            }
            let at = event.start_mark;
            let key = self.node(event, depth + 1)?;
            let event = self.event()?;
            let value = self.node(event, depth + 1)?;
            match key.key {
                Key::Merge => merge(&mut map, &mut flaw, (value.value, value.flaw))?,
                Key::Text(key) => {
                    if self.options.strict && !own.insert(key.clone()) {
                        let line = line(&at);
                        self.duplicates
                            .push(format!("  line {line}: key \"{key}\" already set in map"));
                    }
                    flaw.set(&key, value.flaw);
                    map.insert(key, value.value);
                }
                Key::Refused(key) => {
                    let value = go_syntax(&value.value);
                    let text = format!("unsupported map key of type: {key}, value: {value}");
                    flaw.own = Some(Error::syntax(text, Some(line(&at))));
                }
                Key::Other => {
                    let text = format!("yaml: invalid map key: {}", go_syntax(&key.value));
                    return Err(Error::syntax(text, Some(line(&at))));
                }
            }
        }
    }

    /// Marks an anchor as being read, by a node with this number.
    fn open(&mut self, anchor: Option<&str>, number: u64) {
        if let Some(anchor) = anchor {
            let anchor = anchor.to_owned();
            self.anchors.insert(anchor, Anchor { value: None, number, nodes: 0, height: 0 });
        }
    }

    /// Keeps a node that was read whole, unless a node inside of it took over its anchor.
    fn close(&mut self, anchor: Option<String>, node: &Node, number: u64) {
        let open = anchor.as_ref().and_then(|anchor| self.anchors.get(anchor));
        if open.is_some_and(|open| open.number == number) {
            self.keep(anchor, node, number);
        }
    }

    fn keep(&mut self, anchor: Option<String>, node: &Node, number: u64) {
        if let Some(anchor) = anchor {
            let nodes = self.decoded - number + 1;
            let (value, height) = (Some(node.clone()), height(&node.value));
            self.anchors.insert(anchor, Anchor { value, number, nodes, height });
        }
    }

    fn alias(&mut self, name: &str, depth: usize, at: &Mark) -> Result<Node, Error> {
        let fail = |text: String| Err(Error::syntax(text, Some(line(at))));
        let Some(anchor) = self.anchors.get(name) else {
            return fail(format!("yaml: unknown anchor '{name}' referenced"));
        };
        let Some(node) = &anchor.value else {
            return fail(format!("yaml: anchor '{name}' value contains itself"));
        };
        if depth + anchor.height > MAX_DEPTH {
            return fail(format!("yaml: exceeded max depth of {MAX_DEPTH}"));
        }
        let node = node.clone();
        self.decoded += anchor.nodes;
        self.aliased += anchor.nodes;
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = self.aliased as f64 / self.decoded as f64;
        if self.aliased > 100 && self.decoded > 1000 && ratio > allowed_ratio(self.decoded) {
            return fail("yaml: document contains excessive aliasing".to_owned());
        }
        Ok(node)
    }

    fn scalar(
        &self,
        tag: Option<&str>,
        text: String,
        plain: bool,
        at: &Mark,
    ) -> Result<Node, Error> {
        let scalar = match tag {
            None | Some("") => {
                if plain {
                    resolve(&text)
                } else {
                    Scalar::Text
                }
            }
            Some("!") | Some("tag:yaml.org,2002:str") => Scalar::Text,
            Some("tag:yaml.org,2002:binary") => return binary(&text, at),
            Some(tag) => tagged(tag, &text, at)?,
        };
        Ok(match scalar {
            Scalar::Text => Node::new(Key::Text(text.clone()), Value::String(text)),
            Scalar::Merge => Node::new(Key::Merge, Value::String(text)),
            Scalar::Null => Node::new(Key::Refused("%!s(<nil>), key: <nil>".into()), Value::Null),
            Scalar::Bool(value) => Node::new(Key::Text(value.to_string()), Value::Bool(value)),
            Scalar::Int(value) => self.number(Key::Text(value.to_string()), value.into()),
            Scalar::Uint(value) => {
                self.number(Key::Refused(format!("uint64, key: {value:#x}").into()), value.into())
            }
            Scalar::Float(value) => {
                let key = Key::Text(float_key(value));
                match float(self.options.numbers, value) {
                    Some(number) => Node::new(key, number),
                    None => {
                        let text = format!("json: unsupported value: {}", format_g(value));
                        let flaw = Some(Flaw::new(Error::syntax(text, Some(line(at)))));
                        Node { value: Value::Null, key, flaw }
                    }
                }
            }
        })
    }

    fn number(&self, key: Key, whole: serde_json::Number) -> Node {
        Node::new(key, number(self.options.numbers, whole).unwrap_or_default())
    }
}

/// What a float is as a key.
fn float_key(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() }
    } else {
        format_g32(value)
    }
}

/// What a whole number becomes.
pub(super) fn number(numbers: Numbers, number: serde_json::Number) -> Option<Value> {
    let number = match numbers {
        Numbers::Exact => Some(number),
        Numbers::Float => number.as_f64().and_then(serde_json::Number::from_f64),
    };
    number.map(Value::Number)
}

/// What a float becomes; nothing if JSON has no such number.
///
/// JSON has no floats: `1e3` becomes the whole number 1000 on its way through JSON text.
pub(super) fn float(numbers: Numbers, value: f64) -> Option<Value> {
    let number = serde_json::Number::from_f64(value)?;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    let whole = (value.fract() == 0.0 && value.abs() < 9e18).then_some(value as i64);
    Some(Value::Number(match (numbers, whole) {
        (Numbers::Exact, Some(whole)) => whole.into(),
        _ => number,
    }))
}

/// Returns how many levels of lists and maps a value has.
fn height(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(height).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(height).max().unwrap_or(0),
        _ => 0,
    }
}

/// Go's rule of how much of a document may come from aliases.
fn allowed_ratio(decoded: u64) -> f64 {
    const LOW: u64 = 400_000;
    const HIGH: u64 = 4_000_000;
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    match decoded {
        ..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * ((decoded - LOW) as f64 / (HIGH - LOW) as f64),
    }
}

fn binary(text: &str, at: &Mark) -> Result<Node, Error> {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| {
        Error::syntax("yaml: !!binary value contains invalid base64 data", Some(line(at)))
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Node::new(Key::Text(text.clone()), Value::String(text)))
}

/// A scalar under an explicit tag of the core schema; other tags leave the text alone.
fn tagged(tag: &str, text: &str, at: &Mark) -> Result<Scalar, Error> {
    let Some(short) = tag.strip_prefix("tag:yaml.org,2002:") else {
        return Ok(Scalar::Text);
    };
    let found = resolve(text);
    #[expect(clippy::cast_precision_loss, reason = "!!float 1 is what Go converts, too")]
    let fits = match (short, found) {
        ("int", found @ (Scalar::Int(_) | Scalar::Uint(_)))
        | ("float", found @ Scalar::Float(_))
        | ("bool", found @ Scalar::Bool(_))
        | ("null", found @ Scalar::Null)
        | ("merge", found @ Scalar::Merge) => return Ok(found),
        ("float", Scalar::Int(value)) => return Ok(Scalar::Float(value as f64)),
        ("float", Scalar::Uint(value)) => return Ok(Scalar::Float(value as f64)),
        ("timestamp", _) if super::resolve::is_timestamp(text) => return Ok(Scalar::Text),
        ("int" | "float" | "bool" | "null" | "merge" | "timestamp", found) => found,
        _ => return Ok(Scalar::Text),
    };
    let fits = match fits {
        Scalar::Null => "!!null",
        Scalar::Bool(_) => "!!bool",
        Scalar::Int(_) | Scalar::Uint(_) => "!!int",
        Scalar::Float(_) => "!!float",
        Scalar::Text => "!!str",
        Scalar::Merge => "!!merge",
    };
    let text = format!("yaml: cannot decode {fits} `{text}` as a !!{short}");
    Err(Error::syntax(text, Some(line(at))))
}

/// Prints a value as Go's `%#v` does, as far as messages about map keys need it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => match value.as_f64() {
            Some(number) => format_g(number),
            None => value.to_string(),
        },
        Value::String(text) => format!("{text:?}"),
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let items = map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value)));
            let items: Vec<_> = items.collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", items.join(", "))
        }
    }
}

fn line(mark: &Mark) -> usize {
    usize::try_from(mark.line).unwrap_or(usize::MAX - 1) + 1
}

/// Go's words for an error of the parser, with its own counting of lines.
pub(super) fn failure(error: &libyaml_safer::Error) -> Error {
    use libyaml_safer::ErrorKind;
    let scanner = error.kind() == ErrorKind::Scanner;
    let of = |mark: Option<Mark>| mark.map_or(0, |mark| usize::try_from(mark.line).unwrap_or(0));
    let (problem_line, context_line) = (of(error.problem_mark()), of(error.context_mark()));
    let (mut shown, noticed) = match (problem_line, context_line) {
        (0, 0) => (0, 1),
        (0, context) => (context, context + 1),
        (problem, _) => (problem, problem + 1),
    };
    if scanner && problem_line != 0 {
        shown += 1;
    }
    let problem = match error.problem() {
        "found a tab character that violate indentation" => {
            "found a tab character that violates indentation"
        }
        "" => "unknown problem parsing YAML content",
        other => other,
    };
    let place = if shown == 0 { String::new() } else { format!("line {shown}: ") };
    Error::syntax(format!("yaml: {place}{problem}"), Some(noticed))
}
