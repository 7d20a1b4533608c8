//! Nodes ⇄ plain data.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4 resolve.go, decode.go (into `interface{}`), as kyaml's
//! `MarshalJSON` uses them.

use base64::Engine as _;

use super::scalar::{Allows, Place};
use super::{Kind, Node, Style};
use crate::yaml::resolve::{Scalar, is_timestamp, resolve};
use crate::yaml::{Map, Value, float};

/// Returns what a document holds, as JSON: a time is a text, a whole number is an integer.
///
/// # Errors
/// A key stands twice, or what is said has no JSON form; Go's words.
///
/// In brackets nothing at all is a text, because the writer, which is between kyaml and the data,
/// puts it into quotes there.
pub fn plain(node: &Node) -> Result<Value, String> {
    value(node, Place { in_flow: false, is_key: true })
}

/// Of the root the keys may be anything.
fn value(node: &Node, place: Place) -> Result<Value, String> {
    let inner = Place { in_flow: place.in_flow || node.style == Style::Flow, is_key: false };
    let is_nothing = node.value.is_empty() && node.tag.is_empty() && node.style == Style::Plain;
    match node.kind {
        Kind::Scalar if is_nothing && place.in_flow => Ok("".into()),
        Kind::Scalar => scalar(node),
        Kind::Sequence => node.content.iter().map(|item| value(item, inner)).collect(),
        Kind::Mapping => mapping(node, (place.is_key, inner)).map(Value::Object),
        Kind::Alias => Err(format!("yaml: unknown anchor '{}' referenced", node.value)),
    }
}

fn mapping(node: &Node, (is_root, inner): (bool, Place)) -> Result<Map, String> {
    let mut map = Map::new();
    for pair in node.content.chunks_exact(2) {
        let key = &pair[0];
        if !is_root && !is_text(key) {
            return Err("json: unsupported type: map[interface {}]interface {}".to_owned());
        }
        if map.insert(key.value.clone(), value(&pair[1], inner)?).is_some() {
            let key = &key.value;
            return Err(format!("yaml: unmarshal errors:\n  mapping key {key:?} already defined"));
        }
    }
    Ok(map)
}

/// Returns whether a scalar is a text.
pub fn is_text(node: &Node) -> bool {
    match node.tag.as_str() {
        "" if node.style == Style::Plain => {
            word(&node.value) == Scalar::Text && !is_timestamp(&node.value)
        }
        "!!int" | "!!float" | "!!bool" | "!!null" | "!!timestamp" => false,
        _ => node.kind == Kind::Scalar,
    }
}

/// Returns whether the older YAML takes a text without quotes for something else.
pub fn needs_quotes(text: &str) -> bool {
    !text.is_empty()
        && !text.contains('\n')
        && (resolve(text) != Scalar::Text || is_timestamp(text) || is_sexagesimal(text))
}

/// The newer YAML knows fewer words for true and false.
fn word(text: &str) -> Scalar {
    let is_word = matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE");
    match resolve(text) {
        Scalar::Bool(_) if !is_word => Scalar::Text,
        found => found,
    }
}

fn scalar(node: &Node) -> Result<Value, String> {
    let text = || Value::String(node.value.clone());
    let resolved = match node.tag.as_str() {
        "!!binary" => {
            let standard = base64::engine::general_purpose::STANDARD;
            let bytes = standard.decode(node.value.replace('\n', ""));
            let bytes = bytes.map_err(|_| "yaml: !!binary value contains invalid base64 data")?;
            return Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        }
        "" if node.style != Style::Plain => return Ok(text()),
        "" | "!!timestamp" if is_timestamp(&node.value) => return Ok(time(&node.value).into()),
        "" | "!!int" | "!!float" | "!!bool" | "!!null" => word(&node.value),
        _ => return Ok(text()),
    };
    Ok(match resolved {
        Scalar::Null => Value::Null,
        Scalar::Bool(found) => found.into(),
        Scalar::Int(found) => found.into(),
        Scalar::Uint(found) => found.into(),
        Scalar::Float(found) => number(found)?,
        Scalar::Text | Scalar::Merge => text(),
    })
}

/// A number without fraction is written as an integer, and is one for who reads it then.
fn number(found: f64) -> Result<Value, String> {
    if !found.is_finite() {
        return Err(format!("json: unsupported value: {}", float::format_g(found)));
    }
    Ok(whole(found).unwrap_or_else(|| found.into()))
}

/// Returns a number without fraction as the integer that its shortest text says.
pub fn whole(number: f64) -> Option<Value> {
    if number.fract() != 0.0 {
        return None;
    }
    let text = float::format_json(number);
    let signed = text.parse::<i64>().ok().map(Value::from);
    signed.or_else(|| text.parse::<u64>().ok().map(Value::from))
}

/// `2006-1-2 15:4:5.50` → `2006-01-02T15:04:05.5Z`, as Go writes a time.
fn time(text: &str) -> String {
    let (date, rest) = text.split_at(text.find(['T', 't', ' ']).unwrap_or(text.len()));
    let two = |part: &str| format!("{part:0>2}");
    let date: Vec<_> = date.split('-').map(two).collect();
    let rest = rest.get(1..).unwrap_or_default();
    let (clock, zone) = rest.split_at(rest.find(['Z', '+', '-']).unwrap_or(rest.len()));
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let mut clock: Vec<_> = clock.split(':').map(two).collect();
    clock.resize(3, "00".to_owned());
    let mut fraction = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0').to_owned();
    if !fraction.is_empty() {
        fraction.insert(0, '.');
    }
    let zone = if matches!(zone, "" | "+00:00" | "-00:00") { "Z" } else { zone };
    format!("{}T{}{fraction}{zone}", date.join("-"), clock.join(":"))
}

/// `1:20`: a number in the older YAML of other programs.
fn is_sexagesimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = digits.split(':');
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let first =
        parts.next().is_some_and(|p| p.starts_with(|c: char| c.is_ascii_digit()) && is_number(p));
    let mut rest = 0;
    let all = parts.all(|part| {
        rest += 1;
        let (whole, _) = part.split_once('.').unwrap_or((part, ""));
        (1..=2).contains(&whole.len()) && is_number(whole)
    });
    first && all && rest > 0
}

/// Returns plain data as nodes, written as Go's writer would.
pub fn node_of(value: &Value) -> Node {
    match value {
        Value::Null => Node::scalar("null", Style::Plain),
        Value::Bool(_) | Value::Number(_) => Node::scalar(value.to_string(), Style::Plain),
        Value::String(text) => text_node(text),
        Value::Array(list) => Node {
            kind: Kind::Sequence,
            content: list.iter().map(node_of).collect(),
            ..Node::default()
        },
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| [text_node(key), node_of(value)];
            Node { content: map.iter().flat_map(pair).collect(), ..Node::mapping() }
        }
    }
}

/// Returns a text, in quotes only where they are needed.
pub fn text_node(text: &str) -> Node {
    let style = if text.is_empty() || needs_quotes(text) || is_timestamp(text) {
        Style::Double
    } else if text.contains('\n') {
        Style::Literal
    } else {
        let place = Place { in_flow: false, is_key: false };
        Allows::of(text).style(Style::Plain, false, place)
    };
    Node::scalar(text, style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read;
    use super::*;

    #[test]
    fn scalars_mean_what_they_mean_to_the_newer_yaml() {
        let text = "a: yes\nb: TRUE\nc: 0x10\nd: 1.50\ne: 2.0\nf: ~\ng: 2001-1-2\nh: '1'\n\
                    i: 2001-1-2 3:4:5.60\nj: !!str 5\nk: !!binary aGk=\nl: 1e3\nm: 017\n\
                    n: 18446744073709551615\no: !own x\np: on\n";
        let node = read(text).unwrap().unwrap().root;
        assert_eq!(
            plain(&node).unwrap(),
            json!({
                "a": "yes", "b": true, "c": 16, "d": 1.5, "e": 2, "f": null,
                "g": "2001-01-02T00:00:00Z", "h": "1", "i": "2001-01-02T03:04:05.6Z", "j": "5",
                "k": "hi", "l": 1000, "m": 15, "n": u64::MAX, "o": "x", "p": "on",
            })
        );
    }

    #[test]
    fn what_has_no_json_form_is_refused() {
        for (text, wanted) in [
            ("a: {1: b}\n", "json: unsupported type: map[interface {}]interface {}"),
            ("a: .inf\n", "json: unsupported value: +Inf"),
            ("a: 1\na: 2\n", "yaml: unmarshal errors:\n  mapping key \"a\" already defined"),
        ] {
            let node = read(text).unwrap().unwrap().root;
            assert_eq!(plain(&node).unwrap_err(), wanted);
        }
    }

    #[test]
    fn data_becomes_nodes_and_comes_back() {
        let value =
            json!({"a": ["yes", "1:20", "x: y", "", "l\nm\n", "2001-01-01"], "8": {"b": 1.5}});
        assert_eq!(plain(&node_of(&value)).unwrap(), value);
    }
}
