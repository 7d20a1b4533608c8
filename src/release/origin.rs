//! Labels that say for which `HelmRelease` an object was rendered.
//!
//! Source: fluxcd/helm-controller internal/postrender (OriginLabels): every document is written
//! anew, comments are lost, keys are sorted.

use super::Error;
use super::manifest::{self, Hook};
use crate::api::annotation::{ORIGIN_NAME, ORIGIN_NAMESPACE};
use crate::yaml::{self, Numbers, Value};

/// The `HelmRelease` that objects are rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

impl Origin {
    /// Writes the labels into every document of a manifest.
    ///
    /// # Errors
    /// A document is not YAML.
    pub fn label_manifest(&self, text: &str) -> Result<String, Error> {
        let mut out = String::with_capacity(text.len());
        for document in manifest::split(text) {
            let path = document.lines().find_map(|line| line.strip_prefix("# Source: "));
            let path = path.unwrap_or_default();
            if let Some(labelled) = self.label(path, document)? {
                out.push_str("---\n# Source: ");
                out.push_str(path);
                out.push('\n');
                out.push_str(&labelled);
                // Helm leaves a blank line after a document that ends its line itself.
                out.push('\n');
            }
        }
        Ok(out)
    }

    /// Writes the labels into hooks.
    ///
    /// # Errors
    /// A hook is not YAML.
    pub fn label_hooks(&self, hooks: &mut [Hook]) -> Result<(), Error> {
        for hook in hooks {
            if let Some(labelled) = self.label(&hook.path, &hook.manifest)? {
                hook.manifest = labelled;
            }
        }
        Ok(())
    }

    fn label(&self, path: &str, document: &str) -> Result<Option<String>, Error> {
        let parsed = yaml::parse(document, Numbers::Exact);
        let mut object = parsed.map_err(|error| Error::manifest(path, &error))?;
        if !object.is_object() {
            return Ok(None);
        }
        self.label_object(&mut object);
        Ok(Some(yaml::print_sorted(&object)))
    }

    fn label_object(&self, object: &mut Value) {
        let metadata = &mut object["metadata"];
        if !metadata.is_object() {
            *metadata = Value::Object(yaml::Map::new());
        }
        let labels = &mut metadata["labels"];
        if !labels.is_object() {
            *labels = Value::Object(yaml::Map::new());
        }
        labels[ORIGIN_NAME] = self.name.as_str().into();
        labels[ORIGIN_NAMESPACE] = self.namespace.as_str().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_says_whose_it_is() {
        let origin = Origin { name: "web".into(), namespace: "apps".into() };
        let text = "---\n# Source: c/a.yaml\nkind: A\nmetadata:\n  name: a\n---\n# only this\n";
        assert_eq!(
            origin.label_manifest(text).unwrap(),
            "---\n# Source: c/a.yaml\nkind: A\nmetadata:\n  labels:\n    helm.toolkit.fluxcd.io/name: web\n    helm.toolkit.fluxcd.io/namespace: apps\n  name: a\n\n"
        );
    }
}
