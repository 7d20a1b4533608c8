//! The two envelopes of the Notary Project: JWS and COSE.
//!
//! Source: notaryproject/specifications specs/signature-envelope-jws.md,
//! specs/signature-envelope-cose.md; notation-core-go v1.3 signature/{jws,cose}.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::cbor::{self, Item};
use super::certificate::Certificate;
use super::error::{Error, refused};
use crate::base::clock::Timestamp;

/// Media types of envelopes.
pub(super) const JWS: &str = "application/jose+json";
pub(super) const COSE: &str = "application/cose";
/// Media type of what is signed.
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
/// Names of what the Notary Project adds to both.
const SCHEME: &str = "io.cncf.notary.signingScheme";
const EXPIRY: &str = "io.cncf.notary.expiry";
const TIME: &str = "io.cncf.notary.signingTime";
const AUTHORITY_TIME: &str = "io.cncf.notary.authenticSigningTime";
const PLUGIN: &str = "io.cncf.notary.verificationPlugin";

/// What an envelope says, before any of it is checked.
#[derive(Debug)]
pub(super) struct Envelope {
    /// What is signed for, as JSON.
    pub(super) payload: Vec<u8>,
    /// The bytes that are signed.
    pub(super) text: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// The one that signed, those that issued one another.
    pub(super) chain: Vec<Certificate>,
    /// The algorithm: a name in JWS, a number in COSE.
    pub(super) algorithm: Algorithm,
    /// Whether a signing authority vouches for the time.
    pub(super) by_authority: bool,
    pub(super) time: Timestamp,
    pub(super) expiry: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Name(String),
    Number(i128),
}

/// Headers that are signed; `crit` has those that a reader must understand.
#[derive(Debug, Default)]
struct Headers {
    algorithm: Option<Algorithm>,
    content_type: String,
    critical: Vec<String>,
    scheme: String,
    time: Option<Timestamp>,
    authority_time: Option<Timestamp>,
    expiry: Option<Timestamp>,
    plugin: bool,
}

impl Envelope {
    /// Reads an envelope of this media type.
    pub(super) fn read(media_type: &str, bytes: &[u8]) -> Result<Self, Error> {
        match media_type {
            JWS => jws(bytes),
            COSE => cose(bytes),
            other => {
                Err(refused(format!("signature envelopes of type {other:?} are not supported")))
            }
        }
    }
}

/// What is checked of the headers of both.
fn checked(headers: Headers) -> Result<(Algorithm, bool, Timestamp, Option<Timestamp>), Error> {
    if headers.plugin {
        return Err(refused("it asks for a verification plugin, and plugins are not supported"));
    }
    if headers.content_type != PAYLOAD {
        return Err(refused(format!("its payload is {:?}, not {PAYLOAD}", headers.content_type)));
    }
    let (by_authority, time) = match (headers.scheme.as_str(), headers.time, headers.authority_time)
    {
        ("notary.x509", Some(time), None) => (false, time),
        ("notary.x509.signingAuthority", None, Some(time)) => (true, time),
        ("notary.x509" | "notary.x509.signingAuthority", ..) => {
            return Err(refused("its times are not those of its signing scheme"));
        }
        (other, ..) => return Err(refused(format!("unsupported SigningScheme: {other:?}"))),
    };
    let mut needed = vec![SCHEME];
    needed.extend(headers.expiry.map(|_| EXPIRY));
    needed.extend(by_authority.then_some(AUTHORITY_TIME));
    if let Some(missing) = needed.iter().find(|name| !headers.critical.iter().any(|c| c == *name)) {
        return Err(refused(format!("its header {missing} is not marked as critical")));
    }
    // Whoever signed says that it must be understood.
    if let Some(other) = headers.critical.iter().find(|name| !needed.contains(&name.as_str())) {
        return Err(refused(format!("its critical header {other:?} is not supported")));
    }
    if headers.expiry.is_some_and(|expiry| expiry <= time) {
        return Err(refused("expiry cannot be equal or before the signing time"));
    }
    let algorithm = headers.algorithm.ok_or_else(|| refused("it names no algorithm"))?;
    Ok((algorithm, by_authority, time, headers.expiry))
}

fn chain(certificates: Vec<Vec<u8>>) -> Result<Vec<Certificate>, Error> {
    let read = |der| Certificate::of_der(der).map_err(|_| refused("malformed certificate"));
    let chain: Vec<_> = certificates.into_iter().map(read).collect::<Result<_, _>>()?;
    if chain.is_empty() { Err(refused("certificate chain is not present")) } else { Ok(chain) }
}

#[derive(Deserialize)]
struct Jws {
    payload: String,
    protected: String,
    header: JwsHeader,
    signature: String,
}

#[derive(Deserialize)]
struct JwsHeader {
    x5c: Vec<String>,
}

fn jws(bytes: &[u8]) -> Result<Envelope, Error> {
    let fail = |what: &str| refused(format!("jws envelope: {what} can't be decoded"));
    let raw: Jws = serde_json::from_slice(bytes).map_err(|error| fail(&error.to_string()))?;
    let decoded = |what: &str, text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| fail(what));
    let protected = decoded("protected header", &raw.protected)?;
    let protected: Value =
        serde_json::from_slice(&protected).map_err(|_| fail("protected header"))?;
    let (algorithm, by_authority, time, expiry) = checked(jws_headers(&protected)?)?;
    let certificates = raw.header.x5c.iter().map(|text| STANDARD.decode(text));
    let certificates = certificates.collect::<Result<_, _>>().map_err(|_| fail("certificate"))?;
    Ok(Envelope {
        payload: decoded("payload", &raw.payload)?,
        text: format!("{}.{}", raw.protected, raw.payload).into_bytes(),
        signature: decoded("signature", &raw.signature)?,
        chain: chain(certificates)?,
        algorithm,
        by_authority,
        time,
        expiry,
    })
}

fn jws_headers(protected: &Value) -> Result<Headers, Error> {
    let text = |name: &str| protected.get(name).and_then(Value::as_str);
    let time = |name: &str| match protected.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let time = value.as_str().and_then(|text| text.parse().ok());
            time.map(Some).ok_or_else(|| refused(format!("its header {name} is no time")))
        }
    };
    let critical = protected.get("crit").and_then(Value::as_array);
    let critical = critical.into_iter().flatten().map(|name| match name {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    });
    Ok(Headers {
        algorithm: text("alg").map(|name| Algorithm::Name(name.to_owned())),
        content_type: text("cty").unwrap_or_default().to_owned(),
        critical: critical.collect(),
        scheme: text(SCHEME).unwrap_or_default().to_owned(),
        time: time(TIME)?,
        authority_time: time(AUTHORITY_TIME)?,
        expiry: time(EXPIRY)?,
        plugin: protected.get(PLUGIN).is_some(),
    })
}

fn cose(bytes: &[u8]) -> Result<Envelope, Error> {
    let fail = || refused("the envelope is no COSE_Sign1");
    let Item::Tagged(18, inner) = Item::read(bytes)? else { return Err(fail()) };
    let Item::List(parts) = *inner else { return Err(fail()) };
    let [Item::Bytes(protected), Item::Map(others), Item::Bytes(payload), Item::Bytes(signature)] =
        &parts[..]
    else {
        return Err(fail());
    };
    let Item::Map(headers) = Item::read(protected)? else { return Err(fail()) };
    let (algorithm, by_authority, time, expiry) = checked(cose_headers(&headers)?)?;
    let certificates = match Item::of(others, &Item::Number(33)) {
        Some(Item::Bytes(one)) => vec![one.clone()],
        Some(Item::List(all)) => {
            let der = all.iter().map(|one| match one {
                Item::Bytes(der) => Ok(der.clone()),
                _ => Err(fail()),
            });
            der.collect::<Result<_, _>>()?
        }
        _ => Vec::new(),
    };
    // RFC 9052 section 4.4: what is signed is a list of the context, the headers, nothing, the payload.
    let mut text = vec![0x84];
    text.extend(cbor::head(3, "Signature1".len()));
    text.extend(b"Signature1");
    for part in [&protected[..], b"", &payload[..]] {
        text.extend(cbor::head(2, part.len()));
        text.extend(part);
    }
    Ok(Envelope {
        payload: payload.clone(),
        text,
        signature: signature.clone(),
        chain: chain(certificates)?,
        algorithm,
        by_authority,
        time,
        expiry,
    })
}

fn cose_headers(headers: &[(Item, Item)]) -> Result<Headers, Error> {
    let named = |name: &str| Item::of(headers, &Item::Text(name.to_owned()));
    let numbered = |number: i128| Item::of(headers, &Item::Number(number));
    let text = |item: Option<&Item>| match item {
        Some(Item::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let time = |name: &str| match named(name) {
        None => Ok(None),
        Some(Item::Tagged(1, seconds)) => match **seconds {
            Item::Number(seconds) => {
                let time = i64::try_from(seconds).ok();
                let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
                time.map(Some).ok_or_else(|| refused(format!("its header {name} is no time")))
            }
            _ => Err(refused(format!("its header {name} is no time"))),
        },
        Some(_) => Err(refused(format!("its header {name} is no time"))),
    };
    let critical = match numbered(2) {
        Some(Item::List(all)) => all.iter().map(|item| match item {
            Item::Text(name) => name.clone(),
            other => format!("{other:?}"),
        }),
        _ => return Err(refused("missing \"crit\" header")),
    };
    // The algorithm and the type of the payload are always understood.
    let understood = [1, 3].map(|number| format!("{:?}", Item::Number(number)));
    Ok(Headers {
        algorithm: match numbered(1) {
            Some(Item::Number(number)) => Some(Algorithm::Number(*number)),
            _ => None,
        },
        content_type: text(numbered(3)),
        critical: critical.filter(|name| !understood.contains(name)).collect(),
        scheme: text(named(SCHEME)),
        time: time(TIME)?,
        authority_time: time(AUTHORITY_TIME)?,
        expiry: time(EXPIRY)?,
        plugin: named(PLUGIN).is_some(),
    })
}
