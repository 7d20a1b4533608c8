//! Requests to the server of a bucket.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Response, header};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use url::Url;

use super::error::{Cause, Error};
use super::index::Object;
use super::refusal::Refusal;
use crate::base::limit::{self, Limit};
use crate::base::secret::{SafeUrl, Secret};
use crate::source::body;
use crate::source::http::{Fetcher, PAUSE, Proxy, Tls, connection, header_text};

/// How long a signature is good.
const GOOD_FOR: Duration = Duration::from_secs(15 * 60);
/// Largest part of a list: a thousand keys of a kilobyte each, and what is said of them.
const LIST_BYTES: u64 = 8 << 20;
/// As much of a refusal is read.
const REFUSAL_BYTES: u64 = 64 << 10;
/// The region of servers that know none.
const REGION: &str = "us-east-1";
/// The server that knows the buckets of all regions, and asks to be asked in their own.
const GLOBAL: &str = "s3.amazonaws.com";
/// Hosts of which a bucket's name is a part.
const BY_HOST: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".aliyuncs.com"];
/// What the answer begins with, up to the name of its namespace, which each server names its own way.
const ROOT: &str = "<ListBucketResult";
/// The beginning of an answer as it is read.
const PLAIN_ROOT: &str = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Name of the key.
    pub access: String,
    /// The key.
    pub secret: Secret<String>,
}

/// How a bucket is asked.
#[derive(Debug, Clone)]
pub struct Access {
    /// The server: `https://` or `http://`, host and port.
    pub endpoint: SafeUrl,
    /// The bucket.
    pub bucket: String,
    /// Its region; empty: what the server says.
    pub region: String,
    /// Who asks; none: anybody.
    pub keys: Option<Keys>,
    /// Certificates.
    pub tls: Option<Tls>,
    /// The server through which it is asked.
    pub proxy: Option<Proxy>,
    /// Limit of a list, and of the objects of a bucket together.
    pub timeout: Duration,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint.to_string().trim_end_matches('/'), self.bucket)
    }
}

/// A bucket that can be asked.
#[derive(Debug)]
pub struct Remote<'a> {
    fetcher: &'a Fetcher,
    pub(super) access: &'a Access,
    /// Its region, as far as it is known.
    region: Mutex<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Ask<'a> {
    /// The objects whose keys begin so, and where the list goes on.
    List(&'a str, Option<&'a str>),
    Object(&'a str),
}

impl<'a> Remote<'a> {
    /// Returns a bucket; nothing is asked yet.
    pub fn new(fetcher: &'a Fetcher, access: &'a Access) -> Self {
        let region = if access.region.is_empty() { REGION } else { &access.region };
        Self { fetcher, access, region: Mutex::new(region.to_owned()) }
    }

    /// Returns the address of the bucket, by which it is told from others.
    pub fn place(&self) -> SafeUrl {
        let mut url = self.access.endpoint.expose().clone();
        url.set_path(&self.access.bucket);
        url.into()
    }

    /// Returns all objects whose keys begin so, in the order of the server.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let bucket = &self.access.bucket;
        let failed = |source| Error::List { bucket: bucket.clone(), source };
        let most = limit::current().size(Limit::Entries);
        let (mut found, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = self.page(prefix, next.as_deref()).await.map_err(|cause| match cause {
                cause if cause.is("NoSuchBucket") => Error::NoBucket(bucket.clone()),
                // The first page says whether there is such a bucket, and who may read it.
                cause if next.is_none() => Error::Confirm { bucket: bucket.clone(), source: cause },
                cause => failed(cause),
            })?;
            found.extend(page.0);
            // What is left out later counts as well, but less.
            if found.len() / 10 > most {
                let text = limit::current().refusal(Limit::Entries, "too many objects");
                return Err(failed(Cause::TooLarge(text)));
            }
            match page.1 {
                None => return Ok(found),
                // One that is empty, but leads on, is one whose objects went meanwhile.
                Some(more) if Some(&more) == next.as_ref() => return Err(failed(Cause::Endless)),
                Some(more) => next = Some(more),
            }
        }
    }

    async fn page(
        &self,
        prefix: &str,
        from: Option<&str>,
    ) -> Result<(Vec<Object>, Option<String>), Cause> {
        let answer = self.send(Ask::List(prefix, from)).await?;
        let url = self.access.endpoint.clone();
        let bytes = body::read(&url, answer, LIST_BYTES, false).await?;
        read_list(&bytes)
            .map_err(|reason| Cause::Answer { address: self.access.to_string(), reason })
    }

    /// Passes an object on while it comes; returns what tells its content from another, or none if
    /// there is no such object.
    pub(super) async fn object(
        &self,
        key: &str,
        limit_bytes: u64,
        into: &mut (dyn Write + Send),
    ) -> Result<Option<String>, Cause> {
        let answer = match self.send(Ask::Object(key)).await {
            Err(cause) if cause.is("NoSuchKey") => return Ok(None),
            answer => answer?,
        };
        let etag = bare(header_text(&answer, header::ETAG)).to_owned();
        let url = self.shown(Ask::Object(key))?;
        body::pour(&url, answer, (limit_bytes, false), into).await?;
        Ok(Some(etag))
    }

    /// Asks, and once more in the bucket's own region where nobody has named one.
    async fn send(&self, ask: Ask<'_>) -> Result<Response, Cause> {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (cause, other) = match self.send_to(&region, ask).await? {
            Ok(answer) => return Ok(answer),
            Err(refused) => refused,
        };
        if !self.access.region.is_empty() || other.is_empty() || other == region {
            return Err(cause);
        }
        self.region.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&other);
        self.send_to(&other, ask).await?.map_err(|(cause, _)| cause)
    }

    /// Asks a region; returns a refusal with the region that is named in it.
    async fn send_to(
        &self,
        region: &str,
        ask: Ask<'_>,
    ) -> Result<Result<Response, (Cause, String)>, Cause> {
        let bucket = self.bucket(region)?;
        let url = self.signed(&bucket, ask);
        let shown = self.shown(ask)?;
        let Access { proxy, tls, .. } = self.access;
        let client = self.fetcher.client_through(proxy.as_ref(), tls.as_ref(), &shown)?;
        let answer = client.get(url).send().await.map_err(|error| connection(&shown, &error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Ok(answer));
        }
        let named = answer.headers().get("x-amz-bucket-region");
        let named = named.and_then(|region| region.to_str().ok()).map(str::to_owned);
        let pause = self.fetcher.pause(header_text(&answer, header::RETRY_AFTER));
        let after = match (status.as_u16(), pause) {
            (429, pause) => Some(pause.unwrap_or(PAUSE)),
            (503, pause) => pause,
            _ => None,
        };
        // What cannot be read says as little as nothing.
        let text = body::read(&shown, answer, REFUSAL_BYTES, false).await.unwrap_or_default();
        let refusal = Refusal::read(&String::from_utf8_lossy(&text));
        let refused = Cause::Refused {
            address: shown.to_string(),
            said: refusal.said(&status.to_string()),
            code: refusal.code,
            status: status.as_u16(),
            after,
        };
        Ok(Err((refused, named.unwrap_or(refusal.region))))
    }

    fn signed(&self, bucket: &Bucket, ask: Ask<'_>) -> Url {
        let keys = self.access.keys.as_ref();
        let keys = keys.map(|keys| Credentials::new(&keys.access, keys.secret.expose()));
        let now = self.fetcher.clock().now();
        match ask {
            Ask::Object(key) => {
                bucket.get_object(keys.as_ref(), key).sign_with_time(GOOD_FOR, &now)
            }
            Ask::List(prefix, from) => {
                let mut list = bucket.list_objects_v2(keys.as_ref());
                if !prefix.is_empty() {
                    list.with_prefix(prefix);
                }
                if let Some(from) = from {
                    list.with_continuation_token(from);
                }
                list.sign_with_time(GOOD_FOR, &now)
            }
        }
    }

    /// Returns the address of what is asked for, as it may be told.
    fn shown(&self, ask: Ask<'_>) -> Result<SafeUrl, Cause> {
        let bucket = self.bucket(&self.access.region)?;
        Ok(match ask {
            Ask::List(..) => bucket.base_url().clone(),
            Ask::Object(key) => bucket.object_url(key),
        }
        .into())
    }

    fn bucket(&self, region: &str) -> Result<Bucket, Cause> {
        let Access { bucket: name, .. } = self.access;
        let endpoint = endpoint(self.access.endpoint.expose(), region);
        let style = style(&endpoint, name);
        Bucket::new(endpoint, style, name.clone(), region.to_owned()).map_err(|error| {
            Cause::Address { address: self.access.to_string(), reason: error.to_string() }
        })
    }
}

/// Returns the server of a region, where one server knows them all.
fn endpoint(given: &Url, region: &str) -> Url {
    let mut url = given.clone();
    if url.host_str() == Some(GLOBAL) && !region.is_empty() && region != REGION {
        // A region that makes no host is refused by the server.
        let _ = url.set_host(Some(&format!("s3.{region}.amazonaws.com")));
    }
    url
}

/// Whether a bucket is named by the host or by the path.
///
/// Source: minio-go pkg/s3utils/utils.go (`IsVirtualHostSupported`).
fn style(endpoint: &Url, bucket: &str) -> UrlStyle {
    let host = endpoint.host_str().unwrap_or_default();
    // A certificate is for one more name only.
    let fits = !(endpoint.scheme() == "https" && bucket.contains('.'));
    if fits && BY_HOST.iter().any(|end| host.ends_with(end)) {
        return UrlStyle::VirtualHost;
    }
    UrlStyle::Path
}

/// Reads a part of a list, and where the list goes on.
fn read_list(bytes: &[u8]) -> Result<(Vec<Object>, Option<String>), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (_, rest) = text.split_once(ROOT).ok_or("there is no ListBucketResult")?;
    let (_, rest) = rest.split_once('>').ok_or("it is cut off")?;
    let list = ListObjectsV2::parse_response(&format!("{PLAIN_ROOT}{rest}"));
    let list = list.map_err(|error| error.to_string())?;
    let object = |object: rusty_s3::actions::list_objects_v2::ListObjectsContent| Object {
        etag: bare(object.etag.as_deref().unwrap_or_default()).to_owned(),
        size: object.size.unwrap_or_default(),
        key: object.key,
    };
    Ok((list.contents.into_iter().map(object).collect(), list.next_continuation_token))
}

/// An `ETag` without its quotes.
fn bare(etag: &str) -> &str {
    let etag = etag.strip_prefix('"').unwrap_or(etag);
    etag.strip_suffix('"').unwrap_or(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whatever_its_namespace_is_called() {
        let url = "<EncodingType>url</EncodingType>";
        let text = |root: &str, more: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}<Name>b</Name>\
                 <Contents><Key>a%20b.yaml</Key><ETag>&quot;e1&quot;</ETag><Size>3</Size></Contents>\
                 <Contents><Key>c</Key><ETag>e2</ETag></Contents>{more}</ListBucketResult>"
            )
        };
        let want = [("a b.yaml", "e1", 3), ("c", "e2", 0)];
        for root in [
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
            "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>",
            "<ListBucketResult>",
        ] {
            let (objects, next) = read_list(text(root, url).as_bytes()).unwrap();
            let got: Vec<_> =
                objects.iter().map(|it| (it.key.as_str(), it.etag.as_str(), it.size)).collect();
            assert_eq!((got.as_slice(), next), (&want[..], None), "{root}");
        }
        // A server that does not know how to encode them sends them as they are.
        let plain = read_list(text("<ListBucketResult>", "").as_bytes()).unwrap();
        assert_eq!(plain.0[0].key, "a%20b.yaml");
        let more =
            "<IsTruncated>true</IsTruncated><NextContinuationToken>t/1+=</NextContinuationToken>";
        assert_eq!(
            read_list(text("<ListBucketResult>", more).as_bytes()).unwrap().1.as_deref(),
            Some("t/1+=")
        );
        let cut = "<IsTruncated>true</IsTruncated>";
        assert!(read_list(text("<ListBucketResult>", cut).as_bytes()).is_err());
        for wrong in ["", "<html></html>", "<ListBucketResult", "<ListBucketResult><Contents>"] {
            assert!(read_list(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bucket_is_named_where_its_server_looks_for_it() {
        let rows = [
            ("https://s3.amazonaws.com", "", "shop", "https://shop.s3.amazonaws.com/"),
            ("https://s3.amazonaws.com", "us-east-1", "shop", "https://shop.s3.amazonaws.com/"),
            (
                "https://s3.amazonaws.com",
                "eu-west-1",
                "shop",
                "https://shop.s3.eu-west-1.amazonaws.com/",
            ),
            (
                "https://s3.amazonaws.com",
                "eu-west-1",
                "a.b",
                "https://s3.eu-west-1.amazonaws.com/a.b/",
            ),
            (
                "http://s3.eu-west-1.amazonaws.com",
                "x",
                "a.b",
                "http://a.b.s3.eu-west-1.amazonaws.com/",
            ),
            ("https://minio.example:9000", "x", "shop", "https://minio.example:9000/shop/"),
            ("https://evilamazonaws.com", "", "shop", "https://evilamazonaws.com/shop/"),
            ("http://127.0.0.1:7070", "", "shop", "http://127.0.0.1:7070/shop/"),
        ];
        for (given, region, bucket, want) in rows {
            let url = endpoint(&given.parse().unwrap(), region);
            let style = style(&url, bucket);
            let got = Bucket::new(url, style, bucket.to_owned(), region.to_owned()).unwrap();
            assert_eq!(got.base_url().as_str(), want, "{given} {region} {bucket}");
        }
    }
}
