//! How a bucket is asked.
//!
//! Source: fluxcd/source-controller internal/controller/bucket_controller.go (`setupCredentials`),
//! internal/bucket/minio/minio.go.

use std::collections::BTreeMap;
use std::time::Duration;

use super::access::{self, Problem};
use crate::api::{Bucket, BucketSpec};
use crate::base::class::Class;
use crate::base::secret::{SafeUrl, Secret};
use crate::cluster::Cluster;
use crate::source::s3::{Access, Keys};

/// Returns how a bucket is asked.
///
/// # Errors
/// Its address cannot be used, or its Secrets are missing or lack what they need.
pub(super) async fn of(cluster: &Cluster, bucket: &Bucket) -> Result<Access, Problem> {
    let (spec, namespace) = (&bucket.spec, &bucket.metadata.namespace);
    access::supported(&spec.unsupported())?;
    let endpoint = endpoint(spec).map_err(|why| ("URLInvalid", why, Class::Stalled))?;
    let mut found = Access {
        endpoint,
        bucket: spec.bucket_name.clone(),
        region: spec.region.clone(),
        keys: None,
        tls: None,
        proxy: None,
        timeout: spec.timeout.map_or(Duration::from_secs(60), |timeout| timeout.0),
    };
    let refused = |text: String| ("AuthenticationFailed", text, Class::Retry);
    if let Some(reference) = &spec.secret_ref {
        let name = &reference.name;
        let data = access::secret(cluster, namespace, name).await;
        let data = data.map_err(|(reason, text, class)| {
            (reason, format!("failed to get secret '{namespace}/{name}': {text}"), class)
        })?;
        found.keys = keys(name, &data).map_err(refused)?;
    }
    let proxy = access::proxy(cluster, namespace, spec.proxy_secret_ref.as_ref()).await;
    found.proxy = proxy.map_err(|(reason, text, class)| {
        (reason, format!("failed to get proxy URL: {text}"), class)
    })?;
    if let Some(reference) = &spec.cert_secret_ref {
        let doing = "failed to get TLS config";
        let data = access::secret(cluster, namespace, &reference.name).await;
        let data =
            data.map_err(|(reason, text, class)| (reason, format!("{doing}: {text}"), class))?;
        let lacks = || {
            let name = &reference.name;
            refused(format!(
                "{doing}: secret '{namespace}/{name}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'"
            ))
        };
        let tls = access::tls(&data).ok().flatten().ok_or_else(lacks)?;
        // Without TLS there is nobody to show it to.
        found.tls = (!spec.insecure).then_some(tls);
    }
    Ok(found)
}

/// Returns the address of the server.
pub(super) fn endpoint(spec: &BucketSpec) -> Result<SafeUrl, String> {
    let given = &spec.endpoint;
    let wrong = |why: &str| {
        format!("endpoint '{given}' {why}: write a host, such as minio.example.com or minio:9000")
    };
    if given.contains("://") {
        return Err(wrong("has a scheme, which spec.insecure decides"));
    }
    let scheme = if spec.insecure { "http" } else { "https" };
    let url: SafeUrl = format!("{scheme}://{given}").parse().map_err(|_| wrong("is no host"))?;
    let whole = url.expose();
    let is_host = whole.path() == "/" && whole.query().is_none() && whole.fragment().is_none();
    if !is_host || whole.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is no host"));
    }
    if !whole.username().is_empty() || whole.password().is_some() {
        return Err("endpoint has a login in it: put it into the Secret of secretRef".to_owned());
    }
    Ok(url)
}

/// Reads who asks; with an empty key anybody does.
fn keys(name: &str, data: &BTreeMap<String, String>) -> Result<Option<Keys>, String> {
    match (data.get("accesskey"), data.get("secretkey")) {
        (Some(access), Some(secret)) if access.is_empty() || secret.is_empty() => Ok(None),
        (Some(access), Some(secret)) => {
            Ok(Some(Keys { access: access.clone(), secret: Secret::new(secret.clone()) }))
        }
        _ => Err(format!(
            "invalid '{name}' secret data: required fields 'accesskey' and 'secretkey'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host() {
        let rows = [
            ("minio:9000", true, Ok("http://minio:9000/")),
            ("s3.amazonaws.com", false, Ok("https://s3.amazonaws.com/")),
            ("[::1]:9000", true, Ok("http://[::1]:9000/")),
            ("minio/", false, Ok("https://minio/")),
            ("https://minio", false, Err("has a scheme")),
            ("minio/path", false, Err("is no host")),
            ("minio?x", false, Err("is no host")),
            ("", false, Err("is no host")),
            ("a b", false, Err("is no host")),
            ("me:pw@minio", false, Err("has a login in it")),
        ];
        for (given, insecure, want) in rows {
            let spec = BucketSpec { endpoint: given.to_owned(), insecure, ..BucketSpec::default() };
            match (endpoint(&spec).map(|url| url.to_string()), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{given}"),
                (Err(got), Err(want)) => {
                    assert!(got.contains(want) && !got.contains("pw"), "{given}: {got}");
                }
                (got, _) => panic!("{given}: {got:?}"),
            }
        }
    }

    #[test]
    fn keys_are_two_or_none_at_all() {
        type Row = (&'static [(&'static str, &'static str)], Result<Option<&'static str>, ()>);
        let rows: &[Row] = &[
            (&[("accesskey", "a"), ("secretkey", "s")], Ok(Some("a"))),
            (&[("accesskey", ""), ("secretkey", "s")], Ok(None)),
            (&[("accesskey", "a")], Err(())),
            (&[("secretkey", "s"), ("username", "u")], Err(())),
            (&[], Err(())),
        ];
        for (data, want) in rows {
            let map = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            match (keys("login", &map.collect()), want) {
                (Ok(got), Ok(want)) => {
                    assert_eq!(got.as_ref().map(|keys| keys.access.as_str()), *want, "{data:?}");
                }
                (Err(text), Err(())) => assert_eq!(
                    text,
                    "invalid 'login' secret data: required fields 'accesskey' and 'secretkey'"
                ),
                (got, _) => panic!("{data:?}: {got:?}"),
            }
        }
    }
}
