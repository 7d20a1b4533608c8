//! Who asks: names, passwords and tokens, from Docker's files and the programs that they name.
//!
//! Source: oras-go v2.6.2 registry/remote/credentials/.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize as _;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::error::Error;
use crate::base::file;
use crate::base::secret::Secret;
use crate::yaml::json::escape_html;

/// Largest file of credentials.
const FILE_BYTES: u64 = 4 << 20;
/// Longest time of a program that keeps credentials: it may ask a person.
const PROGRAM_TIME: Duration = Duration::from_secs(120);
/// What such a program says when it knows none.
const UNKNOWN: &str = "credentials not found in native keychain";
/// Name that stands for an identity token.
const TOKEN_USER: &str = "<token>";

/// Who asks a registry; all empty: nobody in particular.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Secret<String>,
    /// Token that gets other tokens.
    pub identity_token: Secret<String>,
    /// Token that the registry itself takes.
    pub registry_token: Secret<String>,
}

impl Credential {
    /// Returns whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where it is known who asks.
#[derive(Debug, Clone)]
pub enum Keys {
    /// This one, whatever registry is asked.
    Fixed(Credential),
    /// The first that knows the registry.
    Stores(Vec<Store>),
}

/// A place that keeps credentials of several registries.
#[derive(Debug, Clone)]
pub enum Store {
    /// A file as Docker writes it, and the programs that it names.
    File(PathBuf),
    /// The text of such a file; programs that it names are not run.
    Text(Secret<String>),
}

impl Keys {
    /// Returns all that is known of who asks, as one text: for a digest.
    pub(super) fn manner(&self) -> String {
        let texts: Vec<String> = match self {
            Self::Fixed(Credential { user, password, identity_token, registry_token }) => {
                let secrets = [password, identity_token, registry_token];
                let secrets = secrets.map(|secret| secret.expose().clone());
                [vec![user.clone()], secrets.to_vec()].concat()
            }
            Self::Stores(stores) => stores.iter().map(Store::manner).collect(),
        };
        texts.join("\0")
    }

    /// Returns who asks a registry.
    ///
    /// # Errors
    /// A place cannot be read.
    pub(super) async fn of(&self, host: &str) -> Result<Credential, Error> {
        let stores = match self {
            Self::Fixed(credential) => return Ok(credential.clone()),
            Self::Stores(stores) => stores,
        };
        let server = server(host);
        for store in stores {
            let found = store.get(server).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Credential::default())
    }
}

/// Docker's registry is kept under an address of old.
fn server(host: &str) -> &str {
    match host {
        "docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
        host => host,
    }
}

impl Store {
    fn manner(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text(text) => text.expose().clone(),
        }
    }

    fn read(&self) -> Result<Map<String, Value>, Error> {
        let (text, place) = match self {
            Self::Text(text) => (text.expose().clone(), "the Secret".to_owned()),
            Self::File(path) => match file::read_text(path, FILE_BYTES) {
                Ok(text) => (text, path.display().to_string()),
                Err(error) if error.kind() == Some(ErrorKind::NotFound) => return Ok(Map::new()),
                Err(error) => return Err(error.into()),
            },
        };
        if text.trim().is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_str(&text).map_err(|error| {
            // The message of the reader tells places, not the secrets there.
            let reason =
                format!("failed to decode config file {place}: invalid config format: {error}");
            Error::Credentials(reason)
        })
    }

    /// Returns the program that keeps the credentials of a server, if one does.
    fn program(&self, content: &Map<String, Value>, server: &str) -> Option<String> {
        let named = content.get("credHelpers").and_then(|all| all.get(server)?.as_str());
        let named = named.or_else(|| content.get("credsStore")?.as_str());
        match self {
            Self::File(_) => named.filter(|name| !name.is_empty()).map(str::to_owned),
            Self::Text(_) => None,
        }
    }

    async fn get(&self, server: &str) -> Result<Credential, Error> {
        let content = self.read()?;
        if let Some(program) = self.program(&content, server) {
            return ask(&program, server).await;
        }
        let Some(auths) = content.get("auths").and_then(Value::as_object) else {
            return Ok(Credential::default());
        };
        let by_host = || auths.iter().find(|(key, _)| host_of(key) == server);
        let found = auths.get(server).or_else(|| by_host().map(|(_, found)| found));
        found.map_or_else(
            || Ok(Credential::default()),
            |found| credential(found).map_err(Error::Credentials),
        )
    }

    /// Returns whether a file of credentials names a registry; programs are not asked.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self, registry: &str) -> Result<bool, Error> {
        let content = self.read()?;
        let auths = content.get("auths").and_then(Value::as_object);
        let server = server(registry);
        let names = |key: &String| key == server || host_of(key) == server;
        Ok(auths.is_some_and(|auths| auths.keys().any(names)))
    }

    /// Keeps who asks a registry.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn put(&self, registry: &str, credential: &Credential) -> Result<(), Error> {
        let mut content = self.read()?;
        let server = server(registry);
        let (user, password) = (&credential.user, credential.password.expose());
        if let Some(program) = self.program(&content, server) {
            let kept = json!({"ServerURL": server, "Username": user, "Secret": password});
            return run(&program, "store", &kept.to_string()).await.map(|_| ());
        }
        let mut entry = Map::new();
        if !(user.is_empty() && password.is_empty()) {
            entry.insert("auth".to_owned(), json!(STANDARD.encode(format!("{user}:{password}"))));
        }
        let auths = content.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths[server] = Value::Object(entry);
        self.write(&content)
    }

    /// Forgets who asks a registry.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn forget(&self, registry: &str) -> Result<(), Error> {
        let mut content = self.read()?;
        let server = server(registry);
        if let Some(program) = self.program(&content, server) {
            return run(&program, "erase", server).await.map(|_| ());
        }
        let auths = content.get_mut("auths").and_then(Value::as_object_mut);
        match auths.and_then(|auths| auths.remove(server)) {
            Some(_) => self.write(&content),
            None => Ok(()),
        }
    }

    fn write(&self, content: &Map<String, Value>) -> Result<(), Error> {
        let Self::File(path) = self else { return Ok(()) };
        // A link stays a link: its target is replaced.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        Ok(file::write_private(&path, printed(content).as_bytes())?)
    }
}

/// Writes JSON as Go does with tabs.
fn printed(content: &Map<String, Value>) -> String {
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    content.serialize(&mut writer).expect("JSON can be written as JSON");
    escape_html(&String::from_utf8_lossy(&out))
}

/// Keys of old are addresses.
fn host_of(key: &str) -> &str {
    let key = key.strip_prefix("http://").unwrap_or(key);
    let key = key.strip_prefix("https://").unwrap_or(key);
    key.split('/').next().unwrap_or_default()
}

fn credential(entry: &Value) -> Result<Credential, String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut user, mut password) = (text("username"), text("password"));
    let auth = text("auth");
    if !auth.is_empty() {
        let bad = |why: &str| format!("failed to decode auth field: invalid config format: {why}");
        let decoded = STANDARD.decode(auth).map_err(|_| bad("it is not base64"))?;
        let decoded = String::from_utf8(decoded).map_err(|_| bad("it is not text"))?;
        let parts = decoded.split_once(':').ok_or_else(|| bad("it is not user:password"))?;
        (user, password) = (parts.0.to_owned(), parts.1.to_owned());
    }
    Ok(Credential {
        user,
        password: Secret::new(password),
        identity_token: Secret::new(text("identitytoken")),
        registry_token: Secret::new(text("registrytoken")),
    })
}

async fn ask(program: &str, server: &str) -> Result<Credential, Error> {
    let Some(said) = run(program, "get", server).await? else {
        return Ok(Credential::default());
    };
    let fail = |error: serde_json::Error| {
        Error::Credentials(format!("what docker-credential-{program} says is no JSON: {error}"))
    };
    let said: Value = serde_json::from_slice(&said).map_err(fail)?;
    let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let secret = Secret::new(text("Secret"));
    if text("Username") == TOKEN_USER {
        return Ok(Credential { identity_token: secret, ..Credential::default() });
    }
    Ok(Credential { user: text("Username"), password: secret, ..Credential::default() })
}

/// Runs `docker-credential-NAME VERB` and returns what it says; none if it knows no credentials.
async fn run(name: &str, verb: &str, input: &str) -> Result<Option<Vec<u8>>, Error> {
    let program = format!("docker-credential-{name}");
    let fail = Error::Credentials;
    if Path::new(&program).components().count() != 1 {
        return Err(fail(format!("`{name}` is not the name of a program")));
    }
    let start = || {
        Command::new(&program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
    };
    let mut child = start().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            fail(format!("exec: {program:?}: executable file not found in $PATH"))
        }
        _ => fail(format!("exec: {program:?}: {error}")),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read what it is told may still answer.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let ended = tokio::time::timeout(PROGRAM_TIME, child.wait_with_output()).await;
    let output = ended
        .map_err(|_| fail(format!("{program} {verb} did not end within {PROGRAM_TIME:?}")))?
        .map_err(|error| fail(format!("{program} {verb}: {error}")))?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    match String::from_utf8_lossy(&output.stdout).trim() {
        UNKNOWN => Ok(None),
        "" => Err(fail(format!("{program} {verb}: {}", output.status))),
        said => Err(fail(said.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(text: &str) -> Store {
        Store::Text(Secret::new(text.to_owned()))
    }

    #[tokio::test]
    async fn credentials_are_found_by_host() {
        let me = STANDARD.encode("me:pa:ss");
        let text = json!({"auths": {
            "r.example": {"auth": me},
            "https://old.example/v1/": {"username": "old", "password": "x"},
            "https://index.docker.io/v1/": {"identitytoken": "t"},
            "bare.example": {},
            "odd.example": {"auth": "!"},
        }, "credsStore": "never-run", "credHelpers": {"r.example": "never-run"}});
        let keys = Keys::Stores(vec![store(""), store(&text.to_string())]);
        let rows = [
            ("r.example", Ok(("me", "pa:ss", ""))),
            ("old.example", Ok(("old", "x", ""))),
            ("registry-1.docker.io", Ok(("", "", "t"))),
            ("bare.example", Ok(("", "", ""))),
            ("r.example:443", Ok(("", "", ""))),
            ("odd.example", Err("it is not base64")),
        ];
        for (host, want) in rows {
            match (keys.of(host).await, want) {
                (Ok(got), Ok(want)) => {
                    let token = got.identity_token.expose().as_str();
                    assert_eq!((got.user.as_str(), got.password.expose().as_str(), token), want);
                }
                (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
                (got, _) => panic!("{host}: {got:?}"),
            }
        }
        assert!(store("{").get("a").await.is_err());
        assert!(store(&text.to_string()).names("old.example").unwrap());
        assert!(!store(&text.to_string()).names("example").unwrap());
    }

    #[tokio::test]
    async fn other_parts_of_the_file_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry/config.json");
        let store = Store::File(path.clone());
        let me = Credential {
            user: "me".to_owned(),
            password: Secret::new("x".to_owned()),
            ..Credential::default()
        };
        store.put("r.example:5000", &me).await.unwrap();
        let read = || file::read_text(&path, FILE_BYTES).unwrap();
        let one = "{\n\t\"auths\": {\n\t\t\"r.example:5000\": {\n\t\t\t\"auth\": \"bWU6eA==\"\n\t\t}\n\t}\n}";
        assert_eq!(read(), one);
        file::write_atomic(&path, br#"{"HttpHeaders":{"a":"<b>"},"auths":null}"#).unwrap();
        store.put("r.example:5000", &me).await.unwrap();
        assert!(read().contains("\\u003cb\\u003e") && read().contains("bWU6eA=="));
        assert_eq!(store.get("r.example:5000").await.unwrap(), me);
        store.forget("r.example:5000").await.unwrap();
        store.forget("r.example:5000").await.unwrap();
        assert!(store.get("r.example:5000").await.unwrap().is_empty());
        assert!(read().contains("HttpHeaders"));
        let bad = run("../x", "get", "").await.unwrap_err();
        assert!(bad.to_string().contains("is not the name of a program"), "{bad}");
    }
}
