//! Where a release is installed, and as whom: in the cluster that is watched or in one that a
//! kubeconfig in a Secret or the settings in a ConfigMap describe, with Leadsman's own rights or
//! with a service account's.
//!
//! Charts, values and dependencies are read with Leadsman's own rights in the cluster that is
//! watched; records, objects and their readiness are the site's.
//!
//! Source: fluxcd/pkg runtime/client/impersonator.go; fluxcd/helm-controller
//! internal/controller/helmrelease_controller.go (`buildRESTClientGetter`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kube_config;
use super::lease::Leases;
use crate::api::{HelmRelease, KubeConfigMap, KubeConfigReference, KubeConfigSecret};
use crate::base::class::chain;
use crate::base::clock::Clock;
use crate::base::digest::Digest;
use crate::cluster::{self, Cluster, ObjectId, Trust};

/// Keys that hold a kubeconfig where the reference names none.
const USUAL_KEYS: [&str; 2] = ["value", "value.yaml"];
/// Connections that are kept; when there are more, all are made anew.
const KEPT: usize = 128;

/// What holds for the sites of all releases.
#[derive(Debug, Clone, Default)]
pub struct SiteOptions {
    /// Account of releases that name none; empty: Leadsman's own rights.
    pub default_service_account: String,
    /// What a kubeconfig in a Secret may do.
    pub trust: Trust,
}

/// Why there is no connection to a site.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The Secret of the kubeconfig cannot be read, or is not there (`gone`).
    #[error("could not get KubeConfig secret '{secret}': {reason}")]
    Secret {
        /// Namespace and name.
        secret: String,
        /// What the API server said.
        reason: String,
        /// Whether it does not exist.
        gone: bool,
    },
    /// It lacks what it should hold.
    #[error("KubeConfig secret '{secret}' does not contain a {keys} with data")]
    Key {
        /// Namespace and name.
        secret: String,
        /// Which keys were looked for.
        keys: String,
    },
    /// The ConfigMap cannot be read, or is not there (`gone`).
    #[error("failed to get KubeConfig ConfigMap '{map}': {reason}")]
    Map {
        /// Namespace and name.
        map: String,
        /// What the API server said.
        reason: String,
        /// Whether it does not exist.
        gone: bool,
    },
    /// What it says is no cluster that can be reached.
    #[error("KubeConfig ConfigMap '{map}': {reason}")]
    Settings {
        /// Namespace and name.
        map: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The account that it names gets no token.
    #[error(
        "failed to create kubernetes token for service account '{account}' of KubeConfig ConfigMap \
         '{map}': {error}"
    )]
    Token {
        /// Namespace and name of the account.
        account: String,
        /// Namespace and name of the ConfigMap.
        map: String,
        /// What the API server said.
        error: cluster::Error,
    },
    /// Both are given, or none.
    #[error("exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be set")]
    Ambiguous,
    /// The kubeconfig, or the account's name, cannot be used.
    #[error("KubeConfig or service account of the release: {0}; correct {1}")]
    Unusable(cluster::Error, &'static str),
}

/// Where a release is installed.
#[derive(Debug, Clone)]
pub struct Site {
    /// The cluster, as whom the release says.
    pub cluster: Cluster,
    /// Those of the cluster, with the rights of its kubeconfig: who is at work is nothing that the
    /// account of a release need be allowed to say.
    pub(super) leases: Arc<Leases>,
}

/// The sites of all releases. Connections are kept, and with them what a server serves.
#[derive(Debug)]
pub struct Sites {
    watched: Site,
    options: SiteOptions,
    clock: Arc<dyn Clock>,
    /// By the digest of the kubeconfig (empty: the cluster that is watched) and the user to act as
    /// (empty: nobody else).
    known: Mutex<HashMap<(String, String), Site>>,
}

impl SiteError {
    /// Whether what describes the site, or who would act there, does not exist.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Secret { gone, .. } | Self::Map { gone, .. } => *gone,
            Self::Token { error, .. } => error.is_not_found(),
            Self::Key { .. } | Self::Settings { .. } | Self::Ambiguous | Self::Unusable(..) => {
                false
            }
        }
    }
}

impl Sites {
    /// Returns those of the releases in a cluster.
    pub fn new(watched: &Cluster, clock: &Arc<dyn Clock>, options: SiteOptions) -> Self {
        let watched = Self::home(watched.clone(), clock);
        Self { watched, options, clock: Arc::clone(clock), known: Mutex::default() }
    }

    fn home(cluster: Cluster, clock: &Arc<dyn Clock>) -> Site {
        let leases = Arc::new(Leases::new(&cluster, clock));
        Site { cluster, leases }
    }

    /// Returns the cluster that is watched, as Leadsman itself.
    pub fn watched(&self) -> &Site {
        &self.watched
    }

    /// Returns where a release is installed, as whom it says.
    ///
    /// # Errors
    /// See [`SiteError`]; that the API server of the site does not answer is found out later.
    pub async fn of(&self, release: &HelmRelease) -> Result<Site, SiteError> {
        let (digest, mut site) = self.find(release).await?;
        let Some(user) = self.user(release) else { return Ok(site) };
        if let Some(known) = self.kept(&digest, &user) {
            return Ok(known);
        }
        site.cluster = site
            .cluster
            .acting_as(&user)
            .map_err(|error| SiteError::Unusable(error, "spec.serviceAccountName"))?;
        Ok(self.keep(&digest, &user, site))
    }

    /// Returns the cluster where a release is installed, with the rights of who asks.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn cluster_of(&self, release: &HelmRelease) -> Result<Cluster, SiteError> {
        Ok(self.find(release).await?.1.cluster)
    }

    /// Returns the cluster where a release is installed, and what tells it from others.
    async fn find(&self, release: &HelmRelease) -> Result<(String, Site), SiteError> {
        let namespace = &release.metadata.namespace;
        match &release.spec.kube_config {
            None => Ok((String::new(), self.watched.clone())),
            Some(KubeConfigReference { secret_ref: Some(secret), config_map_ref: None }) => {
                self.of_secret(namespace, secret).await
            }
            Some(KubeConfigReference { secret_ref: None, config_map_ref: Some(map) }) => {
                self.of_map(namespace, map).await
            }
            Some(_) => Err(SiteError::Ambiguous),
        }
    }

    async fn of_secret(
        &self,
        namespace: &str,
        secret: &KubeConfigSecret,
    ) -> Result<(String, Site), SiteError> {
        let text = kubeconfig(&self.watched.cluster, namespace, secret).await?;
        let digest = Digest::of(&text).to_hex();
        let site = match self.kept(&digest, "") {
            Some(known) => known,
            None => self.keep(&digest, "", self.connect(&text).await?),
        };
        Ok((digest, site))
    }

    async fn of_map(
        &self,
        namespace: &str,
        reference: &KubeConfigMap,
    ) -> Result<(String, Site), SiteError> {
        let watched = &self.watched.cluster;
        let data = settings(watched, namespace, reference).await?;
        let map = format!("{namespace}/{}", reference.name);
        let (place, account) = kube_config::read(&data, namespace)
            .map_err(|reason| SiteError::Settings { map: map.clone(), reason })?;
        // No kubeconfig is written so.
        let digest = Digest::of(format!("{account:?}{place:?}")).to_hex();
        if let Some(known) = self.kept(&digest, "") {
            return Ok((digest, known));
        }
        let named = format!("{namespace}/{}", account.name);
        let connected = watched.elsewhere(&place, account).await;
        let connected =
            connected.map_err(|error| SiteError::Token { account: named, map, error })?;
        let site = self.keep(&digest, "", Self::home(connected, &self.clock));
        Ok((digest, site))
    }

    async fn connect(&self, text: &str) -> Result<Site, SiteError> {
        let manager = self.watched.cluster.manager();
        let connected = Cluster::of_kubeconfig(text, self.options.trust, manager).await;
        let connected = connected
            .map_err(|error| SiteError::Unusable(error, "the Secret in spec.kubeConfig"))?;
        Ok(Self::home(connected, &self.clock))
    }

    fn kept(&self, digest: &str, user: &str) -> Option<Site> {
        self.lock().get(&(digest.to_owned(), user.to_owned())).cloned()
    }

    /// Keeps a connection, and returns it, or the one that somebody kept meanwhile.
    fn keep(&self, digest: &str, user: &str, site: Site) -> Site {
        let mut known = self.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.entry((digest.to_owned(), user.to_owned())).or_insert(site).clone()
    }

    /// Returns the user that a release is installed as; none: Leadsman itself.
    pub(super) fn user(&self, release: &HelmRelease) -> Option<String> {
        let account = self.account(release)?;
        Some(format!("system:serviceaccount:{}:{account}", release.metadata.namespace))
    }

    /// Returns the service account that a release is installed as.
    pub(super) fn account<'a>(&'a self, release: &'a HelmRelease) -> Option<&'a str> {
        let named = [&release.spec.service_account_name, &self.options.default_service_account];
        named.into_iter().map(String::as_str).find(|name| !name.is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Site>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn kubeconfig(
    watched: &Cluster,
    namespace: &str,
    reference: &KubeConfigSecret,
) -> Result<String, SiteError> {
    let id = ObjectId::new("v1", "Secret", namespace, &reference.name);
    let secret = format!("{namespace}/{}", reference.name);
    let unread =
        |reason: String, gone: bool| SiteError::Secret { secret: secret.clone(), reason, gone };
    let found = watched.get(&id).await.map_err(|error| unread(chain(&error), false))?;
    let found =
        found.ok_or_else(|| unread(format!("secrets \"{}\" not found", reference.name), true))?;
    let data = super::prerequisite::decoded(&found);
    of_data(&data, &reference.key).map_err(|keys| SiteError::Key { secret, keys })
}

/// Returns what a ConfigMap holds.
async fn settings(
    watched: &Cluster,
    namespace: &str,
    reference: &KubeConfigMap,
) -> Result<BTreeMap<String, String>, SiteError> {
    let id = ObjectId::new("v1", "ConfigMap", namespace, &reference.name);
    let map = format!("{namespace}/{}", reference.name);
    let unread = |reason: String, gone: bool| SiteError::Map { map: map.clone(), reason, gone };
    let found = watched.get(&id).await.map_err(|error| unread(chain(&error), false))?;
    let found = found
        .ok_or_else(|| unread(format!("configmaps \"{}\" not found", reference.name), true))?;
    Ok(super::prerequisite::decoded(&found))
}

/// Returns the kubeconfig in the data of a Secret, or the keys that lack it.
fn of_data(data: &BTreeMap<String, String>, key: &str) -> Result<String, String> {
    let held = |key: &str| data.get(key).filter(|text| !text.is_empty()).cloned();
    if key.is_empty() {
        let [first, second] = USUAL_KEYS;
        let found = USUAL_KEYS.into_iter().find_map(held);
        return found.ok_or_else(|| format!("'{first}' or '{second}' key"));
    }
    held(key).ok_or_else(|| format!("'{key}' key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_kubeconfig() {
        let data = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let both = data(&[("value", "a"), ("value.yaml", "b"), ("own", "c"), ("empty", "")]);
        let second = data(&[("value", ""), ("value.yaml", "b")]);
        let rows: &[(&BTreeMap<_, _>, &str, Result<&str, &str>)] = &[
            (&both, "", Ok("a")),
            (&second, "", Ok("b")),
            (&both, "own", Ok("c")),
            (&both, "empty", Err("'empty' key")),
            (&both, "none", Err("'none' key")),
            (&data(&[]), "", Err("'value' or 'value.yaml' key")),
        ];
        for (data, key, want) in rows {
            let got = of_data(data, key);
            assert_eq!(got.as_deref().map_err(String::as_str), *want, "{key}");
        }
    }

    #[tokio::test]
    async fn the_account_is_the_releases_own_or_the_default() {
        let mut release = HelmRelease::default();
        release.metadata.namespace = "apps".into();
        let sites = |default_service_account: &str| {
            let options = SiteOptions {
                default_service_account: default_service_account.to_owned(),
                ..SiteOptions::default()
            };
            let simulated = crate::sim::Sim::new(crate::sim::SimOptions::default());
            let clock: Arc<dyn Clock> = Arc::new(crate::base::clock::SystemClock);
            Sites::new(&Cluster::new(simulated.client("default"), "test"), &clock, options)
        };
        let (own, usual) = (sites(""), sites("low"));
        assert_eq!(own.user(&release), None);
        assert_eq!(usual.user(&release).as_deref(), Some("system:serviceaccount:apps:low"));
        release.spec.service_account_name = "web".into();
        for sites in [own, usual] {
            assert_eq!(sites.user(&release).as_deref(), Some("system:serviceaccount:apps:web"));
        }
    }
}
