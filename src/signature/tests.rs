//! Signatures that other people's libraries made, with their verdicts (tests/parts/signer).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;

const RECORDED: &str = include_str!("../../tests/golden/signatures.json");

#[derive(Deserialize)]
struct Record {
    charts: BTreeMap<String, Chart>,
    texts: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Chart {
    manifest: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    pushed: Option<Vec<Pushed>>,
    verdicts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Pushed {
    manifest: String,
    blobs: Vec<String>,
}

/// A layer of what was pushed.
struct Layer {
    media_type: String,
    annotations: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

impl Record {
    fn read() -> Self {
        serde_json::from_str(RECORDED).unwrap()
    }

    fn case(&self, name: &str) -> &Case {
        self.cases.iter().find(|case| case.name == name).unwrap()
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.charts["1.0.0"].manifest)
    }

    fn keys(&self, names: &[&str]) -> Trust {
        let key =
            |name: &&str| ((*name).to_owned(), PublicKey::of_pem(&self.texts[*name]).unwrap());
        Trust::Keys(names.iter().map(key).collect())
    }

    fn keyless(&self, root: &str, (issuer, subject): (&str, &str)) -> Trust {
        let root = TrustedRoot::read(&self.texts[root]).unwrap();
        let identities = vec![Identity::new(issuer, subject).unwrap()];
        Trust::Keyless(Box::new(Keyless { root, identities }))
    }

    fn subject(&self, repository: &str) -> Subject {
        let manifest = &self.charts["1.0.0"].manifest;
        Subject {
            repository: repository.to_owned(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: Digest::of(manifest),
            size: manifest.len() as u64,
        }
    }
}

impl Case {
    fn layers(&self) -> Vec<Layer> {
        use base64::Engine as _;
        let mut all = Vec::new();
        for pushed in self.pushed.iter().flatten() {
            let manifest: Value = serde_json::from_str(&pushed.manifest).unwrap();
            let layers = manifest["layers"].as_array().unwrap();
            for (layer, blob) in layers.iter().zip(&pushed.blobs) {
                let annotations = serde_json::from_value(layer["annotations"].clone());
                let bytes = base64::engine::general_purpose::STANDARD.decode(blob).unwrap();
                all.push(Layer {
                    media_type: layer["mediaType"].as_str().unwrap().to_owned(),
                    annotations: annotations.unwrap_or_default(),
                    bytes,
                });
            }
        }
        all
    }

    /// Verifies as a program does: one good signature is enough.
    fn verify(&self, trust: &Trust, digest: &Digest) -> Result<String, String> {
        let mut said = vec!["no signature".to_owned()];
        for layer in self.layers() {
            let checked = match layer.media_type.starts_with(BUNDLE) {
                true => trust.check_bundle(digest, &layer.bytes),
                false => trust.check_layer(digest, &layer.bytes, &layer.annotations),
            };
            match checked {
                Ok(who) => return Ok(who),
                Err(error) => said.push(error.to_string()),
            }
        }
        Err(said.join("; "))
    }
}

/// Where cosign's library, as Flux asks it, does not look at what is signed.
const UNLOOKED: [&str; 1] = ["key-of-another"];

#[test]
fn keys_are_judged_as_cosign_judges() {
    let record = Record::read();
    let mut rows = 0;
    for case in record.cases.iter().filter(|case| !case.name.starts_with("notation")) {
        for (key, verdict) in case.verdicts.iter().filter(|_| !case.name.starts_with("keyless")) {
            let got = case.verify(&record.keys(&[key]), &record.digest());
            let good = verdict.is_empty() && !UNLOOKED.contains(&case.name.as_str());
            assert_eq!(got.is_ok(), good, "{} by {key}: {got:?}, cosign: {verdict}", case.name);
            rows += 1;
        }
    }
    assert!(rows >= 20, "{rows}");
}

#[test]
fn one_key_of_several_is_enough() {
    let record = Record::read();
    for name in ["key-p384", "bundle-rsa"] {
        let got =
            record.case(name).verify(&record.keys(&["other", "p384", "rsa"]), &record.digest());
        assert!(got.unwrap().starts_with("key "), "{name}");
    }
    let why = record.case("key-p256").verify(&record.keys(&["other", "rsa"]), &record.digest());
    assert!(why.unwrap_err().contains("not by other or rsa"));
}

#[test]
fn a_signature_counts_for_one_digest() {
    let record = Record::read();
    let other = Digest::of("another manifest");
    for name in ["key-p256", "bundle-p256"] {
        let why = record.case(name).verify(&record.keys(&["p256"]), &other).unwrap_err();
        assert!(why.contains("of another artifact"), "{name}: {why}");
    }
}

/// The identities of the judge.
const RIGHT: (&str, &str) = ("^https://issuer[.]example$", "^https://git[.]example/acme/");

#[test]
fn identities_are_judged_as_cosign_judges() {
    let record = Record::read();
    let mut rows = 0;
    for case in record.cases.iter().filter(|case| case.name.starts_with("keyless")) {
        for (asked, verdict) in &case.verdicts {
            let trust = match asked.as_str() {
                "wrong issuer" => record.keyless("trusted", ("^https://other[.]example$", RIGHT.1)),
                "wrong subject" => {
                    record.keyless("trusted", (RIGHT.0, "^https://git[.]example/evil/"))
                }
                root => record.keyless(root, RIGHT),
            };
            let got = case.verify(&trust, &record.digest());
            let name = &case.name;
            assert_eq!(
                got.is_ok(),
                verdict.is_empty(),
                "{name}, {asked}: {got:?}, cosign: {verdict}"
            );
            rows += 1;
        }
    }
    assert_eq!(rows, 30);
}

#[test]
fn what_is_wrong_with_an_identity_is_told() {
    let record = Record::read();
    let rows = [
        ("keyless", "stranger", RIGHT, "is not issued by"),
        ("keyless", "unlogged", RIGHT, "transparency log"),
        ("keyless-late", "trusted", RIGHT, "is valid from"),
        ("keyless-unpromised", "trusted", RIGHT, "no trusted certificate log"),
        ("keyless-bundle-late", "trusted", RIGHT, "is valid from"),
        ("keyless-bundle-unpromised", "trusted", RIGHT, "no trusted certificate log"),
        ("keyless-bundle", "trusted", ("^x$", ""), "none of the expected identities matched"),
        ("key-p256", "trusted", RIGHT, "no certificate found on signature"),
        ("bundle-p256", "trusted", RIGHT, "the bundle has no certificate"),
    ];
    for (case, root, who, want) in rows {
        let got = record.case(case).verify(&record.keyless(root, who), &record.digest());
        let got = got.unwrap_err();
        assert!(got.contains(want), "{case}, {root}: {got}");
    }
    let other = Digest::of("another manifest");
    for case in ["keyless", "keyless-bundle"] {
        let got = record.case(case).verify(&record.keyless("trusted", RIGHT), &other).unwrap_err();
        assert!(got.contains("of another artifact"), "{got}");
    }
}

/// Changes a bundle, and says what is wrong with it then.
fn changed(record: &Record, change: impl FnOnce(&mut Value)) -> String {
    let layer = record.case("keyless-bundle").layers().remove(0);
    let mut bundle: Value = serde_json::from_slice(&layer.bytes).unwrap();
    change(&mut bundle);
    let trust = record.keyless("trusted", RIGHT);
    let got = trust.check_bundle(&record.digest(), bundle.to_string().as_bytes());
    got.unwrap_err().to_string()
}

#[test]
fn no_part_of_a_bundle_may_be_changed() {
    let record = Record::read();
    let entry = |bundle: &mut Value| bundle["verificationMaterial"]["tlogEntries"][0].take();
    let got = changed(&record, |bundle| {
        let mut it = entry(bundle);
        it["integratedTime"] =
            json!((it["integratedTime"].as_str().unwrap().parse::<i64>().unwrap() + 1).to_string());
        bundle["verificationMaterial"]["tlogEntries"][0] = it;
    });
    assert!(got.contains("did not promise"), "{got}");
    let got = changed(&record, |bundle| {
        entry(bundle);
    });
    assert!(got.contains("timestamps of RFC 3161 are not supported"), "{got}");
    let got = changed(&record, |bundle| {
        bundle["verificationMaterial"].as_object_mut().unwrap().remove("tlogEntries");
    });
    assert!(got.contains("names no entry"), "{got}");
    let other = record.case("bundle-p256").layers().remove(0);
    let other: Value = serde_json::from_slice(&other.bytes).unwrap();
    let got = changed(&record, |bundle| bundle["dsseEnvelope"] = other["dsseEnvelope"].clone());
    assert!(got.contains("about another signature"), "{got}");
    let got =
        changed(&record, |bundle| bundle["dsseEnvelope"]["payloadType"] = json!("text/plain"));
    assert!(got.contains("payload"), "{got}");
}

/// Returns the policy of a judge, and the certificate that it trusted.
fn notation(record: &Record, case: &str, asked: &str) -> Notation {
    let (level, more) = asked.split_once(", ").unwrap_or((asked, ""));
    let own = if case == "notation-jws-self" { "self.crt" } else { "acme.crt" };
    let root = if more == "other root" { "other.crt" } else { own };
    let common = if more == "other identity" { "other" } else { "release" };
    let identity = format!("x509.subject: C=DE, ST=Hessen, O=Acme, CN={common}");
    let (level, scope, identity) = match level {
        "anybody" => ("strict", "*".to_owned(), "*".to_owned()),
        "other scope" => ("strict", "r.example/other".to_owned(), "*".to_owned()),
        level => (level, format!("r.example/{case}"), identity),
    };
    let policy = json!({"version": "1.0", "trustPolicies": [{
        "name": "charts", "registryScopes": [scope], "signatureVerification": {"level": level},
        "trustStores": ["ca:acme"], "trustedIdentities": [identity],
    }]});
    let policy = Document::read(&policy.to_string()).unwrap();
    Notation::new(policy, std::slice::from_ref(&record.texts[root])).unwrap()
}

fn recently() -> Timestamp {
    // Between the making and the end of what expires: a day.
    let record = Record::read();
    let case = record.case("notation-jws-expiring");
    let layer = &case.layers()[0];
    let envelope = envelope::Envelope::read(&layer.media_type, &layer.bytes).unwrap();
    envelope.time
}

fn judged(record: &Record, case: &Case, asked: &str, now: Timestamp) -> Result<Outcome, Error> {
    let layer = &case.layers()[0];
    let subject = record.subject(&format!("r.example/{}", case.name));
    notation(record, &case.name, asked).check(&subject, (&layer.media_type, &layer.bytes), now)
}

#[test]
fn policies_are_judged_as_notation_judges() {
    let record = Record::read();
    let mut rows = 0;
    for case in record.cases.iter().filter(|case| case.name.starts_with("notation")) {
        for (asked, verdict) in &case.verdicts {
            let got = judged(&record, case, asked, recently());
            let name = &case.name;
            let only_told = verdict.contains("authenticity only logged");
            let good = verdict.is_empty() || verdict.contains(" only logged: ");
            let fits = match &got {
                Ok(Outcome::Verified(_)) => good && !only_told,
                Ok(Outcome::Ignored(_)) => only_told,
                Err(_) => !good,
            };
            assert!(fits, "{name}, {asked}: {got:?}, notation: {verdict}");
            rows += 1;
        }
    }
    assert_eq!(rows, 110);
}

#[test]
fn what_expired_is_refused_where_that_is_enforced() {
    let record = Record::read();
    let later = recently().checked_add(jiff::Span::new().hours(25)).unwrap();
    for name in ["notation-jws-expiring", "notation-cose-expiring"] {
        let strict = judged(&record, record.case(name), "strict", later).unwrap_err();
        assert!(strict.to_string().contains("digital signature has expired"), "{strict}");
        let told = judged(&record, record.case(name), "permissive", later).unwrap();
        assert!(matches!(told, Outcome::Verified(_)), "{told:?}");
    }
    // The certificates end in 2076.
    let late: Timestamp = "2077-01-01T00:00:00Z".parse().unwrap();
    let strict = judged(&record, record.case("notation-cose-ec"), "strict", late).unwrap_err();
    assert!(strict.to_string().contains("is valid from"), "{strict}");
    assert!(judged(&record, record.case("notation-cose-ec"), "permissive", late).is_ok());
}

#[test]
fn an_envelope_counts_for_one_manifest_in_one_form() {
    let record = Record::read();
    for name in ["notation-jws-ec", "notation-jws-rsa", "notation-cose-ec"] {
        let case = record.case(name);
        let layer = &case.layers()[0];
        let by = notation(&record, name, "audit");
        let right = record.subject(&format!("r.example/{name}"));
        let check = |subject: &Subject, bytes: &[u8]| {
            by.check(subject, (&layer.media_type, bytes), recently()).map(|_| ())
        };
        assert_eq!(check(&right, &layer.bytes), Ok(()));
        let others = [
            Subject { digest: Digest::of("another manifest"), ..right.clone() },
            Subject { size: right.size + 1, ..right.clone() },
            Subject { media_type: "text/plain".to_owned(), ..right.clone() },
        ];
        for other in others {
            let why = check(&other, &layer.bytes).unwrap_err().to_string();
            assert!(why.contains("content descriptor mismatch"), "{why}");
        }
    }
    // Whatever byte of an envelope is another, it never counts for another manifest.
    let case = record.case("notation-cose-ec");
    let layer = &case.layers()[0];
    let by = notation(&record, &case.name, "strict");
    let other =
        Subject { digest: Digest::of("x"), ..record.subject(&format!("r.example/{}", case.name)) };
    for at in 0..layer.bytes.len() {
        let mut bytes = layer.bytes.clone();
        bytes[at] ^= 1;
        let got = by.check(&other, (&layer.media_type, &bytes), recently());
        assert!(got.is_err(), "byte {at}: {got:?}");
    }
}

#[test]
fn keys_and_roots_that_are_none_are_refused() {
    for text in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "{}"] {
        assert!(PublicKey::of_pem(text).is_err(), "{text}");
        assert!(TrustedRoot::read(text).is_err(), "{text}");
    }
    let record = Record::read();
    let mut root: Value = serde_json::from_str(&record.texts["trusted"]).unwrap();
    root["ctlogs"] = json!([]);
    let why = TrustedRoot::read(&root.to_string()).unwrap_err().to_string();
    assert!(why.contains("has no certificate log"), "{why}");
    assert!(Identity::new("(", "x").is_err());
}

#[test]
fn what_sigstore_itself_issued_and_logged_is_understood() {
    let kept: Value =
        serde_json::from_str(include_str!("../../tests/golden/sigstore.json")).unwrap();
    let bundle: Value = serde_json::from_str(kept["bundle"].as_str().unwrap()).unwrap();
    let root = TrustedRoot::read(kept["root"].as_str().unwrap()).unwrap();
    let who =
        ("^https://token[.]actions[.]githubusercontent[.]com$", "^https://github[.]com/sigstore/");
    let keyless = Keyless { root, identities: vec![Identity::new(who.0, who.1).unwrap()] };
    let certificate = cosign::bundled_certificate(&bundle).unwrap();
    let entry = cosign::bundled_entry(&bundle).unwrap();
    let at = keyless.logged(&entry).unwrap();
    let authority = keyless.authority(&certificate, at).unwrap();
    promise::check(&certificate, &authority.chain[0], &keyless.root.certificate_logs).unwrap();
    assert!(keyless.identified(&certificate).unwrap().starts_with("https://github.com/sigstore/"));
    let later = at.checked_add(jiff::Span::new().hours(1)).unwrap();
    let late = keyless.authority(&certificate, later).unwrap_err().to_string();
    assert!(late.contains("is valid from"), "{late}");
    // A log that is not trusted promised nothing.
    let none = promise::check(&certificate, &authority.chain[0], &keyless.root.logs).unwrap_err();
    assert!(none.to_string().contains("no trusted certificate log"), "{none}");
}

#[test]
fn no_byte_of_a_certificate_may_be_another() {
    let record = Record::read();
    let layer = record.case("keyless-bundle").layers().remove(0);
    let bundle: Value = serde_json::from_slice(&layer.bytes).unwrap();
    let root = TrustedRoot::read(&record.texts["trusted"]).unwrap();
    let keyless = Keyless { root, identities: Vec::new() };
    let at = keyless.logged(&cosign::bundled_entry(&bundle).unwrap()).unwrap();
    let checked = |certificate: &certificate::Certificate| {
        let authority = keyless.authority(certificate, at)?;
        promise::check(certificate, &authority.chain[0], &keyless.root.certificate_logs)
    };
    let right = cosign::bundled_certificate(&bundle).unwrap();
    assert_eq!(checked(&right), Ok(()));
    let der = "/verificationMaterial/certificate/rawBytes";
    let der = bundle.pointer(der).and_then(Value::as_str).unwrap();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, der).unwrap();
    for at in 0..der.len() {
        let mut other = der.clone();
        other[at] ^= 1;
        let got = certificate::Certificate::of_der(other).and_then(|other| checked(&other));
        assert!(got.is_err(), "byte {at}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_read_stops_the_process(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..96)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let digest = Digest::of("");
        let keys = Trust::Keys(Vec::new());
        let _ = cbor::Item::read(&bytes);
        let _ = der::elements(&bytes);
        let _ = certificate::Certificate::of_der(bytes.clone());
        let _ = (PublicKey::of_pem(&text), TrustedRoot::read(&text), Document::read(&text));
        let _ = envelope::Envelope::read("application/cose", &[&[0xd2, 0x84][..], &bytes].concat());
        let _ = envelope::Envelope::read("application/jose+json", &bytes);
        proptest::prop_assert!(keys.check_bundle(&digest, &bytes).is_err());
        proptest::prop_assert!(keys.check_layer(&digest, &bytes, &BTreeMap::new()).is_err());
    }
}
