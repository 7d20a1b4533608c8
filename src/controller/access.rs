//! How a repository is asked: its address, limits, credentials and certificates.
//!
//! Source: fluxcd/pkg runtime/secrets; fluxcd/source-controller helmrepository_controller.go.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{HelmRepository, HelmRepositorySpec, LocalRef, OciRepository};
use crate::base::class::Class;
use crate::base::secret::{SafeUrl, Secret};
use crate::cluster::{Cluster, ObjectId};
use crate::repo::RepositorySpec;
use crate::source::oci::{Access, Credential, Keys, Store};
use crate::source::{Credentials, Proxy, Tls};

/// Longest address of a proxy.
const LONGEST_ADDRESS: usize = 2048;
/// Key of Docker's file of old in a Secret.
const OLD_DOCKER_CONFIG: &str = ".dockercfg";
/// Key of Docker's file in a Secret.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// Reason and text of the condition, and what to do about it.
pub(super) type Problem = (&'static str, String, Class);

/// Returns how a repository is asked.
///
/// # Errors
/// Its address cannot be used, or its Secrets are missing or lack what they need.
pub(super) async fn spec(
    cluster: &Cluster,
    repository: &HelmRepository,
) -> Result<RepositorySpec, Problem> {
    let (is_oci, address) = (repository.spec.is_oci(), &repository.spec.url);
    if is_oci != address.starts_with("oci://") {
        let text = match is_oci {
            true => format!("invalid OCI registry URL: {address}"),
            false => "invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type".to_owned(),
        };
        return Err(("URLInvalid", text, Class::Stalled));
    }
    let url: SafeUrl =
        repository.spec.url.parse().map_err(|error: crate::base::secret::UrlError| {
            ("URLInvalid", format!("invalid Helm repository URL: {error}"), Class::Stalled)
        })?;
    let timeout = repository.spec.timeout.map_or(Duration::from_secs(60), |timeout| timeout.0);
    let mut spec = RepositorySpec { url, timeout, credentials: None, tls: None, registry: None };
    let mut docker = None;
    if let Some(reference) = &repository.spec.secret_ref {
        let data = secret(cluster, &repository.metadata.namespace, &reference.name).await?;
        let login = login(&data).map_err(|text| lacks(repository, &reference.name, text))?;
        spec.credentials = login.map(|(user, password)| Credentials {
            user,
            password,
            repository: spec.url.clone(),
            everywhere: repository.spec.pass_credentials,
        });
        // Flux reads certificates here, too, as long as no Secret of their own is named.
        if repository.spec.cert_secret_ref.is_none() {
            spec.tls = tls(&data).map_err(|text| lacks(repository, &reference.name, text))?;
        }
        docker = data.get(DOCKER_CONFIG).filter(|_| is_oci).cloned();
        if spec.credentials.is_none() && spec.tls.is_none() && docker.is_none() {
            let text = "it has neither `username` and `password` nor certificates";
            return Err(lacks(repository, &reference.name, text));
        }
    }
    if let Some(reference) = &repository.spec.cert_secret_ref {
        let data = secret(cluster, &repository.metadata.namespace, &reference.name).await?;
        let found = tls(&data).map_err(|text| lacks(repository, &reference.name, text))?;
        let text = "it has neither `ca.crt` nor `tls.crt` and `tls.key`";
        spec.tls = Some(found.ok_or_else(|| lacks(repository, &reference.name, text))?);
    }
    if is_oci {
        spec.registry = Some(registry(repository, &spec, docker)?);
    }
    Ok(spec)
}

/// Returns how the registry of an `OCIRepository` is asked.
///
/// # Errors
/// Its Secrets are missing or lack what they need.
pub(super) async fn oci(cluster: &Cluster, repository: &OciRepository) -> Result<Access, Problem> {
    let spec = &repository.spec;
    let like = HelmRepository {
        metadata: repository.metadata.clone(),
        spec: HelmRepositorySpec {
            url: spec.url.clone(),
            kind: "oci".to_owned(),
            timeout: spec.timeout,
            secret_ref: spec.secret_ref.clone(),
            cert_secret_ref: spec.cert_secret_ref.clone(),
            insecure: spec.insecure,
            provider: spec.provider.clone(),
            ..HelmRepositorySpec::default()
        },
        ..HelmRepository::default()
    };
    // The same Secrets, read by the same rules.
    let found = self::spec(cluster, &like).await?;
    let missing = || ("AuthenticationFailed", "it is no registry".to_owned(), Class::Stalled);
    let mut access = found.registry.ok_or_else(missing)?;
    let namespace = &repository.metadata.namespace;
    if !spec.service_account_name.is_empty() {
        let stores = pull_secrets(cluster, namespace, &spec.service_account_name).await?;
        access.keys = joined(access.keys, stores);
    }
    let proxy = proxy(cluster, namespace, spec.proxy_secret_ref.as_ref()).await;
    access.proxy = proxy.map_err(|(reason, text, class)| {
        (reason, format!("failed to get proxy address: {text}"), class)
    })?;
    Ok(access)
}

/// Returns how a registry is asked; `docker` is the text of Docker's file in the Secret.
fn registry(
    repository: &HelmRepository,
    spec: &RepositorySpec,
    docker: Option<String>,
) -> Result<Access, Problem> {
    let provider = repository.spec.provider.as_str();
    if repository.spec.secret_ref.is_none() && !matches!(provider, "" | "generic") {
        let text = format!(
            "provider {provider} is not supported by this version of Leadsman; name a Secret in secretRef"
        );
        return Err(("AuthenticationFailed", text, Class::Stalled));
    }
    let keys = match (&spec.credentials, docker) {
        (_, Some(text)) => {
            let store = Store::Text(Secret::new(text));
            let host = spec.url.expose();
            let host = host.port().map_or_else(
                || host.host_str().unwrap_or_default().to_owned(),
                |port| format!("{}:{port}", host.host_str().unwrap_or_default()),
            );
            let name = repository.spec.secret_ref.as_ref().map_or("", |secret| &secret.name);
            match store.names(&host) {
                Ok(true) => Keys::Stores(vec![store]),
                Ok(false) => {
                    let text = format!("its {DOCKER_CONFIG} does not name {host}");
                    return Err(lacks(repository, name, &text));
                }
                Err(error) => return Err(lacks(repository, name, &error.to_string())),
            }
        }
        (Some(Credentials { user, password, .. }), None) => Keys::Fixed(Credential {
            user: user.clone(),
            password: password.clone(),
            ..Credential::default()
        }),
        (None, None) => Keys::Fixed(Credential::default()),
    };
    Ok(Access {
        plain_http: repository.spec.insecure,
        keys,
        tls: spec.tls.clone(),
        proxy: None,
        timeout: spec.timeout,
        retries: 0,
    })
}

/// Returns the logins that the pull secrets of an account keep.
///
/// Source: fluxcd/pkg runtime/secrets/reader.go (`PullSecretsFromServiceAccountRef`).
async fn pull_secrets(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
) -> Result<Vec<Store>, Problem> {
    let fail = |text: String| {
        let text = format!("failed to get credential: {text}");
        ("AuthenticationFailed", text, Class::Retry)
    };
    let id = ObjectId::new("v1", "ServiceAccount", namespace, account);
    let name = format!("serviceaccount '{namespace}/{account}'");
    let found = cluster.get(&id).await;
    let found = found.map_err(|error| fail(format!("failed to get {name}: {error}")))?;
    let found = found.ok_or_else(|| fail(format!("{name} not found")))?;
    let mut stores = Vec::new();
    for reference in found.0["imagePullSecrets"].as_array().into_iter().flatten() {
        let data = secret(cluster, namespace, reference["name"].as_str().unwrap_or_default()).await;
        let doing = format!("failed to get image pull secret for {name}");
        let data = data.map_err(|(_, text, _)| fail(format!("{doing}: {text}")))?;
        stores.extend(docker_config(&data).map(|text| Store::Text(Secret::new(text))));
    }
    Ok(stores)
}

/// Returns the text of Docker's file; one of old has nothing but the logins.
fn docker_config(data: &BTreeMap<String, String>) -> Option<String> {
    let old = || data.get(OLD_DOCKER_CONFIG).map(|logins| format!("{{\"auths\":{logins}}}"));
    data.get(DOCKER_CONFIG).cloned().or_else(old)
}

/// A login of its own counts before those of an account.
fn joined(own: Keys, of_account: Vec<Store>) -> Keys {
    match own {
        Keys::Fixed(nobody) if nobody.is_empty() && !of_account.is_empty() => {
            Keys::Stores(of_account)
        }
        Keys::Fixed(login) => Keys::Fixed(login),
        Keys::Stores(own) => Keys::Stores([own, of_account].concat()),
    }
}

fn lacks(repository: &HelmRepository, name: &str, text: &str) -> Problem {
    let namespace = &repository.metadata.namespace;
    ("AuthenticationFailed", format!("secret '{namespace}/{name}': {text}"), Class::Retry)
}

pub(super) async fn secret(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, String>, Problem> {
    let fail = |text: String| ("AuthenticationFailed", text, Class::Retry);
    let id = ObjectId::new("v1", "Secret", namespace, name);
    let found = cluster.get(&id).await.map_err(|error| fail(error.to_string()))?;
    let found = found.ok_or_else(|| fail(format!("secrets \"{name}\" not found")))?;
    Ok(super::prerequisite::decoded(&found))
}

/// Refuses fields that are set and not supported: they are never ignored in silence.
pub(super) fn supported(fields: &[&str]) -> Result<(), Problem> {
    if fields.is_empty() {
        return Ok(());
    }
    let text = format!(
        "not supported by this version of Leadsman: {}; remove it or leave this source to Flux",
        fields.join(", ")
    );
    Err(("Unsupported", text, Class::Stalled))
}

/// Returns the proxy that a Secret describes, if one is named.
pub(super) async fn proxy(
    cluster: &Cluster,
    namespace: &str,
    reference: Option<&LocalRef>,
) -> Result<Option<Proxy>, Problem> {
    let Some(reference) = reference else { return Ok(None) };
    let data = secret(cluster, namespace, &reference.name).await?;
    let found = proxy_of(&data).map_err(|why| {
        let text = format!("secret '{namespace}/{}': {why}", reference.name);
        ("AuthenticationFailed", text, Class::Retry)
    })?;
    Ok(Some(found))
}

/// Reads a proxy from the data of a Secret.
fn proxy_of(data: &BTreeMap<String, String>) -> Result<Proxy, String> {
    let text = |key: &str| data.get(key).cloned().unwrap_or_default();
    let address = text("address");
    if address.is_empty() {
        return Err("`address` of the proxy is missing".to_owned());
    }
    if address.len() > LONGEST_ADDRESS {
        return Err(format!("`address` is longer than {LONGEST_ADDRESS} bytes"));
    }
    let address: SafeUrl = address.trim().parse().map_err(|error| format!("`address`: {error}"))?;
    match address.expose().scheme() {
        "http" | "https" | "socks5" => {}
        scheme => {
            return Err(format!(
                "`address` has the scheme `{scheme}`: use http://, https:// or socks5://"
            ));
        }
    }
    Ok(Proxy { address, user: text("username"), password: Secret::new(text("password")) })
}

/// Both or neither of user and password.
fn login(
    data: &BTreeMap<String, String>,
) -> Result<Option<(String, Secret<String>)>, &'static str> {
    match (data.get("username"), data.get("password")) {
        (Some(user), Some(password)) => Ok(Some((user.clone(), Secret::new(password.clone())))),
        (None, None) => Ok(None),
        _ => Err("the Secret needs both `username` and `password`"),
    }
}

/// An authority, a certificate with its key, or all of them; keys of before Flux 2.0 count, too.
pub(super) fn tls(data: &BTreeMap<String, String>) -> Result<Option<Tls>, &'static str> {
    let text = |new: &str, old: &str| {
        let found = data.get(new).or_else(|| data.get(old));
        found.filter(|text| !text.is_empty()).cloned()
    };
    let authorities = text("ca.crt", "caFile").unwrap_or_default();
    let (certificate, key) = match (text("tls.crt", "certFile"), text("tls.key", "keyFile")) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if authorities.is_empty() => return Ok(None),
        (None, None) => Default::default(),
        _ => return Err("the Secret needs both `tls.crt` and `tls.key`"),
    };
    Ok(Some(Tls { authorities, certificate, key: Secret::new(key) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a cluster with Secrets of the namespace `shop`.
    async fn cluster(secrets: &[(&str, &[&str])]) -> Cluster {
        let simulated = crate::sim::Sim::new(crate::sim::SimOptions::default());
        let cluster = Cluster::new(simulated.client("default"), "test");
        let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "shop"}});
        let secret = |(name, keys): &(&str, &[&str])| {
            serde_json::json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": "shop"}, "stringData": data(keys)})
        };
        for object in std::iter::once(namespace).chain(secrets.iter().map(secret)) {
            cluster.create(&crate::cluster::Object(object)).await.unwrap();
        }
        cluster
    }

    /// How a repository is asked, in short.
    fn shown(spec: &RepositorySpec) -> String {
        let login = spec.credentials.as_ref().map(|login| {
            format!(" {}{}", login.user, if login.everywhere { " everywhere" } else { "" })
        });
        let tls = spec.tls.as_ref().map(|tls| format!(" {}{}", tls.authorities, tls.certificate));
        let [login, tls] = [login, tls].map(Option::unwrap_or_default);
        format!("{}s{login}{tls}", spec.timeout.as_secs())
    }

    /// Address of a repository, its Secret, that of its certificates, and how it is asked or why not.
    type Row = (&'static str, &'static str, &'static str, Result<&'static str, &'static str>);

    fn secrets_asked() -> Vec<Row> {
        let url = "https://c.example";
        let oci = "invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type";
        vec![
            (url, "", "", Ok("60s")),
            (url, "login", "", Ok("60s <username>")),
            (url, "old", "", Ok("60s <username> <caFile>")),
            // Certificates of a Secret of their own count alone.
            (url, "old", "authority", Ok("60s <username> <ca.crt>")),
            (url, "login", "pair", Ok("60s <username> <tls.crt>")),
            (url, "authority", "", Ok("60s <ca.crt>")),
            (
                url,
                "half",
                "",
                Err("secret 'shop/half': the Secret needs both `username` and `password`"),
            ),
            (
                url,
                "else",
                "",
                Err(
                    "secret 'shop/else': it has neither `username` and `password` nor certificates",
                ),
            ),
            (url, "none", "", Err("secrets \"none\" not found")),
            (
                url,
                "",
                "key",
                Err("secret 'shop/key': the Secret needs both `tls.crt` and `tls.key`"),
            ),
            (
                url,
                "",
                "login",
                Err("secret 'shop/login': it has neither `ca.crt` nor `tls.crt` and `tls.key`"),
            ),
            ("oci://c.example", "", "", Err(oci)),
            ("https://[c", "", "", Err("invalid Helm repository URL: ")),
        ]
    }

    #[tokio::test]
    async fn a_repository_is_asked_as_its_secrets_say() {
        let cluster = cluster(&[
            ("login", &["username", "password"]),
            ("half", &["username"]),
            ("old", &["username", "password", "caFile"]),
            ("authority", &["ca.crt"]),
            ("pair", &["tls.crt", "tls.key"]),
            ("key", &["tls.key"]),
            ("else", &["x"]),
        ])
        .await;
        for (url, secret, certificates, want) in secrets_asked() {
            let mut repository = HelmRepository::default();
            repository.metadata.namespace = "shop".to_owned();
            repository.spec.url = url.to_owned();
            let named = |name: &str| (!name.is_empty()).then(|| LocalRef { name: name.to_owned() });
            (repository.spec.secret_ref, repository.spec.cert_secret_ref) =
                (named(secret), named(certificates));
            let name = format!("{url} {secret} {certificates}");
            match (spec(&cluster, &repository).await, want) {
                (Ok(got), Ok(want)) => assert_eq!(shown(&got), want, "{name}"),
                (Err((reason, text, class)), Err(want)) => {
                    assert!(text.starts_with(want), "{name}: {text}");
                    let is_url = want.starts_with("invalid");
                    assert_eq!(reason == "URLInvalid", is_url, "{name}");
                    assert_eq!(reason == "AuthenticationFailed", !is_url, "{name}");
                    assert_eq!(class == Class::Stalled, is_url, "{name}");
                }
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
        let mut repository = HelmRepository::default();
        repository.metadata.namespace = "shop".to_owned();
        repository.spec.url = "https://c.example".to_owned();
        repository.spec.timeout = "7s".parse().ok();
        repository.spec.pass_credentials = true;
        repository.spec.secret_ref = Some(LocalRef { name: "login".to_owned() });
        let got = spec(&cluster, &repository).await.unwrap();
        assert_eq!(shown(&got), "7s <username> everywhere");
    }

    #[test]
    fn a_registry_is_asked_as_its_secret_says() {
        let named = r#"{"auths":{"r.example:5000":{"auth":"bWU6eA=="}}}"#;
        let other = r#"{"auths":{"r.example":{"auth":"bWU6eA=="}}}"#;
        let login = Credentials {
            user: "me".to_owned(),
            password: Secret::new("x".to_owned()),
            repository: "oci://r.example:5000/charts".parse().unwrap(),
            everywhere: false,
        };
        let rows = [
            ("anonymous", "generic", None, None, Ok("")),
            ("login", "", Some(login.clone()), None, Ok("me")),
            ("docker", "", None, Some(named), Ok("stores")),
            ("docker and login", "", Some(login), Some(named), Ok("stores")),
            ("another registry", "", None, Some(other), Err("does not name r.example:5000")),
            ("no JSON", "", None, Some("{"), Err("failed to decode config file the Secret")),
            ("cloud", "aws", None, None, Err("provider aws is not supported")),
        ];
        for (name, provider, credentials, docker, want) in rows {
            let mut repository = HelmRepository::default();
            repository.spec.provider = provider.to_owned();
            repository.spec.insecure = true;
            let spec = RepositorySpec {
                url: "oci://r.example:5000/charts".parse().unwrap(),
                timeout: Duration::from_secs(1),
                credentials,
                tls: None,
                registry: None,
            };
            let got = registry(&repository, &spec, docker.map(str::to_owned));
            match (got, want) {
                (Ok(Access { keys: Keys::Fixed(who), plain_http: true, .. }), Ok(want)) => {
                    assert_eq!(who.user, want, "{name}");
                }
                (Ok(Access { keys: Keys::Stores(_), .. }), Ok("stores")) => {}
                (Err((_, text, _)), Err(want)) => assert!(text.contains(want), "{name}: {text}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_login_of_its_own_counts_before_those_of_an_account() {
        let text = |name: &str| Store::Text(Secret::new(name.to_owned()));
        let login = Credential { user: "me".to_owned(), ..Credential::default() };
        let shown = |keys: Keys| match keys {
            Keys::Fixed(who) => format!("fixed {}", who.user),
            Keys::Stores(stores) => {
                let texts = stores.iter().map(|store| match store {
                    Store::Text(text) => text.expose().as_str(),
                    Store::File(_) => "file",
                });
                texts.collect::<Vec<_>>().join(" ")
            }
        };
        let nobody = Keys::Fixed(Credential::default());
        assert_eq!(shown(joined(nobody.clone(), vec![text("a")])), "a");
        assert_eq!(shown(joined(nobody, Vec::new())), "fixed ");
        assert_eq!(shown(joined(Keys::Fixed(login), vec![text("a")])), "fixed me");
        let own = Keys::Stores(vec![text("own")]);
        assert_eq!(shown(joined(own, vec![text("a"), text("b")])), "own a b");
    }

    #[test]
    fn docker_wrote_its_file_in_two_ways() {
        let of = |key: &str| docker_config(&[(key.to_owned(), "{}".to_owned())].into());
        assert_eq!(of(DOCKER_CONFIG).as_deref(), Some("{}"));
        assert_eq!(of(OLD_DOCKER_CONFIG).as_deref(), Some("{\"auths\":{}}"));
        assert_eq!(of("other"), None);
    }

    fn data(keys: &[&str]) -> BTreeMap<String, String> {
        keys.iter().map(|key| ((*key).to_owned(), format!("<{key}>"))).collect()
    }

    #[test]
    fn a_secret_has_a_login_or_certificates_or_both() {
        assert!(login(&data(&["username", "password"])).unwrap().is_some());
        assert!(login(&data(&["ca.crt"])).unwrap().is_none());
        assert!(login(&data(&["username"])).is_err());
        type Want = Result<(&'static str, &'static str), bool>;
        let rows: &[(&[&str], Want)] = &[
            (&["ca.crt"], Ok(("<ca.crt>", ""))),
            (&["caFile"], Ok(("<caFile>", ""))),
            (&["tls.crt", "tls.key"], Ok(("", "<tls.crt>"))),
            (&["ca.crt", "tls.crt", "tls.key", "caFile"], Ok(("<ca.crt>", "<tls.crt>"))),
            (&["username"], Err(false)),
            (&["tls.crt"], Err(true)),
            (&["ca.crt", "keyFile"], Err(true)),
        ];
        for (keys, want) in rows {
            match (tls(&data(keys)), want) {
                (Ok(Some(found)), Ok((authorities, certificate))) => {
                    assert_eq!(
                        (found.authorities.as_str(), found.certificate.as_str()),
                        (*authorities, *certificate)
                    );
                }
                (Ok(None), Err(false)) | (Err(_), Err(true)) => {}
                (got, _) => panic!("{keys:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_proxy_has_an_address() {
        let long = format!("http://{}", "a".repeat(2048));
        let rows = [
            ("http://p.example:3128", Ok("http://p.example:3128/ me")),
            ("https://p.example ", Ok("https://p.example/ me")),
            ("socks5://p.example:1080", Ok("socks5://p.example:1080 me")),
            ("socks4://p.example", Err("`address` has the scheme `socks4`")),
            ("p.example", Err("`address`: `p.example` is not a URL")),
            ("", Err("`address` of the proxy is missing")),
            (&long, Err("`address` is longer than 2048 bytes")),
        ];
        for (address, want) in rows {
            let data = [("address", address), ("username", "me"), ("password", "pw")];
            let data = data.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let got =
                proxy_of(&data.into()).map(|proxy| format!("{} {}", proxy.address, proxy.user));
            match (&got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.starts_with(want), "{got}"),
                _ => panic!("{address}: {got:?}"),
            }
        }
    }
}
