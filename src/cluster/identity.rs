//! A cluster that takes the tokens of a service account of this one: it knows their issuer.
//!
//! A token is asked of this cluster's API server (TokenRequest) when it is needed, and kept for
//! four fifths of its life, so that no action outlives the token that it began with.
//!
//! Source: fluxcd/pkg auth/utils/restconfig.go (`restConfigRoundTripper`), auth/access_token.go
//! (`GetAccessToken`), cache/token.go.

use std::sync::Arc;
use std::time::Duration;

use http::uri::{InvalidUri, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use kube::Config;
use kube::client::Body;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::Cluster;
use super::error::Error;
use super::transport::Call;

/// Life of a token whose answer does not tell it: what is given where nothing is asked.
const USUAL_SECONDS: u64 = 3600;

/// A service account, and for whom its tokens are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Namespace of the account.
    pub namespace: String,
    /// Name of the account.
    pub name: String,
    /// Who may take the tokens; none: the API server that gives them.
    pub audiences: Vec<String>,
}

/// Where an API server is, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    address: Uri,
    /// Certificates in DER; none: the system's count.
    authorities: Option<Vec<Vec<u8>>>,
}

impl Place {
    /// Reads an address, of which scheme (`https`, also where none is said), host and port count,
    /// and the authorities to trust, in PEM; empty: the system's.
    ///
    /// # Errors
    /// What is wrong with either; tokens are sent to nobody who does not show who it is.
    ///
    /// Source: fluxcd/pkg auth/restconfig.go (`ParseClusterAddress`).
    pub fn new(address: &str, authorities: &str) -> Result<Self, String> {
        Ok(Self { address: address_of(address)?, authorities: certificates(authorities)? })
    }
}

fn address_of(text: &str) -> Result<Uri, String> {
    let whole = if text.starts_with("http") { text } else { &format!("https://{text}") };
    let wrong = |why: &str| {
        format!(
            "failed to parse Kubernetes API server address '{text}': {why}; it is such as https://HOST:6443"
        )
    };
    let read: Uri = whole.parse().map_err(|error: InvalidUri| wrong(&error.to_string()))?;
    if read.scheme() != Some(&Scheme::HTTPS) {
        return Err(format!("the Kubernetes API server address '{text}' must use https scheme"));
    }
    let host = read.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
    let port = read.port_u16().unwrap_or(443);
    let short = format!("https://{}:{port}", host.to_lowercase());
    short.parse().map_err(|error: InvalidUri| wrong(&error.to_string()))
}

fn certificates(pem: &str) -> Result<Option<Vec<Vec<u8>>>, String> {
    if pem.is_empty() {
        return Ok(None);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|one| one.map(|one| one.to_vec()))
        .collect();
    let wrong = |why: &str| format!("read the authorities of the API server: {why}");
    let found = found.map_err(|error| wrong(&error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is no certificate in them"));
    }
    Ok(Some(found))
}

impl Cluster {
    /// Connects to another cluster with the tokens that this one gives for an account.
    ///
    /// # Errors
    /// The authorities cannot be used, or the account gets no token.
    pub async fn elsewhere(&self, place: &Place, account: Account) -> Result<Self, Error> {
        let mut config = Config::new(place.address.clone());
        config.root_cert.clone_from(&place.authorities);
        let far = Self::connect(config, self.manager())?;
        let tokens = Arc::new(Tokens::new(self.clone(), account));
        tokens.current().await?;
        let client = bearing(far.client().clone(), tokens);
        Ok(Self::at(client, self.manager().to_owned(), far.address().to_owned()))
    }
}

/// Returns a client that shows the account's token with every request.
fn bearing(client: kube::Client, tokens: Arc<Tokens>) -> kube::Client {
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let (client, tokens) = (client.clone(), Arc::clone(&tokens));
        async move {
            let token = tokens.current().await?;
            request.headers_mut().insert(header::AUTHORIZATION, token);
            let answer = client.send(request).await?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                // The account may have been made anew; the next request shows a new token.
                tokens.forget().await;
            }
            Ok::<_, tower::BoxError>(answer)
        }
    });
    kube::Client::new(service, "default")
}

/// The tokens of an account: the one that counts now.
struct Tokens {
    cluster: Cluster,
    account: Account,
    kept: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Tokens {
    fn new(cluster: Cluster, account: Account) -> Self {
        Self { cluster, account, kept: Mutex::default() }
    }

    /// Returns the token that counts now, as a header shows it. Who comes while one is asked for
    /// waits for that one.
    async fn current(&self) -> Result<HeaderValue, Error> {
        let mut kept = self.kept.lock().await;
        if let Some((token, end)) = kept.as_ref()
            && Instant::now() < *end
        {
            return Ok(token.clone());
        }
        let (token, life) = self.ask().await?;
        *kept = Some((token.clone(), Instant::now() + life * 4 / 5));
        Ok(token)
    }

    async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    /// Asks for a token, and returns it with its life.
    async fn ask(&self) -> Result<(HeaderValue, Duration), Error> {
        let Account { namespace, name, audiences } = &self.account;
        let Some(resource) = self.cluster.resource("v1", "ServiceAccount").await? else {
            return Err(Error::Request("the API server serves no ServiceAccount".to_owned()));
        };
        let path = resource.path(namespace, name, "token");
        let asked = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": audiences},
        });
        let call = Call::write(Method::POST, path.clone(), &asked);
        let answer = self.cluster.send_json(&call).await?;
        let wrong = |detail: &str| Error::Answer { path: path.clone(), detail: detail.to_owned() };
        let token = answer["status"]["token"].as_str().filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| wrong("it holds no token"))?;
        let mut token = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| wrong("its token is none that can be sent"))?;
        token.set_sensitive(true);
        let seconds = answer["spec"]["expirationSeconds"].as_u64().unwrap_or(USUAL_SECONDS);
        Ok((token, Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex as Shared;
    use std::sync::atomic::{AtomicU64, Ordering};

    use http::Response;
    use http_body_util::BodyExt as _;

    use super::*;

    /// Returns a client of a server that answers so.
    fn server(
        answer: impl Fn(&str, &str, &str) -> (u16, serde_json::Value) + Send + Sync + 'static,
    ) -> kube::Client {
        let answer = Arc::new(answer);
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = Arc::clone(&answer);
            async move {
                let login = request.headers().get("authorization").cloned();
                let login = login.map_or(String::new(), |it| it.to_str().unwrap().to_owned());
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let (code, said) = answer(&path, &login, str::from_utf8(&body).unwrap());
                let said = Response::builder()
                    .status(code)
                    .body(Body::from(said.to_string().into_bytes()));
                Ok::<_, Infallible>(said.unwrap())
            }
        });
        kube::Client::new(service, "default")
    }

    /// Returns a cluster that numbers the tokens that it gives, each for ten minutes.
    fn giver() -> Cluster {
        let given = AtomicU64::new(0);
        let client = server(move |path, _, body| match path {
            "/api/v1" => (
                200,
                json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                    {"name": "serviceaccounts", "kind": "ServiceAccount", "namespaced": true,
                     "singularName": "serviceaccount", "verbs": ["get"]},
                ]}),
            ),
            "/api" => (200, json!({"kind": "APIVersions", "versions": ["v1"]})),
            "/apis" => (200, json!({"kind": "APIGroupList", "groups": []})),
            "/api/v1/namespaces/apps/serviceaccounts/web/token" => {
                assert!(body.contains(r#""audiences":["far"]"#), "{body}");
                let number = given.fetch_add(1, Ordering::Relaxed) + 1;
                let status = json!({"token": format!("t{number}")});
                (201, json!({"spec": {"expirationSeconds": 600}, "status": status}))
            }
            _ => {
                let message = format!("no {path}");
                (404, json!({"kind": "Status", "code": 404, "message": message}))
            }
        });
        Cluster::new(client, "test")
    }

    fn account(name: &str) -> Account {
        let (namespace, name) = ("apps".to_owned(), name.to_owned());
        Account { namespace, name, audiences: vec!["far".to_owned()] }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_kept_for_most_of_its_life_or_until_it_is_refused() {
        let refused = Arc::new(Shared::new(String::new()));
        let seen = Arc::clone(&refused);
        let far = server(move |_, login, _| match login == *seen.lock().unwrap() {
            true => (401, json!({"kind": "Status", "code": 401, "message": "Unauthorized"})),
            false => (200, json!({"login": login})),
        });
        let tokens = Arc::new(Tokens::new(giver(), account("web")));
        let far = Cluster::new(bearing(far, tokens), "test");
        let login = async || {
            let answer = far.read_path("/x").await.map_err(|error| error.to_string())?;
            let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            Ok::<_, String>(answer["login"].as_str().unwrap().to_owned())
        };
        assert_eq!(login().await.unwrap(), "Bearer t1");
        tokio::time::advance(Duration::from_secs(479)).await;
        assert_eq!(login().await.unwrap(), "Bearer t1");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(login().await.unwrap(), "Bearer t2");
        *refused.lock().unwrap() = "Bearer t2".to_owned();
        assert_eq!(login().await.unwrap_err(), "Unauthorized");
        assert_eq!(login().await.unwrap(), "Bearer t3");
    }

    #[tokio::test]
    async fn nothing_is_sent_without_a_token_and_why_is_said() {
        let far = server(|path, login, _| panic!("{path} was asked as {login}"));
        let tokens = Arc::new(Tokens::new(giver(), account("none")));
        let far = Cluster::new(bearing(far, tokens), "test");
        let error = far.read_path("/x").await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(error.to_string(), "no /api/v1/namespaces/apps/serviceaccounts/none/token");
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let rows = [
            ("https://A.example", Ok("https://a.example:443/")),
            ("a.example:6443", Ok("https://a.example:6443/")),
            ("https://[::1]:6443/x?y", Ok("https://[::1]:6443/")),
            (
                "http://a.example",
                Err("the Kubernetes API server address 'http://a.example' must use https scheme"),
            ),
            (
                "a b",
                Err("failed to parse Kubernetes API server address 'a b': invalid uri character; \
                     it is such as https://HOST:6443"),
            ),
        ];
        for (text, want) in rows {
            let got = address_of(text).map(|read| read.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{text}");
        }
    }

    #[test]
    fn what_holds_no_authority_is_told() {
        assert_eq!(certificates("").unwrap(), None);
        let rows = [
            ("x", "there is no certificate in them"),
            ("-----BEGIN CERTIFICATE-----\nQQ==\n", "section end"),
        ];
        for (pem, want) in rows {
            let said = certificates(pem).unwrap_err();
            assert!(said.starts_with("read the authorities of the API server: "), "{said}");
            assert!(said.contains(want), "{said}");
        }
    }
}
