//! A folder of YAML as the source of what is wanted: its objects are kept applied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::api::annotation::{SOURCE, SOURCE_MANAGER};
use crate::base::class::chain;
use crate::base::{file, limit};
use crate::cluster::{ApplyOptions, Cluster, Object, ObjectId, Propagation, Selection};
use crate::yaml::{self, Numbers, Value};

/// What becomes of the rest while the cluster is away: each further object would wait in vain.
const LATER: &str = "it and all behind it are applied when the cluster answers";

/// A file, or one of its documents, that cannot be used. The others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, with the line where it is known.
    pub place: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// What a folder says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// Its objects: namespaces first, releases last.
    pub objects: Vec<Object>,
    /// Where each of them stands: file and line.
    pub places: BTreeMap<ObjectId, String>,
    /// What could not be used.
    pub problems: Vec<Problem>,
}

impl Content {
    /// Reads a file, whatever its name is.
    pub fn of_file(path: &Path) -> Self {
        let mut content = Self::default();
        content.read(path, path.display().to_string());
        content
    }

    fn read(&mut self, path: &Path, name: String) {
        match file::read_text(path, limit::SOURCE_FILE_BYTES) {
            Ok(text) => parse(&name, &text, self),
            Err(error) => {
                let reason = format!("{}; correct the file, or take it away", chain(&error));
                self.problems.push(Problem { place: name, reason });
            }
        }
    }
}

/// A folder that is kept applied.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    prune: bool,
}

impl Folder {
    /// Returns a folder; `prune` deletes objects that vanish from it.
    pub fn new(path: &Path, prune: bool) -> Self {
        Self { path: path.to_owned(), prune }
    }

    /// Returns a text that changes when a file does.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn fingerprint(&self) -> Result<String, file::Error> {
        let mut text = String::new();
        for name in files(&self.path)? {
            let meta = std::fs::metadata(self.path.join(&name));
            let meta = meta.map_err(file::failed("read", &self.path.join(&name)))?;
            text.push_str(&format!("{name} {} {:?}\n", meta.len(), meta.modified().ok()));
        }
        Ok(text)
    }

    /// Reads the folder.
    ///
    /// # Errors
    /// The folder cannot be listed; a file that cannot be used is a problem, not an error.
    pub fn load(&self) -> Result<Content, file::Error> {
        let mut content = Content::default();
        for name in files(&self.path)? {
            let path = self.path.join(&name);
            content.read(&path, name);
        }
        content.objects.sort_by_key(|object| rank(object.kind()));
        Ok(content)
    }

    /// Applies what the folder says; returns what failed, a line each.
    pub async fn apply(&self, cluster: &Cluster, content: &Content) -> Vec<String> {
        let cluster = cluster.with_manager(SOURCE_MANAGER);
        let mut failed = Vec::new();
        let mut namespaces: Vec<&str> = content.objects.iter().map(Object::namespace).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        for namespace in namespaces.into_iter().filter(|namespace| !namespace.is_empty()) {
            if let Err(error) = ensure_namespace(&cluster, namespace).await {
                if error.is_outage() {
                    return vec![format!("Namespace/{namespace}: {error}; {LATER}")];
                }
                failed.push(format!("Namespace/{namespace}: {error}"));
            }
        }
        for object in &content.objects {
            let mut object = object.clone();
            object.set_label(SOURCE, &self.name());
            if let Err(error) = cluster.apply(&object, &ApplyOptions::forced()).await {
                let id = object.id();
                let place = content.places.get(&id).map(String::as_str).unwrap_or_default();
                if error.is_outage() {
                    failed.push(format!("{place}: {id}: {}; {LATER}", chain(&error)));
                    return failed;
                }
                let what = "correct the object; the others are applied";
                failed.push(format!("{place}: {id}: {}; {what}", chain(&error)));
            }
        }
        // A folder that was read only in part says nothing about what is missing from it.
        if self.prune && content.problems.is_empty() && failed.is_empty() {
            failed.extend(self.prune(&cluster, content).await);
        }
        failed
    }

    async fn prune(&self, cluster: &Cluster, content: &Content) -> Vec<String> {
        let mut failed = Vec::new();
        let kinds = [
            (crate::api::crd::HELM_RELEASE_API, "HelmRelease"),
            (crate::api::crd::HELM_CHART_API, "HelmChart"),
            (crate::api::crd::HELM_REPOSITORY_API, "HelmRepository"),
            (crate::api::crd::OCI_REPOSITORY_API, "OCIRepository"),
            (crate::api::crd::GIT_REPOSITORY_API, "GitRepository"),
            (crate::api::crd::BUCKET_API, "Bucket"),
            (crate::api::crd::EXTERNAL_ARTIFACT_API, "ExternalArtifact"),
            ("v1", "ConfigMap"),
            ("v1", "Secret"),
        ];
        for (api, kind) in kinds {
            let selection = Selection::default().labels(format!("{SOURCE}={}", self.name()));
            let found = match cluster.list_metadata(api, kind, &selection).await {
                Ok(found) => found,
                Err(error) => {
                    failed.push(format!("{kind}: {error}"));
                    continue;
                }
            };
            for object in found {
                let id = ObjectId::new(api, kind, object.namespace(), object.name());
                if content.objects.iter().any(|wanted| wanted.id().same(&id)) {
                    continue;
                }
                tracing::info!(object = %id, "no longer in the source: deleting it");
                if let Err(error) = cluster.delete(&id, Propagation::Background).await {
                    failed.push(format!("{id}: {error}"));
                }
            }
        }
        failed
    }

    /// Names the folder in labels.
    fn name(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        crate::base::digest::Digest::of(path.to_string_lossy().as_bytes()).to_hex()[..16].to_owned()
    }
}

async fn ensure_namespace(cluster: &Cluster, name: &str) -> Result<(), crate::cluster::Error> {
    let id = ObjectId::new("v1", "Namespace", "", name);
    if cluster.get(&id).await?.is_some() {
        return Ok(());
    }
    let namespace =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    cluster.apply(&Object(namespace), &ApplyOptions::forced()).await.map(drop)
}

fn files(path: &Path) -> Result<Vec<String>, file::Error> {
    let names = file::list_tree(path)?;
    let is_yaml = |name: &String| {
        let hidden = name.split('/').any(|part| part.starts_with('.'));
        !hidden && [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
    };
    Ok(names.into_iter().filter(is_yaml).collect())
}

fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "HelmRepository" | "OCIRepository" | "GitRepository" | "Bucket" | "ExternalArtifact" => 3,
        "HelmChart" => 4,
        "HelmRelease" => 5,
        _ => 2,
    }
}

fn parse(name: &str, text: &str, content: &mut Content) {
    let documents = match yaml::parse_documents(text, Numbers::Exact) {
        Ok(documents) => documents,
        Err(error) => {
            let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
            let place = format!("{name}{line}");
            let reason = format!(
                "{error}; correct the file: nothing of it is used, what it said before stays"
            );
            content.problems.push(Problem { place, reason });
            return;
        }
    };
    for document in documents {
        if document.value.is_null() {
            continue;
        }
        let place = format!("{name}:{}", document.line);
        let object = Object(document.value);
        let text = |key: &str| object.at(key).and_then(Value::as_str).unwrap_or_default();
        if text("/kind").is_empty()
            || text("/apiVersion").is_empty()
            || text("/metadata/name").is_empty()
        {
            let reason = "not a Kubernetes object: add apiVersion, kind and metadata.name";
            content.problems.push(Problem { place, reason: reason.to_owned() });
            continue;
        }
        let id = object.id();
        if let Some(first) = content.places.get(&id) {
            let reason = format!("{id} is also in {first}; the first is used: remove one of them");
            content.problems.push(Problem { place, reason });
            continue;
        }
        content.places.insert(id, place);
        content.objects.push(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_and_what_is_wrong_is_placed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            file::write_atomic(&dir.path().join(name), text.as_bytes()).unwrap();
        };
        write(
            "a.yaml",
            "apiVersion: v1\nkind: HelmRelease\nmetadata: {name: r}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n",
        );
        write("b/c.yml", "apiVersion: v1\nkind: HelmRelease\nmetadata: {name: r}\n---\nkind: X\n");
        write("broken.yaml", "a: 1\nb: [\n");
        write("readme.md", "no yaml");
        let folder = Folder::new(dir.path(), false);
        let content = folder.load().unwrap();
        let kinds: Vec<_> = content.objects.iter().map(Object::kind).collect();
        assert_eq!(kinds, ["Namespace", "HelmRelease"]);
        let problems: Vec<_> =
            content.problems.iter().map(|p| (p.place.as_str(), p.reason.as_str())).collect();
        assert_eq!(
            problems[0],
            (
                "b/c.yml:1",
                "HelmRelease/r is also in a.yaml:1; the first is used: remove one of them"
            )
        );
        assert!(
            problems[1].0 == "b/c.yml:5" && problems[1].1.contains("metadata.name"),
            "{problems:?}"
        );
        assert!(problems[2].0.starts_with("broken.yaml:"), "{problems:?}");
        let before = folder.fingerprint().unwrap();
        write("a.yaml", "apiVersion: v1\n");
        assert_ne!(folder.fingerprint().unwrap(), before);
    }
}
