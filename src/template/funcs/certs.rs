//! Certificates that templates make for themselves.
//!
//! Source: sprig v3.3.0 crypto.go. Serial numbers, keys and times differ from run to run, so a
//! chart that makes certificates renders differently each time, as with Helm.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber,
};

use super::super::eval::Machine;
use super::super::fmt;
use super::super::value::{Struct, Value};
use super::encoding::try_base64;
use super::keys::{self, Key};
use super::{Args, Fail, Func, Outcome, Ty, lossy};
use crate::base::clock::{Clock as _, SystemClock};

const I: Ty = Ty::Int;
const L: Ty = Ty::List;
const S: Ty = Ty::Str;
const C: Ty = Ty::Certificate;

pub(super) const TABLE: &[Func] = &[
    Func::varying("genPrivateKey", &[S], |m, a| {
        let kind = lossy(a.str(0));
        m.spend(if matches!(&*kind, "" | "rsa") { LARGE_KEY_STEPS } else { OTHER_KEY_STEPS })?;
        Ok(keys::generate(&kind).map(Value::str)?)
    }),
    Func::varying("genCA", &[S, I], |m, a| authority(a, made(m)?)),
    Func::varying("genCAWithKey", &[S, I, S], |m, a| authority(a, given(m, a.str(2))?)),
    Func::varying("genSelfSignedCert", &[S, L, L, I], |m, a| self_signed(a, made(m)?)),
    Func::varying("genSelfSignedCertWithKey", &[S, L, L, I, S], |m, a| {
        self_signed(a, given(m, a.str(4))?)
    }),
    Func::varying("genSignedCert", &[S, L, L, I, C], |m, a| signed(a, made(m)?)),
    Func::varying("genSignedCertWithKey", &[S, L, L, I, C, S], |m, a| {
        signed(a, given(m, a.str(5))?)
    }),
    Func::new("buildCustomCert", &[S, S], |_, a| custom(a.str(0), a.str(1))),
];

/// What an RSA key of 4096 bits costs: about a second.
const LARGE_KEY_STEPS: usize = 20_000_000;
/// One of 2048 bits.
const KEY_STEPS: usize = 4_000_000;
/// Other keys, and signatures.
const OTHER_KEY_STEPS: usize = 50_000;

fn made(machine: &mut Machine<'_>) -> Result<Key, Fail> {
    machine.spend(KEY_STEPS)?;
    let made = keys::generate_rsa(2048);
    made.map_err(|error| format!("error generating rsa key: {error}").into())
}

fn given(machine: &mut Machine<'_>, pem: &[u8]) -> Result<Key, Fail> {
    machine.spend(OTHER_KEY_STEPS)?;
    let read = keys::parse(&lossy(pem));
    read.map_err(|error| format!("parsing private key: {error}").into())
}

fn certificate(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Value {
    let fields = vec![("Cert", Value::str(cert)), ("Key", Value::str(key))];
    let type_name = "sprig.certificate";
    Value::Struct(Rc::new(Struct { type_name, is_addressable: false, fields }))
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
    let cert = try_base64(cert).map_err(|_| "unable to decode base64 certificate")?;
    let key = try_base64(key).map_err(|_| "unable to decode base64 private key")?;
    let (_, der) = keys::decode_pem(&lossy(&cert)).ok_or("unable to decode certificate")?;
    let pair = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    // Reading it as an issuer is what checks that it is a certificate.
    Issuer::from_ca_cert_der(&der.into(), pair)
        .map_err(|error| format!("error parsing certificate: decodedCert.Bytes: {error}"))?;
    keys::parse(&lossy(&key)).map_err(|error| format!("error parsing private key: {error}"))?;
    Ok(certificate(cert, key))
}
