//! Every field of Flux's sources is acted on, or refused by its name: none is passed over.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::crd;
use super::{BucketSpec, GitRepositorySpec, HelmChartSpec, HelmRepositorySpec, OciRepositorySpec};

/// What becomes of a field that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is read, and acted on.
    Acted,
    /// It is read, and refused by this name.
    Refused(&'static str),
    /// It is not read, for this reason.
    Unread(&'static str),
}

use Fate::{Acted, Refused, Unread};

type Row = (&'static str, Fate);

const BUCKET: &[Row] = &[
    ("provider", Refused("spec.provider gcp")),
    ("bucketName", Acted),
    ("endpoint", Acted),
    ("sts.provider", Refused("spec.sts")),
    ("sts.endpoint", Refused("spec.sts")),
    ("sts.secretRef.name", Refused("spec.sts")),
    ("sts.certSecretRef.name", Refused("spec.sts")),
    ("insecure", Acted),
    ("region", Acted),
    ("prefix", Acted),
    ("secretRef.name", Acted),
    ("serviceAccountName", Refused("spec.serviceAccountName")),
    ("certSecretRef.name", Acted),
    ("proxySecretRef.name", Acted),
    ("interval", Acted),
    ("timeout", Acted),
    ("ignore", Acted),
    ("suspend", Acted),
];

const GIT_REPOSITORY: &[Row] = &[
    ("url", Acted),
    ("ref.branch", Acted),
    ("ref.tag", Acted),
    ("ref.semver", Acted),
    ("ref.name", Acted),
    ("ref.commit", Acted),
    ("interval", Acted),
    ("timeout", Acted),
    ("secretRef.name", Acted),
    ("provider", Refused("spec.provider")),
    ("serviceAccountName", Refused("spec.serviceAccountName")),
    ("verify.mode", Acted),
    ("verify.secretRef.name", Acted),
    ("proxySecretRef.name", Acted),
    ("ignore", Acted),
    ("suspend", Acted),
    ("recurseSubmodules", Acted),
    ("include.repository.name", Acted),
    ("include.fromPath", Acted),
    ("include.toPath", Acted),
    ("sparseCheckout", Acted),
];

const HELM_CHART: &[Row] = &[
    ("chart", Acted),
    ("version", Acted),
    ("sourceRef.apiVersion", Unread("Flux does not look at it either")),
    ("sourceRef.kind", Acted),
    ("sourceRef.name", Acted),
    ("interval", Acted),
    ("reconcileStrategy", Acted),
    ("valuesFiles", Acted),
    ("ignoreMissingValuesFiles", Acted),
    ("suspend", Acted),
    // Of what is no HelmRepository, which is meant where nothing is said.
    ("verify.provider", Refused("spec.verify")),
    ("verify.secretRef.name", Refused("spec.verify")),
    ("verify.matchOIDCIdentity.issuer", Refused("spec.verify")),
    ("verify.matchOIDCIdentity.subject", Refused("spec.verify")),
];

const HELM_REPOSITORY: &[Row] = &[
    ("url", Acted),
    ("type", Acted),
    ("interval", Acted),
    ("timeout", Acted),
    ("secretRef.name", Acted),
    ("certSecretRef.name", Acted),
    ("passCredentials", Acted),
    // Refused where the Secret would be looked for.
    ("provider", Acted),
    ("insecure", Acted),
    ("suspend", Acted),
    ("accessFrom.namespaceSelectors.matchLabels", Unread("nobody ever acted on it, nor does Flux")),
];

const OCI_REPOSITORY: &[Row] = &[
    ("url", Acted),
    ("ref.digest", Acted),
    ("ref.semver", Acted),
    ("ref.semverFilter", Acted),
    ("ref.tag", Acted),
    ("layerSelector.mediaType", Acted),
    ("layerSelector.operation", Acted),
    ("provider", Refused("spec.provider")),
    ("secretRef.name", Acted),
    ("verify.provider", Acted),
    ("verify.secretRef.name", Acted),
    ("verify.matchOIDCIdentity.issuer", Acted),
    ("verify.matchOIDCIdentity.subject", Acted),
    ("verify.trustedRootSecretRef.name", Acted),
    ("serviceAccountName", Acted),
    ("certSecretRef.name", Acted),
    ("proxySecretRef.name", Acted),
    ("interval", Acted),
    ("timeout", Acted),
    ("ignore", Acted),
    ("insecure", Acted),
    ("suspend", Acted),
];

/// Returns the fields of a spec that hold no others, with a value of each.
fn fields(definition: &str) -> Vec<(String, Value)> {
    let definition: Value = serde_yaml::from_str(definition).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    walk(&schema["properties"]["spec"], "", &mut found);
    found
}

fn walk(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let inner = [&schema["properties"], &schema["items"]["properties"]];
    let Some(inner) = inner.into_iter().find_map(Value::as_object) else {
        found.push((path.to_owned(), sample(schema)));
        return;
    };
    for (name, schema) in inner {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(schema, &path, found);
    }
}

/// Returns a value that is not the usual one.
fn sample(schema: &Value) -> Value {
    let words = schema["enum"].as_array().and_then(|words| words.last());
    let is_duration = schema["pattern"].as_str().is_some_and(|text| text.contains("ms|s|m"));
    match schema["type"].as_str() {
        Some("boolean") => json!(true),
        Some("array") => json!(["x"]),
        Some("object") => json!({"x": "y"}),
        _ if is_duration => json!("7m"),
        _ => words.cloned().unwrap_or_else(|| json!("x")),
    }
}

/// Returns a spec with one field.
fn spec_of(definition: &Value, path: &str, value: Value) -> Value {
    let Some((first, rest)) = path.split_once('.') else {
        return Value::Object(Map::from_iter([(path.to_owned(), value)]));
    };
    let schema = &definition["properties"][first];
    let below = if schema["type"] == "array" { &schema["items"] } else { schema };
    let inner = spec_of(below, rest, value);
    let inner = if schema["type"] == "array" { json!([inner]) } else { inner };
    Value::Object(Map::from_iter([(first.to_owned(), inner)]))
}

fn check<T: DeserializeOwned + Default + PartialEq>(
    (kind, definition): (&str, &str),
    rows: &[Row],
    unsupported: impl Fn(&T) -> Vec<&'static str>,
) {
    let schema: Value = serde_yaml::from_str(definition).unwrap();
    let schema = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let all = fields(definition);
    let mut wrong = Vec::new();
    let has = |path: &str| all.iter().any(|(field, _)| field == path);
    wrong
        .extend(rows.iter().filter(|(path, _)| !has(path)).map(|row| format!("{row:?}: no field")));
    for (path, value) in &all {
        let Some((_, fate)) = rows.iter().find(|(field, _)| field == path) else {
            wrong.push(format!("{path}: no row"));
            continue;
        };
        // The last word of a list is a provider that is not there yet, but for Buckets.
        let value =
            if path == "provider" && kind == "Bucket" { json!("gcp") } else { value.clone() };
        let read: T = serde_json::from_value(spec_of(schema, path, value)).unwrap();
        let refused = unsupported(&read);
        let is_so = match fate {
            Acted => read != T::default() && refused.is_empty(),
            Refused(name) => refused == [*name],
            Unread(_) => read == T::default(),
        };
        if !is_so {
            wrong.push(format!("{path}: not {fate:?}, refused: {refused:?}"));
        }
    }
    assert!(wrong.is_empty(), "{kind}: {wrong:#?}");
}

#[test]
fn each_field_is_acted_on_or_refused_by_name() {
    check(("Bucket", crd::BUCKET), BUCKET, BucketSpec::unsupported);
    check(("GitRepository", crd::GIT_REPOSITORY), GIT_REPOSITORY, GitRepositorySpec::unsupported);
    check(("HelmChart", crd::HELM_CHART), HELM_CHART, HelmChartSpec::unsupported);
    check(("HelmRepository", crd::HELM_REPOSITORY), HELM_REPOSITORY, |_: &HelmRepositorySpec| {
        Vec::new()
    });
    check(("OCIRepository", crd::OCI_REPOSITORY), OCI_REPOSITORY, OciRepositorySpec::unsupported);
}
