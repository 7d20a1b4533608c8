//! Where the values of a `HelmRelease` come from: what its references hold, by digest.

use anyhow::Context as _;

use crate::api::{HelmRelease, ValuesReference};
use crate::base::digest::Digest;
use crate::chart::SetError;
use crate::cluster::Cluster;
use crate::controller;
use crate::controller::values::{self, Giver, Receiver};
use crate::plan::saved::ValuesSource;
use crate::yaml::Map;

/// Composed values, and where they come from.
pub(super) struct Sourced {
    pub(super) values: Map,
    pub(super) sources: Vec<ValuesSource>,
    namespace: String,
}

impl Sourced {
    /// Begins with nothing; references are to objects of this namespace.
    pub(super) fn of(namespace: &str) -> Self {
        Self { values: Map::new(), sources: Vec::new(), namespace: namespace.to_owned() }
    }

    fn note(&mut self, giver: Giver<'_>) {
        let Giver::Reference(reference, text) = giver else { return };
        let source = self.source(reference, text);
        // A reference with a path is followed twice.
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }

    fn source(&self, reference: &ValuesReference, text: &str) -> ValuesSource {
        ValuesSource {
            object: format!("{} {}/{}", reference.kind, self.namespace, reference.name),
            key: values::key(reference).to_owned(),
            digest: Digest::of(text).to_string(),
        }
    }
}

impl Receiver for Sourced {
    fn merge(&mut self, giver: Giver<'_>, document: Map) {
        self.note(giver);
        self.values.merge(giver, document);
    }

    fn write(
        &mut self,
        giver: Giver<'_>,
        write: &mut dyn FnMut(&mut Map) -> Result<(), SetError>,
    ) -> Result<(), SetError> {
        self.note(giver);
        self.values.write(giver, write)
    }
}

/// Reads once more what the references of a `HelmRelease` hold.
///
/// # Errors
/// One cannot be followed.
pub(super) async fn read(
    cluster: &Cluster,
    release: &HelmRelease,
) -> anyhow::Result<Vec<ValuesSource>> {
    let mut sourced = Sourced::of(&release.metadata.namespace);
    let read = controller::compose_values(&mut sourced, cluster, release).await;
    read.map_err(anyhow::Error::msg)
        .with_context(|| format!("HelmRelease '{}'", release.metadata.key()))?;
    Ok(sourced.sources)
}
