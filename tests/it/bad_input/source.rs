//! Mistakes in the SOURCE folder: each is said once, with file and line, and the rest is used.

use super::site::{Ground, Row, Site, release};
use crate::support::api::condition;
use crate::support::wait::{SOON, until};

/// Writes them all.
fn mistakes(site: &Site) {
    let object = |kind: &str, name: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {}}}\n",
            site.namespace
        )
    };
    let file = |name: &str, text: &str| site.leadsman.file(&format!("source/{name}"), text);
    file("broken.yaml", &format!("{}---\na: 1\nb: [1\nc: 2\n", object("ConfigMap", "in-broken")));
    file("tag.yaml", "a: 1\nb: [!x,\n");
    file("first.yaml", &format!("{}data: {{from: first}}\n", object("ConfigMap", "twice")));
    file(
        "second.yaml",
        &format!("# other\n---\n{}data: {{from: second}}\n", object("ConfigMap", "twice")),
    );
    file("nameless.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    file("unserved.yaml", &object("Gadget", "x"));
    file("huge.yaml", &"# padding\n".repeat((5 << 20) / 10 + 1));
    std::fs::write(site.leadsman.folder().join("source/binary.yaml"), b"a: \xff\n").unwrap();
    site.leadsman.file(
        "source/field.yaml",
        &format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n\
             metadata: {{name: field, namespace: {}}}\nspec: {{interval: often}}\n",
            site.namespace
        ),
    );
    let never = "99999999h";
    let repository = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n\
         metadata: {{name: never, namespace: {}}}\nspec: {{interval: {never}, url: \"{}\"}}\n",
        site.namespace,
        site.repository.url()
    );
    file("never-repository.yaml", &repository);
    site.release("never", "web", "1.x", "  releaseName: never\n");
    let text = std::fs::read_to_string(site.leadsman.folder().join("source/never.yaml")).unwrap();
    file("never.yaml", &text.replace("interval: 1s", &format!("interval: {never}")));
    site.release("circle-a", "web", "1.x", "  dependsOn: [{name: circle-b}]\n");
    site.release("circle-b", "web", "1.x", "  dependsOn: [{name: circle-c}]\n");
    site.release("circle-c", "web", "1.x", "  dependsOn: [{name: circle-a}]\n");
    site.release("self", "web", "1.x", "  dependsOn: [{name: self}]\n");
}

async fn table(ground: &Ground) {
    let site = Site::new(ground, "source").await;
    mistakes(&site);
    let running = site.run();
    let circle = |name| Row {
        condition: ("Stalled", "True", "DependencyCycle"),
        ..release(
            name,
            "",
            &["wait for each other", "/circle-b →"],
            "remove one of these dependsOn entries",
        )
    };
    let own = Row { parts: &["/self → "], ..circle("self") };
    let never =
        release("never", "InvalidObject", &["cannot be read", "`99999999h`"], "correct its spec");
    let repository = Row { kind: "HelmRepository", ..never.clone() };
    let rows = [circle("circle-a"), circle("circle-b"), circle("circle-c"), own, never, repository];
    site.check(&running, &rows).await;
    let twice = format!("ConfigMap/{}/twice is also in first.yaml:1", site.namespace);
    for (place, cause, todo) in [
        ("broken.yaml:7: ", "yaml: line ", "correct the file"),
        ("tag.yaml:2: ", "did not find expected whitespace", "correct the file"),
        ("second.yaml:3: ", twice.as_str(), "remove one of them"),
        ("nameless.yaml:1: ", "not a Kubernetes object", "add apiVersion, kind and metadata.name"),
        ("unserved.yaml:1: Gadget/", "no matches for kind \"Gadget\"", "correct the object"),
        ("huge.yaml: ", "larger than 5242880 bytes", "correct the file"),
        ("binary.yaml: ", "not UTF-8", "correct the file"),
        ("field.yaml:1: HelmRelease/", "interval", "correct the object"),
    ] {
        let is_it = |line: &str| {
            line.starts_with(&format!("SOURCE {place}"))
                && line.contains(cause)
                && line.contains(todo)
        };
        running.line(SOON, is_it).await;
        let said = running.output().lines().filter(|line| is_it(line)).count();
        assert_eq!(said, 1, "{place} is said {said} times");
    }
    assert_eq!(site.data("twice").await, serde_json::json!({"from": "first"}));
    assert!(site.data("in-broken").await.is_null(), "a part of a broken file was applied");
    assert_eq!(site.object("HelmRelease", "field").await, serde_json::Value::Null);
    corrected(&site, &running).await;
}

/// What is put right is applied, and said.
async fn corrected(site: &Site, running: &crate::support::leadsman::Running) {
    let folder = site.leadsman.folder().join("source");
    for name in ["tag", "second", "nameless", "unserved", "huge", "binary", "field", "self"] {
        std::fs::remove_file(folder.join(format!("{name}.yaml"))).unwrap();
    }
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: in-broken, namespace: {}}}\ndata: {{a: b}}\n",
        site.namespace
    );
    site.leadsman.file("source/broken.yaml", &text);
    running.line(SOON, |line| line == "SOURCE: all is applied now").await;
    assert_eq!(site.data("in-broken").await, serde_json::json!({"a": "b"}));
    // One entry less, and all three can go on; each needs the one before to be ready.
    site.release("circle-c", "web", "1.x", "");
    site.release("never", "web", "1.x", "");
    for name in ["circle-c", "circle-b", "circle-a", "never"] {
        site.runs(name, "1.0.0").await;
    }
    until("nothing is stalled any more", SOON, async || {
        let release = site.object("HelmRelease", "circle-a").await;
        condition(&release, "Stalled").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_said_with_file_and_line_in_the_simulated_cluster() {
    table(&Ground::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_said_with_file_and_line_on_a_real_api_server() {
    let Some(ground) = Ground::real() else { return };
    table(&ground).await;
}
