//! Helm's commands of releases: Leadsman and the real Helm say the same, command by command.

use leadsman::base::clock::SystemClock;
use leadsman::cluster::Cluster;
use leadsman::release::{Record, Storage};
use leadsman::sim::{Sim, SimOptions};
use regex::Regex;
use serde_json::json;

use crate::support::api::Api;
use crate::support::fixtures;
use crate::support::helm::Helm;
use crate::support::leadsman::{Leadsman, Running};
use crate::support::wait::SOON;

/// A simulated cluster that both are pointed at.
pub(crate) struct World {
    pub(crate) helm: Helm,
    pub(crate) leadsman: Leadsman,
    _simulated: Running,
}

impl World {
    pub(crate) async fn start() -> Option<Self> {
        let helm = Helm::find()?;
        let leadsman = Leadsman::new();
        let simulated = leadsman.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
        simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
        let file = leadsman.folder().join("kubeconfig");
        let leadsman = leadsman.kubeconfig(&file);
        Some(Self { helm: helm.kubeconfig(&file), leadsman, _simulated: simulated })
    }

    pub(crate) async fn api(&self) -> Api {
        Api::connect(&self.leadsman.folder().join("kubeconfig")).await
    }

    /// Runs a line by both, each in a namespace of its own, and says how they differ.
    pub(crate) async fn differs(&self, line: &str) -> Option<String> {
        let line = line.replace("WEB/", &format!("{}/", fixtures().join("charts/web").display()));
        let folder = |name: &str| self.leadsman.folder().join(name).to_string_lossy().into_owned();
        let line = line.replace("HOOKED", &folder("hooked")).replace("TESTED", &folder("tested"));
        let words: Vec<&str> = line.split(' ').collect();
        let helm = self.helm.run(&[&words[..], &["-n", "theirs"]].concat()).await;
        let ours = self.leadsman.run(&[&words[..], &["-n", "ourown"]].concat()).await;
        let told = |code: Option<i32>, out: &str, err: &str| {
            // What Leadsman says beside Helm's words: the way out of a lock, and whose fields are in
            // the way.
            let is_hint = |line: &str| {
                line.contains("if nobody works on it any more") || explains_conflict(line)
            };
            let is_told = |line: &str| {
                !is_hint(line) && (!line.starts_with("level=") || line.contains("speaks"))
            };
            // What Helm's client says to itself of a watch that it lost: `I1129 04:32:27 …`.
            let own = Regex::new(r"^[IWE]\d{4} \d\d:").unwrap();
            let errors: Vec<_> =
                err.lines().filter(|line| is_told(line) && !own.is_match(line)).collect();
            normal(&format!("{code:?}\n{out}{}", errors.join("\n")))
        };
        let helm = told(helm.code, &helm.stdout, &helm.stderr);
        let ours = told(ours.code, &ours.stdout, &ours.stderr);
        (helm != ours).then(|| format!("{line}\n--- Helm\n{helm}\n--- Leadsman\n{ours}\n"))
    }
}

/// Whether Leadsman says it of fields that others own, below Helm's own text.
pub(crate) fn explains_conflict(line: &str) -> bool {
    line.contains(" belongs to ") || line.starts_with("hint: --conflicts")
}

/// Takes away what differs between any two runs: times, namespaces, and the ages of files.
pub(crate) fn normal(text: &str) -> String {
    let times = [
        (r"\d{4}-\d\d-\d\d[T ][0-9:.]+(Z| \+0000 UTC *)", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} [ \d]\d [0-9:]+ \d{4}", "DATE"),
        (r#""modtime":"TIME"(,?)"#, ""),
        (r#" *modtime: "?TIME"?\n"#, ""),
        (r"\b\d{10}\b", "UNIX"),
        (r"UPDATED +\t", "UPDATED\t"),
        (r",\}", "}"),
        (r" +\d+s\n", " AGE\n"),
        (r"web-[a-z0-9]{8,10}-[a-z0-9]{5} +", "POD "),
        (r"web-[a-z0-9]{8,10}(-[a-z0-9]{5})?", "POD"),
        (r"10\.\d+\.\d+\.\d+ +", "IP "),
        (r"10\.\d+\.\d+\.\d+", "IP"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UID"),
        (r#"resourceVersion("?): ?"\d*""#, "resourceVersion$1:REV"),
        (r"AGE *\n", "AGE\n"),
    ];
    let text = text.replace("theirs", "SPACE").replace("ourown", "SPACE");
    let text = times.iter().fold(text, |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    });
    ordered(&text)
}

/// Sorts the tables of a release's objects, which Helm prints in any order.
fn ordered(text: &str) -> String {
    let Some((before, rest)) = text.split_once("RESOURCES:\n") else { return text.to_owned() };
    let Some((tables, after)) = rest.split_once("\n\n\n") else { return text.to_owned() };
    let mut tables: Vec<_> = tables.split("\n\n").collect();
    tables.sort_unstable();
    format!("{before}RESOURCES:\n{}\n\n\n{after}", tables.join("\n\n"))
}

/// A chart with hooks, a test, and an object that asks to be kept.
fn hooked(leadsman: &Leadsman) {
    let map = |name: &str, annotation: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: \"{{{{ .Release.Name }}}}-{name}\", annotations: {{{annotation}}}}}\n"
        )
    };
    leadsman.file("hooked/Chart.yaml", "apiVersion: v2\nname: hooked\nversion: 0.1.0\n");
    leadsman.file("hooked/values.yaml", "a: 1\n");
    let data = "data: {a: \"{{ .Values.a }}\"}\n";
    leadsman.file("hooked/templates/plain.yaml", &(map("plain", "") + data));
    leadsman.file("hooked/templates/kept.yaml", &map("kept", "helm.sh/resource-policy: keep"));
    leadsman.file(
        "hooked/templates/before.yaml",
        &map("before", "helm.sh/hook: \"pre-install,pre-upgrade\""),
    );
    leadsman.file("hooked/templates/test.yaml", &map("test", "helm.sh/hook: test"));
    leadsman.file(
        "hooked/templates/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: \"{{ .Release.Name }}-secret\"}\n",
    );
}

const LINES: &str = "install web WEB/1.0.0 --create-namespace
install web WEB/1.0.0
install hooked HOOKED --set a=7 --labels x=y,z=w
upgrade web WEB/1.1.0
upgrade web WEB/1.1.0 --description mine --labels a=b
upgrade web WEB/1.1.0 --set message=hi --set n=1000000 -o json
upgrade web WEB/1.1.0 --labels a=null -o yaml
get values web
get values web -o json
get values web -a -o yaml
status web
status web -o json
status hooked
status hooked -o yaml
upgrade web WEB/1.0.0 --reuse-values --set fate=
get values web --revision 6
upgrade web WEB/1.1.0 --reset-then-reuse-values --set b.c=1
get values web
upgrade web WEB/1.1.0 --reset-values --history-max 4
upgrade web WEB/1.1.0 --hide-notes
list
list -o json
list -o yaml
list -q
list -q -o json
list --no-headers -d -r
list --failed
list -l x=y
list -f ^w
list -m 1
list --offset 1 -q
list --time-format 2006
history web
history web -o json
history web -o yaml --max 2
history none
get metadata web
get metadata web -o json
get metadata hooked -o yaml
get all web
get all hooked
get all web --template {{.Release.Name}}/{{.Release.Version}}/{{.Release.Namespace}}/{{.Release.Info.Status}}/{{.Release.Info.Description}}
get all web --template {{.Release.Info.LastDeployed.Year}}/{{.Release.Info.FirstDeployed.Before(.Release.Info.LastDeployed)}}
get all web --template {{.Release.Info.FirstDeployed}}/{{.Release.Info.Deleted}}/{{.Release.Info.LastDeployed.Year}}
get all web --template {{.Release.Chart.Metadata.Version}}/{{.Release.Chart.Name}}/{{.Release.Chart.AppVersion}}/{{.Release.Config}}/{{.Release.Labels}}
get all hooked --template {{range.Release.Hooks}}{{.Name}}:{{.Kind}}:{{.Path}}:{{.Events}}:{{.Weight}}:{{.LastRun.Phase}};{{end}}
get all web --template {{.Release.Manifest}}{{.Release.Info.Notes}}{{.Release.ApplyMethod}}{{$.Release.Name}}
get all web --revision 7 --template {{range.Release.Chart.Templates}}{{.Name}};{{end}}{{.Release.Chart.Values}}
get all web --template {{
get all web --template {{nothing}}
get all none --template x
get hooks hooked
get notes web
get notes hooked
get manifest web
get manifest hooked --revision 9
rollback web 7 --description back
history web --show-rollback-revision
rollback web
rollback web 99
rollback web x
rollback none
status none
uninstall hooked --dry-run
uninstall hooked --keep-history --description gone
uninstall hooked --keep-history
list --uninstalled -q
install hooked HOOKED
install hooked HOOKED --replace
history hooked
upgrade hooked HOOKED --no-hooks --render-subchart-notes
get all hooked
uninstall hooked web
uninstall hooked
uninstall hooked --ignore-not-found
upgrade other WEB/1.0.0
upgrade other WEB/1.0.0 --install
upgrade other WEB/1.0.0 --labels name=a
upgrade Bad_ WEB/1.0.0
install Bad_ WEB/1.0.0
install a HOOKED --hide-secret
install HOOKED
install x HOOKED y
install x HOOKED --labels name=a
install x HOOKED --dry-run=client --hide-secret
install x HOOKED --dry-run=server
install x HOOKED --dry-run=nowhere
install x WEB/9
upgrade other WEB/9
upgrade other WEB/1.1.0 --dry-run=server
upgrade other WEB/1.1.0 --dry-run=client --description tried
uninstall other --cascade=sideways
install -g WEB/1.0.0 --no-hooks
install --name-template x-{{\"y\"}} WEB/1.0.0
uninstall other none";

#[tokio::test(flavor = "multi_thread")]
async fn every_command_says_what_helm_says() {
    let Some(world) = World::start().await else { return };
    hooked(&world.leadsman);
    let mut failures = Vec::new();
    for line in LINES.lines() {
        failures.extend(world.differs(line).await);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upgrade_removes_only_what_it_created() {
    let Some(world) = World::start().await else { return };
    hooked(&world.leadsman);
    let run = async |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        world.leadsman.run(&[&words[..], &["-n", "default"]].concat()).await
    };
    run("install x hooked").await.success();
    let api = world.api().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let stranger = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x-old"}, "data": {"mine": "1"}});
    api.create(maps, &stranger).await.unwrap();
    for name in ["old", "new"] {
        world.leadsman.file(
            &format!("hooked/templates/{name}.yaml"),
            &format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x-{name}}}\n"),
        );
    }
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x-pod, annotations: {test/fail: unready}}\nspec: {containers: [{name: a, image: a}]}\n";
    world.leadsman.file("hooked/templates/pod.yaml", pod);
    let line = "upgrade x hooked --take-ownership --cleanup-on-fail --wait --timeout 2s";
    let failed = run(line).await;
    assert_eq!(failed.code, Some(1), "{}", failed.stdout);
    assert!(failed.stderr.contains("UPGRADE FAILED"), "{}", failed.stderr);
    let there = async |name: &str| api.get(&format!("{maps}/{name}")).await.is_some();
    assert!(there("x-old").await, "what was adopted stays");
    assert!(there("x-plain").await, "what was there stays");
    assert!(!there("x-new").await, "what was created goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upgrade_is_recorded_as_failed() {
    let Some(world) = World::start().await else { return };
    let web = fixtures().join("charts/web/1.0.0").to_string_lossy().into_owned();
    world.leadsman.run(&["install", "web", &web, "-n", "default"]).await.success();
    let words = ["upgrade", "web", &web, "-n", "default", "--wait", "--set", "fate=unready"];
    let running = Leadsman::new().kubeconfig(&world.leadsman.folder().join("kubeconfig"));
    let upgrade = running.spawn(&words);
    let pending = async || {
        let told = world.leadsman.run(&["list", "-q", "--pending", "-n", "default"]).await;
        if told.stdout == "web\n" { Ok(()) } else { Err(told.stdout) }
    };
    crate::support::wait::until("the upgrade is under way", SOON, pending).await;
    upgrade.interrupt();
    assert_eq!(upgrade.end(SOON).await, Some(1));
    let said = upgrade.output();
    assert!(said.contains("Release web has been cancelled."), "{said}");
    assert!(said.contains("Error: UPGRADE FAILED: context canceled"), "{said}");
    let history = world.helm.json(&["history", "web"]).await;
    assert_eq!(history[1]["status"], "failed");
    assert_eq!(history[1]["description"], "Upgrade \"web\" failed: context canceled");
}

fn record(status: &str) -> Record {
    let mut record = Record { name: "x".to_owned(), version: 1, ..Record::default() };
    record.namespace = "default".to_owned();
    status.clone_into(&mut record.info.status);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_others_wrote_meanwhile_is_left_alone() {
    let simulated = Sim::new(SimOptions::default());
    let cluster = Cluster::new(simulated.client("default"), "helm");
    let (slow, quick) = (Storage::new(&cluster, "default"), Storage::new(&cluster, "default"));
    slow.create(&record("pending-upgrade"), "cli/1", &SystemClock).await.unwrap();
    let (_, mut seen) = quick.last("x").await.unwrap().unwrap();
    "failed".clone_into(&mut seen.info.status);
    quick.update(&seen, "", &SystemClock).await.unwrap();
    let late = slow.update(&record("deployed"), "", &SystemClock).await.unwrap_err().to_string();
    assert!(late.contains("changed by somebody else meanwhile"), "{late}");
    let (head, _) = quick.last("x").await.unwrap().unwrap();
    assert_eq!(head.status, "failed");
    // Who reads it again may write it.
    slow.last("x").await.unwrap();
    slow.update(&record("superseded"), "", &SystemClock).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_records_how_objects_were_applied() {
    let Some(world) = World::start().await else { return };
    let api = world.api().await;
    let cluster = Cluster::new(api.client(), "Helm");
    let storage = Storage::new(&cluster, "default");
    // Records without a method, as Helm 3 wrote them, in the hands of both.
    for name in ["x", "y"] {
        let mut old = Record { name: name.to_owned(), ..record("superseded") };
        old.chart =
            serde_json::from_value(json!({"metadata": {"name": "c", "version": "1.0.0"}})).unwrap();
        old.manifest = format!(
            "---\n# Source: a\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m-{name}}}\n"
        );
        storage.create(&old, "", &SystemClock).await.unwrap();
        let new = Record { version: 2, ..old };
        storage.create(&new, "", &SystemClock).await.unwrap();
    }
    world.leadsman.run(&["rollback", "x", "1", "-n", "default"]).await.success();
    world.helm.ok(&["rollback", "y", "1", "-n", "default"]).await;
    let told = async |name: &str| {
        let told = world.helm.json(&["get", "metadata", name]).await;
        (told["revision"].clone(), told["applyMethod"].clone())
    };
    let (ours, theirs) = (told("x").await, told("y").await);
    assert_eq!(ours, theirs);
    assert_eq!(ours.0, json!(3));
}
