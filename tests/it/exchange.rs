//! Releases pass from hand to hand: whatever mix of Helm and Leadsman takes the steps, both say
//! the same of the release after each, and the cluster holds what Helm alone would have left.

use std::path::Path;

use futures::future::join_all;
use regex::Regex;
use serde_json::Value;

use crate::support::api::Api;
use crate::support::control_plane::ControlPlane;
use crate::support::fixtures;
use crate::support::helm::Helm;
use crate::support::leadsman::Leadsman;
use crate::support::wait::SOON;

/// Steps, one a line; `WEB` and `MAPS` are the folders of charts.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "web",
        "install r WEB/1.0.0
upgrade r WEB/1.1.0 --set message=hi
rollback r 1
upgrade r WEB/1.1.0 --reuse-values --set message=again
uninstall r",
    ),
    (
        "maps",
        "install r MAPS/1 --set n=1000000 --labels team=a
upgrade r MAPS/2 --labels more=b --description second
rollback r
upgrade r MAPS/1 --reset-then-reuse-values --set extra.x=1
uninstall r --keep-history",
    ),
    (
        "again",
        "install r MAPS/2 --no-hooks
upgrade r MAPS/1 --set big=12345678
uninstall r --keep-history --description away
install r MAPS/2 --replace
upgrade r MAPS/1 --history-max 2 --reset-values",
    ),
];

/// Who takes each step: `H` is Helm, `L` Leadsman. The first is what the others are held against.
const MIXES: &[&str] = &["HHHHH", "LLLLL", "HLHLH", "LHLHL", "HHLLL"];

/// The two programs on one cluster.
struct World {
    helm: Helm,
    leadsman: Leadsman,
    api: Api,
}

impl World {
    async fn on(kubeconfig: &Path) -> Option<Self> {
        let helm = Helm::find()?.kubeconfig(kubeconfig);
        let leadsman = Leadsman::new().kubeconfig(kubeconfig);
        maps(&leadsman);
        Some(Self { helm, leadsman, api: Api::connect(kubeconfig).await })
    }

    async fn run(&self, who: char, line: &str, namespace: &str) -> Result<String, String> {
        let web = fixtures().join("charts/web").to_string_lossy().into_owned();
        let maps = self.leadsman.folder().join("maps").to_string_lossy().into_owned();
        let line = line.replace("WEB", &web).replace("MAPS", &maps);
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend(["-n", namespace]);
        let output = match who {
            'H' => self.helm.run(&words).await,
            _ => self.leadsman.run(&words).await,
        };
        let said = format!("{}{}", output.stdout, output.stderr);
        if output.code == Some(0) { Ok(said) } else { Err(format!("{who} {line}: {said}")) }
    }

    /// Returns what both say of the release and what the cluster holds; an error where they differ.
    async fn seen(&self, namespace: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for line in ["list -o json", "history r", "get values r", "get manifest r", "get notes r"] {
            let [helm, ours] = ['H', 'L'].map(|who| self.run(who, line, namespace));
            let plain = |said: Result<String, String>| {
                // Who failed is not part of what was said.
                said.unwrap_or_else(|error| error[1..].to_owned())
            };
            let (helm, ours) = (plain(helm.await), plain(ours.await));
            if helm != ours {
                return Err(format!("{line}: Helm says\n{helm}\nLeadsman says\n{ours}"));
            }
            all.push(normal(&helm, namespace));
        }
        for resource in ["api/v1 configmaps", "api/v1 services", "apis/apps/v1 deployments"] {
            let (group, plural) = resource.split_once(' ').unwrap();
            let path = format!("/{group}/namespaces/{namespace}/{plural}");
            let objects = self.api.list(&path).await.into_iter().filter(is_of_release);
            all.extend(objects.map(|object| normal(&stable(object), namespace)));
        }
        let records = self.api.list(&format!("/api/v1/namespaces/{namespace}/secrets")).await;
        all.extend(records.into_iter().map(|record| normal(&head(record), namespace)));
        Ok(all)
    }

    /// Takes the steps of a script; returns what was seen after each.
    async fn play(&self, name: &str, script: &str, mix: &str) -> Result<Vec<Vec<String>>, String> {
        let namespace =
            self.api.create_namespace(&format!("x-{name}-{}", mix.to_lowercase())).await;
        let mut seen = Vec::new();
        for (line, who) in script.lines().zip(mix.chars()) {
            let failed = |error: String| format!("{name} {mix}, after `{line}`: {error}");
            self.run(who, line, &namespace).await.map_err(failed)?;
            seen.push(self.seen(&namespace).await.map_err(failed)?);
        }
        Ok(seen)
    }
}

/// A chart of maps in two versions: the second lacks one and has another.
fn maps(leadsman: &Leadsman) {
    let map = |name: &str, more: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{more}}}\ndata: {{n: \"{{{{ .Values.n }}}}\", x: \"{{{{ .Values.extra }}}}\"}}\n"
        )
    };
    for (version, own) in [("1", "first"), ("2", "second")] {
        let file = |name: &str, text: &str| {
            leadsman.file(&format!("maps/{version}/{name}"), text);
        };
        file("Chart.yaml", &format!("apiVersion: v2\nname: maps\nversion: {version}.0.0\n"));
        file("values.yaml", &format!("n: {version}\nextra: {{}}\n"));
        file(
            "templates/a.yaml",
            &map("both", &format!(", labels: {{v: \"{version}\", {own}: x}}")),
        );
        file("templates/b.yaml", &map(own, ""));
        let hook = ", annotations: {helm.sh/hook: \"pre-install,post-upgrade,post-rollback\"}";
        file("templates/c.yaml", &map("hook", hook));
        file("templates/NOTES.txt", "{{ .Release.Revision }} of {{ .Chart.Version }}\n");
    }
}

fn is_of_release(object: &Value) -> bool {
    object["metadata"]["name"] != "kube-root-ca.crt"
}

/// What of an object does not depend on when and where it is.
fn stable(mut object: Value) -> String {
    let metadata = &mut object["metadata"];
    for key in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        metadata.as_object_mut().unwrap().remove(key);
    }
    // Controllers add theirs at their own pace.
    let entries = metadata["managedFields"].as_array_mut().unwrap();
    entries.retain(|entry| entry["manager"].as_str().unwrap().to_lowercase() == "helm");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
    }
    for key in ["clusterIP", "clusterIPs"] {
        object.get_mut("spec").and_then(Value::as_object_mut).map(|spec| spec.remove(key));
    }
    object.as_object_mut().unwrap().remove("status");
    serde_json::to_string_pretty(&object).unwrap()
}

/// A record without its content, which `get` shows.
fn head(record: Value) -> String {
    let fields = record["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let fields: Vec<_> = fields
        .iter()
        .map(|entry| (&entry["manager"], &entry["operation"], &entry["fieldsV1"]))
        .collect();
    format!(
        "{} {} {:?} {}",
        record["type"], record["metadata"]["name"], fields, record["metadata"]["labels"]
    )
}

fn normal(text: &str, namespace: &str) -> String {
    let times = [
        (r"\d{4}-\d\d-\d\d[T ][0-9:.]+(Z| \+0000 UTC)", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d [0-9:]+ \d{4}", "DATE"),
        (r#""(created|modified)At":"\d+""#, "WHEN"),
    ];
    let text = text.replace(namespace, "SPACE");
    times.iter().fold(text, |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

/// Plays every script in every mix, and tells where one differs from Helm alone.
async fn exchange(world: &World) {
    let mut failures = Vec::new();
    for (name, script) in SCRIPTS {
        let plays = MIXES.iter().map(|mix| world.play(name, script, mix));
        let played = join_all(plays).await;
        let helm = played[0].clone().unwrap();
        // Five texts, and besides them objects and records.
        assert!(helm[0].len() > 7, "{name}: {:?}", helm[0]);
        for (mix, seen) in MIXES.iter().zip(played).skip(1) {
            match seen {
                Err(error) => failures.push(error),
                Ok(seen) => {
                    failures.extend(differing(&format!("{name} {mix}"), script, (&seen, &helm)));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn differing(
    title: &str,
    script: &str,
    (seen, helm): (&[Vec<String>], &[Vec<String>]),
) -> Option<String> {
    let after = script.lines().zip(seen.iter().zip(helm));
    let (line, (seen, helm)) = { after }.find(|(_, (seen, helm))| seen != helm)?;
    let pairs = seen.iter().zip(helm).find(|(seen, helm)| seen != helm);
    let counts = format!("{} and {} parts", seen.len(), helm.len());
    let (seen, helm) = pairs.map_or((counts.as_str(), ""), |(seen, helm)| (seen, helm));
    Some(format!("{title}, after `{line}`:\n{seen}\n--- with Helm alone\n{helm}\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_pass_from_hand_to_hand_in_the_simulated_cluster() {
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let Some(world) = World::on(&server.folder().join("kubeconfig")).await else { return };
    exchange(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_pass_from_hand_to_hand_on_a_real_api_server() {
    let Some(cluster) = ControlPlane::shared() else { return };
    let Some(world) = World::on(&cluster.kubeconfig()).await else { return };
    exchange(&world).await;
}
