//! Charts of registries that run only if somebody who may signed them.

use leadsman::sim::{Served, Sim, SimOptions};
use serde_json::{Value, json};

use crate::support::api::{Api, condition};
use crate::support::leadsman::{Leadsman, Running};
use crate::support::registry::Registry;
use crate::support::signed::Record;
use crate::support::wait::{SOON, throughout, until};

const RELEASES: &str = "helm.toolkit.fluxcd.io/v2/helmreleases";
const CHARTS: &str = "source.toolkit.fluxcd.io/v1/helmcharts";
const ARTIFACTS: &str = "source.toolkit.fluxcd.io/v1/ocirepositories";

/// A registry with signed charts, and objects under `leadsman run`.
struct World {
    api: Api,
    namespace: String,
    registry: Registry,
    record: Record,
    leadsman: Leadsman,
    running: Option<Running>,
    _simulated: Served,
}

impl World {
    async fn start() -> Option<Self> {
        let registry = Registry::start()?;
        let served = Sim::new(SimOptions::default()).serve(([127, 0, 0, 1], 0).into()).await;
        let simulated = served.unwrap();
        let leadsman = Leadsman::new();
        let kubeconfig = leadsman.file("kubeconfig", &simulated.kubeconfig);
        let api = Api::connect(&kubeconfig).await;
        let namespace = api.create_namespace("signed").await;
        let leadsman = leadsman.kubeconfig(&kubeconfig);
        let record = Record::read();
        Some(Self {
            api,
            namespace,
            registry,
            record,
            leadsman,
            running: None,
            _simulated: simulated,
        })
    }

    async fn push(&self, case: &str) {
        self.record.push(&self.registry, case, case).await;
    }

    /// Runs `leadsman` with these objects, and more arguments.
    fn run(&mut self, objects: &[Value], more: &[&str]) {
        let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let text = text.join("\n---\n").replace("REGISTRY", self.registry.address());
        self.leadsman.file("source/all.yaml", &text);
        let fixed = ["run", "source", "-n", &self.namespace, "--interval", "1s"];
        drop(self.running.take());
        self.running = Some(self.leadsman.spawn(&[&fixed[..], more].concat()));
    }

    fn object(&self, api: &str, kind: &str, name: &str, spec: Value) -> Value {
        let metadata = json!({"name": name, "namespace": self.namespace});
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})
    }

    fn secret(&self, name: &str, data: &[(&str, &str)]) -> Value {
        let data: serde_json::Map<String, Value> =
            data.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
        let metadata = json!({"name": name, "namespace": self.namespace});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    }

    /// Version 1.0.0 of a case as an artifact, and a release of the same name that runs it.
    fn artifact(&self, name: &str, case: &str, verify: Value) -> [Value; 2] {
        let spec = json!({
            "interval": "1s", "url": format!("oci://REGISTRY/{case}/web"), "insecure": true,
            "ref": {"tag": "1.0.0"}, "verify": verify,
            "layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"},
        });
        let chart = json!({"kind": "OCIRepository", "name": name});
        let release = json!({"interval": "1s", "timeout": "10s", "chartRef": chart});
        [
            self.object("source.toolkit.fluxcd.io/v1", "OCIRepository", name, spec),
            self.object("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, release),
        ]
    }

    fn repository(&self, name: &str) -> Value {
        let spec =
            json!({"type": "oci", "url": format!("oci://REGISTRY/{name}"), "insecure": true});
        self.object("source.toolkit.fluxcd.io/v1", "HelmRepository", name, spec)
    }

    fn text(&self, name: &str) -> &str {
        &self.record.texts[name]
    }

    fn path(&self, group: &str, name: &str) -> String {
        let (group, plural) = group.rsplit_once('/').unwrap();
        format!("/apis/{group}/namespaces/{}/{plural}/{name}", self.namespace)
    }

    async fn seen(&self, group: &str, name: &str) -> Value {
        self.api.get(&self.path(group, name)).await.unwrap_or_default()
    }

    /// Waits until a condition of an object is so, and returns the object.
    async fn says(
        &self,
        (group, name): (&str, &str),
        want: (&str, &str, &str),
        words: &str,
    ) -> Value {
        let (kind, status, reason) = want;
        until(&format!("{name}: {kind}={status} {reason}: {words}"), SOON, async || {
            let object = self.seen(group, name).await;
            let found = condition(&object, kind).cloned().unwrap_or_default();
            let said = found["message"].as_str().is_some_and(|text| text.contains(words));
            let good = found["status"] == status && found["reason"] == reason && said;
            if good { Ok(object) } else { Err(object["status"].to_string()) }
        })
        .await
    }

    async fn runs(&self, name: &str) {
        until(&format!("{name} runs"), SOON, async || {
            let release = self.seen(RELEASES, name).await;
            let ready = condition(&release, "Ready").is_some_and(|c| c["status"] == "True");
            let newest = &release["status"]["history"][0];
            if ready && newest["status"] == "deployed" {
                Ok(())
            } else {
                Err(release["status"].to_string())
            }
        })
        .await;
    }

    /// Waits until somebody is said to have signed version 1.0.0.
    async fn verified(&self, name: &str) {
        let words = format!("verified signature of revision 1.0.0@{}", self.record.digest());
        self.says((ARTIFACTS, name), ("SourceVerified", "True", "Succeeded"), &words).await;
    }

    /// Waits until an artifact is said not to be signed by who may, and nothing of it is there.
    async fn unverified(&self, name: &str, words: &str) {
        let (of, reason) = ((ARTIFACTS, name), "VerificationError");
        let object = self.says(of, ("SourceVerified", "False", reason), words).await;
        let ready = condition(&object, "Ready").unwrap();
        assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!(reason)));
        assert_eq!(object["status"]["artifact"], Value::Null, "{object}");
        let release = self.seen(RELEASES, name).await;
        assert_eq!(release["status"]["history"], Value::Null, "{release}");
    }
}

fn by(secret: &str) -> Value {
    json!({"provider": "cosign", "secretRef": {"name": secret}})
}

/// Name, signed as in which case, keys in which Secret, and what is said; nothing: it runs.
type Row = (&'static str, &'static str, &'static str, &'static str);

const BY_KEY: [Row; 11] = [
    ("good", "key-p256", "right", ""),
    ("bundled", "bundle-ed25519", "right", ""),
    (
        "wrong",
        "key-p256",
        "wrong",
        "one by the key a.pub is needed, and what it has does not count",
    ),
    ("wrong-bundle", "bundle-ed25519", "wrong", "the signature is not by a.pub"),
    (
        "malformed",
        "key-p256",
        "malformed",
        "key 'a.pub' of secret 'malformed': it is no public key",
    ),
    ("empty", "key-p256", "empty", "no public keys found in secret 'empty'"),
    ("missing", "key-p256", "missing", "secrets \"missing\" not found"),
    (
        "unsigned",
        "unsigned",
        "right",
        "one by the key a.pub or b.pub or c.pub or d.pub is needed, and it has none",
    ),
    ("another", "key-of-another", "right", "the signature is of another artifact"),
    ("another-bundle", "bundle-of-another", "right", "the signature is of another artifact"),
    ("tampered", "key-rsa", "right", "and it has none"),
];

impl World {
    /// Secrets with keys.
    fn keys(&self) -> Vec<Value> {
        let right = [("a.pub", "other"), ("b.pub", "p256"), ("c.pub", "ed25519"), ("d.pub", "rsa")];
        vec![
            self.secret("right", &right.map(|(key, name)| (key, self.text(name)))),
            self.secret("wrong", &[("a.pub", self.text("other"))]),
            self.secret("malformed", &[("a.pub", "-----BEGIN")]),
            self.secret("empty", &[("cosign.key", "x")]),
        ]
    }

    /// Changes a Secret; the folder says nothing of it any more.
    async fn change_secret(&self, name: &str, patch: &Value) {
        self.leadsman.file("source/all.yaml", "");
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace);
        self.api.merge(&path, patch).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_needs_a_signature_by_a_key() {
    let Some(mut world) = World::start().await else { return };
    let mut objects = world.keys();
    for (name, case, secret, _) in BY_KEY {
        world.push(case).await;
        objects.extend(world.artifact(name, case, by(secret)));
    }
    world.record.tamper(&world.registry, "key-rsa").await;
    world.run(&objects, &[]);
    for (name, _, _, words) in BY_KEY {
        if words.is_empty() {
            world.verified(name).await;
            world.runs(name).await;
        } else {
            world.unverified(name, words).await;
        }
    }
    let wrong = world.seen(ARTIFACTS, "wrong").await;
    let ready = condition(&wrong, "Ready").unwrap()["message"].as_str().unwrap();
    let begins = format!(
        "failed to verify the signature using provider 'cosign': no matching signatures were found for '{}/key-p256/web@{}': ",
        world.registry.address(),
        world.record.digest()
    );
    assert!(ready.starts_with(&begins), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_signatures_count_as_they_come_and_go() {
    let Some(mut world) = World::start().await else { return };
    let mut objects = world.keys();
    for (name, case, secret, _) in
        BY_KEY.into_iter().filter(|row| ["good", "wrong", "unsigned"].contains(&row.0))
    {
        world.push(case).await;
        objects.extend(world.artifact(name, case, by(secret)));
    }
    world.run(&objects, &[]);
    world.verified("good").await;
    world.runs("good").await;
    world.unverified("wrong", "a.pub").await;
    world.unverified("unsigned", "and it has none").await;
    // The right key, at last; and a signature, at last.
    world.change_secret("wrong", &json!({"stringData": {"b.pub": world.text("p256")}})).await;
    world.record.sign(&world.registry, "unsigned", "key-p256").await;
    for name in ["wrong", "unsigned"] {
        world.verified(name).await;
        world.runs(name).await;
    }
    // A key that is not trusted any more takes nothing away that runs, and nothing new is taken.
    world.change_secret("right", &json!({"data": {"b.pub": null}})).await;
    let of = (ARTIFACTS, "good");
    let good = world.says(of, ("SourceVerified", "False", "VerificationError"), "a.pub").await;
    assert_ne!(good["status"]["artifact"], Value::Null, "{good}");
    world.runs("good").await;
    // Who does not ask is told nothing.
    world.api.merge(&world.path(ARTIFACTS, "good"), &json!({"spec": {"verify": null}})).await;
    until("nothing is said of signatures", SOON, async || {
        let object = world.seen(ARTIFACTS, "good").await;
        let ready = condition(&object, "Ready").is_some_and(|c| c["status"] == "True");
        let silent = ready && condition(&object, "SourceVerified").is_none();
        if silent { Ok(()) } else { Err(object["status"].to_string()) }
    })
    .await;
}

const ISSUER: &str = "^https://issuer[.]example$";
const SUBJECT: &str = "^https://git[.]example/acme/";

/// Name, signed as in which case, which root, whose signature, and what is said.
type Identified =
    (&'static str, &'static str, &'static str, (&'static str, &'static str), &'static str);

const BY_IDENTITY: [Identified; 9] = [
    ("good", "keyless", "trusted", (ISSUER, SUBJECT), ""),
    ("bundled", "keyless-bundle", "trusted", (ISSUER, SUBJECT), ""),
    (
        "issuer",
        "keyless",
        "trusted",
        ("^https://other", SUBJECT),
        "none of the expected identities matched",
    ),
    (
        "subject",
        "keyless-bundle",
        "trusted",
        (ISSUER, "/evil/"),
        "a subject like '/evil/' of an issuer like",
    ),
    ("stranger", "keyless", "stranger", (ISSUER, SUBJECT), "is not issued by"),
    ("late", "keyless-late", "trusted", (ISSUER, SUBJECT), "is valid from"),
    (
        "unpromised",
        "keyless-bundle-unpromised",
        "trusted",
        (ISSUER, SUBJECT),
        "no trusted certificate log",
    ),
    ("by-key", "key-p256", "trusted", (ISSUER, SUBJECT), "no certificate found on signature"),
    ("rootless", "keyless", "", (ISSUER, SUBJECT), "--sigstore-trusted-root"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_needs_a_signature_by_somebody() {
    let Some(mut world) = World::start().await else { return };
    let mut objects: Vec<Value> = ["trusted", "stranger"]
        .map(|name| world.secret(name, &[("trusted_root.json", world.text(name))]))
        .to_vec();
    for (name, case, root, (issuer, subject), _) in BY_IDENTITY {
        world.push(case).await;
        let root = (!root.is_empty()).then(|| json!({"name": root}));
        let who = json!([{"issuer": issuer, "subject": subject}]);
        let verify =
            json!({"provider": "cosign", "matchOIDCIdentity": who, "trustedRootSecretRef": root});
        objects.extend(world.artifact(name, case, verify));
    }
    objects.extend(world.artifact("anybody", "keyless", json!({"provider": "cosign"})));
    world.run(&objects, &[]);
    for (name, _, _, _, words) in BY_IDENTITY {
        if words.is_empty() {
            world.verified(name).await;
            world.runs(name).await;
        } else {
            world.unverified(name, words).await;
        }
    }
    let words = "failed to verify the signature using provider 'cosign keyless': without secretRef, matchOIDCIdentity must say who may sign";
    world.unverified("anybody", words).await;
    // The root of the process counts where none is named.
    let root = world.leadsman.file("root.json", world.text("trusted"));
    world.run(&objects, &["--sigstore-trusted-root", root.to_str().unwrap()]);
    world.verified("rootless").await;
    world.runs("rootless").await;
    world.unverified("stranger", "is not issued by").await;
}

fn policy(level: &str, scope: &str, common: &str) -> String {
    let identity = format!("x509.subject: C=DE, ST=Hessen, O=Acme, CN={common}");
    json!({"version": "1.0", "trustPolicies": [{
        "name": "charts", "registryScopes": [scope], "signatureVerification": {"level": level},
        "trustStores": ["ca:acme"], "trustedIdentities": [identity],
    }]})
    .to_string()
}

/// Name, signed as in which case, which certificate; level, scope and signer of the policy; and what
/// is said: nothing, it is verified; none, it runs without a word.
type Allowed = (
    &'static str,
    &'static str,
    &'static str,
    (&'static str, &'static str, &'static str),
    Option<&'static str>,
);

const ONE: &str = "REGISTRY/notation-jws-ec/web";
const BY_POLICY: [Allowed; 10] = [
    ("good", "notation-jws-ec", "acme.crt", ("strict", ONE, "release"), Some("")),
    ("cose", "notation-cose-rsa", "acme.crt", ("strict", "*", "release"), Some("")),
    (
        "root",
        "notation-jws-ec",
        "other.crt",
        ("strict", "*", "release"),
        Some("does not contain any trusted certificate"),
    ),
    (
        "permissive",
        "notation-jws-ec",
        "other.crt",
        ("permissive", "*", "release"),
        Some("does not contain any trusted certificate"),
    ),
    ("audit", "notation-jws-ec", "other.crt", ("audit", "*", "release"), None),
    (
        "identity",
        "notation-cose-rsa",
        "acme.crt",
        ("strict", "*", "other"),
        Some("does not match the X.509 trusted identities"),
    ),
    (
        "scope",
        "notation-cose-rsa",
        "acme.crt",
        ("strict", ONE, "release"),
        Some("has no applicable trust policy statement"),
    ),
    (
        "revocable",
        "notation-jws-revocable",
        "acme.crt",
        ("strict", "*", "release"),
        Some("revocation status is unknown"),
    ),
    (
        "unsigned",
        "unsigned",
        "acme.crt",
        ("audit", "*", "release"),
        Some("one that the trust policy takes is needed, and it has none"),
    ),
    (
        "level",
        "notation-jws-ec",
        "acme.crt",
        ("lax", "*", "release"),
        Some("error occurred while parsing trustpolicy.json"),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_needs_a_signature_that_a_policy_takes() {
    let Some(mut world) = World::start().await else { return };
    let mut objects = Vec::new();
    for (name, case, root, (level, scope, common), _) in BY_POLICY {
        world.push(case).await;
        let policy = policy(level, scope, common);
        objects.push(
            world.secret(name, &[("trustpolicy.json", &policy), ("a.crt", world.text(root))]),
        );
        let verify = json!({"provider": "notation", "secretRef": {"name": name}});
        objects.extend(world.artifact(name, case, verify));
    }
    world.run(&objects, &[]);
    for (name, _, _, _, want) in BY_POLICY {
        match want {
            Some("") => {
                world.verified(name).await;
                world.runs(name).await;
            }
            Some(words) => world.unverified(name, words).await,
            // What the policy does not want to know is not said.
            None => {
                world.runs(name).await;
                let object = world.seen(ARTIFACTS, name).await;
                assert_eq!(condition(&object, "SourceVerified"), None, "{object}");
            }
        }
    }
}

/// A chart of a repository.
fn chart(version: &str, source: &str, secret: &str) -> Value {
    json!({
        "chart": "web", "version": version, "interval": "1s", "verify": by(secret),
        "sourceRef": {"kind": "HelmRepository", "name": source},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_repository_needs_a_signature() {
    let Some(mut world) = World::start().await else { return };
    let mut objects = world.keys();
    for name in ["key-p256", "bundle-p256"] {
        world.push(name).await;
        objects.push(world.repository(name));
    }
    let object =
        |name: &str, spec| world.object("source.toolkit.fluxcd.io/v1", "HelmChart", name, spec);
    objects.push(object("good", chart("1.0.0", "key-p256", "right")));
    objects.push(object("wrong", chart("1.0.0", "bundle-p256", "wrong")));
    world.run(&objects, &[]);
    let want = ("SourceVerified", "True", "Succeeded");
    let good = world.says((CHARTS, "good"), want, "verified signature of version 1.0.0").await;
    assert_eq!(good["status"]["artifact"]["revision"], "1.0.0", "{good}");
    let words = format!(
        "chart verification error: failed to verify oci://{}/bundle-p256/web:1.0.0: no matching signatures were found",
        world.registry.address()
    );
    let wrong = (CHARTS, "wrong");
    world.says(wrong, ("BuildFailed", "True", "ChartVerificationError"), &words).await;
    world.says(wrong, ("SourceVerified", "False", "VerificationError"), &words).await;
    let object = world.says(wrong, ("Ready", "False", "VerificationError"), &words).await;
    assert_eq!(object["status"]["artifact"], Value::Null, "{object}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_needs_a_signature_of_its_chart() {
    let Some(mut world) = World::start().await else { return };
    let mut objects = world.keys();
    for name in ["key-p256", "bundle-p256"] {
        world.push(name).await;
        objects.push(world.repository(name));
    }
    let mut merged = chart("1.0.0", "key-p256", "right");
    merged["valuesFiles"] = json!(["values.yaml", "values.yaml"]);
    let rows = [
        ("signed", chart("1.0.0", "key-p256", "right")),
        ("merged", merged),
        ("by-another", chart("1.0.0", "bundle-p256", "wrong")),
        ("newest", chart("*", "key-p256", "right")),
    ];
    for (name, chart) in rows {
        let spec = json!({"interval": "1s", "timeout": "10s", "chart": {"spec": chart}});
        objects.push(world.object("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, spec));
    }
    world.run(&objects, &[]);
    world.runs("signed").await;
    world.runs("merged").await;
    let refused = ("Ready", "False", "SourceNotReady");
    let words = "chart verification error: failed to verify oci://";
    world.says((RELEASES, "by-another"), refused, words).await;
    // Not an older one instead.
    world.says((RELEASES, "newest"), refused, "web:2.0.0: no matching signatures").await;
    throughout("nothing unsigned is installed", std::time::Duration::from_secs(2), async || {
        for name in ["by-another", "newest"] {
            let release = world.seen(RELEASES, name).await;
            if release["status"]["history"] != Value::Null {
                return Err(release["status"].to_string());
            }
        }
        Ok(())
    })
    .await;
}
