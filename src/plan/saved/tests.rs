use serde_json::json;

use super::check::{self, Difference};
use super::*;
use crate::cluster::ObjectId;
use crate::plan::{Change, Field, Standing};
use crate::release::conflict::{Conflict, Policy};
use crate::template::Capabilities;

fn subject(kind: &str) -> Subject {
    Subject::new(ObjectId::new("v1", kind, "apps", "web"), Vec::new())
}

fn finding(kind: &str, what: What) -> Finding {
    let live = Standing { uid: "u1".to_owned(), digest: None };
    Finding { change: Change::new(subject(kind), what), live: Some(live) }
}

fn update(path: &str, before: Value, after: Value) -> What {
    let field = Field { path: path.to_owned(), before: Some(before), after: Some(after) };
    What::Update { fields: vec![field] }
}

fn conflict(policy: Policy, live: u32) -> Conflict {
    Conflict {
        field: "spec.replicas".to_owned(),
        manager: "hpa".to_owned(),
        policy,
        live: Some(json!(live)),
        ours: Some(json!(1)),
    }
}

fn revision(number: u32, status: &str, digest: &str) -> Revision {
    Revision { number, status: status.to_owned(), digest: digest.to_owned() }
}

fn chart() -> Chart {
    let file = |name: &str, text: &str| chart::File {
        name: name.to_owned(),
        data: bytes::Bytes::from(text.to_owned()).into(),
    };
    let files = vec![
        file("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        file("values.yaml", "a: 1.5\nb: {c: [1, null, \"é\"]}\n"),
        file("templates/a.yaml", "a: {{ .Values.a }}\n"),
        file("charts/db/Chart.yaml", "{name: db, version: 2.0.0, apiVersion: v2}"),
    ];
    chart::load_files(files).unwrap()
}

const CONFIG: &str = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {k: v}\n";

fn deployment() -> Deployment {
    Deployment {
        action: Action::Upgrade,
        chart: Packed::of(&chart()).unwrap(),
        values: serde_json::from_value(json!({"n": 0.1, "m": 1.0, "big": u64::MAX, "z": null}))
            .unwrap(),
        sources: vec![source("Secret", "a")],
        rendered: Rendered {
            manifest: CONFIG.to_owned(),
            hooks: Vec::new(),
            notes: "hello".to_owned(),
            unsteady: Vec::new(),
        },
        kubernetes: "v1.34.2".to_owned(),
        api_versions: BTreeSet::from(["v1".to_owned(), "apps/v1".to_owned()]),
    }
}

fn source(kind: &str, held: &str) -> ValuesSource {
    ValuesSource {
        object: format!("{kind} apps/values"),
        key: "values.yaml".to_owned(),
        digest: Digest::of(held).to_string(),
    }
}

fn saved() -> Saved {
    Saved {
        made_by: "0.1.0".to_owned(),
        made_at: "2026-01-01T00:00:00Z".to_owned(),
        task: Task::Deploy(Box::new(deployment())),
        release: "web".to_owned(),
        namespace: "apps".to_owned(),
        storage_namespace: "apps".to_owned(),
        keeper: None,
        manner: Manner {
            wait: Wait::Ready,
            wait_for_jobs: false,
            timeout: GoDuration(std::time::Duration::from_secs(90)),
            hooks: true,
            crds: CrdPolicy::Create,
            rendering: How { check_schema: true, ..How::default() },
            take_ownership: false,
            create_namespace: false,
            cleanup_on_fail: false,
            max_history: 10,
            method: Method::Server,
            conflicts: Rules::parse("spec.replicas=leave", Policy::Fail).unwrap(),
            replace: false,
            description: String::new(),
            undone_by: Some(Method::Auto),
            labels: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
            shows_notes: true,
        },
        seen: Seen {
            places: BTreeMap::from([("kube-system".to_owned(), "k1".to_owned())]),
            newest: Some(revision(2, "failed", "d2")),
            current: Some(revision(1, "deployed", "d1")),
            findings: vec![
                finding("Secret", update("data.k", json!("YQ=="), Value::Null)),
                Finding { live: None, ..finding("Service", What::Create) },
            ],
            unchanged: 3,
        },
    }
}

fn texts(found: &[Difference]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_written_is_read() {
    let saved = saved();
    let bytes = saved.write().unwrap();
    assert_eq!(Saved::read(&bytes).unwrap(), saved);
    // White space is nobody's business.
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    assert_eq!(Saved::read(&pretty).unwrap(), saved);
    let again = deployment().chart.chart().unwrap();
    assert_eq!(again.values, chart().values);
    assert_eq!(again.dependencies[0].metadata, chart().dependencies[0].metadata);
}

#[test]
fn values_that_a_revision_goes_on_with_are_kept_beside_the_archive() {
    let values: Map = serde_json::from_value(json!({"a": "other"})).unwrap();
    let packed = Packed::of(&Chart { values: values.clone().into(), ..chart() }).unwrap();
    assert_eq!(*packed.chart().unwrap().values, values);
}

#[test]
fn a_file_that_is_no_plan_is_refused_in_words() {
    let whole: Value = serde_json::from_slice(&saved().write().unwrap()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut whole = whole.clone();
        *whole.pointer_mut(pointer).unwrap() = value;
        whole.to_string()
    };
    let rows = [
        ("empty", String::new(), "it is no plan (EOF"),
        ("YAML", "kind: Plan\n".to_owned(), "it is no plan (expected value"),
        ("JSON", "{}".to_owned(), "it is no plan (it does not say `leadsmanPlan`)"),
        ("a list", "[1]".to_owned(), "it is no plan (it does not say"),
        ("cut", whole.to_string()[..900].to_owned(), "it is damaged (EOF"),
        (
            "newer",
            with("/leadsmanPlan", json!(4)),
            "it has format 4 of leadsman 0.1.0, and this leadsman reads format 3",
        ),
        ("edited", with("/plan/release", json!("other")), "it is damaged (its digest is sha256:"),
        ("no digest", with("/digest", json!("")), "it is damaged (its digest is sha256:"),
        ("no plan", with("/plan", json!(null)), "it is damaged (its digest is sha256:"),
    ];
    for (name, text, wanted) in rows {
        let error = Saved::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{name}: {error}");
    }
}

/// Replaces one part of a value after another, and takes each away.
fn mutants(value: &Value, found: &mut Vec<Value>) {
    let others = [Value::Null, json!(-1), json!(1e300), json!("x"), json!([]), json!({})];
    found.extend(others.iter().filter(|other| *other != value).cloned());
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let mut without = map.clone();
                without.remove(key);
                found.push(Value::Object(without));
                let mut below = Vec::new();
                mutants(inner, &mut below);
                found.extend(below.into_iter().map(|mutant| {
                    let mut map = map.clone();
                    map.insert(key.clone(), mutant);
                    Value::Object(map)
                }));
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                let mut below = Vec::new();
                mutants(inner, &mut below);
                found.extend(below.into_iter().map(|mutant| {
                    let mut items = items.clone();
                    items[at] = mutant;
                    Value::Array(items)
                }));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Also a file whose digest is right may hold anything.
#[test]
fn damage_of_any_kind_is_an_error_or_another_plan() {
    let bytes = saved().write().unwrap();
    // Without the line end it is still whole.
    for at in (0..bytes.len() - 1).step_by(7) {
        assert!(Saved::read(&bytes[..at]).is_err(), "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x15;
        let read = Saved::read(&flipped);
        assert!(read.is_err() || read.is_ok_and(|read| read == saved()), "flipped at {at}");
    }
    let whole: Value = serde_json::from_slice(&bytes).unwrap();
    let mut plans = Vec::new();
    mutants(&whole["plan"], &mut plans);
    assert!(plans.len() > 300, "{}", plans.len());
    for plan in plans {
        let digest = Digest::of(plan.to_string()).to_string();
        let text = json!({"leadsmanPlan": 3, "digest": digest, "plan": plan}).to_string();
        if let Ok(read) = Saved::read(text.as_bytes()) {
            if let Task::Deploy(deployment) = &read.task {
                let _ = deployment.chart.chart();
            }
            let none = check::changes(&read.seen.findings, &[]);
            assert_eq!(none.len(), read.seen.findings.len());
        }
    }
}

#[test]
fn an_archive_that_is_not_the_planned_one_is_refused() {
    let mut packed = Packed::of(&chart()).unwrap();
    let other = chart::Chart { templates: Vec::new(), ..chart() };
    packed.archive = Packed::of(&other).unwrap().archive;
    let error = packed.chart().unwrap_err().to_string();
    assert!(error.starts_with("it is damaged (chart web: the archive is sha256:"), "{error}");
}

#[test]
fn another_cluster_is_told() {
    let rows = [
        ("k1", vec![]),
        ("k2", vec!["Namespace kube-system: its uid was k1, and is k2: this is another cluster"]),
        ("", vec!["Namespace kube-system: its uid was k1, and it is not there"]),
    ];
    for (uid, wanted) in rows {
        let now = [("kube-system".to_owned(), uid.to_owned())].into_iter();
        let now = now.filter(|(_, uid)| !uid.is_empty()).collect();
        let found = texts(&check::place(&saved().seen, &now));
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.starts_with(wanted), "{found}");
        }
    }
}

#[test]
fn another_revision_is_told() {
    let (newest, current) = (revision(2, "failed", "d2"), revision(1, "deployed", "d1"));
    let rows = [
        (Some(newest.clone()), Some(current.clone()), ""),
        (None, None, "revision 2 (failed) was the newest, and now there is none"),
        (
            Some(revision(3, "deployed", "d3")),
            Some(revision(3, "deployed", "d3")),
            "revision 2 (failed) was the newest, and now revision 3 (deployed) is",
        ),
        (
            Some(revision(2, "superseded", "d4")),
            Some(current),
            "revision 2 was failed, and is superseded now",
        ),
        (
            Some(newest),
            Some(revision(1, "deployed", "other")),
            "the record of revision 1 (deployed) was written anew with other content",
        ),
    ];
    for (newest, current, wanted) in rows {
        let found = texts(&check::revisions(&saved(), (newest.as_ref(), current.as_ref())));
        let wanted: Vec<_> = [wanted]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(|text| format!("release apps/web: {text}"))
            .collect();
        assert_eq!(found, wanted);
    }
    let mut first = saved();
    (first.seen.newest, first.seen.current) = (None, None);
    let there = revision(1, "deployed", "d");
    let found = texts(&check::revisions(&first, (Some(&there), Some(&there))));
    let wanted =
        "release apps/web: there was no newest revision, and now there is revision 1 (deployed)";
    assert_eq!(found, [wanted]);
}

#[test]
fn another_revision_to_return_to_is_told() {
    let then = revision(1, "superseded", "d1");
    let rows = [
        (Some(revision(1, "superseded", "d1")), ""),
        (
            Some(revision(1, "superseded", "other")),
            "revision 1 was written anew with other content",
        ),
        (None, "revision 1, to which it was to return, is gone"),
    ];
    for (now, wanted) in rows {
        let found = texts(&check::target(&saved(), &then, now.as_ref())).join("");
        assert_eq!(found.trim_start_matches("release apps/web: "), wanted);
    }
}

#[test]
fn other_values_of_others_are_told() {
    let rows = [
        (vec![source("Secret", "a")], vec![source("Secret", "a")], ""),
        (
            vec![source("Secret", "a"), source("ConfigMap", "b")],
            vec![source("Secret", "a"), source("ConfigMap", "c")],
            "ConfigMap apps/values: key values.yaml of it, which valuesFrom names, holds other \
             values now",
        ),
        (
            vec![source("Secret", "a")],
            vec![],
            "Secret apps/values: key values.yaml of it, which valuesFrom names, is gone",
        ),
        (
            vec![],
            vec![source("Secret", "a")],
            "Secret apps/values: key values.yaml of it, which valuesFrom names, is there now, and \
             was not",
        ),
    ];
    for (then, now, wanted) in rows {
        assert_eq!(texts(&check::sources(&then, &now)).join("\n"), wanted);
    }
}

#[test]
fn every_task_is_read_as_it_was_written() {
    let removal = Removal { keep_history: true, cascade: Propagation::Foreground };
    for task in [Task::Rollback(revision(1, "superseded", "d1")), Task::Uninstall(removal)] {
        let saved = Saved { task, ..saved() };
        assert_eq!(Saved::read(&saved.write().unwrap()).unwrap(), saved);
    }
}

#[test]
fn another_helmrelease_is_told() {
    let release = |uid: &str, spec: Value| json!({"metadata": {"name": "web", "namespace": "apps", "uid": uid}, "spec": spec});
    let then = release("1", json!({"interval": "1m", "values": {"a": 1}}));
    let rows = [
        (Some(&then), Some(then.clone()), ""),
        (None, None, ""),
        (Some(&then), None, "it is gone"),
        (None, Some(then.clone()), "it keeps the release now, and did not"),
        (Some(&then), Some(release("2", json!({}))), "it was deleted and made anew"),
        (
            Some(&then),
            Some(release("1", json!({"interval": "1m", "values": {"a": 1}, "suspend": true}))),
            "",
        ),
        (
            Some(&then),
            Some(release("1", json!({"interval": "2m", "values": {"a": 2}}))),
            "spec.interval, spec.values.a changed",
        ),
        (
            Some(&then),
            Some(json!({
                "metadata": {"name": "web", "namespace": "apps", "uid": "1",
                    "annotations": {"leadsman.dev/conflicts": "leave", "other": "x"}},
                "spec": then["spec"],
            })),
            "annotation leadsman.dev/conflicts changed",
        ),
    ];
    for (then, now, wanted) in rows {
        let found = texts(&check::keeper(then, now.as_ref()));
        let wanted: Vec<_> = [wanted]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(|text| format!("HelmRelease apps/web: {text}"))
            .collect();
        assert_eq!(found, wanted);
    }
}

fn rendered(manifest: &str) -> RenderedRelease {
    RenderedRelease {
        chart: std::sync::Arc::new(chart()),
        manifest: manifest.to_owned(),
        hooks: Vec::new(),
        notes: String::new(),
    }
}

#[test]
fn another_rendering_is_told_with_what_the_cluster_is_told_otherwise() {
    let mut capabilities = release::offline("1.34.2", &[]).unwrap();
    capabilities.api_versions = vec!["v1".to_owned(), "apps/v1".to_owned()];
    let found = |of: &Deployment, manifest: &str, capabilities: &Capabilities| {
        texts(&check::rendering((of, "apps"), &rendered(manifest), capabilities).unwrap())
    };
    let saved = deployment;
    assert!(found(&saved(), CONFIG, &capabilities).is_empty());
    let other = CONFIG.replace("k: v", "k: w");
    let told = found(&saved(), &other, &capabilities);
    assert_eq!(told, [r#"ConfigMap web: data.k was rendered as "v", and is now as "w""#]);
    // What never comes out the same is no difference.
    let mut unsteady = saved();
    let subject = Subject { namespace: String::new(), ..subject("ConfigMap") };
    unsteady.rendered.unsteady = vec![Unsteady { object: subject, path: "data.k".to_owned() }];
    assert!(found(&unsteady, &other, &capabilities).is_empty());
    capabilities.kube_version = "v1.35.0".to_owned();
    capabilities.api_versions = vec!["v1".to_owned(), "batch/v1".to_owned()];
    // The same rendering: the cluster may be as it likes.
    assert!(found(&saved(), CONFIG, &capabilities).is_empty());
    let secret = CONFIG.replace("ConfigMap", "Secret");
    let wanted = [
        "Secret web: templates render it now, and did not",
        "ConfigMap web: templates rendered it, and do not any more",
        "the cluster: it was Kubernetes v1.34.2, and is v1.35.0",
        "the cluster: it serves batch/v1 now, and did not",
        "the cluster: it served apps/v1, and does not any more",
    ];
    assert_eq!(found(&saved(), &secret, &capabilities), wanted);
}

#[test]
fn fields_that_come_out_otherwise_each_time_are_found() {
    let secret = |password: &str| {
        rendered(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{p: {password}, q: r}}\n"
        ))
    };
    let found = Rendered::of(&secret("a"), &secret("b"), "apps").unwrap().unwrap();
    let paths: Vec<_> = found.unsteady.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["stringData.p"]);
    assert!(found.manifest.contains("p: a"));
    let named = |name: &str| rendered(&CONFIG.replace("name: web", &format!("name: {name}")));
    let object = Rendered::of(&named("x1"), &named("x2"), "apps").unwrap().unwrap_err();
    assert_eq!(object.to_string(), "ConfigMap x2");
}

fn workload(what: What) -> Finding {
    finding("Deployment", what)
}

fn replicas(before: i64, after: i64) -> What {
    update("spec.replicas", json!(before), json!(after))
}

/// What was found, what is found, what is told of it (empty: nothing).
type ChangeRow = (Vec<Finding>, Vec<Finding>, &'static str);

fn check_changes(rows: Vec<ChangeRow>) {
    for (then, now, wanted) in rows {
        let found = texts(&check::changes(&then, &now));
        let wanted = [wanted].into_iter().filter(|text| !text.is_empty());
        let wanted: Vec<_> = wanted.map(|text| format!("Deployment apps/web: {text}")).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn other_fields_than_were_shown_are_told() {
    let one = || vec![workload(replicas(1, 2))];
    let owned = || {
        let mut found = workload(replicas(1, 2));
        found.change.conflicts = vec![conflict(Policy::Force, 5)];
        vec![found]
    };
    let left = |live| {
        let mut found = workload(What::Stay);
        found.change.conflicts = vec![conflict(Policy::Leave, live)];
        vec![found]
    };
    let paused = || vec![workload(update("spec.paused", json!(true), json!(false)))];
    check_changes(vec![
        (one(), one(), ""),
        (one(), vec![workload(replicas(5, 2))], "spec.replicas was 1, and is 5"),
        (
            one(),
            vec![workload(replicas(1, 3))],
            "spec.replicas would have become 2, and would be 3",
        ),
        (
            one(),
            paused(),
            "spec.paused was not to change, and is true, spec.replicas would not change any more",
        ),
        (one(), owned(), "spec.replicas belongs to hpa now"),
        (owned(), one(), "spec.replicas of hpa is in the way no longer"),
        // Its value moves as its owner likes.
        (left(5), left(7), ""),
        (
            left(5),
            one(),
            "spec.replicas was not to change, and is 1, spec.replicas of hpa is in the way no longer",
        ),
        (one(), vec![], "it was to be changed, and now nothing of it would change"),
        (
            vec![],
            one(),
            "nothing of it was to change, and now it would be changed (spec.replicas is 1)",
        ),
    ]);
}

#[test]
fn other_objects_than_were_shown_are_told() {
    let anew = |found: Finding| Finding {
        live: Some(Standing { uid: "u2".to_owned(), digest: None }),
        ..found
    };
    let holding = |digest: &str| Finding {
        live: Some(Standing { uid: "u1".to_owned(), digest: Some(digest.to_owned()) }),
        ..workload(What::Delete)
    };
    let refused = || What::Refuse { reason: "spec: immutable\n".to_owned() };
    let created = || vec![workload(What::Create)];
    check_changes(vec![
        (
            created(),
            vec![workload(replicas(1, 2))],
            "it was to be created, and now it would be changed (spec.replicas is 1)",
        ),
        (
            created(),
            vec![workload(refused())],
            "it was to be created, and now it would be refused: spec: immutable",
        ),
        (
            vec![workload(replicas(1, 2))],
            vec![anew(workload(replicas(1, 2)))],
            "it was deleted and made anew",
        ),
        (
            vec![holding("d1")],
            vec![workload(What::Foreign { reason: "x".to_owned() })],
            "it is to be deleted, and was changed meanwhile",
        ),
        (vec![holding("d1")], vec![holding("d1")], ""),
        (
            vec![holding("d1")],
            vec![holding("d2")],
            "it is to be deleted, and was changed meanwhile",
        ),
        (
            vec![holding("d1")],
            vec![workload(What::Keep)],
            "it is to be deleted, and was changed meanwhile",
        ),
    ]);
}

#[test]
fn what_a_secret_holds_is_never_told() {
    let secret = |text: &str| finding("Secret", update("data.k", json!(text), json!("bmV3")));
    for (then, now) in [
        (vec![secret("b2xk")], vec![secret("b3RoZXI=")]),
        (vec![], vec![secret("b3RoZXI=")]),
        (vec![finding("Secret", What::Create)], vec![secret("b3RoZXI=")]),
    ] {
        let found = texts(&check::changes(&then, &now)).join("\n");
        assert!(found.starts_with("Secret apps/web: "), "{found}");
        assert!(!found.contains("b2xk") && !found.contains("b3RoZXI="), "{found}");
    }
}
