//! Logins that dependencies of charts in files use.

use std::path::Path;

use base64::Engine as _;
use serde_json::{Map, json};

use crate::base::file;
use crate::base::secret::Secret;
use crate::repo::helm_file::{Registered, RepositoryFile};
use crate::repo::oci::is_oci;
use crate::repo::repositories::RepositorySpec;
use crate::source::oci::{Access, Credential, Keys, Store};

use super::chart::TIMEOUT;

/// Returns the repositories of addresses as Helm registers them; certificates go into a folder.
/// One that nobody lends a login for is asked without.
pub(super) fn registered(
    addresses: &[&str],
    specs: &[RepositorySpec],
    folder: &Path,
) -> Result<RepositoryFile, file::Error> {
    let mut list = RepositoryFile::default();
    for (number, address) in addresses.iter().filter(|address| !is_oci(address)).enumerate() {
        let name = format!("source-{number}");
        let spec = specs.iter().find(|spec| same(spec.url.expose().as_str(), address));
        let login = spec.and_then(|spec| spec.credentials.as_ref());
        let tls = spec.and_then(|spec| spec.tls.as_ref());
        let write = |text: Option<&str>, end: &str| match text.filter(|text| !text.is_empty()) {
            Some(text) => {
                let path = folder.join(format!("{name}.{end}"));
                file::write_private(&path, text.as_bytes())?;
                Ok(path.display().to_string())
            }
            None => Ok::<String, file::Error>(String::new()),
        };
        list.put(Registered {
            url: (*address).to_owned(),
            username: login.map(|login| login.user.clone()).unwrap_or_default(),
            password: login.map(|login| login.password.clone()).unwrap_or_default(),
            ca_file: write(tls.map(|tls| tls.authorities.as_str()), "ca.crt")?,
            cert_file: write(tls.map(|tls| tls.certificate.as_str()), "crt")?,
            key_file: write(tls.map(|tls| tls.key.expose().as_str()), "key")?,
            pass_credentials: login.is_some_and(|login| login.everywhere),
            insecure: false,
            name,
        });
    }
    Ok(list)
}

/// Whether two addresses are of the same repository.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Returns how all registries are asked.
pub(super) fn registries(specs: &[RepositorySpec]) -> Access {
    let mut all = Access {
        plain_http: false,
        keys: Keys::Fixed(Credential::default()),
        tls: None,
        proxy: None,
        timeout: TIMEOUT,
        retries: 0,
    };
    let (mut stores, mut logins) = (Vec::new(), Map::new());
    for (spec, access) in specs.iter().filter_map(|spec| Some((spec, spec.registry.as_ref()?))) {
        all.plain_http |= access.plain_http;
        all.tls = all.tls.or_else(|| access.tls.clone());
        match &access.keys {
            Keys::Stores(more) => stores.extend(more.iter().cloned()),
            Keys::Fixed(login) if !login.user.is_empty() => {
                let pair = format!("{}:{}", login.user, login.password.expose());
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                logins.insert(spec.url.expose().authority().to_owned(), json!({"auth": pair}));
            }
            Keys::Fixed(_) => {}
        }
    }
    if !logins.is_empty() {
        stores.push(Store::Text(Secret::new(json!({"auths": logins}).to_string())));
    }
    if !stores.is_empty() {
        all.keys = Keys::Stores(stores);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::{Credentials, Tls};

    fn spec(url: &str) -> RepositorySpec {
        let timeout = Duration::from_secs(1);
        RepositorySpec {
            url: url.parse().unwrap(),
            timeout,
            credentials: None,
            tls: None,
            registry: None,
        }
    }

    #[test]
    fn repositories_are_registered_with_what_is_lent() {
        let folder = tempfile::tempdir().unwrap();
        let login = Credentials {
            user: "me".to_owned(),
            password: Secret::new("pw".to_owned()),
            repository: "https://a.example/charts".parse().unwrap(),
            everywhere: true,
        };
        let tls = Tls { authorities: "PEM".to_owned(), ..Tls::default() };
        let known = RepositorySpec {
            credentials: Some(login),
            tls: Some(tls),
            ..spec("https://a.example/charts")
        };
        let addresses =
            ["https://a.example/charts/", "oci://r.example/charts", "https://b.example"];
        let list = registered(&addresses, &[known], folder.path()).unwrap().repositories;
        assert_eq!(list.len(), 2);
        let first = &list[0];
        assert_eq!((first.username.as_str(), first.pass_credentials), ("me", true));
        assert_eq!(file::read_text(Path::new(&first.ca_file), 9).unwrap(), "PEM");
        assert!(first.cert_file.is_empty());
        assert_eq!((list[1].url.as_str(), list[1].username.as_str()), ("https://b.example", ""));
    }

    #[test]
    fn each_registry_gets_its_own_login() {
        let with = |url: &str, user: &str| {
            let login = Credential {
                user: user.to_owned(),
                password: Secret::new("pw".to_owned()),
                ..Credential::default()
            };
            let access = Access { keys: Keys::Fixed(login), ..registries(&[]) };
            RepositorySpec { registry: Some(access), ..spec(url) }
        };
        let specs = [with("oci://r.example:5000/charts", "me"), with("oci://open.example/x", "")];
        let Keys::Stores(stores) = registries(&specs).keys else { panic!("no store") };
        assert_eq!(stores[0].names("r.example:5000").ok(), Some(true));
        assert_eq!(stores[0].names("open.example").ok(), Some(false));
        assert!(matches!(registries(&specs[1..]).keys, Keys::Fixed(_)));
    }
}
