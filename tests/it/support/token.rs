//! A token service for a registry, as the Distribution project specifies it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::SigningKey as _;
use serde_json::{Value, json};

use super::serve::Server;

/// A running service that gives tokens to one user; it ends when dropped.
#[derive(Debug)]
pub(crate) struct TokenService {
    _server: Server,
    realm: String,
    certificate: PathBuf,
    _folder: tempfile::TempDir,
}

struct Signer {
    user: String,
    password: String,
    key: rcgen::KeyPair,
    certificate: Vec<u8>,
}

impl TokenService {
    /// Starts one.
    pub(crate) fn start(user: &str, password: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.crt");
        std::fs::write(&path, certificate.pem()).unwrap();
        let (user, password) = (user.to_owned(), password.to_owned());
        let signer = Signer { user, password, key, certificate: certificate.der().to_vec() };
        let app = Router::new().fallback(answer).with_state(Arc::new(signer));
        let server = Server::http(app);
        let realm = format!("{}/token", server.url());
        Self { _server: server, realm, certificate: path, _folder: folder }
    }

    /// Returns its address.
    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    /// Returns the file of the certificate that its tokens are verified by.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }
}

async fn answer(State(signer): State<Arc<Signer>>, request: Request) -> Response<Body> {
    let basic = request.headers().get(header::AUTHORIZATION).cloned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_post = request.method() == "POST";
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let form = if is_post { String::from_utf8_lossy(&body).into_owned() } else { query };
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in url::form_urlencoded::parse(form.as_bytes()) {
        fields.entry(key.into_owned()).or_default().push(value.into_owned());
    }
    let field = |name: &str| fields.get(name).map_or("", |all| all[0].as_str());
    let wanted = STANDARD.encode(format!("{}:{}", signer.user, signer.password));
    let known = match (is_post, field("grant_type")) {
        (true, "password") => {
            field("username") == signer.user && field("password") == signer.password
        }
        (true, _) => field("refresh_token") == "refresh",
        (false, _) => basic.is_some_and(|header| header == format!("Basic {wanted}")),
    };
    if !known {
        let said = json!({"errors": [{"code": "UNAUTHORIZED", "message": "who are you", "detail": [1, {"b": null}]}]});
        return Response::builder().status(401).body(Body::from(said.to_string())).unwrap();
    }
    let scopes = fields.get("scope").into_iter().flatten().flat_map(|scope| scope.split(' '));
    let access: Vec<Value> = scopes
        .filter_map(|scope| {
            let (thing, actions) = scope.rsplit_once(':')?;
            let (kind, name) = thing.split_once(':')?;
            let actions: Vec<_> = actions.split(',').collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let token = signer.token(&access);
    let said = json!({"token": token, "access_token": token});
    Response::builder().body(Body::from(said.to_string())).unwrap()
}

impl Signer {
    fn token(&self, access: &[Value]) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let head = json!({
            "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)],
        });
        let claims = json!({
            "iss": "tests", "aud": "tests", "sub": self.user, "jti": now.to_string(),
            "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&head), part(&claims));
        let signature = plain(&self.key.sign(text.as_bytes()).unwrap());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Returns the two numbers of a signature in DER, 32 bytes each.
fn plain(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = if number.len() > 32 { &number[number.len() - 32..] } else { number };
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()));
        numbers.extend(number);
        rest = &rest[2 + length..];
    }
    numbers
}
