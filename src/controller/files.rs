//! Sources whose artifact is files, with charts among them: Git repositories and buckets.

use std::future::Future;

use super::access;
use super::context::Context;
use super::settled::Failure;
use super::source::{Said as _, Source};
use super::tree_chart::Origin;
use crate::api::HelmRepository;
use crate::api::crd::HELM_REPOSITORY_API;
use crate::cluster::Selection;
use crate::repo::{Lender, Pulled, RepositorySpec, TreeChart, TreeFiles, ValuesFiles};

/// A source of files.
pub(super) trait Files: Source + Sync {
    /// Returns where it is, as it was written.
    fn place(&self) -> String;

    /// Returns what a person wants of it: a step back that comes from a change of it is a wish.
    fn wish(&self) -> String;

    /// Makes sure that the files of a revision are in the cache: no more than what it lost needs
    /// the server, and a login.
    fn files(
        &self,
        context: &Context,
        revision: &str,
    ) -> impl Future<Output = Result<TreeFiles, Failure>> + Send;

    /// Returns the revision of its artifact; empty: there is none.
    fn revision(&self) -> String {
        let artifact = self.status().clone().parts().artifact.take();
        artifact.map(|artifact| artifact.revision).unwrap_or_default()
    }
}

/// A chart in the files of a revision.
pub(super) struct InFiles<'a, T> {
    pub(super) context: &'a Context,
    pub(super) source: &'a T,
    pub(super) from: &'a Origin,
}

impl<'a, T: Files> InFiles<'a, T> {
    /// Returns the chart.
    ///
    /// # Errors
    /// There is none, or the server cannot be asked.
    pub(super) async fn pull(&self) -> Result<Pulled, Failure> {
        self.chart(&self.files().await?).await
    }

    /// Returns the files.
    pub(super) async fn files(&self) -> Result<TreeFiles, Failure> {
        self.source.files(self.context, &self.from.revision).await
    }

    fn lender(&self) -> Neighbors<'a> {
        Neighbors { context: self.context, namespace: &self.source.meta().namespace }
    }

    fn wanted<'b>(&'b self, lender: &'b Neighbors<'_>) -> TreeChart<'b> {
        let Origin { path, values_files, ignore_missing, .. } = self.from;
        let files = ValuesFiles { paths: values_files, ignore_missing: *ignore_missing };
        TreeChart { path, values_files: files, lender }
    }

    /// Returns the chart in files.
    pub(super) async fn chart(&self, files: &TreeFiles) -> Result<Pulled, Failure> {
        let lender = self.lender();
        Ok(self.context.repositories.tree_chart(files, self.wanted(&lender)).await?)
    }

    /// Keeps the archive by its digest.
    pub(super) fn keep(&self, files: &TreeFiles, pulled: &Pulled) -> Result<(), Failure> {
        let lender = self.lender();
        Ok(self.context.repositories.keep_tree_chart(files, self.wanted(&lender), pulled)?)
    }
}

/// Lends the logins of the `HelmRepository` objects of a namespace.
struct Neighbors<'a> {
    context: &'a Context,
    namespace: &'a str,
}

#[async_trait::async_trait]
impl Lender for Neighbors<'_> {
    async fn lend(&self, addresses: &[&str]) -> Result<Vec<RepositorySpec>, String> {
        let cluster = &self.context.cluster;
        let selection =
            Selection { namespace: Some(self.namespace.to_owned()), ..Selection::default() };
        let found = cluster.list(HELM_REPOSITORY_API, super::repository::KIND, &selection).await;
        let found = found.map_err(|error| format!("list repositories: {error}"))?;
        let mut specs = Vec::new();
        for object in found {
            let repository: HelmRepository = serde_json::from_value(object.0).unwrap_or_default();
            let plain = |url: &str| url.trim_end_matches('/').to_owned();
            let url = plain(&repository.spec.url);
            if !addresses.iter().any(|address| plain(address) == url) {
                continue;
            }
            let spec = access::spec(cluster, &repository).await;
            specs.push(spec.map_err(|(_, text, _)| {
                format!("HelmRepository '{}': {text}", repository.metadata.key())
            })?);
        }
        Ok(specs)
    }
}
