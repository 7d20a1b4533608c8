//! Composes the values of a release: references in order, then inline values. Pure; what the
//! references hold is fetched before.
//!
//! Differs from Flux on purpose: a `targetPath` always wins over inline values, as Flux's
//! documentation promises (`docs/compat.md`).
//!
//! Source: fluxcd/pkg chartutil/values.go (ChartValuesFromReferences).

use std::collections::BTreeMap;

use crate::api::ValuesReference;
use crate::base::digest::Digest;
use crate::chart::{SetError, coalesce_tables, merge_values, set};
use crate::yaml::{self, Map, Numbers, Value};

/// Key that holds the values where a reference names none.
const DEFAULT_KEY: &str = "values.yaml";

/// A reference that could not be followed.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not resolve{optional} {kind} chart values reference '{namespace}/{name}' with key '{key}': {reason}"
)]
pub struct Error {
    optional: &'static str,
    kind: String,
    namespace: String,
    name: String,
    key: String,
    reason: String,
}

/// What a ConfigMap or Secret holds; `Err` says why it could not be read, `Ok(None)`: not there.
pub type Fetched = Result<Option<BTreeMap<String, String>>, String>;

/// Where a value of a release comes from.
#[derive(Debug, Clone, Copy)]
pub enum Giver<'r> {
    /// An entry of `spec.valuesFrom`, and what its key holds.
    Reference(&'r ValuesReference, &'r str),
    /// `spec.values`.
    Inline,
}

/// Receives values in the order in which they are merged.
pub trait Receiver {
    /// Lays a document on top.
    fn merge(&mut self, giver: Giver<'_>, document: Map);
    /// Writes a single value on top.
    ///
    /// # Errors
    /// The values have something else at the path.
    fn write(
        &mut self,
        giver: Giver<'_>,
        write: &mut dyn FnMut(&mut Map) -> Result<(), SetError>,
    ) -> Result<(), SetError>;
}

/// The composed values alone.
impl Receiver for Map {
    fn merge(&mut self, _: Giver<'_>, document: Map) {
        *self = merge_values(std::mem::take(self), document);
    }

    fn write(
        &mut self,
        _: Giver<'_>,
        write: &mut dyn FnMut(&mut Map) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        write(self)
    }
}

/// Returns the composed values.
///
/// # Errors
/// A reference that is not optional is missing, or does not hold what it should.
pub fn compose(
    namespace: &str,
    references: &[ValuesReference],
    inline: Option<&Map>,
    fetched: impl Fn(&ValuesReference) -> Fetched,
) -> Result<Map, Error> {
    let mut result = Map::new();
    compose_into(&mut result, namespace, (references, inline), fetched)?;
    Ok(result)
}

/// Gives the values, one after the other, to whoever merges them.
///
/// # Errors
/// As [`compose`].
pub fn compose_into(
    into: &mut dyn Receiver,
    namespace: &str,
    (references, inline): (&[ValuesReference], Option<&Map>),
    fetched: impl Fn(&ValuesReference) -> Fetched,
) -> Result<(), Error> {
    let mut paths = Vec::new();
    for reference in references {
        let fail = |reason: String| failed(namespace, reference, reason);
        let data = match fetched(reference) {
            Ok(Some(data)) => data,
            Ok(None) if reference.optional => continue,
            Ok(None) => {
                let resource = if reference.kind == "Secret" { "secrets" } else { "configmaps" };
                return Err(fail(format!("{resource} \"{}\" not found", reference.name)));
            }
            Err(reason) => return Err(fail(reason)),
        };
        let Some(text) = data.get(key(reference)) else {
            if reference.optional {
                continue;
            }
            return Err(fail("key not found".to_owned()));
        };
        if reference.target_path.is_some() {
            write(into, namespace, reference, text)?;
            paths.push((reference, text.clone()));
        } else {
            let map = yaml::parse_map(text, Numbers::Float);
            let map = map.map_err(|error| fail(error.asked_for("common.Values").to_string()))?;
            into.merge(Giver::Reference(reference, text), map);
        }
    }
    let Some(inline) = inline else { return Ok(()) };
    // Inline values overrule references, and a path overrules inline values: so paths once more.
    into.merge(Giver::Inline, inline.clone());
    paths.iter().try_for_each(|(reference, text)| write(into, namespace, reference, text))
}

fn write(
    into: &mut dyn Receiver,
    namespace: &str,
    reference: &ValuesReference,
    text: &str,
) -> Result<(), Error> {
    let path = reference.target_path.as_deref().unwrap_or_default();
    let mut write = |values: &mut Map| set::parse_value_at_path(path, text, how(reference), values);
    into.write(Giver::Reference(reference, text), &mut write)
        .map_err(|error| failed(namespace, reference, error.to_string()))
}

fn failed(namespace: &str, reference: &ValuesReference, reason: String) -> Error {
    Error {
        optional: if reference.optional { " optional" } else { "" },
        kind: reference.kind.clone(),
        namespace: namespace.to_owned(),
        name: reference.name.clone(),
        key: key(reference).to_owned(),
        reason,
    }
}

fn how(reference: &ValuesReference) -> set::PathValue {
    if reference.literal { set::PathValue::Literal } else { set::PathValue::Typed }
}

/// Returns the key that a reference names.
pub fn key(reference: &ValuesReference) -> &str {
    reference.values_key.as_deref().unwrap_or(DEFAULT_KEY)
}

/// Returns the digest of composed values, as Flux records it.
pub fn digest(values: &Map) -> String {
    let text = if values.is_empty() {
        String::new()
    } else {
        // Flux decodes every number of `spec.values` as a float.
        let mut values = Value::Object(values.clone());
        yaml::json::to_floats(&mut values);
        yaml::print_sorted(&values)
    };
    Digest::of(text).to_string()
}

/// Returns the digest that the values of a release have once those are given that are given now, on
/// top of the ones of the last revision (`spec.upgrade.preserveValues`): the last revision's where
/// nothing new is given.
pub fn digest_over(given: &Map, last: &Map) -> String {
    let (merged, _) = coalesce_tables(given.clone(), last);
    // A null stays only where there was nothing to delete.
    let says_nothing = digest(&without_nulls(&merged)) == digest(&without_nulls(last));
    digest(if says_nothing { last } else { &merged })
}

fn without_nulls(map: &Map) -> Map {
    let kept = map.iter().filter(|(_, value)| !value.is_null());
    let cleaned = kept.map(|(key, value)| match value {
        Value::Object(inner) => (key.clone(), Value::Object(without_nulls(inner))),
        value => (key.clone(), value.clone()),
    });
    cleaned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Map {
        match serde_json::from_str(text).unwrap() {
            Value::Object(map) => map,
            other => panic!("{other} is no map"),
        }
    }

    /// Rows: inline values, references as `path=value` or plain YAML, what comes out.
    #[test]
    fn order_is_references_then_inline_then_paths() {
        let rows: &[(&str, &[&str], &str)] = &[
            ("{}", &["a: 1\nb: 1", "b: 2"], r#"{"a":1.0,"b":2.0}"#),
            (r#"{"b":3}"#, &["a: 1\nb: 1"], r#"{"a":1.0,"b":3}"#),
            (r#"{"a":{"b":1}}"#, &["a.b=2"], r#"{"a":{"b":2}}"#),
            (r#"{"a":{"b":1}}"#, &["a:\n  c: 3", "a.b=2"], r#"{"a":{"b":2,"c":3.0}}"#),
            (r#"{"x":1}"#, &["x=2"], r#"{"x":2}"#),
            (r#"{"a":{"b":1,"c":1}}"#, &["a.b=2", "a.c=3"], r#"{"a":{"b":2,"c":3}}"#),
            (r#"{"a":{"b":1}}"#, &["a.b=2", "a:\n  b: 9"], r#"{"a":{"b":2}}"#),
            ("", &["a.b=2", "a:\n  b: 9"], r#"{"a":{"b":9.0}}"#),
            (r#"{"l":["x","y"]}"#, &["l[0]=v"], r#"{"l":["v","y"]}"#),
            ("", &["a=true", "b='5'", "c={x,y}"], r#"{"a":true,"b":"5","c":["x","y"]}"#),
        ];
        let mut wrong = Vec::new();
        for (inline, references, want) in rows {
            let references: Vec<_> = references
                .iter()
                .map(|text| {
                    let path = text.split_once('=');
                    let target_path = path.map(|(path, _)| path.to_owned());
                    let name = path.map_or(*text, |(_, value)| value).to_owned();
                    ValuesReference { name, target_path, ..ValuesReference::default() }
                })
                .collect();
            let inline = (!inline.is_empty()).then(|| json(inline));
            let fetch = |reference: &ValuesReference| {
                Ok(Some([(DEFAULT_KEY.to_owned(), reference.name.clone())].into()))
            };
            let got = compose("ns", &references, inline.as_ref(), fetch).unwrap();
            let got = Value::Object(got).to_string();
            if got != *want {
                wrong.push(format!("{references:?}: got {got}, want {want}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let reference = |optional| ValuesReference {
            kind: "ConfigMap".into(),
            name: "none".into(),
            optional,
            ..ValuesReference::default()
        };
        let error = compose("ns", &[reference(false)], None, |_| Ok(None)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not resolve ConfigMap chart values reference 'ns/none' with key 'values.yaml': \
             configmaps \"none\" not found"
        );
        assert!(compose("ns", &[reference(true)], None, |_| Ok(None)).unwrap().is_empty());
        let empty = |_: &ValuesReference| Ok(Some(BTreeMap::new()));
        let error = compose("ns", &[reference(false)], None, empty).unwrap_err();
        assert!(error.to_string().ends_with("key not found"), "{error}");
    }

    #[test]
    fn digests_are_flux_s() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/flux-digests.json")).unwrap();
        let rows = golden["valuesDigest"].as_array().unwrap();
        assert!(!rows.is_empty());
        let wrong: Vec<_> = rows
            .iter()
            .filter(|row| digest(&json(&row["input"].to_string())) != row["digest"])
            .map(|row| format!("{}: not {}", row["input"], row["yaml"]))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn values_that_are_preserved_already_change_nothing() {
        for (given, last, same) in [
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, true),
            (r#"{"a": 3}"#, r#"{"a": 1, "b": 2}"#, false),
            (r#"{"c": 1}"#, r#"{"a": 1}"#, false),
            (r#"{"a": null}"#, r#"{"a": 1}"#, false),
            (r#"{"a": null}"#, r#"{"b": 1}"#, true),
            (r#"{"a": null}"#, r#"{"a": null, "b": 1}"#, true),
            (r#"{"t": {"a": null}}"#, r#"{"t": {"b": 1}}"#, true),
            ("{}", r#"{"a": 1}"#, true),
        ] {
            let (given, last) = (json(given), json(last));
            assert_eq!(digest_over(&given, &last) == digest(&last), same, "{given:?} {last:?}");
        }
    }
}
