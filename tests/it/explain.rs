//! `leadsman explain values`: each value and who set it.

use crate::support::chart::{web, yaml};
use crate::support::leadsman::Leadsman;
use crate::support::pack::Package;
use crate::support::repository::Repository;
use crate::support::wait::SOON;

fn write_chart(leadsman: &Leadsman) {
    let files = [
        (
            "c/Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: d, version: 1.x, condition: d.enabled}\n",
        ),
        ("c/values.yaml", "image:\n  tag: v1\n  pull: Always\nlist: [1]\nextra: {}\nd:\n  a: 1\n"),
        ("c/charts/d/Chart.yaml", "apiVersion: v2\nname: d\nversion: 1.0.0\n"),
        ("c/charts/d/values.yaml", "a: 0\nb: 2\n"),
        ("v.yaml", "image:\n  tag: v2\n  pull: null\nimagee: x\nextra:\n  any.thing: 1\n"),
    ];
    for (name, text) in files {
        leadsman.file(name, text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_chart_are_explained() {
    let leadsman = Leadsman::new();
    write_chart(&leadsman);
    let base = ["explain", "values", "c", "-f", "v.yaml", "--set", "d.b=3,list[1]=2"];
    let table = leadsman.run(&base).await.success();
    let lines: Vec<String> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "KEY VALUE SET BY",
            "d.a 1 c/values.yaml:7",
            "d.b 3 --set",
            "d.global {}",
            "extra.any\\.thing 1 v.yaml:6",
            "image.tag v2 v.yaml:2",
            "imagee x v.yaml:4",
            "list [null,2] --set",
            "deleted by null: image.pull in v.yaml:3; it was Always in c/values.yaml:3",
            "not known to the chart: imagee in v.yaml:4; similar: image",
        ]
        .map(|line| {
            if line.starts_with("image.tag")
                || line.starts_with("imagee ")
                || line.starts_with("deleted")
                || line.starts_with("not known")
            {
                line.replace("v2 ", "\"v2\" ")
                    .replace("imagee x", "imagee \"x\"")
                    .replace("Always", "\"Always\"")
            } else {
                line.to_owned()
            }
        }),
        "{table}"
    );
    let verbose = leadsman.run(&[&base[..], &["-v"]].concat()).await.success();
    assert!(
        verbose.contains("1 in c/values.yaml:7")
            || verbose.contains("2 in c/charts/d/values.yaml:2"),
        "{verbose}"
    );
    assert!(verbose.contains("\"v1\" in c/values.yaml:2"), "{verbose}");
    let json = leadsman.run(&[&base[..], &["-o", "json"]].concat()).await.success();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = |path: &str| {
        let rows = json["values"].as_array().unwrap();
        rows.iter().find(|row| row["path"] == path).unwrap().clone()
    };
    assert_eq!(
        row("d.b"),
        serde_json::json!({"path": "d.b", "value": 3, "source": {"kind": "flag", "place": "--set"},
            "overrode": [{"value": 2.0, "source":
                {"kind": "chart default", "place": "c/charts/d/values.yaml:2", "path": "b"}}]})
    );
    assert_eq!(row("d.a")["source"]["kind"], "parent chart");
    assert_eq!(row("image.tag")["source"]["kind"], "values file");
    assert_eq!(json["unknown"][0]["similar"][0], "image");
    assert_eq!(json["deleted"][0]["path"], "image.pull");
    let yaml = leadsman.run(&[&base[..], &["-o", "yaml"]].concat()).await.success();
    assert!(yaml.starts_with("deleted:\n") && yaml.contains("unknown:\n"), "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_comes_from_where_template_takes_it() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let leadsman = Leadsman::new();
    let package: Package = web("1.0.0", "");
    std::fs::write(leadsman.folder().join(&package.file), &package.bytes).unwrap();
    let archive = leadsman.run(&["explain", "values", &package.file]).await.success();
    let named =
        leadsman.run(&["explain", "values", "web", "--repo", &repository.url()]).await.success();
    assert_eq!(archive, named);
    assert!(named.contains("web/values.yaml:2"), "{named}");
    let release = leadsman.run(&["explain", "values", "web", "--set", "a=1"]).await;
    assert_eq!(release.code, Some(1));
    assert!(release.stderr.contains("`web` is a release"), "{}", release.stderr);
    let missing = leadsman.run(&["explain", "values", "./web"]).await;
    assert!(missing.stderr.contains("path \"./web\" not found"), "{}", missing.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_release_are_explained() {
    let repository = Repository::start();
    repository.publish_package(web("1.0.0", ""));
    let server = Leadsman::new();
    let simulated = server.spawn(&["sim", "--kubeconfig-out", "kubeconfig"]);
    simulated.line(SOON, |line| line.contains("the simulated cluster listens")).await;
    let leadsman = Leadsman::new().kubeconfig(&server.folder().join("kubeconfig"));
    let spec = "  values: {replicas: 2, replica: 5}\n  valuesFrom:\n  - {kind: ConfigMap, name: base}\n  \
                - {kind: Secret, name: hidden, valuesKey: pw, targetPath: login}\n";
    leadsman.file("source/web.yaml", &yaml("apps", "web", &repository.url(), spec));
    leadsman.file(
        "source/from.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base, namespace: apps}\ndata: {values.yaml: \"# base\\nmessage: hi\\nreplicas: 1\\n\"}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {name: hidden, namespace: apps}\nstringData: {pw: s3cr3t}\n",
    );
    let once = leadsman.run(&["run", "source", "--once", "--interval", "1s"]).await;
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    let explain = async |more: &[&str]| {
        let all = [&["explain", "values", "web", "-n", "apps", "-v"], more].concat();
        let text = leadsman.run(&all).await.success();
        let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(squeeze).collect::<Vec<_>>().join("\n")
    };
    let table = explain(&[]).await;
    for line in [
        "login *** Secret/hidden key pw at login *** in Secret/hidden key pw at login",
        "message \"hi\" ConfigMap/base key values.yaml:2 \"hello\" in web/values.yaml:2",
        "replicas 2 spec.values 1 in ConfigMap/base key values.yaml:3, 1 in web/values.yaml:1",
        "not known to the chart: login in Secret/hidden key pw at login",
        "not known to the chart: replica in spec.values; similar: replicas",
    ] {
        assert!(table.contains(line), "no {line} in\n{table}");
    }
    assert!(!table.contains("s3cr3t"), "{table}");
    assert!(explain(&["--show-secrets"]).await.contains("login \"s3cr3t\" Secret/hidden"));

    // Without its HelmRelease, the record tells.
    leadsman.run(&["suspend", "web", "-n", "apps"]).await.success();
    let by_record = leadsman.run(&["explain", "values", "nobody", "-n", "apps"]).await;
    assert!(by_record.stderr.contains("release: not found"), "{}", by_record.stderr);
}
