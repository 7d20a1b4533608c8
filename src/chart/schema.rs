//! `values.schema.json`: the values of a chart and of its dependencies against their schemas.
//!
//! Nothing is fetched: a `$ref` to another file or host is an error.
//!
//! Source: helm v4.3.1 pkg/chart/v2/util/jsonschema.go; message texts of santhosh-tekuri/jsonschema.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};

use super::origin::Path;
use super::{Chart, Error};
use crate::yaml::{Map, Value, float};

/// Checks coalesced values against the schemas of a chart and of its enabled dependencies.
///
/// # Errors
/// [`Error::Schema`] names every chart and every value that does not fit.
pub fn validate(chart: &Chart, values: &Map) -> Result<(), Error> {
    let mut text = String::new();
    collect(chart, &chart.metadata.name, values, &mut text);
    if text.is_empty() { Ok(()) } else { Err(Error::Schema(text)) }
}

/// Whether a chart or one of its dependencies has a schema.
#[must_use]
pub fn is_wanted(chart: &Chart) -> bool {
    chart.schema.is_some() || chart.dependencies.iter().any(|child| is_wanted(child))
}

fn collect(chart: &Chart, name: &str, values: &Map, text: &mut String) {
    if let Some(schema) = chart.schema.as_ref().filter(|schema| !quick::fits(schema, values)) {
        let lines = check(schema, values);
        if !lines.is_empty() {
            text.push_str(name);
            text.push_str(":\n");
            for line in lines {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    let empty = Map::new();
    for child in &chart.dependencies {
        let name = &child.metadata.name;
        let own = values.get(name).and_then(Value::as_object).unwrap_or(&empty);
        collect(child, name, own, text);
    }
}

/// Returns the paths, from the root's values, of all that does not fit: also of what is missing.
pub fn places(chart: &Chart, values: &Map) -> Vec<Path> {
    let mut found = Vec::new();
    if let Some(validator) = chart.schema.as_ref().and_then(|schema| compile(schema).ok()) {
        let instance = instance(values);
        for error in validator.iter_errors(&instance) {
            let at: Path = error.instance_path().iter().map(|part| part.to_string()).collect();
            let below = |name: &str| [&at[..], &[name.to_owned()]].concat();
            match error.kind() {
                ValidationErrorKind::Required { property } => {
                    found.push(below(property.as_str().unwrap_or_default()));
                }
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    found.extend(unexpected.iter().map(|name| below(name)));
                }
                _ => found.push(at),
            }
        }
    }
    for child in &chart.dependencies {
        let name = &child.metadata.name;
        let Some(Value::Object(own)) = values.get(name) else { continue };
        let below = places(child, own).into_iter();
        found.extend(below.map(|path| [std::slice::from_ref(name), &path[..]].concat()));
    }
    found
}

/// Returns one line for each value that does not fit one schema.
pub fn check(schema: &[u8], values: &Map) -> Vec<String> {
    let validator = match compile(schema) {
        Ok(validator) => validator,
        Err(line) => return vec![line],
    };
    let instance = instance(values);
    let errors: Vec<_> = validator.iter_errors(&instance).collect();
    lines(&errors, 0)
}

fn compile(schema: &[u8]) -> Result<Validator, String> {
    let mut schema: Value = match serde_json::from_slice(schema) {
        Ok(schema) => schema,
        Err(error) if error.is_eof() => return Err("unexpected EOF".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    // The address without a draft means the newest one.
    if let Value::Object(map) = &mut schema
        && map
            .get("$schema")
            .and_then(Value::as_str)
            .is_some_and(|draft| draft.trim_end_matches('#').ends_with("json-schema.org/schema"))
    {
        map.remove("$schema");
    }
    jsonschema::validator_for(&schema).map_err(|error| refused(&error.to_string()))
}

/// Whole floats are integers for a schema.
fn instance(values: &Map) -> Value {
    let mut instance = Value::Object(values.clone());
    integers(&mut instance);
    instance
}

/// A schema that is none, or one that names another file, which is never read.
fn refused(why: &str) -> String {
    let named = why.strip_prefix("Resource '").and_then(|rest| rest.split_once('\''));
    let pointer =
        why.strip_prefix("Pointer '").and_then(|rest| rest.strip_suffix("' does not exist"));
    if let Some(pointer) = pointer {
        return format!("json-pointer in \"file:///values.schema.json#{pointer}\" not found");
    }
    match named.map(|(name, _)| name).filter(|name| !name.contains(':')) {
        Some(name) => {
            format!("failing loading \"file:///{name}\": open /{name}: no such file or directory\n")
        }
        None => {
            format!("\"file:///values.schema.json#\" is not valid against metaschema: {why}")
        }
    }
}

fn integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            if let Some(whole) = whole {
                *number = (whole as i64).into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(integers),
        Value::Object(map) => map.values_mut().for_each(integers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn lines(errors: &[ValidationError<'_>], depth: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut missing: Vec<(String, Vec<String>)> = Vec::new();
    let indent = "  ".repeat(depth);
    for error in errors {
        let at = error.instance_path().to_string();
        if let ValidationErrorKind::Required { property } = error.kind() {
            let name = format!("'{}'", property.as_str().unwrap_or_default());
            match missing.iter_mut().find(|(place, _)| *place == at) {
                Some((_, names)) => names.push(name),
                None => missing.push((at, vec![name])),
            }
            continue;
        }
        lines.push(format!("{indent}- at '{at}': {}", words(error)));
        if let ValidationErrorKind::AnyOf { context }
        | ValidationErrorKind::OneOfNotValid { context } = error.kind()
        {
            for branch in context {
                lines.extend(self::lines(branch, depth + 1));
            }
        }
    }
    for (at, names) in missing {
        let noun = if names.len() == 1 { "property" } else { "properties" };
        lines.push(format!("{indent}- at '{at}': missing {noun} {}", names.join(", ")));
    }
    lines
}

#[expect(clippy::too_many_lines, reason = "one arm for each keyword")]
fn words(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    let instance = error.instance();
    let length = || match &**instance {
        Value::String(text) => text.chars().count().to_string(),
        Value::Array(list) => list.len().to_string(),
        Value::Object(map) => map.len().to_string(),
        other => shown(other),
    };
    match error.kind() {
        Kind::Type { kind } => format!("got {}, want {}", type_of(instance), wanted(kind)),
        Kind::Minimum { limit } => {
            format!("minimum: got {}, want {}", shown(instance), shown(limit))
        }
        Kind::Maximum { limit } => {
            format!("maximum: got {}, want {}", shown(instance), shown(limit))
        }
        Kind::ExclusiveMinimum { limit } => {
            format!("exclusiveMinimum: got {}, want {}", shown(instance), shown(limit))
        }
        Kind::ExclusiveMaximum { limit } => {
            format!("exclusiveMaximum: got {}, want {}", shown(instance), shown(limit))
        }
        Kind::MinLength { limit } => format!("minLength: got {}, want {limit}", length()),
        Kind::MaxLength { limit } => format!("maxLength: got {}, want {limit}", length()),
        Kind::MinItems { limit } => format!("minItems: got {}, want {limit}", length()),
        Kind::MaxItems { limit } => format!("maxItems: got {}, want {limit}", length()),
        Kind::MinProperties { limit } => format!("minProperties: got {}, want {limit}", length()),
        Kind::MaxProperties { limit } => format!("maxProperties: got {}, want {limit}", length()),
        Kind::MultipleOf { multiple_of } => {
            format!("multipleOf: got {}, want {}", shown(instance), float::format_g(*multiple_of))
        }
        Kind::Pattern { pattern } => {
            format!("{} does not match pattern '{pattern}'", shown(instance))
        }
        Kind::Format { format } => {
            let why = match format.as_str() {
                "ipv4" => wrong_ipv4(instance.as_str().unwrap_or_default()),
                _ => "",
            };
            format!("{} is not valid {format}{why}", shown(instance))
        }
        Kind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<_> = options.iter().map(shown).collect();
            format!("value must be one of {}", options.join(", "))
        }
        Kind::Constant { expected_value } => format!("value must be {}", shown(expected_value)),
        Kind::AdditionalProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| format!("'{name}'")).collect();
            format!("additional properties {} not allowed", names.join(", "))
        }
        Kind::FalseSchema => "false schema".to_owned(),
        Kind::Contains => "no items match contains schema".to_owned(),
        Kind::AnyOf { .. } => "'anyOf' failed".to_owned(),
        Kind::OneOfNotValid { .. } => "'oneOf' failed, none matched".to_owned(),
        Kind::OneOfMultipleValid { context } => {
            let fit = context.iter().enumerate().filter(|(_, errors)| errors.is_empty());
            let fit: Vec<_> = fit.take(2).map(|(index, _)| index.to_string()).collect();
            format!("'oneOf' failed, subschemas {} matched", fit.join(", "))
        }
        Kind::UniqueItems => twins(instance),
        Kind::Not { .. } => "'not' failed".to_owned(),
        _ => error.to_string(),
    }
}

/// Which of a list's items are equal.
fn twins(value: &Value) -> String {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = (1..list.len())
        .find_map(|high| (0..high).find(|low| list[*low] == list[high]).map(|low| (low, high)));
    let (low, high) = pair.unwrap_or_default();
    format!("items at {low} and {high} are equal")
}

/// What is wrong with an address.
///
/// Source: santhosh-tekuri/jsonschema v6 format.go (`validateIPV4`).
fn wrong_ipv4(text: &str) -> &'static str {
    let parts: Vec<_> = text.split('.').collect();
    if parts.len() == 4 { "" } else { ": expected four decimals" }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wanted(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(single) => single.to_string(),
        TypeKind::Multiple(set) => {
            set.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => format!("'{text}'"),
        Value::Number(number) => number.as_f64().map_or(number.to_string(), float::format_g),
        other => other.to_string(),
    }
}

mod quick;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said_in_helm_s_words() {
        let schema = serde_json::json!({
            "type": "object", "required": ["name", "kind"], "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "minLength": 2}, "kind": {},
                "port": {"type": "integer", "minimum": 1},
                "mode": {"enum": ["a", "b"]}, "count": {"type": "integer"},
            },
        });
        let values =
            serde_json::json!({"port": 0.0, "mode": "c", "count": 3.0, "extra": 1, "name": 5});
        let chart = Chart {
            schema: Some(schema.to_string().into()),
            metadata: super::super::Metadata { name: "web".into(), ..Default::default() },
            ..Chart::default()
        };
        let error = validate(&chart, values.as_object().unwrap()).unwrap_err().to_string();
        for line in [
            "web:",
            "- at '': missing property 'kind'",
            "- at '/port': minimum: got 0, want 1",
            "- at '/name': got number, want string",
            "- at '': additional properties 'extra' not allowed",
            "- at '/mode': value must be one of 'a', 'b'",
        ] {
            assert!(error.contains(line), "{error}\nlacks {line}");
        }
        assert!(!error.contains("count"), "{error}");
    }
}
