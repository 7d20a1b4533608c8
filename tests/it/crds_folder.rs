//! What lies in `crds/` of a chart: installed by the first install and never again by anybody, the
//! same by Helm and by Leadsman, each in a cluster of its own.
//!
//! Source: helm v4.3.1 pkg/action/install.go (`installCRDs`), pkg/chart/v2/chart.go (`CRDObjects`).

use serde_json::{Value, json};

use crate::commands::{World, normal};
use crate::support::api::Api;
use crate::support::leadsman::Leadsman;

fn definition(kind: &str, about: &str) -> Value {
    let (single, many) = (kind.to_lowercase(), format!("{}s", kind.to_lowercase()));
    let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{many}.crds.leadsman.dev"), "annotations": {"about": about}},
        "spec": {
            "group": "crds.leadsman.dev", "scope": "Namespaced",
            "names": {"kind": kind, "plural": many, "singular": single, "listKind": format!("{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"spec": spec}},
            }}],
        },
    })
}

fn object(kind: &str) -> String {
    format!(
        "apiVersion: crds.leadsman.dev/v1\nkind: {kind}\nmetadata: {{name: \"{{{{ .Release.Name }}}}\"}}\nspec: {{n: 1}}\n"
    )
}

/// Charts in the folder of a player.
fn charts(leadsman: &Leadsman) {
    let chart = |name: &str| format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
    // `later` is what `stack` becomes: one definition has changed, another one is new.
    for (name, about) in [("stack", "{{ .Values.not.read }}"), ("later", "changed")] {
        let file = |path: &str, text: &str| leadsman.file(&format!("{name}/{path}"), text);
        file("Chart.yaml", &chart("stack"));
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n";
        file("crds/a.yaml", &format!("{}\n---\n{map}", definition("Gear", about)));
        file("crds/below/b.YML", &definition("Bolt", about).to_string());
        file(
            "crds/c.json",
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}})
                .to_string(),
        );
        file("crds/readme.txt", "no: definition");
        file("charts/sub/Chart.yaml", &chart("sub"));
        file("charts/sub/crds/d.yaml", &definition("Nut", about).to_string());
        if name == "later" {
            file("crds/new.yaml", &definition("Washer", about).to_string());
        }
        file("templates/gear.yaml", &object("Gear"));
        file("charts/sub/templates/nut.yaml", &object("Nut"));
    }
    for name in ["other", "inside"] {
        leadsman.file(&format!("{name}/Chart.yaml"), &chart(name));
    }
    leadsman.file("other/crds/a.yaml", &definition("Spring", "").to_string());
    leadsman.file("other/templates/spring.yaml", &object("Spring"));
    leadsman.file("inside/templates/a.yaml", &definition("Pin", "").to_string());
}

/// Where it comes from, and the step.
const ROWS: &[(&str, &str)] = &[
    ("§5 of the chart first, then of those in it", "template a STACK --include-crds"),
    ("§5 not in the manifest", "template a STACK"),
    ("§5 nothing is made", "install a STACK --dry-run=client"),
    ("§5 before anything is rendered", "install a STACK"),
    ("§5 not in the manifest", "get manifest a"),
    ("§5 never upgraded", "upgrade a LATER"),
    ("§5 never upgraded, a new one neither", "get manifest a"),
    ("§5 what is there is skipped", "install b STACK"),
    ("§5 never deleted", "uninstall a"),
    ("§5 never deleted", "uninstall b"),
    ("§5 not wanted", "install c OTHER --skip-crds"),
    ("§5 not wanted, and so its kind is unknown", "history c"),
    ("§5 an upgrade that installs", "upgrade d OTHER --install"),
    ("§5 an upgrade that installs", "status d"),
    ("§5 those of templates are objects like others", "install e INSIDE"),
    ("§5 those of templates are objects like others", "get manifest e"),
    ("§5 those of templates are objects like others", "uninstall e"),
];

/// What of an object two players must have in common: also who owns which of its fields.
fn seen(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let owners = metadata["managedFields"].as_array().into_iter().flatten();
    // Those of status are the server's own.
    let owners = owners.filter(|entry| entry["subresource"].is_null());
    let owners: Vec<_> =
        owners.map(|entry| json!([entry["manager"], entry["operation"]])).collect();
    json!([metadata["name"], metadata["labels"], metadata["annotations"], owners])
}

/// Everything that lies in the cluster of a player.
async fn objects(api: &Api) -> Value {
    let mut found = Vec::new();
    for path in [
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/api/v1/namespaces/default/configmaps",
        "/apis/crds.leadsman.dev/v1/namespaces/default/gears",
        "/apis/crds.leadsman.dev/v1/namespaces/default/nuts",
        "/apis/crds.leadsman.dev/v1/namespaces/default/springs",
    ] {
        let is_served = api.get(path).await.is_some();
        let these = if is_served { api.list(path).await } else { Vec::new() };
        found.push(json!([path, these.iter().map(seen).collect::<Vec<_>>()]));
    }
    json!(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_made_once_and_left_alone_as_by_helm() {
    let (Some(theirs), Some(ours)) = (World::start().await, World::start().await) else { return };
    charts(&ours.leadsman);
    let apis = [theirs.api().await, ours.api().await];
    let folder = ours.leadsman.folder().to_path_buf();
    let (mut wrong, mut made) = (Vec::new(), Vec::new());
    for (source, line) in ROWS {
        let words = line.split(' ').map(|word| match word {
            "STACK" | "LATER" | "OTHER" | "INSIDE" => {
                folder.join(word.to_lowercase()).to_string_lossy().into_owned()
            }
            word => word.to_owned(),
        });
        let words: Vec<String> = words.collect();
        let helm = theirs.helm.run(&words).await;
        let own = ours.leadsman.run(&words).await;
        let notes = |errors: &str| {
            let told = errors.lines().filter(|line| !line.starts_with("level="));
            told.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        let [helm, own] = [helm, own].map(|said| {
            normal(&format!("{:?}\n{}{}", said.code, said.stdout, notes(&said.stderr)))
        });
        if helm != own {
            wrong.push(format!("{source}: {line}\n--- Helm\n{helm}\n--- Leadsman\n{own}"));
        }
        let (helm, own) = (objects(&apis[0]).await, objects(&apis[1]).await);
        if helm != own {
            wrong.push(format!("{source}: {line}\n--- Helm's\n{helm}\n--- ours\n{own}"));
        }
        made.push(own.to_string());
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    // What the rows are about has happened.
    let after = |line: &str| {
        let at = ROWS.iter().position(|(_, known)| *known == line).unwrap();
        made[at].as_str()
    };
    let has = |line: &str, text: &str| after(line).contains(text);
    assert!(!has("install a STACK --dry-run=client", "gears.crds"));
    for text in ["gears.crds", "bolts.crds", "nuts.crds", "\"beside\"", "\"json\"", "not.read"] {
        assert!(has("install a STACK", text) && has("uninstall b", text), "{text}");
    }
    assert!(!has("upgrade a LATER", "changed") && !has("upgrade a LATER", "washers"));
    assert!(!has("install c OTHER --skip-crds", "springs.crds.leadsman.dev\""));
    assert!(has("upgrade d OTHER --install", "springs.crds.leadsman.dev\""));
    assert!(has("install e INSIDE", "pins.crds") && !has("uninstall e", "pins.crds"));
}
