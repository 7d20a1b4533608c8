//! The rules of a structural schema (`x-kubernetes-validations`), carried out. Pure.
//!
//! A rule that is about a change (it names `oldSelf`) is asked where there is a state before; any
//! other only where the value changed (what may stay wrong is not warned of). A rule that the
//! evaluator cannot carry out, because a function is not among its own, is left out; a line in the
//! log says so.
//!
//! Source: kubernetes 1.34 apiextensions-apiserver pkg/apiserver/schema/cel (validation.go), cel-go
//! escaping (apiserver pkg/cel/escaping.go).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::Map;

use super::custom::{is_true, join};
use super::status::FieldError;
use super::value::{flag, items, text};
use crate::expression::{Expression, Given, Outcome};
use crate::yaml::Value;

const RULES: &str = "/x-kubernetes-validations";
/// The path of a whole object.
const NOWHERE: &str = "<nil>";

/// Checks an object, and how it changed, against the rules of its schema.
pub(crate) fn check(
    schema: &Value,
    object: &Value,
    before: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    if !any(schema) {
        return;
    }
    if errors.iter().any(FieldError::blocks_rules) {
        let why = "some validation rules were not checked because the object was invalid; correct \
                   the existing errors to complete validation";
        errors.push(FieldError::invalid(NOWHERE, &Value::Null, why));
        return;
    }
    Walk { errors }.value(schema, (object, before), "", true);
}

/// Whether a schema has any rule.
fn any(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key(&RULES[1..]) || map.values().any(any),
        Value::Array(list) => list.iter().any(any),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

struct Walk<'e> {
    errors: &'e mut Vec<FieldError>,
}

impl Walk<'_> {
    fn value(
        &mut self,
        schema: &Value,
        (value, before): (&Value, Option<&Value>),
        path: &str,
        root: bool,
    ) {
        if value.is_null() {
            return;
        }
        for rule in items(schema, RULES) {
            self.rule(rule, schema, (value, before), (path, root));
        }
        match value {
            Value::Object(map) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let others = schema.get("additionalProperties").filter(|one| one.is_object());
                for (key, inner) in map {
                    let known = properties.and_then(|map| map.get(key));
                    if root && key == "metadata" {
                        continue;
                    }
                    let before = before.and_then(|before| before.get(key));
                    let path = match known {
                        Some(_) => join(path, key),
                        None => format!("{path}[{key}]"),
                    };
                    if let Some(schema) = known.or(others) {
                        self.value(schema, (inner, before), &path, false);
                    }
                }
            }
            Value::Array(list) => {
                let Some(schema_of_items) = schema.get("items") else { return };
                for (index, item) in list.iter().enumerate() {
                    let before = before.and_then(|before| same_item(schema, before, item));
                    let path = format!("{path}[{index}]");
                    self.value(schema_of_items, (item, before), &path, false);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn rule(
        &mut self,
        rule: &Value,
        schema: &Value,
        (value, before): (&Value, Option<&Value>),
        (path, root): (&str, bool),
    ) {
        let said = text(rule, "/rule");
        let Some(expression) = parsed(said) else { return };
        let may_be_new = flag(rule, "/optionalOldSelf");
        let is_transition = expression.mentions("oldSelf");
        let is_due = match before {
            None => !is_transition || may_be_new,
            Some(before) => is_transition || before != value,
        };
        if !is_due {
            return;
        }
        let own = seen(schema, value, root);
        let old = before.map(|before| seen(schema, before, root));
        let old = match &old {
            old if may_be_new => Given::Optional(old.as_ref()),
            Some(old) => Given::Value(old),
            None => Given::Value(&Value::Null),
        };
        let given = [("self", Given::Value(&own)), ("oldSelf", old)];
        let why = match expression.evaluate(&given) {
            Ok(Outcome::Bool(true)) => return,
            Ok(_) => message(rule, &given),
            Err(failure) if failure.is_ours => {
                tracing::warn!(rule = said, why = failure.why, "a rule cannot be carried out");
                return;
            }
            Err(failure) => format!("{} evaluating rule: {}", failure.why, told(rule)),
        };
        let at = match (path, text(rule, "/fieldPath")) {
            ("", "") => NOWHERE.to_owned(),
            ("", own) => own.trim_start_matches('.').to_owned(),
            (path, own) => format!("{path}{own}"),
        };
        // Refusals show of a value only what it is.
        let shown = text(schema, "/type").into();
        self.errors.push(FieldError::of_rule(text(rule, "/reason"), at, &shown, &why));
    }
}

/// Returns the rule's own message, or what stands for it.
fn told(rule: &Value) -> String {
    match text(rule, "/message") {
        "" => format!("failed rule: {}", text(rule, "/rule").trim()),
        message => message.trim().to_owned(),
    }
}

fn message(rule: &Value, given: &[(&str, Given<'_>)]) -> String {
    let made = text(rule, "/messageExpression");
    let made = Some(made).filter(|made| !made.is_empty()).and_then(parsed);
    match made.map(|made| made.evaluate(given)) {
        Some(Ok(Outcome::Text(text))) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => told(rule),
    }
}

/// Returns the item of a list that has the same keys.
fn same_item<'v>(schema: &Value, before: &'v Value, item: &Value) -> Option<&'v Value> {
    if text(schema, "/x-kubernetes-list-type") != "map" {
        return None;
    }
    let keys: Vec<&str> =
        items(schema, "/x-kubernetes-list-map-keys").iter().filter_map(Value::as_str).collect();
    let same = |other: &&Value| keys.iter().all(|key| other.get(*key) == item.get(*key));
    items(before, "").iter().find(same)
}

/// Returns a value as rules see it: only what the schema names, by names that are words, and numbers
/// as what the schema says they are.
fn seen(schema: &Value, value: &Value, root: bool) -> Value {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties").filter(|one| one.is_object());
            let mut out = Map::new();
            if root || is_true(schema, "x-kubernetes-embedded-resource") {
                out = own_names(map);
            }
            for (key, inner) in map {
                if let Some(schema) = properties.and_then(|map| map.get(key)) {
                    if !out.contains_key(key) {
                        out.insert(escaped(key), seen(schema, inner, false));
                    }
                } else if let Some(schema) = others {
                    out.insert(key.clone(), seen(schema, inner, false));
                }
            }
            Value::Object(out)
        }
        Value::Array(list) => {
            let of_items = schema.get("items").unwrap_or(&Value::Null);
            list.iter().map(|item| seen(of_items, item, false)).collect()
        }
        Value::Number(number) if text(schema, "/type") == "number" => {
            number.as_f64().map_or_else(|| value.clone(), Value::from)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Of metadata rules see the names only.
fn own_names(object: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for key in ["apiVersion", "kind"] {
        out.extend(object.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    if let Some(metadata) = object.get("metadata") {
        let names = ["name", "generateName"].into_iter();
        let names = names.filter_map(|key| Some((key.to_owned(), metadata.get(key)?.clone())));
        out.insert("metadata".to_owned(), Value::Object(names.collect()));
    }
    out
}

/// Returns the name by which a rule knows a field.
fn escaped(name: &str) -> String {
    const WORDS: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if WORDS.contains(&name) {
        return format!("__{name}__");
    }
    let signs =
        [("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")];
    signs.iter().fold(name.to_owned(), |name, (sign, word)| name.replace(sign, word))
}

/// Refuses rules that are no expressions.
pub(crate) fn definition(object: &Value, errors: &mut Vec<FieldError>) {
    let versions = items(object, "/spec/versions");
    for (index, version) in versions.iter().enumerate() {
        let Some(schema) = version.pointer("/schema/openAPIV3Schema") else { continue };
        // What all versions have in common is told of the whole.
        let at = match versions {
            [_] => "spec.validation.openAPIV3Schema".to_owned(),
            _ => format!("spec.versions[{index}].schema.openAPIV3Schema"),
        };
        let mut found = Vec::new();
        unreadable(schema, &at, &mut found);
        for (path, why) in found {
            let why = format!("compilation failed: {why}");
            errors.push(FieldError::invalid_text(path, "apiextensions.ValidationRule", &why));
        }
    }
}

/// Returns what is wrong with the rules of a schema: where, and why.
fn unreadable(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for (index, rule) in items(schema, RULES).iter().enumerate() {
        if let Err(why) = Expression::parse(text(rule, "/rule")) {
            found.push((format!("{path}.x-kubernetes-validations[{index}].rule"), why));
        }
    }
    for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        unreadable(schema, &format!("{path}.properties[{key}]"), found);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(key) {
            unreadable(schema, &format!("{path}.{key}"), found);
        }
    }
}

/// Returns a parsed expression; one that is none was refused with its definition.
fn parsed(text: &str) -> Option<Arc<Expression>> {
    static PARSED: LazyLock<Mutex<HashMap<String, Option<Arc<Expression>>>>> =
        LazyLock::new(Mutex::default);
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = parsed.get(text) {
        return found.clone();
    }
    let new = Expression::parse(text);
    if let Err(why) = &new {
        tracing::warn!(rule = text, why, "a rule cannot be read");
    }
    let new = new.ok().map(Arc::new);
    parsed.insert(text.to_owned(), new.clone());
    new
}
