//! Custom resources: what their CRD says of each version, and their structural schema at work.
//!
//! Rules in CEL (`x-kubernetes-validations`) are carried out by [`rules`](super::rules).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde_json::Map;

use super::rules;
use super::status::FieldError;
use super::value::{int, items, text};
use crate::yaml::Value;

/// One column of `kubectl get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// Where the scale of a custom resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: String,
}

/// One version of a custom resource.
#[derive(Debug)]
pub(crate) struct Custom {
    /// The name of the CRD.
    pub(crate) crd: String,
    pub(crate) schema: Value,
    pub(crate) columns: Vec<Column>,
    pub(crate) selectable: Vec<String>,
    pub(crate) scale: Option<ScalePaths>,
}

fn pointer(path: &str) -> String {
    path.replace('.', "/")
}

impl Custom {
    /// Reads one entry of `spec.versions`.
    pub(crate) fn new(crd: &Value, version: &Value) -> Self {
        let schema = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default();
        let columns = items(version, "/additionalPrinterColumns").iter().map(|column| Column {
            name: text(column, "/name").to_owned(),
            kind: text(column, "/type").to_owned(),
            format: text(column, "/format").to_owned(),
            priority: int(column, "/priority").unwrap_or_default(),
            path: text(column, "/jsonPath").to_owned(),
        });
        let scale = version.pointer("/subresources/scale").map(|scale| ScalePaths {
            spec: pointer(text(scale, "/specReplicasPath")),
            status: pointer(text(scale, "/statusReplicasPath")),
            selector: pointer(text(scale, "/labelSelectorPath")),
        });
        let selectable = items(version, "/selectableFields").iter();
        let selectable =
            selectable.map(|one| text(one, "/jsonPath").trim_start_matches('.').to_owned());
        Self {
            crd: text(crd, "/metadata/name").to_owned(),
            columns: columns.collect(),
            selectable: selectable.collect(),
            scale,
            schema,
        }
    }

    /// Drops unknown fields and fills in defaults. Unknown paths go to `unknown`.
    pub(crate) fn shape(&self, object: &mut Value, unknown: &mut Vec<String>) {
        prune(object, &self.schema, "", true, unknown);
        default(object, &self.schema);
    }

    /// Checks an object against the schema.
    pub(crate) fn validate(&self, object: &Value, before: Option<&Value>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        validate(object, &self.schema, "", &mut errors);
        rules::check(&self.schema, object, before, &mut errors);
        errors
    }
}

pub(crate) fn is_true(schema: &Value, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn prune(value: &mut Value, schema: &Value, path: &str, root: bool, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let whole = root || is_true(schema, "x-kubernetes-embedded-resource");
            let open = is_true(schema, "x-kubernetes-preserve-unknown-fields");
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties");
            map.retain(|key, inner| {
                if whole && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) {
                    return true;
                }
                if let Some(known) = properties.and_then(|map| map.get(key)) {
                    prune(inner, known, &join(path, key), false, unknown);
                    return true;
                }
                match additional {
                    Some(Value::Bool(true)) => return true,
                    Some(values @ Value::Object(_)) => {
                        prune(inner, values, &join(path, key), false, unknown);
                        return true;
                    }
                    _ => {}
                }
                if !open {
                    unknown.push(join(path, key));
                }
                open
            });
        }
        Value::Array(list) => {
            if let Some(item_schema) = schema.get("items") {
                for (index, item) in list.iter_mut().enumerate() {
                    prune(item, item_schema, &format!("{path}[{index}]"), false, unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fills in defaults, and drops nulls where the schema allows none.
pub(crate) fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (key, known) in
                schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                let null = map.get(key).is_some_and(Value::is_null) && !is_true(known, "nullable");
                if null {
                    map.remove(key);
                }
                if let Some(filler) = known.get("default").filter(|_| !map.contains_key(key)) {
                    map.insert(key.clone(), filler.clone());
                }
                if let Some(inner) = map.get_mut(key) {
                    default(inner, known);
                }
            }
            if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
                let known = schema.get("properties");
                for (key, inner) in map.iter_mut() {
                    if known.and_then(|map| map.get(key)).is_none() {
                        default(inner, values);
                    }
                }
            }
        }
        Value::Array(list) => {
            if let Some(item_schema) = schema.get("items") {
                list.iter_mut().for_each(|item| default(item, item_schema));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns a compiled pattern; patterns that Rust's engine cannot read match everything.
fn pattern(text: &str) -> Option<Arc<Regex>> {
    static COMPILED: Mutex<Option<HashMap<String, Option<Arc<Regex>>>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_with(HashMap::new);
    if let Some(found) = compiled.get(text) {
        return found.clone();
    }
    let new = Regex::new(text).ok().map(Arc::new);
    compiled.insert(text.to_owned(), new.clone());
    new
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn has_type(value: &Value, wanted: &str) -> bool {
    let found = type_name(value);
    let whole = value.as_f64().is_some_and(|float| float.fract() == 0.0);
    found == wanted || (wanted == "number" && found == "integer") || (wanted == "integer" && whole)
}

fn validate(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && is_true(schema, "nullable") {
        return;
    }
    let int_or_text = is_true(schema, "x-kubernetes-int-or-string");
    if let Some(wanted) = schema.get("type").and_then(Value::as_str) {
        let fits =
            has_type(value, wanted) || (int_or_text && (value.is_string() || value.is_number()));
        if !fits {
            let found = Value::from(type_name(value));
            let detail = format!("{path} in body must be of type {wanted}: {found}");
            errors.push(FieldError::wrong_type(path, &found, &detail));
            return;
        }
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let known: Vec<_> = allowed
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        errors.push(FieldError::unsupported(path, value, &known));
    }
    match value {
        Value::String(text) => validate_text(text, value, schema, path, errors),
        Value::Number(_) => validate_number(value, schema, path, errors),
        Value::Array(list) => validate_list(list, schema, path, errors),
        Value::Object(map) => validate_map(map, schema, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
    validate_junctors(value, schema, path, errors);
}

fn limit(schema: &Value, key: &str) -> Option<usize> {
    schema.get(key).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok())
}

fn validate_text(
    text: &str,
    value: &Value,
    schema: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    if let Some(wanted) = schema.get("pattern").and_then(Value::as_str)
        && pattern(wanted).is_some_and(|regex| !regex.is_match(text))
    {
        let detail = format!("{path} in body should match '{wanted}'");
        errors.push(FieldError::invalid(path, value, &detail));
    }
    let length = text.chars().count();
    if let Some(least) = limit(schema, "minLength").filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        errors.push(FieldError::invalid(path, value, &detail));
    }
    if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
        errors.push(FieldError::too_long(path, most));
    }
}

fn validate_number(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(number) = value.as_f64() else { return };
    let bound = |key: &str| schema.get(key).filter(|bound| bound.is_number());
    let as_float = |bound: &Value| bound.as_f64().unwrap_or_default();
    if let Some(least) = bound("minimum") {
        let strict = is_true(schema, "exclusiveMinimum");
        if number < as_float(least) || (strict && number <= as_float(least)) {
            let than = if strict { "greater than" } else { "greater than or equal to" };
            let detail = format!("{path} in body should be {than} {least}");
            errors.push(FieldError::invalid(path, value, &detail));
        }
    }
    if let Some(most) = bound("maximum") {
        let strict = is_true(schema, "exclusiveMaximum");
        if number > as_float(most) || (strict && number >= as_float(most)) {
            let than = if strict { "less than" } else { "less than or equal to" };
            let detail = format!("{path} in body should be {than} {most}");
            errors.push(FieldError::invalid(path, value, &detail));
        }
    }
}

fn validate_list(list: &[Value], schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let length = Value::from(list.len());
    if let Some(least) = limit(schema, "minItems").filter(|least| list.len() < *least) {
        let detail = format!("{path} in body should have at least {least} items");
        errors.push(FieldError::invalid(path, &length, &detail));
    }
    if let Some(most) = limit(schema, "maxItems").filter(|most| list.len() > *most) {
        errors.push(FieldError::too_many(path, list.len(), most as u64));
    }
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let keys: Vec<_> = keys.into_iter().flatten().filter_map(Value::as_str).collect();
    if !keys.is_empty() {
        let mut seen = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let own =
                keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone())));
            let own = Value::Object(own.collect());
            if seen.contains(&own) {
                errors.push(FieldError::duplicate(format!("{path}[{index}]"), &own));
            }
            seen.push(own);
        }
    }
    if let Some(item_schema) = schema.get("items") {
        for (index, item) in list.iter().enumerate() {
            validate(item, item_schema, &format!("{path}[{index}]"), errors);
        }
    }
}

fn validate_map(
    map: &Map<String, Value>,
    schema: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    for key in items(schema, "/required").iter().filter_map(Value::as_str) {
        if !map.contains_key(key) {
            errors.push(FieldError::required(join(path, key), ""));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties").filter(|schema| schema.is_object());
    for (key, inner) in map {
        // Metadata has its own rules.
        if path.is_empty() && key == "metadata" {
            continue;
        }
        if let Some(known) = properties.and_then(|map| map.get(key)).or(additional) {
            validate(inner, known, &join(path, key), errors);
        }
    }
}

fn validate_junctors(value: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let fits = |schema: &Value| {
        let mut found = Vec::new();
        validate(value, schema, path, &mut found);
        found.is_empty()
    };
    for one in items(schema, "/allOf") {
        validate(value, one, path, errors);
    }
    let printed = || Value::from(type_name(value));
    let any = items(schema, "/anyOf");
    if !any.is_empty() && !any.iter().any(fits) {
        let detail = format!("{path} in body must validate at least one schema (anyOf)");
        errors.push(FieldError::invalid(path, &printed(), &detail));
    }
    let one = items(schema, "/oneOf");
    if !one.is_empty() && one.iter().filter(|schema| fits(schema)).count() != 1 {
        let detail = format!("{path} in body must validate one and only one schema (oneOf)");
        errors.push(FieldError::invalid(path, &printed(), &detail));
    }
    if schema.get("not").is_some_and(fits) {
        let detail = format!("{path} in body must not validate the schema (not)");
        errors.push(FieldError::invalid(path, &printed(), &detail));
    }
}
