//! Names, columns, defaults and rules of the definitions of sources are those of Flux's.

use serde_json::{Value, json};

use super::{
    BUCKET, EXTERNAL_ARTIFACT, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY,
};

fn read(definition: &str) -> Value {
    serde_yaml::from_str(definition).unwrap()
}

const AGE: (&str, &str) = ("Age", ".metadata.creationTimestamp");
const READY: (&str, &str) = ("Ready", ".status.conditions[?(@.type==\"Ready\")].status");
const STATUS: (&str, &str) = ("Status", ".status.conditions[?(@.type==\"Ready\")].message");

type Names = (&'static str, &'static str, &'static str, Vec<(&'static str, &'static str)>);

/// Definition, plural, short name, columns.
fn names() -> Vec<Names> {
    let url = ("URL", ".spec.url");
    let chart = vec![
        ("Chart", ".spec.chart"),
        ("Version", ".spec.version"),
        ("Source Kind", ".spec.sourceRef.kind"),
        ("Source Name", ".spec.sourceRef.name"),
        AGE,
        READY,
        STATUS,
    ];
    vec![
        (HELM_REPOSITORY, "helmrepositories", "helmrepo", vec![url, AGE, READY, STATUS]),
        (HELM_CHART, "helmcharts", "hc", chart),
        (OCI_REPOSITORY, "ocirepositories", "ocirepo", vec![url, READY, STATUS, AGE]),
        (GIT_REPOSITORY, "gitrepositories", "gitrepo", vec![url, AGE, READY, STATUS]),
        (BUCKET, "buckets", "", vec![("Endpoint", ".spec.endpoint"), AGE, READY, STATUS]),
        (
            EXTERNAL_ARTIFACT,
            "externalartifacts",
            "ea",
            vec![AGE, READY, STATUS, ("Source", ".spec.sourceRef.name")],
        ),
    ]
}

#[test]
fn sources_are_called_and_listed_as_by_flux() {
    for (definition, plural, short, columns) in names() {
        let definition = read(definition);
        let spec = &definition["spec"];
        assert_eq!(definition["metadata"]["name"], format!("{plural}.source.toolkit.fluxcd.io"));
        let substitute = "kustomize.toolkit.fluxcd.io/substitute";
        assert_eq!(definition["metadata"]["annotations"][substitute], "disabled", "{plural}");
        assert_eq!(
            (&spec["group"], &spec["scope"]),
            (&json!("source.toolkit.fluxcd.io"), &json!("Namespaced"))
        );
        assert_eq!(spec["names"]["plural"], plural);
        let shorts = if short.is_empty() { Value::Null } else { json!([short]) };
        assert_eq!(spec["names"]["shortNames"], shorts, "{plural}");
        assert_eq!(spec["names"]["categories"], json!(["all", "fluxcd", "fluxcd-sources"]));
        let [version] = &spec["versions"].as_array().unwrap()[..] else { panic!("{plural}") };
        let is = (&version["name"], &version["served"], &version["storage"]);
        assert_eq!(is, (&json!("v1"), &json!(true), &json!(true)), "{plural}");
        assert_eq!(version["subresources"]["status"], json!({}), "{plural}");
        let shown = version["additionalPrinterColumns"].as_array().unwrap().iter();
        let shown: Vec<_> =
            shown.map(|one| (one["name"].as_str(), one["jsonPath"].as_str())).collect();
        let want: Vec<_> = columns.iter().map(|(name, path)| (Some(*name), Some(*path))).collect();
        assert_eq!(shown, want, "{plural}");
        let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"];
        let want = match plural {
            "externalartifacts" => Value::Null,
            _ => json!({"observedGeneration": -1}),
        };
        assert_eq!(*status, want, "{plural}");
    }
}

/// Times with hours, and those of one operation, without.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";
const TIMEOUT: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$";

/// Definition, field of its spec (empty: the spec itself), keyword, value.
fn rules() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let clouds = || json!(["generic", "aws", "azure", "gcp"]);
    let signers = || json!(["cosign", "notation"]);
    vec![
        (HELM_REPOSITORY, "", "required", json!(["url"])),
        (HELM_REPOSITORY, "url", "pattern", json!("^(http|https|oci)://.*$")),
        (HELM_REPOSITORY, "type", "enum", json!(["default", "oci"])),
        (HELM_REPOSITORY, "type", "default", Value::Null),
        (HELM_REPOSITORY, "interval", "pattern", json!(DURATION)),
        (HELM_REPOSITORY, "interval", "default", Value::Null),
        (HELM_REPOSITORY, "timeout", "pattern", json!(TIMEOUT)),
        (HELM_REPOSITORY, "timeout", "default", Value::Null),
        (HELM_REPOSITORY, "provider", "enum", clouds()),
        (HELM_REPOSITORY, "provider", "default", json!("generic")),
        (HELM_CHART, "", "required", json!(["chart", "interval", "sourceRef"])),
        (HELM_CHART, "version", "default", json!("*")),
        (HELM_CHART, "interval", "pattern", json!(DURATION)),
        (HELM_CHART, "sourceRef", "required", json!(["kind", "name"])),
        (
            HELM_CHART,
            "sourceRef.kind",
            "enum",
            json!(["HelmRepository", "GitRepository", "Bucket"]),
        ),
        (HELM_CHART, "reconcileStrategy", "enum", json!(["ChartVersion", "Revision"])),
        (HELM_CHART, "reconcileStrategy", "default", json!("ChartVersion")),
        (HELM_CHART, "verify.provider", "enum", signers()),
        (HELM_CHART, "verify.provider", "default", json!("cosign")),
        (OCI_REPOSITORY, "", "required", json!(["interval", "url"])),
        (OCI_REPOSITORY, "url", "pattern", json!("^oci://.*$")),
        (OCI_REPOSITORY, "layerSelector.operation", "enum", json!(["extract", "copy"])),
        (OCI_REPOSITORY, "provider", "enum", clouds()),
        (OCI_REPOSITORY, "provider", "default", json!("generic")),
        (OCI_REPOSITORY, "verify.provider", "enum", signers()),
        (OCI_REPOSITORY, "verify.provider", "default", json!("cosign")),
        (OCI_REPOSITORY, "interval", "pattern", json!(DURATION)),
        (OCI_REPOSITORY, "timeout", "pattern", json!(TIMEOUT)),
        (OCI_REPOSITORY, "timeout", "default", json!("60s")),
        (GIT_REPOSITORY, "", "required", json!(["interval", "url"])),
        (GIT_REPOSITORY, "url", "pattern", json!("^(http|https|ssh)://.*$")),
        (GIT_REPOSITORY, "interval", "pattern", json!(DURATION)),
        (GIT_REPOSITORY, "timeout", "pattern", json!(TIMEOUT)),
        (GIT_REPOSITORY, "timeout", "default", json!("60s")),
        (GIT_REPOSITORY, "provider", "enum", json!(["generic", "aws", "azure", "github"])),
        (GIT_REPOSITORY, "provider", "default", Value::Null),
        (GIT_REPOSITORY, "verify", "required", json!(["secretRef"])),
        (GIT_REPOSITORY, "verify.mode", "enum", json!(["head", "HEAD", "Tag", "TagAndHEAD"])),
        (GIT_REPOSITORY, "verify.mode", "default", json!("HEAD")),
        (GIT_REPOSITORY, "include.repository", "required", json!(["name"])),
        (BUCKET, "", "required", json!(["bucketName", "endpoint", "interval"])),
        (BUCKET, "provider", "enum", json!(["generic", "aws", "gcp", "azure"])),
        (BUCKET, "provider", "default", json!("generic")),
        (BUCKET, "sts.provider", "enum", json!(["aws", "ldap"])),
        (BUCKET, "sts.endpoint", "pattern", json!("^(http|https)://.*$")),
        (BUCKET, "interval", "pattern", json!(DURATION)),
        (BUCKET, "timeout", "pattern", json!(TIMEOUT)),
        (BUCKET, "timeout", "default", json!("60s")),
        (EXTERNAL_ARTIFACT, "sourceRef", "required", json!(["kind", "name"])),
    ]
}

/// Returns the schema of a field of the spec.
fn field<'d>(definition: &'d Value, path: &str) -> &'d Value {
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let parts = path.split('.').filter(|part| !part.is_empty());
    parts.fold(&schema["properties"]["spec"], |schema, part| {
        let inner = if schema["items"].is_object() { &schema["items"] } else { schema };
        &inner["properties"][part]
    })
}

#[test]
fn fields_of_sources_have_the_rules_of_flux() {
    for (definition, path, keyword, want) in rules() {
        let definition = read(definition);
        let schema = field(&definition, path);
        let name = &definition["metadata"]["name"];
        assert!(schema.is_object(), "{name} {path}");
        assert_eq!(schema[keyword], want, "{name} {path} {keyword}");
    }
}

#[test]
fn an_artifact_is_the_same_in_every_status() {
    let digest = "^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$";
    let required = json!(["digest", "lastUpdateTime", "path", "revision", "url"]);
    for (definition, plural, _, _) in names() {
        let definition = read(definition);
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let artifact = &schema["properties"]["status"]["properties"]["artifact"];
        assert_eq!(artifact["properties"]["digest"]["pattern"], digest, "{plural}");
        assert_eq!(artifact["properties"]["size"]["format"], "int64", "{plural}");
        assert_eq!(artifact["properties"]["lastUpdateTime"]["format"], "date-time", "{plural}");
        assert_eq!(artifact["required"], required, "{plural}");
    }
}

#[test]
fn fields_exclude_each_other_in_the_words_of_flux() {
    let rows: [(&str, &[&str]); 3] = [
        (
            HELM_CHART,
            &["spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'"],
        ),
        (GIT_REPOSITORY, &["serviceAccountName can only be set when provider is 'azure' or 'aws'"]),
        (
            BUCKET,
            &[
                "STS configuration is only supported for the 'aws' and 'generic' Bucket providers",
                "'aws' is the only supported STS provider for the 'aws' Bucket provider",
                "'ldap' is the only supported STS provider for the 'generic' Bucket provider",
                "spec.sts.secretRef is not required for the 'aws' STS provider",
                "spec.sts.certSecretRef is not required for the 'aws' STS provider",
                "ServiceAccountName is not supported for the 'generic' Bucket provider",
                "cannot set both .spec.secretRef and .spec.serviceAccountName",
            ],
        ),
    ];
    for (definition, want) in rows {
        let definition = read(definition);
        let rules = field(&definition, "")["x-kubernetes-validations"].as_array().unwrap();
        let said: Vec<_> = rules.iter().filter_map(|rule| rule["message"].as_str()).collect();
        assert_eq!(said, want);
    }
}
