//! The programs on one cluster, and what they and the cluster say of a release.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use base64::Engine as _;
use futures::future::join_all;
use leadsman::release::Record;
use leadsman::release::manifest::Hook;
use leadsman::yaml::{self, Numbers};
use regex::Regex;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::support::api::Api;
use crate::support::helm::{Helm, error_of};
use crate::support::leadsman::Leadsman;

/// Programs that run at the same time.
const AT_ONCE: usize = 2;

/// Who takes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Player {
    /// Helm 4.
    Helm,
    /// Helm 3.
    Three,
    /// Leadsman.
    Leadsman,
}

impl Player {
    pub(super) fn of(letter: char) -> Self {
        match letter {
            'H' => Self::Helm,
            'T' => Self::Three,
            'L' => Self::Leadsman,
            other => panic!("nobody is {other}"),
        }
    }
}

/// A release in a namespace of its own.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) release: String,
    pub(super) namespace: String,
    /// Objects that the release ever had, and where they are.
    known: BTreeMap<String, String>,
}

impl Place {
    pub(super) fn new(release: &str, namespace: &str) -> Self {
        let known = BTreeMap::new();
        Self { release: release.to_owned(), namespace: namespace.to_owned(), known }
    }
}

/// The programs on one cluster.
pub(super) struct World {
    helm: Helm,
    three: Helm,
    pub(super) leadsman: Leadsman,
    pub(super) api: Api,
    running: Semaphore,
}

impl World {
    pub(super) async fn on(kubeconfig: &Path) -> Option<Self> {
        let helm = Helm::find()?.kubeconfig(kubeconfig);
        let three = Helm::find_three()?.kubeconfig(kubeconfig);
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        let api = Api::connect(kubeconfig).await;
        Some(Self { helm, three, leadsman, api, running: Semaphore::new(AT_ONCE) })
    }

    /// Runs a command; returns what was said, an error if it failed.
    pub(super) async fn run(
        &self,
        who: Player,
        line: &str,
        namespace: &str,
    ) -> Result<String, String> {
        let line = match who {
            Player::Three => for_three(line),
            Player::Helm | Player::Leadsman => line.to_owned(),
        };
        let mut words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        words.extend(["-n", namespace]);
        let _permit = self.running.acquire().await.unwrap();
        let output = match who {
            Player::Helm => self.helm.run(&words).await,
            Player::Three => self.three.run(&words).await,
            Player::Leadsman => self.leadsman.run(&words).await,
        };
        match output.code {
            Some(0) => Ok(format!("{}{}", output.stdout, output.stderr)),
            _ => Err(error_of(&output.stderr)),
        }
    }

    /// Returns what is seen of a release, which is what these programs say alike of it and what the
    /// cluster holds; an error where the programs do not agree.
    pub(super) async fn seen(
        &self,
        place: &mut Place,
        asked: &[Player],
    ) -> Result<Vec<String>, String> {
        let mut all = self.said(place, asked).await?;
        let records = format!("/api/v1/namespaces/{}/secrets", place.namespace);
        let records = self.api.list(&records).await;
        let is_record = |record: &&Value| record["type"] == "helm.sh/release.v1";
        let records: Vec<&Value> = records.iter().filter(is_record).collect();
        self.learn(place, &records).await;
        let live = place.known.iter().map(async |(id, path)| match self.api.get(path).await {
            Some(object) => normal(&stable(object), place),
            None => normal(&format!("no {id}"), place),
        });
        all.extend(join_all(live).await);
        all.extend(records.into_iter().map(|record| normal(&head(record), place)));
        Ok(all)
    }

    async fn said(&self, place: &Place, asked: &[Player]) -> Result<Vec<String>, String> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let answers =
            ["list -o json", "history R", "get values R", "get manifest R", "get notes R"].map(
                async |line| {
                    let line = line.replace('R', &place.release);
                    let said = asked.iter().map(async |who| {
                        let said = self.run(*who, &line, &place.namespace).await;
                        normal(&said.unwrap_or_else(|error| error), place)
                    });
                    let said = join_all(said).await;
                    match asked.iter().zip(&said).find(|(_, text)| **text != said[0]) {
                        None => Ok(said[0].clone()),
                        Some((who, text)) => {
                            let texts = similar::TextDiff::from_lines(&said[0], text);
                            let (first, second) = (format!("{:?}", asked[0]), format!("{who:?}"));
                            let diff = texts.unified_diff().header(&first, &second).to_string();
                            Err(format!("{line}:\n{diff}"))
                        }
                    }
                },
            );
        join_all(answers).await.into_iter().collect()
    }

    /// Learns which objects the release has by its newest record.
    async fn learn(&self, place: &mut Place, records: &[&Value]) {
        let newest = records.iter().max_by_key(|record| {
            let version = record["metadata"]["labels"]["version"].as_str().unwrap();
            version.parse::<u32>().unwrap()
        });
        let Some(newest) = newest else { return };
        let data = newest["data"]["release"].as_str().unwrap();
        let data = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        let record = Record::decode("newest", &data).unwrap();
        // Tests are not run, and some of them have another name each time.
        let is_run = |hook: &&Hook| hook.events.iter().any(|event| event != "test");
        let hooks = record.hooks.iter().filter(is_run).map(|hook| hook.manifest.as_str());
        for text in hooks.chain([record.manifest.as_str()]) {
            for document in yaml::parse_documents(text, Numbers::Exact).unwrap() {
                let mut object = document.value;
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                if name.is_empty() {
                    continue;
                }
                let id = format!("{} {} {name}", object["apiVersion"], object["kind"]);
                if object["metadata"]["namespace"].is_null() {
                    object["metadata"]["namespace"] = place.namespace.as_str().into();
                }
                if let Entry::Vacant(place) = place.known.entry(id) {
                    place.insert(self.api.path_of(&object).await);
                }
            }
        }
    }
}

/// Helm 3 knows one method only, and other names of flags.
fn for_three(line: &str) -> String {
    let known = line.split(' ').filter(|word| !word.starts_with("--server-side"));
    let words = known.map(|word| match word {
        "--force-replace" => "--force",
        "list" => "list -a",
        word => word,
    });
    words.filter(|word| *word != "--force-conflicts").collect::<Vec<_>>().join(" ")
}

/// What of an object does not depend on when and where it is.
fn stable(mut object: Value) -> String {
    let metadata = &mut object["metadata"];
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        metadata.as_object_mut().unwrap().remove(key);
    }
    // Controllers add theirs at their own pace.
    if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        entries.retain(|entry| {
            let manager = entry["manager"].as_str().unwrap().to_lowercase();
            manager == "helm" || manager == "editor"
        });
        // They come by time, in seconds: who was first within one is nobody's doing.
        for entry in &mut *entries {
            entry.as_object_mut().unwrap().remove("time");
        }
        entries.sort_by_cached_key(Value::to_string);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for key in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
            spec.remove(key);
        }
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().map(|port| port.remove("nodePort"));
        }
    }
    object.as_object_mut().unwrap().remove("status");
    serde_json::to_string_pretty(&object).unwrap()
}

/// A record without its content, which `get` shows.
fn head(record: &Value) -> String {
    let fields = record["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let fields: Vec<_> = fields
        .iter()
        .map(|entry| (&entry["manager"], &entry["operation"], &entry["fieldsV1"]))
        .collect();
    format!(
        "{} {} {:?} {}",
        record["type"], record["metadata"]["name"], fields, record["metadata"]["labels"]
    )
}

/// A text without times, and without the names of where it is.
pub(super) fn normal(text: &str, place: &Place) -> String {
    let patterns = [
        (r"\d{4}-\d\d-\d\d[T ][0-9:.]+(Z| \+0000 UTC)", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d [0-9:]+ \d{4}", "DATE"),
        (r#""(created|modified)At":"\d+""#, "WHEN"),
        // Of a Job, by which it knows its pods.
        (r#"controller-uid": "[0-9a-f-]{36}""#, r#"controller-uid": "UID""#),
        // Charts sum up texts in which their namespace stands.
        ("[0-9a-f]{64}", "SUM"),
    ];
    let text = text.replace(&place.namespace, "SPACE").replace(&place.release, "NAME");
    patterns.iter().fold(text, |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}
