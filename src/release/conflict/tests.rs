use serde_json::json;

use super::pattern::{Match, Pattern};
use super::*;

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "Helm", "team": "a"},
            "annotations": {
                "a.b/c": "1", "a": "2", "x[0]": "3", "meta.helm.sh/release-name": "web",
            },
        },
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"annotations": {"at": "now"}},
                "spec": {
                    "containers": [
                        {"name": "a,b]", "image": "one"},
                        {"name": "app", "image": "two", "ports": [
                            {"containerPort": 80, "name": "web"},
                            {"containerPort": 80, "protocol": "UDP", "name": "quic"},
                        ]},
                    ],
                    "tolerations": [{"key": "k"}],
                },
            },
        },
        "finalizers": ["x", "y"],
    })
}

fn object() -> Object {
    Object(deployment())
}

#[test]
fn the_server_s_paths_are_found() {
    let app = ".spec.template.spec.containers[name=\"app\"]";
    let port = format!("{app}.ports[containerPort=80,protocol=\"TCP\"].name");
    let quic = format!("{app}.ports[containerPort=80,protocol=\"UDP\"].name");
    let rows = [
        (".spec.replicas", Some(json!(2))),
        (".metadata.annotations.a.b/c", Some(json!("1"))),
        (".metadata.annotations.a", Some(json!("2"))),
        (".metadata.annotations.x[0]", Some(json!("3"))),
        (".metadata.labels.app.kubernetes.io/managed-by", Some(json!("Helm"))),
        (&format!("{app}.image"), Some(json!("two"))),
        (".spec.template.spec.containers[name=\"a,b]\"].image", Some(json!("one"))),
        // Its protocol is not written: it is the default.
        (&port, Some(json!("web"))),
        (&quic, Some(json!("quic"))),
        (".spec.template.spec.tolerations", Some(json!([{"key": "k"}]))),
        (".finalizers[=\"y\"]", Some(json!("y"))),
        (".finalizers[1]", Some(json!("y"))),
        (".finalizers[=\"z\"]", None),
        (".finalizers[7]", None),
        (".spec.replica", None),
        (".spec.replicas.more", None),
        (".metadata.annotations.a.b", None),
        (".spec.template.spec.containers[name=\"other\"].image", None),
        (".spec.template.spec.containers[name=\"app\"", None),
        ("", Some(deployment())),
    ];
    for (path, want) in rows {
        let place = place::find(&deployment(), path);
        let seen = place.and_then(|place| place::value(&deployment(), &place).cloned());
        assert_eq!(seen, want, "{path}");
    }
}

#[test]
fn a_path_speaks_of_what_it_leads_to() {
    let image = ".spec.template.spec.containers[name=\"app\"].image";
    let port = ".spec.template.spec.containers[name=\"app\"].ports[containerPort=80,protocol=\"TCP\"].name";
    let dotted = ".metadata.annotations.a.b/c";
    let whole = ".spec.template.spec.tolerations";
    let rows = [
        ("spec.replicas", ".spec.replicas", "covers"),
        (".spec.replicas", ".spec.replicas", "covers"),
        ("spec", ".spec.replicas", "covers"),
        ("*", ".spec.replicas", "covers"),
        ("*.replicas", ".spec.replicas", "covers"),
        ("spec.*", ".spec.replicas", "covers"),
        ("spec.replica", ".spec.replicas", ""),
        ("replicas", ".spec.replicas", ""),
        ("spec.template.spec.containers[name=app].image", image, "covers"),
        ("spec.template.spec.containers[name=\"app\"].image", image, "covers"),
        ("spec.template.spec.containers[app].image", image, "covers"),
        ("spec.template.spec.containers[*].image", image, "covers"),
        ("spec.template.spec.containers", image, "covers"),
        ("spec.template.spec.containers[0].image", image, ""),
        ("spec.template.spec.containers[name=web].image", image, ""),
        ("spec.template.spec.containers[kind=app].image", image, ""),
        ("spec.template.spec.containers.image", image, ""),
        ("spec.template.spec.containers[app].ports[80]", port, "covers"),
        ("spec.template.spec.containers[app].ports[containerPort=80,protocol=TCP]", port, "covers"),
        ("spec.template.spec.containers[app].ports[containerPort=80]", port, "covers"),
        ("metadata.annotations[\"a.b/c\"]", dotted, "covers"),
        ("metadata.annotations.a.b/c", dotted, "covers"),
        ("metadata.annotations.*", dotted, "covers"),
        ("metadata.annotations.a", dotted, ""),
        ("metadata.annotations[\"a.b\"]", dotted, ""),
        ("metadata.annotations[\"x[0]\"]", ".metadata.annotations.x[0]", "covers"),
        ("finalizers[=x]", ".finalizers[=\"x\"]", "covers"),
        ("finalizers[=\"y\"]", ".finalizers[=\"x\"]", ""),
        ("finalizers[1]", ".finalizers[1]", "covers"),
        ("spec.template.spec.tolerations[0].key", whole, "within"),
    ];
    for (text, path, want) in rows {
        let place = place::find(&deployment(), path).unwrap();
        let seen = match Pattern::parse(text).unwrap().of(&place) {
            Some(Match::Covers(_)) => "covers",
            Some(Match::Within(_)) => "within",
            None => "",
        };
        assert_eq!(seen, want, "{text} and {path}");
    }
}

#[test]
fn the_most_specific_rule_counts() {
    use Policy::{Fail, Force, Leave};
    let image = ".spec.template.spec.containers[name=\"app\"].image";
    let rows = [
        ("leave", ".spec.replicas", Leave),
        ("spec.replicas=leave", ".spec.replicas", Leave),
        ("spec.replicas=leave", image, Fail),
        // The longer path, wherever it stands.
        ("spec=force,spec.replicas=leave", ".spec.replicas", Leave),
        ("spec.replicas=leave,spec=force", ".spec.replicas", Leave),
        ("spec.replicas=leave,Deployment/web:spec=force", ".spec.replicas", Leave),
        ("*=force,leave", ".spec.replicas", Force),
        // What is named before what is not.
        ("spec.*=force,spec.replicas=leave", ".spec.replicas", Leave),
        ("Deployment/web:spec.*=force,spec.replicas=leave", ".spec.replicas", Leave),
        // The object, the kind, all.
        ("spec=force,Deployment:spec=leave", image, Leave),
        ("Deployment:spec=leave,Deployment/web:spec=force", image, Force),
        ("deployment/web:spec=force,spec=leave", image, Force),
        ("Deployment/other:spec=force,StatefulSet:spec=force", image, Fail),
        // The stricter of two that are alike.
        ("*.replicas=force,spec.*=leave", ".spec.replicas", Leave),
        ("*.replicas=fail,spec.*=leave,force", ".spec.replicas", Fail),
        // A name with dots is one step, however it is written.
        (
            "metadata.annotations.a.b/c=leave,Deployment:metadata.annotations[\"a.b/c\"]=force",
            ".metadata.annotations.a.b/c",
            Force,
        ),
        // What is owned as a whole is left for a part of it, and not taken.
        ("force,spec.template.spec.tolerations[0]=leave", ".spec.template.spec.tolerations", Leave),
        ("spec.template.spec.tolerations[0]=force", ".spec.template.spec.tolerations", Fail),
    ];
    for (text, path, want) in rows {
        let rules = Rules::parse(text, Fail).unwrap();
        let place = place::find(&deployment(), path).unwrap();
        assert_eq!(rules.policy(&object().id(), &place), want, "{text} for {path}");
    }
}

#[test]
fn rules_are_read_and_written() {
    let rows = [
        ("force", Ok("force")),
        ("spec.replicas=leave", Ok("fail,spec.replicas=leave")),
        (" .spec.replicas = leave ,\n force", Ok("force,.spec.replicas=leave")),
        ("spec=leave,spec=leave", Ok("fail,spec=leave")),
        (
            "Deployment/web:spec.template.spec.containers[name=app].image=leave",
            Ok("fail,Deployment/web:spec.template.spec.containers[name=app].image=leave"),
        ),
        (
            "a[b=1,c=\"x:=,]\"]=force,d[\"e=f,g:h\"]=leave",
            Ok("fail,a[b=1,c=\"x:=,]\"]=force,d[\"e=f,g:h\"]=leave"),
        ),
        ("", Err("``: it is neither force, fail or leave nor PATH=")),
        ("force,", Err("``: it is neither force")),
        ("live", Err("`live`: it is neither force, fail or leave nor PATH=force, PATH=fail or")),
        ("spec.replicas", Err("`spec.replicas`: it is neither force")),
        ("spec.replicas=live", Err("`spec.replicas=live`: `live` is not force, fail or leave")),
        ("spec.replicas=Leave", Err("`spec.replicas=Leave`: `Leave` is not force")),
        ("=leave", Err("`=leave`: it has no path: `*` is all fields")),
        ("Deployment:=leave", Err("`Deployment:=leave`: it has no path")),
        ("Deploy ment:spec=leave", Err("`Deploy ment` is no kind, such as Deployment")),
        (":spec=leave", Err("`` is no kind")),
        ("Deployment/:spec=leave", Err("`Deployment/` has no name behind the `/`")),
        ("/spec/replicas=leave", Err("a path is written with dots, as in `spec.replicas`")),
        ("spec..replicas=leave", Err("a name is missing in the path `spec..replicas`")),
        ("spec.=leave", Err("a name is missing in the path `spec.`")),
        ("spec[a=1=leave", Err("it is neither force")),
        ("spec[]=leave", Err("`[]` names no item: `[name=app]`, `[0]` or `[*]` do")),
        ("spec[=]a=leave", Err("`a` follows a bracket: a `.` or `[` is missing")),
        ("spec[\"a]=leave", Err("it is neither force")),
        ("spec[a=1,b]=leave", Err("`b` in `[a=1,b]` is not KEY=VALUE")),
        ("spec[\"a\"b]=leave", Err("`[\"a\"b]` is no name in quotes")),
        ("force,leave", Err("`leave`: another rule without a path says otherwise")),
        ("spec=force,spec=leave", Err("`spec=leave`: another one says force")),
    ];
    for (text, want) in rows {
        match (Rules::parse(text, Policy::Fail), want) {
            (Ok(rules), Ok(want)) => {
                assert_eq!(rules.to_string(), want, "{text}");
                let again = Rules::parse(want, Policy::Force).unwrap();
                assert_eq!(again.to_string(), want, "{text}");
                let kept = serde_json::to_value(&rules).unwrap();
                assert_eq!(serde_json::from_value::<Rules>(kept).unwrap(), rules, "{text}");
            }
            (Err(error), Err(want)) => {
                let error = error.to_string();
                assert!(error.starts_with("rule of conflicts `"), "{error}");
                assert!(error.contains(want), "{text}: {want}\nis not in\n{error}");
            }
            (seen, want) => panic!("{text}: {seen:?}, and not {want:?}"),
        }
    }
}

#[test]
fn rules_that_say_the_same_of_all_are_known() {
    let rows = [
        ("force", true, Policy::Force, false),
        ("force,spec=force", true, Policy::Force, false),
        ("force,StatefulSet:spec=leave", false, Policy::Force, true),
        ("force,Deployment:spec=leave", false, Policy::Leave, true),
        ("force,Deployment:spec=leave,spec.replicas=fail", false, Policy::Fail, true),
        ("force,Deployment:spec=fail", false, Policy::Fail, false),
    ];
    for (text, is_force, strictest, leaves) in rows {
        let rules = Rules::parse(text, Policy::Fail).unwrap();
        let seen = (rules.is_just(Policy::Force), rules.strictest(&object().id()), rules.leaves());
        assert_eq!(seen, (is_force, strictest, leaves), "{text}");
    }
}

fn cause(manager: &str, field: &str) -> StatusCause {
    StatusCause {
        reason: "FieldManagerConflict".to_owned(),
        message: format!("conflict with \"{manager}\" using apps/v1"),
        field: field.to_owned(),
    }
}

/// Who applies, the rules, who manages which field, and what is done about whose.
type MetRow<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn who_is_in_the_way_is_decided() {
    let mut live = object();
    live.0["spec"]["replicas"] = json!(7);
    let mark = ".metadata.annotations.meta.helm.sh/release-name";
    let replicas = ".spec.replicas";
    let rows: &[MetRow<'_>] = &[
        ("helm", "leave", &[("hpa", replicas)], &["spec.replicas of hpa: leave 7 2"]),
        ("helm", "force", &[("hpa", replicas)], &["spec.replicas of hpa: force 7 2"]),
        // Who acted on the release before is left nothing.
        (
            "helm",
            "leave",
            &[("helm-controller", replicas)],
            &["spec.replicas of helm-controller: force 7 2"],
        ),
        (
            "helm",
            "fail",
            &[("helm-controller", replicas)],
            &["spec.replicas of helm-controller: fail 7 2"],
        ),
        ("helm-controller", "fail", &[("helm", replicas)], &["spec.replicas of helm: force 7 2"]),
        ("helm-controller", "leave", &[("helm", replicas)], &["spec.replicas of helm: force 7 2"]),
        ("helm", "fail", &[("helm", replicas)], &["spec.replicas of helm: fail 7 2"]),
        (
            "helm-controller",
            "leave",
            &[("helm", replicas), ("hpa", replicas)],
            &["spec.replicas of hpa: leave 7 2"],
        ),
        // An object is not given away.
        (
            "helm",
            "leave",
            &[("x", mark)],
            &["metadata.annotations.meta.helm.sh/release-name of x: force \"web\" \"web\""],
        ),
        (
            "helm",
            "fail",
            &[("x", mark)],
            &["metadata.annotations.meta.helm.sh/release-name of x: fail \"web\" \"web\""],
        ),
        // What cannot be found cannot be left.
        ("helm", "force,spec=leave", &[("x", ".spec.none")], &["spec.none of x: fail ? ?"]),
        (
            "helm",
            "force,Service:spec=leave",
            &[("x", ".spec.none")],
            &["spec.none of x: force ? ?"],
        ),
    ];
    for (applier, rules, causes, want) in rows {
        let rules = Rules::parse(rules, Policy::Fail).unwrap();
        let object = object();
        let meeting = Meeting { rules: &rules, applier, object: &object, live: Some(&live) };
        let causes: Vec<_> = causes.iter().map(|(manager, field)| cause(manager, field)).collect();
        let text = |value: Option<Value>| value.map_or("?".to_owned(), |value| value.to_string());
        let seen: Vec<String> = meeting
            .conflicts(&causes.iter().collect::<Vec<_>>())
            .into_iter()
            .map(|Conflict { field, manager, policy, live, ours }| {
                let (live, ours) = (text(live), text(ours));
                format!("{field} of {manager}: {} {live} {ours}", policy.word())
            })
            .collect();
        assert_eq!(seen, *want, "{applier} {rules} {causes:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_is_left_is_taken_out() {
    let app = "spec.template.spec.containers[name=\"app\"]";
    let first = "spec.template.spec.containers[name=\"a,b]\"]";
    let [tcp, udp] = ["TCP", "UDP"]
        .map(|protocol| format!("{app}.ports[containerPort=80,protocol=\"{protocol}\"]"));
    let without = |edit: &dyn Fn(&mut Value)| {
        let mut value = deployment();
        edit(&mut value);
        value
    };
    let take = |value: &mut Value, parent: &str, key: &str| {
        value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    };
    let list = |value: &mut Value, pointer: &str, kept: &[usize]| {
        let items = value.pointer_mut(pointer).unwrap().as_array_mut().unwrap();
        *items = kept.iter().map(|at| items[*at].clone()).collect();
    };
    let containers = "/spec/template/spec/containers";
    let rows: Vec<(&str, Vec<String>, Value)> = vec![
        ("a field", vec!["spec.replicas".into()], without(&|v| take(v, "/spec", "replicas"))),
        (
            "a name with dots",
            vec!["metadata.annotations.a.b/c".into()],
            without(&|v| take(v, "/metadata/annotations", "a.b/c")),
        ),
        (
            "the last field of a map, and of the map above",
            vec!["spec.template.metadata.annotations.at".into()],
            without(&|v| take(v, "/spec/template", "metadata")),
        ),
        (
            "all but the name of an item",
            vec![format!("{first}.image")],
            without(&|v| take(v, &format!("{containers}/0"), "image")),
        ),
        (
            "a whole list",
            vec!["spec.template.spec.tolerations".into()],
            without(&|v| take(v, "/spec/template/spec", "tolerations")),
        ),
        (
            "items, the first one first",
            vec!["finalizers[=\"x\"]".into(), "finalizers[=\"y\"]".into()],
            without(&|v| take(v, "", "finalizers")),
        ),
        (
            "an item",
            vec![tcp.clone()],
            without(&|v| list(v, &format!("{containers}/1/ports"), &[1])),
        ),
        (
            "both ports, and what is in one of them",
            vec![tcp.clone(), format!("{udp}.name"), udp],
            without(&|v| take(v, &format!("{containers}/1"), "ports")),
        ),
        ("nothing that is not there", vec!["spec.none".into()], deployment()),
    ];
    for (name, fields, want) in rows {
        let conflicts: Vec<Conflict> = fields
            .into_iter()
            .map(|field| Conflict {
                field,
                manager: "x".to_owned(),
                policy: Policy::Leave,
                live: None,
                ours: None,
            })
            .collect();
        let mut object = object();
        leave(&mut object, &conflicts);
        assert_eq!(object.0, want, "{name}");
    }
    let mut whole = object();
    let force = Conflict {
        field: "spec.replicas".to_owned(),
        manager: "x".to_owned(),
        policy: Policy::Force,
        live: None,
        ours: None,
    };
    leave(&mut whole, &[force]);
    assert_eq!(whole.0, deployment(), "what is taken stays in");
}

#[test]
fn what_stands_below_an_error_tells_owner_values_and_a_way_out() {
    let conflict = |field: &str, policy| Conflict {
        field: field.to_owned(),
        manager: "kubectl-edit".to_owned(),
        policy,
        live: Some(json!(5)),
        ours: Some(json!(2)),
    };
    let id = object().id();
    let both = [conflict("spec.paused", Policy::Leave), conflict("spec.replicas", Policy::Fail)];
    assert_eq!(
        details(&id, &both),
        "Deployment/shop/web: spec.replicas belongs to kubectl-edit: it is 5 there, and 2 in the \
         release\nhint: --conflicts 'spec.replicas=leave' leaves it to kubectl-edit, \
         'spec.replicas=force' takes it over (of a HelmRelease: annotation leadsman.dev/conflicts)"
    );
    assert_eq!(details(&id, &both[..1]), "");
    let secret = Conflict {
        field: "data.password".to_owned(),
        live: Some(json!("c2VjcmV0")),
        ours: Some(Value::Null),
        ..conflict("", Policy::Fail)
    };
    let masked = secret.clone().masked("v1", "Secret");
    assert_eq!(masked.live, Some(json!("*** (6 bytes)")));
    assert_eq!(masked.ours, Some(Value::Null));
    assert_eq!(secret.clone().masked("v1", "ConfigMap"), secret);
}
