//! Ways to a cluster and to repositories.

use std::path::PathBuf;

use anyhow::Context as _;

use super::args::{Connection, Sources};
use super::namespace;
use crate::api::annotation::RELEASE_MANAGER;
use crate::base::file::env_var;
use crate::base::secret::Secret;
use crate::cluster::{Access, Cluster};
use crate::release::{Driver, Storage};
use crate::repo::Repositories;
use crate::source::{Fetcher, Mirrors};

/// A cluster, and the namespace that is meant without `-n`.
pub(super) struct Connected {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    /// In what the records of releases are kept that no `HelmRelease` keeps.
    pub(super) driver: Driver,
}

impl Connected {
    /// Returns a place in a cluster, whose records are where `HELM_DRIVER` says.
    pub(super) fn new(cluster: Cluster, namespace: String) -> anyhow::Result<Self> {
        let driver = env_var("HELM_DRIVER").unwrap_or_default().parse();
        Ok(Self { cluster, namespace, driver: driver.map_err(anyhow::Error::msg)? })
    }

    /// Returns the records of releases that no `HelmRelease` keeps.
    pub(super) fn storage(&self) -> Storage {
        Storage::with_driver(&self.cluster, &self.namespace, self.driver)
    }
}

/// Connects to the cluster that the arguments or the environment name.
pub(super) async fn cluster(connection: &Connection) -> anyhow::Result<Connected> {
    let cluster = Cluster::of(&access(connection, &env_var), RELEASE_MANAGER).await?;
    Connected::new(cluster, namespace::of(connection))
}

/// Returns what the arguments say of the cluster, or else Helm's variables.
///
/// Source: helm v4.3.2 pkg/cli/environment.go (`New`).
fn access(connection: &Connection, variable: &dyn Fn(&str) -> Option<String>) -> Access {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let or = |given: &Option<String>, name: &str| match given {
        Some(value) => Some(value.clone()).filter(|value| !value.is_empty()),
        None => set(name),
    };
    let reach = &connection.reach;
    let groups = match &reach.kube_as_group[..] {
        [] => csv(&set("HELM_KUBEASGROUPS").unwrap_or_default()),
        given => given.to_vec(),
    };
    let insecure = reach.kube_insecure_skip_tls_verify;
    Access {
        kubeconfig: connection.kubeconfig.clone(),
        context: or(&connection.context, "HELM_KUBECONTEXT"),
        server: or(&reach.kube_apiserver, "HELM_KUBEAPISERVER"),
        token: or(&reach.kube_token, "HELM_KUBETOKEN").map(Secret::new),
        user: or(&reach.kube_as_user, "HELM_KUBEASUSER"),
        groups,
        authority: or(&reach.kube_ca_file, "HELM_KUBECAFILE").map(PathBuf::from),
        insecure: insecure.unwrap_or_else(|| {
            set("HELM_KUBEINSECURE_SKIP_TLS_VERIFY").is_some_and(|text| is_true(&text))
        }),
        server_name: or(&reach.kube_tls_server_name, "HELM_KUBETLS_SERVER_NAME"),
    }
}

/// Splits at commas, those at the ends aside.
fn csv(text: &str) -> Vec<String> {
    match text.trim_matches([',', ' ']) {
        "" => Vec::new(),
        text => text.split(',').map(str::to_owned).collect(),
    }
}

/// Whether a text is one of Go's words for true; one that is no boolean is none.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

/// Returns the repositories of a command.
pub(super) fn repositories(sources: &Sources) -> anyhow::Result<Repositories> {
    let fetcher = Fetcher::new(Mirrors(sources.mirror.clone())).context("start the HTTP client")?;
    Ok(Repositories::new(fetcher, &sources.cache))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Args;

    /// Says what is taken from arguments and variables.
    fn taken(arguments: &str, variables: &[(&str, &str)]) -> Access {
        let words = ["leadsman"].into_iter().chain(arguments.split_whitespace()).chain(["demo"]);
        let connection = Args::try_parse_from(words).unwrap().common.connection;
        access(&connection, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const ALL: &[(&str, &str)] = &[
        ("HELM_KUBECONTEXT", "c"),
        ("HELM_KUBEAPISERVER", "https://a"),
        ("HELM_KUBETOKEN", "t"),
        ("HELM_KUBEASUSER", "u"),
        ("HELM_KUBEASGROUPS", ", g,h ,"),
        ("HELM_KUBECAFILE", "ca.pem"),
        ("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "true"),
        ("HELM_KUBETLS_SERVER_NAME", "n"),
    ];

    #[test]
    fn variables_count_where_nothing_is_typed() {
        let text = |text: &str| Some(text.to_owned());
        let whole = Access {
            kubeconfig: None,
            context: text("c"),
            server: text("https://a"),
            token: text("t").map(Secret::new),
            user: text("u"),
            groups: vec!["g".to_owned(), "h".to_owned()],
            authority: Some("ca.pem".into()),
            insecure: true,
            server_name: text("n"),
        };
        assert_eq!(taken("", ALL), whole);
        assert_eq!(taken("", &[]), Access::default());
        let typed = "--kube-context d --kube-apiserver https://b --kube-token s --kube-as-user v \
                     --kube-as-group i,j --kube-as-group k --kube-ca-file b.pem \
                     --kube-insecure-skip-tls-verify=false --kube-tls-server-name m";
        let other = Access {
            kubeconfig: None,
            context: text("d"),
            server: text("https://b"),
            token: text("s").map(Secret::new),
            user: text("v"),
            groups: vec!["i,j".to_owned(), "k".to_owned()],
            authority: Some("b.pem".into()),
            insecure: false,
            server_name: text("m"),
        };
        assert_eq!(taken(typed, ALL), other);
        assert!(taken("--kube-insecure-skip-tls-verify", &[]).insecure);
    }

    #[test]
    fn variables_that_say_nothing_are_as_good_as_none() {
        let empty: Vec<_> = ALL.iter().map(|(name, _)| (*name, "")).collect();
        assert_eq!(taken("", &empty), Access::default());
        assert_eq!(taken("", &[("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "yes")]), Access::default());
        assert_eq!(taken("", &[("HELM_KUBEASGROUPS", " , ")]), Access::default());
    }
}
