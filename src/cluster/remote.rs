//! A cluster that a kubeconfig describes which came over the API, and acting as somebody else.
//!
//! Who may write such a kubeconfig need not be trusted with this machine: it names no file and, if
//! it is not said otherwise, no program to be run and no server whose certificate is not checked.
//!
//! Source: fluxcd/pkg runtime/client/client.go (`KubeConfig`), impersonator.go.

use http::HeaderValue;
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};

use super::client::Cluster;
use super::error::Error;

/// What a kubeconfig may do that came over the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trust {
    /// Run programs that give credentials.
    pub exec: bool,
    /// Talk to servers whose certificate is not checked.
    pub insecure_tls: bool,
}

impl Cluster {
    /// Connects as the text of a kubeconfig says, as far as it is trusted.
    ///
    /// # Errors
    /// The text is no kubeconfig, lacks what it refers to, or holds certificates or keys that cannot
    /// be used.
    pub async fn of_kubeconfig(text: &str, trust: Trust, manager: &str) -> Result<Self, Error> {
        let unusable =
            |error: &dyn std::error::Error| Error::Request(format!("use the kubeconfig: {error}"));
        let read = Kubeconfig::from_yaml(text).map_err(|error| unusable(&error))?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(reduced(read, trust), &options).await;
        Self::connect(config.map_err(|error| unusable(&error))?, manager)
    }

    /// Returns a connection to the same cluster as another user, with that user's rights.
    ///
    /// # Errors
    /// The name cannot be sent.
    pub fn acting_as(&self, user: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(user)
            .map_err(|error| Error::Request(format!("act as `{user}`: {error}")))?;
        let client = self.client().clone();
        let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert("impersonate-user", value.clone());
            let client = client.clone();
            async move { client.send(request).await }
        });
        let client = kube::Client::new(service, "default");
        Ok(Self::at(client, self.manager().to_owned(), self.address().to_owned()))
    }
}

/// Leaves out what is not trusted.
fn reduced(mut kubeconfig: Kubeconfig, trust: Trust) -> Kubeconfig {
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        cluster.certificate_authority = None;
        if !trust.insecure_tls {
            cluster.insecure_skip_tls_verify = None;
        }
    }
    for login in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        let given = std::mem::take(login);
        *login = AuthInfo {
            username: given.username,
            password: given.password,
            token: given.token,
            client_certificate_data: given.client_certificate_data,
            client_key_data: given.client_key_data,
            exec: given.exec.filter(|_| trust.exec),
            ..AuthInfo::default()
        };
    }
    kubeconfig
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters:
- name: c
  cluster:
    server: https://a.example:6443
    certificate-authority: /etc/passwd
    certificate-authority-data: QQ==
    insecure-skip-tls-verify: true
    tls-server-name: n
users:
- name: u
  user:
    token: t
    tokenFile: /etc/passwd
    client-certificate: /etc/passwd
    client-certificate-data: QQ==
    client-key: /etc/passwd
    client-key-data: QQ==
    as: root
    exec: {command: touch, apiVersion: client.authentication.k8s.io/v1}
"#;

    #[test]
    fn no_file_is_read_and_what_is_not_trusted_is_left_out() {
        let rows = [
            (Trust::default(), false, false),
            (Trust { exec: true, insecure_tls: false }, true, false),
            (Trust { exec: false, insecure_tls: true }, false, true),
        ];
        for (trust, exec, insecure) in rows {
            let kept = reduced(Kubeconfig::from_yaml(TEXT).unwrap(), trust);
            let cluster = kept.clusters[0].cluster.as_ref().unwrap();
            let login = kept.auth_infos[0].auth_info.as_ref().unwrap();
            let files = [
                &cluster.certificate_authority,
                &login.token_file,
                &login.client_certificate,
                &login.client_key,
            ];
            assert!(files.iter().all(|file| file.is_none()), "{trust:?}");
            assert!(login.impersonate.is_none(), "{trust:?}");
            assert_eq!(login.exec.is_some(), exec, "{trust:?}");
            assert_eq!(cluster.insecure_skip_tls_verify, insecure.then_some(true), "{trust:?}");
            assert_eq!(cluster.tls_server_name.as_deref(), Some("n"));
            assert!(login.token.is_some() && login.client_key_data.is_some());
        }
    }

    #[tokio::test]
    async fn what_is_no_kubeconfig_is_told() {
        for (text, want) in
            [("a: [", "use the kubeconfig: "), ("current-context: x", "use the kubeconfig: ")]
        {
            let error = Cluster::of_kubeconfig(text, Trust::default(), "m").await.unwrap_err();
            assert!(error.to_string().starts_with(want), "{error}");
        }
    }
}
