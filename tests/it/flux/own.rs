//! Scenarios of our own: what a person does is a list of steps in `tests/golden/flux/NAME.yaml`;
//! what Flux's controllers left after each step that waits was recorded beside it, in `NAME.json`
//! (`super::record`). The charts are our own, too.
//!
//! A step is one of
//! - `release: {name?, chart?, version?, spec…}`: applies a `HelmRelease`; `chart` is a name or all of
//!   `spec.chart`, the rest is its spec, beside an interval and a timeout of ten seconds,
//! - `apply: [OBJECT…]`, `merge: {path, patch}`, `delete: PATH`, `annotate: {KEY: VALUE}` (the
//!   release `web`), `helm: [ARGUMENT…]`,
//! - `settled: true`: waits until each release has come to its end, or
//! - `sleep: SECONDS`: waits so long.
//!
//! `look: [PATH…]` in a step names objects that are compared from there on, beside those of the
//! inventory. `$NAMESPACE`, `$CHARTS` and `$REGISTRY` stand for the scenario's namespace, the URL of the
//! charts, and the host of a registry that has `charts/app` and signed charts (`support::signed`);
//! `$TEXT(NAME)` for one of their keys, certificates and roots.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::support::leadsman::Leadsman;
use crate::support::pack::Package;
use crate::support::registry::Registry;
use crate::support::repository::Repository;
use crate::support::root;
use crate::support::signed::Record;

/// Versions of the chart `app`.
const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "2.0.0"];

/// Signed charts, each in a repository of its own.
const SIGNED: [&str; 4] = ["key-p256", "bundle-p256", "keyless-bundle", "notation-jws-ec"];

/// One scenario.
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) steps: Vec<Value>,
}

/// Returns the folder of the scenarios.
pub(super) fn folder() -> PathBuf {
    root().join("tests/golden/flux")
}

/// Returns where the recording of a scenario is.
pub(super) fn recording(name: &str) -> PathBuf {
    folder().join(format!("{name}.json"))
}

/// Where charts are.
pub(super) struct Place {
    charts: String,
    registry: Option<String>,
}

impl Place {
    pub(super) fn new(repository: &Repository, registry: Option<&Registry>) -> Self {
        let registry = registry.map(|registry| registry.address().to_owned());
        Self { charts: repository.url(), registry }
    }

    /// Puts addresses in the place of their names.
    pub(super) fn named(&self, text: &str) -> String {
        let mut text = text.replace("$CHARTS", &self.charts);
        if text.contains("$TEXT(") {
            for (name, value) in Record::read().texts {
                let value = json!(value).to_string();
                text = text.replace(&format!("$TEXT({name})"), value.trim_matches('"'));
            }
        }
        self.registry.as_ref().map_or(text.clone(), |registry| text.replace("$REGISTRY", registry))
    }

    /// Puts names in the place of addresses, which are others each time.
    pub(super) fn anonymous(&self, text: &str) -> String {
        let text = text.replace(&self.charts, "$CHARTS");
        self.registry.as_ref().map_or(text.clone(), |registry| text.replace(registry, "$REGISTRY"))
    }
}

/// Reads a scenario; none if it needs a registry and there is none.
pub(super) fn read(path: &Path, place: &Place) -> Option<Scenario> {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let namespace = format!("own-{name}");
    let text = std::fs::read_to_string(path).unwrap();
    if text.contains("$REGISTRY") && place.registry.is_none() {
        return None;
    }
    let text = place.named(&text.replace("$NAMESPACE", &namespace));
    let steps: Vec<Value> =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let steps = steps.into_iter().map(|step| spelled_out(step, &namespace)).collect();
    Some(Scenario { name, namespace, steps })
}

/// Starts a registry with the chart `app` in it, or says that scenarios are skipped.
pub(super) async fn registry() -> Option<Registry> {
    let registry = Registry::start()?;
    let leadsman = Leadsman::new();
    for version in VERSIONS {
        let package = app(version);
        std::fs::write(leadsman.folder().join(&package.file), &package.bytes).unwrap();
        let to = registry.oci("charts");
        leadsman.run(&["push", &package.file, &to, "--plain-http"]).await.success();
    }
    let record = Record::read();
    for case in SIGNED {
        record.push(&registry, case, case).await;
    }
    Some(registry)
}

/// Puts whole objects and paths in the place of what is short for them.
fn spelled_out(mut step: Value, namespace: &str) -> Value {
    let fields = step.as_object_mut().unwrap();
    if let Some(release) = fields.remove("release") {
        fields.insert("apply".to_owned(), json!([helm_release(release)]));
    }
    if let Some(annotations) = fields.remove("annotate") {
        let path =
            format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/web");
        let patch = json!({"metadata": {"annotations": annotations}});
        fields.insert("merge".to_owned(), json!({"path": path, "patch": patch}));
    }
    step
}

fn helm_release(given: Value) -> Value {
    let Value::Object(mut given) = given else { panic!("a release is a mapping: {given}") };
    let mut take = |key: &str, usual: &str| given.remove(key).unwrap_or_else(|| json!(usual));
    let (name, chart, version) =
        (take("name", "web"), take("chart", "app"), take("version", "1.0.0"));
    let mut spec = Map::from_iter([
        ("interval".to_owned(), json!("10s")),
        ("timeout".to_owned(), json!("10s")),
    ]);
    if chart.is_object() {
        spec.insert("chart".to_owned(), chart);
    } else if !given.contains_key("chartRef") {
        let source = json!({"kind": "HelmRepository", "name": "charts"});
        let chart =
            json!({"chart": chart, "version": version, "interval": "5s", "sourceRef": source});
        spec.insert("chart".to_owned(), json!({ "spec": chart }));
    }
    spec.extend(given);
    json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name}, "spec": spec,
    })
}

/// Publishes the charts of the scenarios: `app` in three versions; of `gadget`, one chart for each
/// way to treat CRDs, since a CRD is the whole cluster's, in two versions.
pub(super) fn publish(repository: &Repository) {
    let charts = folder().join("charts");
    VERSIONS.iter().for_each(|version| repository.publish_package(app(version)));
    for (way, kind) in [("skip", "Skipped"), ("create", "Created"), ("replace", "Replaced")] {
        for (version, field) in [("1.0.0", "size"), ("1.1.0", "weight")] {
            let (lower, plural) = (kind.to_lowercase(), format!("{}s", kind.to_lowercase()));
            let replacements = [
                ("name: gadget", &*format!("name: gadget-{way}")),
                ("version: 1.0.0", &*format!("version: {version}")),
                ("PLURAL", &*plural),
                ("KIND_LOWER", &*lower),
                ("KIND", kind),
                ("SIZE", field),
            ];
            repository.publish_package(packed(&charts.join("gadget"), &replacements));
        }
    }
}

/// Returns the chart `app` in a version.
fn app(version: &str) -> Package {
    let version = format!("version: {version}");
    packed(&folder().join("charts/app"), &[("version: 1.0.0", &version)])
}

/// Packs a chart's folder with other texts in its files.
fn packed(folder: &Path, replacements: &[(&str, &str)]) -> Package {
    let files = leadsman::base::file::list_tree(folder).unwrap().into_iter().map(|name| {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let text = replacements.iter().fold(text, |text, (from, to)| text.replace(from, to));
        (name, text)
    });
    Package::files(files.collect::<Vec<_>>())
}
