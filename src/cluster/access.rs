//! Which cluster is meant, and as whom it is asked.

use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::Error;
use crate::base::secret::Secret;

/// What is said of a cluster: a kubeconfig, and what counts instead of its parts. Nothing said is
/// the kubeconfig of the environment, or else the Pod's service account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Path of the kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// Context in it.
    pub context: Option<String>,
    /// Address of the API server.
    pub server: Option<String>,
    /// Bearer token.
    pub token: Option<Secret<String>>,
    /// User to act as.
    pub user: Option<String>,
    /// Groups to act as.
    pub groups: Vec<String>,
    /// File of the authorities to trust.
    pub authority: Option<PathBuf>,
    /// Whether any certificate is taken.
    pub insecure: bool,
    /// Name that the server's certificate must have.
    pub server_name: Option<String>,
}

impl Access {
    /// Returns the configuration of a client.
    ///
    /// # Errors
    /// There is no usable configuration.
    pub(super) async fn config(&self) -> Result<Config, Error> {
        let mut config = self.base().await?;
        self.overrule(&mut config)?;
        Ok(config)
    }

    async fn base(&self) -> Result<Config, Error> {
        let unusable = |error: &dyn std::error::Error| {
            let text = format!("find a cluster: {error}; give --kubeconfig FILE or set KUBECONFIG");
            Error::Request(text)
        };
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = match (&self.kubeconfig, &self.context, &self.server) {
            (Some(file), ..) => {
                let read = Kubeconfig::read_from(file).map_err(|error| unusable(&error))?;
                Config::from_custom_kubeconfig(read, &options).await
            }
            (None, None, None) => return Config::infer().await.map_err(|error| unusable(&error)),
            (None, None, Some(server)) => match Config::from_kubeconfig(&options).await {
                Err(error) if is_none(&error) => return Ok(Config::new(address(server)?)),
                config => config,
            },
            (None, Some(_), _) => Config::from_kubeconfig(&options).await,
        };
        config.map_err(|error| unusable(&error))
    }

    /// Puts what was said in the place of what the configuration says.
    ///
    /// Source: k8s.io/client-go v0.37.2 tools/clientcmd/client_config.go (`getCluster`,
    /// `getAuthInfo`, `ClientConfig`).
    fn overrule(&self, config: &mut Config) -> Result<(), Error> {
        if let Some(server) = &self.server {
            config.cluster_url = address(server)?;
            // It was the name of the other server.
            config.tls_server_name = None;
        }
        if self.server_name.is_some() {
            config.tls_server_name.clone_from(&self.server_name);
        }
        if self.insecure || self.authority.is_some() {
            config.accept_invalid_certs = self.insecure;
            config.root_cert = self.authority.as_deref().map(certificates).transpose()?;
            config.root_cert_file.clone_from(&self.authority);
        }
        let login = &mut config.auth_info;
        if let Some(token) = &self.token {
            // A certificate of the user's stays: the server is shown both.
            *login = AuthInfo {
                token: Some(token.expose().clone().into()),
                token_file: None,
                username: None,
                password: None,
                exec: None,
                auth_provider: None,
                ..std::mem::take(login)
            };
        }
        if self.user.is_some() {
            login.impersonate.clone_from(&self.user);
        }
        if !self.groups.is_empty() {
            login.impersonate_groups = Some(self.groups.clone());
        }
        if login.impersonate.is_none()
            && login.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty())
        {
            let text = "groups to act as (--kube-as-group, HELM_KUBEASGROUPS) need a user: give \
                        --kube-as-user or set HELM_KUBEASUSER";
            return Err(Error::Request(text.to_owned()));
        }
        if config.cluster_url.scheme_str() != Some("https") {
            // Anybody on the way could read them.
            *login = AuthInfo {
                impersonate: login.impersonate.take(),
                impersonate_groups: login.impersonate_groups.take(),
                impersonate_uid: login.impersonate_uid.take(),
                impersonate_user_extra: login.impersonate_user_extra.take(),
                ..AuthInfo::default()
            };
        }
        Ok(())
    }
}

/// Whether there is no kubeconfig, or one that says nothing.
fn is_none(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        KubeconfigError::CurrentContextNotSet | KubeconfigError::FindPath => true,
        _ => false,
    }
}

/// Reads an address; without a scheme it is HTTP, as upstream has it.
fn address(text: &str) -> Result<http::Uri, Error> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    whole.parse().map_err(|error| {
        Error::Request(format!(
            "the API server's address `{text}` (--kube-apiserver, HELM_KUBEAPISERVER) cannot be \
             read: {error}; it is such as https://HOST:6443"
        ))
    })
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let wrong = |error: &dyn std::error::Error| {
        Error::Request(format!(
            "read the authorities to trust from `{}` (--kube-ca-file, HELM_KUBECAFILE): {error}",
            path.display()
        ))
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let found: Vec<_> = found
        .map(|one| one.map(|one| one.to_vec()).map_err(|error| wrong(&error)))
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(wrong(&std::io::Error::other("there is no certificate in it")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::new(http::Uri::from_static("https://a:6443"));
        config.root_cert = Some(vec![vec![1]]);
        config.tls_server_name = Some("a".to_owned());
        config.auth_info = AuthInfo {
            token: Some("old".to_owned().into()),
            client_certificate: Some("c.pem".to_owned()),
            ..AuthInfo::default()
        };
        config
    }

    /// Says what a connection would be like.
    fn shown(config: &Config) -> String {
        let login = &config.auth_info;
        // Written down, it is no secret any more.
        let written = serde_json::to_value(login).unwrap();
        let token = written["token"].as_str().map(str::to_owned);
        let mut out = config.cluster_url.to_string();
        for (name, value) in [
            ("token", token),
            ("certificate", login.client_certificate.clone()),
            ("as", login.impersonate.clone()),
            ("groups", login.impersonate_groups.as_ref().map(|groups| groups.join("+"))),
            ("name", config.tls_server_name.clone()),
            ("roots", config.root_cert.as_ref().map(|roots| roots.len().to_string())),
            ("any", config.accept_invalid_certs.then(String::new)),
        ] {
            out.extend(value.map(|value| format!(" {name}={value}")));
        }
        out
    }

    #[test]
    fn what_is_said_counts_instead_of_the_kubeconfig() {
        let set = |text: &str| Some(text.to_owned());
        let none = Access::default();
        let rows: &[(&str, Access, &str)] = &[
            ("nothing", none.clone(), "https://a:6443/ token=old certificate=c.pem name=a roots=1"),
            (
                "server",
                Access { server: set("https://b"), ..none.clone() },
                "https://b/ token=old certificate=c.pem roots=1",
            ),
            (
                "server and name",
                Access { server: set("https://b"), server_name: set("n"), ..none.clone() },
                "https://b/ token=old certificate=c.pem name=n roots=1",
            ),
            (
                "plain server",
                Access { server: set("b:80"), ..none.clone() },
                "http://b:80/ roots=1",
            ),
            (
                "token",
                Access { token: Some(Secret::new("new".to_owned())), ..none.clone() },
                "https://a:6443/ token=new certificate=c.pem name=a roots=1",
            ),
            (
                "user and groups",
                Access { user: set("u"), groups: vec!["g".into(), "h".into()], ..none.clone() },
                "https://a:6443/ token=old certificate=c.pem as=u groups=g+h name=a roots=1",
            ),
            (
                "insecure",
                Access { insecure: true, ..none.clone() },
                "https://a:6443/ token=old certificate=c.pem name=a any=",
            ),
            (
                "groups without a user",
                Access { groups: vec!["g".into()], ..none.clone() },
                "groups to act as (--kube-as-group, HELM_KUBEASGROUPS) need a user: give \
                 --kube-as-user or set HELM_KUBEASUSER",
            ),
            (
                "a wrong server",
                Access { server: set("https://a b"), ..none },
                "the API server's address `https://a b` (--kube-apiserver, HELM_KUBEAPISERVER) \
                 cannot be read: invalid uri character; it is such as https://HOST:6443",
            ),
        ];
        let mut wrong = Vec::new();
        for (name, access, want) in rows {
            let mut config = config();
            let got = match access.overrule(&mut config) {
                Ok(()) => shown(&config),
                Err(error) => error.to_string(),
            };
            if got != *want {
                wrong.push(format!("{name}: {got}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
