//! Certificates that templates make for themselves.
//!
//! Source: sprig v3.3.0 crypto.go. Serial numbers, keys and times differ from run to run, so a
//! chart that makes certificates renders differently each time, as with Helm.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber,
};

use super::super::fmt;
use super::super::value::{Struct, Value};
use super::keys::{self, Key};
use super::{Args, Func, Outcome, Ty, lossy};
use crate::base::clock::{Clock as _, SystemClock};

const I: Ty = Ty::Int;
const L: Ty = Ty::List;
const S: Ty = Ty::Str;
const C: Ty = Ty::Certificate;

pub(super) const TABLE: &[Func] = &[
    Func::new("genPrivateKey", &[S], |_, a| Ok(keys::generate(&lossy(a.str(0))).map(Value::str)?)),
    Func::new("genCA", &[S, I], |_, a| authority(a, made()?)),
    Func::new("genCAWithKey", &[S, I, S], |_, a| authority(a, given(a.str(2))?)),
    Func::new("genSelfSignedCert", &[S, L, L, I], |_, a| self_signed(a, made()?)),
    Func::new("genSelfSignedCertWithKey", &[S, L, L, I, S], |_, a| {
        self_signed(a, given(a.str(4))?)
    }),
    Func::new("genSignedCert", &[S, L, L, I, C], |_, a| signed(a, made()?)),
    Func::new("genSignedCertWithKey", &[S, L, L, I, C, S], |_, a| signed(a, given(a.str(5))?)),
    Func::new("buildCustomCert", &[S, S], |_, a| custom(a.str(0), a.str(1))),
];

fn made() -> Result<Key, String> {
    keys::generate_rsa(2048).map_err(|error| format!("error generating rsa key: {error}"))
}

fn given(pem: &[u8]) -> Result<Key, String> {
    keys::parse(&lossy(pem)).map_err(|error| format!("parsing private key: {error}"))
}

fn certificate(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Value {
    let fields = vec![("Cert", Value::str(cert)), ("Key", Value::str(key))];
    Value::Struct(Rc::new(Struct { type_name: "sprig.certificate", fields }))
}

/// Source: getBaseCertTemplate.
fn template(name: &[u8], days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, lossy(name).into_owned());
    let serial = (rand::random::<u128>() >> 1).to_be_bytes();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = u64::try_from(SystemClock.now().as_second()).unwrap_or(0);
    let lasts = days.unsigned_abs().saturating_mul(86_400);
    // The years that a certificate can name end in 9999.
    let latest = 253_402_300_799;
    let end = if days < 0 { now.saturating_sub(lasts) } else { now.saturating_add(lasts) };
    params.not_before = epoch + Duration::from_secs(now.min(latest));
    params.not_after = epoch + Duration::from_secs(end.min(latest));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

/// Source: getNetIPs, getAlternateDNSStrs.
fn alternative_names(ips: &[Value], names: &[Value]) -> Result<Vec<SanType>, String> {
    let shown = |value: &Value| lossy(&fmt::to_text(value)).into_owned();
    let mut all = Vec::with_capacity(ips.len() + names.len());
    for name in names {
        let Value::Str(text) = name else {
            let name = shown(name);
            return Err(format!("error processing alternate dns name: {name} is not a string"));
        };
        let text = lossy(text).into_owned();
        let ascii = text.try_into().map_err(|_| {
            let name = shown(name);
            format!("error creating certificate: x509: {name:?} cannot be encoded as an IA5String")
        })?;
        all.push(SanType::DnsName(ascii));
    }
    for ip in ips {
        let Value::Str(text) = ip else {
            return Err(format!("error parsing ip: {} is not a string", shown(ip)));
        };
        let text = lossy(text);
        let address: IpAddr = text.parse().map_err(|_| format!("error parsing ip: {text}"))?;
        all.push(SanType::IpAddress(address));
    }
    Ok(all)
}

fn creating(error: impl std::fmt::Display) -> String {
    format!("error creating certificate: {error}")
}

fn authority(args: Args<'_>, key: Key) -> Outcome {
    let mut params = template(args.str(0), args.int(1));
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let cert = params.self_signed(&key.pair).map_err(creating)?;
    Ok(certificate(keys::encode_pem("CERTIFICATE", cert.der()), key.pem))
}

fn self_signed(args: Args<'_>, key: Key) -> Outcome {
    let mut params = template(args.str(0), args.int(3));
    params.subject_alt_names = alternative_names(args.list(1), args.list(2))?;
    let cert = params.self_signed(&key.pair).map_err(creating)?;
    Ok(certificate(keys::encode_pem("CERTIFICATE", cert.der()), key.pem))
}

fn signed(args: Args<'_>, key: Key) -> Outcome {
    let Value::Struct(ca) = args.any(4) else { return Err("no certificate".into()) };
    let field = |name: &[u8]| match ca.field(name) {
        Some(Value::Str(text)) => lossy(text).into_owned(),
        _ => String::new(),
    };
    let (_, der) = keys::decode_pem(&field(b"Cert")).ok_or("unable to decode certificate")?;
    let signer = keys::parse(&field(b"Key"))
        .map_err(|error| format!("error parsing private key: {error}"))?;
    let issuer = Issuer::from_ca_cert_der(&der.into(), signer.pair)
        .map_err(|error| format!("error parsing certificate: decodedSignerCert.Bytes: {error}"))?;
    let mut params = template(args.str(0), args.int(3));
    params.subject_alt_names = alternative_names(args.list(1), args.list(2))?;
    params.use_authority_key_identifier_extension = true;
    let cert = params.signed_by(&key.pair, &issuer).map_err(creating)?;
    Ok(certificate(keys::encode_pem("CERTIFICATE", cert.der()), key.pem))
}

fn custom(cert: &[u8], key: &[u8]) -> Outcome {
    let decode = |text: &[u8]| STANDARD.decode(text).ok();
    let cert = decode(cert).ok_or("unable to decode base64 certificate")?;
    let key = decode(key).ok_or("unable to decode base64 private key")?;
    let (_, der) = keys::decode_pem(&lossy(&cert)).ok_or("unable to decode certificate")?;
    let pair = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    // Reading it as an issuer is what checks that it is a certificate.
    Issuer::from_ca_cert_der(&der.into(), pair)
        .map_err(|error| format!("error parsing certificate: decodedCert.Bytes: {error}"))?;
    keys::parse(&lossy(&key)).map_err(|error| format!("error parsing private key: {error}"))?;
    Ok(certificate(cert, key))
}
