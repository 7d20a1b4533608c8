//! Releases pass from hand to hand: whatever mix of Helm 4, Helm 3 and Leadsman takes the steps,
//! all say the same of the release after each, and the cluster holds what it would hold had Helm 4
//! taken Leadsman's steps.

mod corpus;
mod world;

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;

use crate::commands::explains_conflict;
use crate::support::control_plane::ControlPlane;
use crate::support::fixtures;
use crate::support::leadsman::Leadsman;
use crate::support::wait::SOON;
use world::{Place, Player, World, normal};

/// Steps, one a line; `WEB`, `MAPS`, `THING` and `HOOKED` are the folders of charts. `@` begins a change by
/// somebody else: the path of an object and a merge patch. After `!` comes a step that must fail.
struct Script {
    name: &'static str,
    steps: &'static str,
    /// Who takes each step: `H` is Helm 4, `T` Helm 3, `L` Leadsman.
    mixes: &'static [&'static str],
}

const MIXES: &[&str] = &["LLLLL", "HLHLH", "LHLHL", "TLLTL"];

const SCRIPTS: &[Script] = &[
    Script {
        name: "web",
        steps: "install rel WEB/1.0.0
upgrade rel WEB/1.1.0 --set message=hi
rollback rel 1
upgrade rel WEB/1.1.0 --reuse-values --set message=again
uninstall rel",
        mixes: MIXES,
    },
    Script {
        name: "maps",
        steps: "install rel MAPS/1 --set n=1000000 --labels team=a
upgrade rel MAPS/2 --labels more=b --description second
rollback rel
upgrade rel MAPS/1 --reset-then-reuse-values --set extra.x=1
uninstall rel --keep-history",
        mixes: MIXES,
    },
    Script {
        name: "again",
        steps: "install rel MAPS/2 --no-hooks
upgrade rel MAPS/1 --set big=12345678
uninstall rel --keep-history --description away
install rel MAPS/2 --replace
upgrade rel MAPS/1 --history-max 2 --reset-values",
        mixes: MIXES,
    },
    Script {
        name: "client",
        steps: "install rel WEB/1.0.0 --server-side=false
@ apis/apps/v1/namespaces/SPACE/deployments/rel {\"spec\":{\"replicas\":3,\"paused\":true}}
@ api/v1/namespaces/SPACE/configmaps/rel {\"data\":{\"message\":\"drift\",\"own\":\"x\"}}
upgrade rel WEB/1.1.0 --server-side=auto
upgrade rel WEB/1.1.0 --set replicas=2 --server-side=true --force-conflicts
@ api/v1/namespaces/SPACE/configmaps/rel {\"data\":{\"message\":\"drift\"}}
upgrade rel WEB/1.0.0 --server-side=false
rollback rel 3 --force-conflicts",
        // Helm 3 forgets the method of the records that it rewrites.
        mixes: &["LLLLL", "HLHLH", "LHLHL", "TLLLL"],
    },
    Script {
        name: "method",
        steps: "install rel MAPS/1 --server-side=false
upgrade rel MAPS/2
upgrade rel MAPS/1 --server-side=true
rollback rel 2
rollback rel 3
upgrade rel MAPS/2",
        mixes: &["LLLLLL", "HLHLHL", "LHLHLH", "TLLHLL", "THLLLT"],
    },
    Script {
        name: "force",
        steps: "install rel WEB/1.0.0 --server-side=false --force-replace
@ api/v1/namespaces/SPACE/services/rel {\"metadata\":{\"labels\":{\"own\":\"x\"}}}
@ apis/apps/v1/namespaces/SPACE/deployments/rel {\"spec\":{\"paused\":true}}
upgrade rel WEB/1.1.0 --force-replace --server-side=false
upgrade rel WEB/1.0.0 --force-replace
rollback rel 2 --force-replace --server-side=false
@ api/v1/namespaces/SPACE/configmaps/rel {\"data\":{\"own\":\"x\"}}
rollback rel 1 --server-side=false",
        mixes: &["LLLLL", "HLHLH", "LHLHL", "TLTLT"],
    },
    Script {
        name: "refused",
        steps: "install rel MAPS/1 --force-replace
!upgrade rel MAPS/2 --force-replace
!upgrade rel MAPS/2 --server-side=false --force-conflicts
!upgrade rel MAPS/2 --server-side=maybe
!install s MAPS/1 --server-side=false --force-conflicts
upgrade rel MAPS/2 --server-side=false",
        mixes: &["LLLLLL", "HLLLLL", "LHLHLH"],
    },
    Script {
        name: "thing",
        steps: "install rel THING/1 --server-side=false
@ apis/exchange.leadsman.dev/v1/namespaces/SPACE/things/both {\"spec\":{\"n\":\"drift\",\"own\":\"x\"}}
upgrade rel THING/1 --server-side=false
upgrade rel THING/2
rollback rel 1
upgrade rel THING/2 --server-side=true --force-conflicts",
        mixes: &["LLLLL", "HLHLH", "LHLHL", "TLLLL"],
    },
    Script {
        name: "waits",
        steps: "install rel WEB/1.0.0 --wait=legacy --timeout 60s
upgrade rel WEB/1.1.0 --set replicas=2 --wait=legacy --timeout 60s
!upgrade rel WEB/1.0.0 --set fate=unready --wait=legacy --timeout 5s
rollback rel 1 --wait=legacy --timeout 60s",
        mixes: &["LLLL", "HLLH"],
    },
    Script {
        name: "legacy",
        steps: "install rel HOOKED/1 --wait=legacy --timeout 60s
!upgrade rel HOOKED/1 --set job=fail --wait=legacy --timeout 60s
!upgrade rel HOOKED/1 --set pod=fail --wait=legacy --timeout 60s
!upgrade rel HOOKED/1 --set pod=unready --wait=legacy --timeout 3s
!upgrade rel HOOKED/1 --set job=unready --wait=legacy --timeout 3s
upgrade rel HOOKED/1 --wait=legacy --timeout 60s
!install other HOOKED/1 --set job=fail --wait=legacy --timeout 60s",
        mixes: &["LLLLLLL", "HLHLHLH"],
    },
    Script {
        name: "made",
        steps: "install rel HOOKED/2
@ api/v1/namespaces/SPACE/configmaps/stays {\"data\":{\"text\":\"drift\"}}
!upgrade rel HOOKED/2 --set n=2
!upgrade rel HOOKED/2 --set wrong=yes
uninstall rel",
        mixes: &["LLLL", "HLHL"],
    },
    Script {
        name: "adopted",
        steps: "install rel THING/1 --server-side=false --set stays=true
uninstall rel
@ api/v1/namespaces/SPACE/configmaps/kept {\"data\":{\"own\":\"x\",\"n\":\"drift\"},\"metadata\":{\"labels\":{\"app.kubernetes.io/managed-by\":null}}}
@ apis/exchange.leadsman.dev/v1/namespaces/SPACE/things/stays {\"spec\":{\"own\":\"x\",\"n\":\"drift\"}}
!install rel THING/1 --server-side=false --set stays=true
install rel THING/1 --server-side=false --take-ownership --set stays=true
upgrade rel THING/2
upgrade rel THING/1 --set stays=true",
        mixes: &["LLLLLL", "HLHLHL", "LHLHLH"],
    },
];

/// Charts of maps and of things in two versions: the second lacks one and has another.
fn charts(leadsman: &Leadsman) {
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
        let file = |name: &str, text: &str| {
            leadsman.file(&format!("thing/{version}/{name}"), text);
        };
        file("Chart.yaml", &format!("apiVersion: v2\nname: thing\nversion: {version}.0.0\n"));
        let thing = |name: &str| {
            format!(
                "apiVersion: exchange.leadsman.dev/v1\nkind: Thing\nmetadata: {{name: {name}}}\nspec: {{n: \"{version}\", {own}: x, list: [{{name: a, v: \"{version}\"}}]}}\n"
            )
        };
        file("templates/both.yaml", &thing("both"));
        file(&format!("templates/{own}.yaml"), &thing(own));
        let kept = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n";
        if version == "1" {
            file("templates/kept.yaml", &format!("{kept}data: {{n: \"1\"}}\n"));
            let stays = "metadata: {name: stays, annotations: {helm.sh/resource-policy: keep}}";
            let stays = thing("stays").replace("metadata: {name: stays}", stays);
            let stays = format!("{{{{ if .Values.stays }}}}\n{stays}{{{{ end }}}}\n");
            file("templates/stays.yaml", &stays);
        }
    }
}

/// A chart with hooks that are awaited, and one whose hook stays.
fn hooked(leadsman: &Leadsman) {
    let file = |version: &str, name: &str, text: &str| {
        leadsman.file(&format!("hooked/{version}/{name}"), text);
    };
    for version in ["1", "2"] {
        let chart = format!("apiVersion: v2\nname: hooked\nversion: {version}.0.0\n");
        file(version, "Chart.yaml", &chart);
        file(version, "values.yaml", "job: good\npod: good\nn: 1\nwrong: \"\"\n");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n";
        file(version, "templates/own.yaml", map);
    }
    let run = "{restartPolicy: Never, containers: [{name: a, image: a}]}";
    let fate = |kind: &str| {
        format!(
            "{{{{ with .Values.{kind} }}}}{{{{ if ne . \"good\" }}}}test/fail: {{{{ . }}}}{{{{ end }}}}{{{{ end }}}}"
        )
    };
    let hook = |events: &str| format!("annotations: {{helm.sh/hook: \"{events}\"}}");
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: job\n  {}\nspec:\n  backoffLimit: 0\n  \
         template:\n    metadata:\n      annotations:\n        {}\n    spec: {run}\n",
        hook("pre-install,pre-upgrade"),
        fate("job"),
    );
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: pod\n  annotations:\n    \
         helm.sh/hook: \"post-install,post-upgrade\"\n    {}\nspec: {run}\n",
        fate("pod"),
    );
    file("1", "templates/job.yaml", &job);
    file("1", "templates/pod.yaml", &pod);
    let stays = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: stays\n  annotations:\n    \
                 helm.sh/hook: pre-install,pre-upgrade\n    helm.sh/hook-delete-policy: hook-failed\n\
                 data: {text: \"{{ .Values.n }}\"}\n{{ with .Values.wrong }}unknown: {{ . }}\n{{ end }}";
    file("2", "templates/stays.yaml", stays);
}

/// After which steps everybody is asked what there is, which takes fifteen processes: after each
/// where `LEADSMAN_SEQUENCES` is `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    EachStep,
    AtTheEnd,
}

/// Whether `LEADSMAN_SEQUENCES` asks for everything.
fn all_wanted() -> bool {
    std::env::var("LEADSMAN_SEQUENCES").is_ok_and(|wanted| wanted == "all")
}

/// Plays the steps of a script; returns what was seen after each.
async fn play(
    world: &World,
    (script, asked): (&Script, Asked),
    mix: &str,
) -> Result<Vec<Vec<String>>, String> {
    let Script { name, steps, .. } = script;
    let namespace = world.api.create_namespace(&format!("x-{name}-{}", mix.to_lowercase())).await;
    let mut place = Place::new("rel", &namespace);
    let fixtures = fixtures().join("charts/web").to_string_lossy().into_owned();
    let folder = |name: &str| world.leadsman.folder().join(name).to_string_lossy().into_owned();
    let (maps, thing, hooked) = (folder("maps"), folder("thing"), folder("hooked"));
    let all = [Player::Helm, Player::Leadsman, Player::Three];
    // What the others say alone is what ours are held against.
    let everybody = if mix.contains('L') { &all[..] } else { &all[..1] };
    let (mut seen, mut players) = (Vec::new(), mix.chars());
    let last = steps.lines().count() - 1;
    for (number, line) in steps.lines().enumerate() {
        let failed = |error: String| format!("{name} {mix}, after `{line}`: {error}");
        if let Some(change) = line.strip_prefix("@ ") {
            let (path, patch) = change.split_once(' ').unwrap();
            let path = format!("/{}?fieldManager=editor", path.replace("SPACE", &namespace));
            let patch: Value = serde_json::from_str(patch).unwrap();
            world.api.merge(&path, &patch).await;
            seen.push(Vec::new());
            continue;
        }
        let who = Player::of(players.next().unwrap());
        let step = line.replace("WEB", &fixtures).replace("MAPS", &maps).replace("THING", &thing);
        let step = step.replace("HOOKED", &hooked);
        let (step, refused) = match step.strip_prefix('!') {
            Some(step) => (step, true),
            None => (step.as_str(), false),
        };
        let mut what = match (world.run(who, step, &namespace).await, refused) {
            (Ok(_), false) => Vec::new(),
            (Err(text), true) => vec![normal(&helms(&text), &place)],
            (Err(text), false) => return Err(failed(text)),
            (Ok(_), true) => return Err(failed("it did not fail".to_owned())),
        };
        let asked = if asked == Asked::EachStep || number == last { everybody } else { &[] };
        what.extend(world.seen(&mut place, asked).await.map_err(failed)?);
        seen.push(what);
    }
    Ok(seen)
}

/// Why a step failed, without what Leadsman tells of conflicts below Helm's own text.
fn helms(text: &str) -> String {
    text.lines().filter(|line| !explains_conflict(line)).collect::<Vec<_>>().join("\n")
}

/// Who would have taken the steps without Leadsman.
fn without_us(mix: &str) -> String {
    mix.replace('L', "H")
}

/// Plays every script in every mix, and tells where one differs from Helm alone.
async fn exchange(world: &World) {
    prepare(world).await;
    let asked = if all_wanted() { Asked::EachStep } else { Asked::AtTheEnd };
    let mut failures = Vec::new();
    for script in SCRIPTS {
        let mut mixes: Vec<String> = script.mixes.iter().map(|mix| (*mix).to_owned()).collect();
        mixes.extend(script.mixes.iter().map(|mix| without_us(mix)));
        mixes.sort();
        mixes.dedup();
        let plays = mixes.iter().map(|mix| play(world, (script, asked), mix));
        let played: BTreeMap<&String, _> = mixes.iter().zip(join_all(plays).await).collect();
        for mix in script.mixes {
            let [seen, helm] = [(*mix).to_owned(), without_us(mix)].map(|mix| &played[&mix]);
            match (seen, helm) {
                (Err(error), _) | (_, Err(error)) => failures.push(error.clone()),
                (Ok(seen), Ok(helm)) => {
                    // Objects and records, and besides them five texts.
                    let least = if asked == Asked::EachStep { 7 } else { 2 };
                    assert!(helm[0].len() > least, "{}: {:?}", script.name, helm[0]);
                    let title = format!("{} {mix}", script.name);
                    let steps: Vec<&str> = script.steps.lines().collect();
                    failures.extend(differing(&title, &steps, (seen, helm)));
                }
            }
        }
    }
    failures.sort();
    failures.dedup();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn differing(
    title: &str,
    steps: &[&str],
    (seen, helm): (&[Vec<String>], &[Vec<String>]),
) -> Option<String> {
    let after = steps.iter().zip(seen.iter().zip(helm));
    let (line, (seen, helm)) = { after }.find(|(_, (seen, helm))| seen != helm)?;
    let pairs = seen.iter().zip(helm).find(|(seen, helm)| seen != helm);
    let counts = format!("{} and {} parts", seen.len(), helm.len());
    let (seen, helm) = pairs.map_or((counts.as_str(), ""), |(seen, helm)| (seen, helm));
    let texts = similar::TextDiff::from_lines(helm, seen);
    let diff = texts.unified_diff().context_radius(4).header("with Helm alone", "seen").to_string();
    Some(format!("{title}, after `{line}`:\n{diff}"))
}

/// Makes ready what the scripts need.
async fn prepare(world: &World) {
    charts(&world.leadsman);
    hooked(&world.leadsman);
    let definition = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.exchange.leadsman.dev"},
        "spec": {
            "group": "exchange.leadsman.dev", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }}}],
        },
    });
    world.api.install_crds(&[definition]).await;
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
