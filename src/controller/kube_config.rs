//! What a ConfigMap says of another cluster: where it is, and whose tokens it takes.
//!
//! Source: fluxcd/pkg auth/utils/restconfig.go (`GetRESTConfig`), auth/generic/provider.go.

use std::collections::BTreeMap;

use crate::cluster::{Account, Place};

/// The only provider that needs no cloud.
const PROVIDER: &str = "generic";
/// Those that do.
const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];

/// Reads the data of a ConfigMap in a namespace.
///
/// Without `audiences` the tokens are for the address, as it is written.
///
/// # Errors
/// What is missing or cannot be used, and what to do.
pub(super) fn read(
    data: &BTreeMap<String, String>,
    namespace: &str,
) -> Result<(Place, Account), String> {
    let held = |key: &str| data.get(key).map(String::as_str).unwrap_or_default();
    let provider = held("provider");
    if CLOUDS.contains(&provider) {
        return Err(format!(
            "provider '{provider}' is not supported by this version of Leadsman; use '{PROVIDER}', \
             or spec.kubeConfig.secretRef"
        ));
    }
    if provider != PROVIDER {
        return Err(format!("provider '{provider}' not implemented; use '{PROVIDER}'"));
    }
    let (address, name) = (held("address"), held("serviceAccountName"));
    if address.is_empty() {
        return Err("cluster address is required; set the key 'address'".to_owned());
    }
    if name.is_empty() {
        let text = "the key 'serviceAccountName' is required: a token of Leadsman's own account is \
                    sent nowhere";
        return Err(text.to_owned());
    }
    let place = Place::new(address, held("ca.crt"))?;
    let lines = held("audiences").lines().map(str::trim).filter(|line| !line.is_empty());
    let mut audiences: Vec<_> = lines.map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(address.to_owned());
    }
    Ok((place, Account { namespace: namespace.to_owned(), name: name.to_owned(), audiences }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the ConfigMap says otherwise, and the audiences or the beginning of the error.
    type Row<'a> = (&'a [(&'a str, &'a str)], Result<&'a [&'a str], &'a str>);

    #[test]
    fn a_config_map_names_place_and_account() {
        let good = [("provider", "generic"), ("address", "A.example"), ("serviceAccountName", "w")];
        let rows: &[Row<'_>] = &[
            (&[], Ok(&["A.example"])),
            (&[("audiences", " a \n\n b\n")], Ok(&["a", "b"])),
            (&[("provider", "aws")], Err("provider 'aws' is not supported by this version")),
            (&[("provider", "azure")], Err("provider 'azure' is not supported by this version")),
            (&[("provider", "gcp")], Err("provider 'gcp' is not supported by this version")),
            (&[("provider", "")], Err("provider '' not implemented; use 'generic'")),
            (&[("provider", "else")], Err("provider 'else' not implemented; use 'generic'")),
            (&[("address", "")], Err("cluster address is required")),
            (&[("address", "http://a")], Err("the Kubernetes API server address 'http://a' must")),
            (&[("ca.crt", "x")], Err("read the authorities of the API server: ")),
            (&[("serviceAccountName", "")], Err("the key 'serviceAccountName' is required")),
        ];
        for (more, want) in rows {
            let pairs = good.iter().chain(*more);
            let data = pairs.map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
            match (read(&data, "apps"), want) {
                (Ok((place, account)), Ok(audiences)) => {
                    assert_eq!(place, Place::new("https://a.example:443", "").unwrap());
                    assert_eq!((&*account.namespace, &*account.name), ("apps", "w"));
                    assert_eq!(account.audiences, *audiences, "{more:?}");
                }
                (Err(said), Err(want)) => assert!(said.starts_with(want), "{more:?}: {said}"),
                (got, _) => panic!("{more:?}: {got:?}"),
            }
        }
    }
}
