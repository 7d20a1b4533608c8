use super::*;
use crate::base::file::{read_bytes, read_text};
use crate::base::testing::corpus;
use crate::chart::{Dependency, load_archive, parse_values, process_dependencies, set};
use crate::yaml::Numbers;

fn map(text: &str) -> Map {
    crate::yaml::parse_map(text, Numbers::Exact).unwrap()
}

fn chart(name: &str, values: &str, children: Vec<Chart>) -> Chart {
    let dependencies = children.into_iter().map(Arc::new).collect();
    let mut chart = Chart { values: map(values).into(), dependencies, ..Chart::default() };
    name.clone_into(&mut chart.metadata.name);
    chart
}

fn path(text: &str) -> Path {
    text.split('.').map(str::to_owned).collect()
}

/// A chart with a child, a file (layer 0) and `--set` (layer 1).
fn traced(root: &str, child: &str, file: &str, flag: &str) -> Traced {
    let root = chart("root", root, vec![chart("sub", child, Vec::new())]);
    let mut layers = Layers::default();
    layers.merge(map(file));
    layers.write(&mut |values| set::parse_set(flag, values)).unwrap();
    trace(&root, layers).unwrap()
}

fn told(origin: Option<Origin>) -> String {
    match origin {
        None => "nobody".to_owned(),
        Some(Origin { source: Source::Chart(name), path }) => format!("{name}: {}", path.join(".")),
        Some(Origin { source: Source::Layer(index), path }) => {
            format!("{index}: {}", path.join("."))
        }
    }
}

#[test]
fn the_winner_of_each_value_is_known() {
    let (root, child) = (
        "a: 1\nm: {x: 1, w: 2}\nl: [1, 2]\ne: []\nsub: {c: 1}\nglobal: {g: 1}\n",
        "c: 0\nd: 0\nempty: {}\nglobal: {h: 2, g: 3}\n",
    );
    let traced = traced(root, child, "m: {w: 3}\nsub: {d: 5}\nz: null\ne2: []", "l[1]=9,new.k=v");
    #[rustfmt::skip]
    let rows = [
        ("a", "root: a"), ("m.x", "root: m.x"), ("m.w", "0: m.w"), ("m", "0: m"),
        ("l", "1: l"), ("e", "root: e"), ("e2", "0: e2"), ("new.k", "1: new.k"), ("new", "1: new"),
        ("sub.c", "root: sub.c"), ("sub.d", "0: sub.d"), ("sub.empty", "root/charts/sub: empty"),
        ("sub.global.g", "root: global.g"), ("sub.global.h", "root/charts/sub: global.h"),
        ("z", "0: z"), ("nowhere", "nobody"), ("a.b", "nobody"),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(at, want)| (at, told(traced.origin(&path(at))), want))
        .filter(|(_, got, want)| got != **want)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_was_overridden_and_deleted_is_known() {
    let traced = traced(
        "a: 1\nb: {x: 1}\nsub: {c: 1}\nglobal: {g: 1}\n",
        "c: 0\nd: 4\nglobal: {g: 2}\n",
        "a: 2\nsub: {c: 3, d: null}\nb: null\nglobal: {g: 5}\n",
        "a=3",
    );
    let over = |at: &str| {
        let leaf = Leaf { path: path(at), value: &Value::Null, origin: traced.origin(&path(at)) };
        let told = traced.overridden(&leaf).into_iter().map(|one| told(Some(one.origin)));
        told.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(over("a"), "0: a, root: a");
    assert_eq!(over("sub.c"), "root: sub.c, root/charts/sub: c");
    assert_eq!(over("sub.global.g"), "root: global.g, root/charts/sub: global.g");
    let deleted: Vec<_> = traced
        .deleted()
        .into_iter()
        .map(|one| {
            format!("{} by {}, was {}", one.path.join("."), told(Some(one.origin)), one.was.value)
        })
        .collect();
    assert_eq!(deleted, ["b by 0: b, was {\"x\":1}", "sub.d by 0: sub.d, was 4"]);
}

#[test]
fn keys_that_a_chart_does_not_know_are_found() {
    let mut root = chart(
        "root",
        "image: {tag: x}\nfree: {}\nnothing:\nsub: {c: 1}\n",
        vec![chart("sub", "c: 0\nport: 1\n", Vec::new()), chart("gone", "k: 1\n", Vec::new())],
    );
    let dependency = |name: &str, condition: &str| Dependency {
        name: name.to_owned(),
        condition: condition.to_owned(),
        ..Dependency::default()
    };
    root.metadata.dependencies =
        vec![dependency("sub", "sub.enabled"), dependency("gone", "gone.enabled")];
    for child in &mut root.dependencies {
        "1.0.0".clone_into(&mut Arc::make_mut(child).metadata.version);
    }
    root.schema = Some(r#"{"properties": {"said": {"properties": {"x": {}}}}}"#.into());
    let mut layers = Layers::default();
    layers.merge(map(
        "image: {tga: y}\nimag: {tag: z}\nfree: {any: {thing: 1}}\nnothing: {x: 1}\nglobal: {q: 1}\n\
         sub: {enabled: true, prot: 2}\ngone: {enabled: false, k: 2, kk: 1}\nsaid: {x: 1}\n",
    ));
    let found: Vec<_> = unknown(&trace(&root, layers).unwrap(), &root)
        .into_iter()
        .map(|one| format!("{} ({})", one.path.join("."), one.similar.join(", ")))
        .collect();
    assert_eq!(found, ["gone.kk (k)", "imag (image)", "image.tga (tag)", "sub.prot (port)"]);
}

/// For every chart of the corpus with each of its values: the values are those of the merge
/// itself, and each leaf is what its source says at the place that was found.
#[test]
fn marks_are_merged_as_values_are() {
    let Some(corpus) = corpus() else { return };
    let (mut charts, mut leaves, mut wrong) = (0, 0, Vec::new());
    for repository in ["podinfo", "prometheus-community", "bitnami", "grafana", "mixed"] {
        let folder = corpus.join("golden").join(repository);
        for line in read_text(&folder.join("cases.jsonl"), 1 << 26).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let archive = case["chart"].as_str().unwrap();
            let archive = corpus.join("charts").join(repository).join(archive);
            let Ok(chart) = load_archive(&read_bytes(&archive, 1 << 26).unwrap()) else { continue };
            let text = match case["values"].as_str() {
                None => Vec::new(),
                Some(name) => match name.strip_prefix("../") {
                    Some(name) => read_bytes(&folder.join(name), 1 << 26).unwrap(),
                    None => {
                        chart.files.iter().find(|file| file.name == name).unwrap().data.to_vec()
                    }
                },
            };
            let Ok(given) = parse_values(&text) else { continue };
            let Ok((processed, _)) = process_dependencies(&chart, &given) else { continue };
            let Ok((values, _)) = coalesce(&processed, &given) else { continue };
            let mut layers = Layers::default();
            layers.merge(given);
            let traced = trace(&chart, layers).unwrap();
            charts += 1;
            let name = format!("{} {}", case["chart"], case["case"]);
            if traced.values != values {
                wrong.push(format!("{name}: other values"));
            }
            for leaf in traced.leaves() {
                leaves += 1;
                let made = leaf.path.last().is_some_and(|key| key == GLOBAL)
                    || leaf.value == &Value::Object(Map::new());
                let said = leaf.origin.as_ref().and_then(|origin| traced.said(origin));
                if said != Some(leaf.value) && !made {
                    wrong.push(format!(
                        "{name}: {}: {:?} says {said:?}",
                        leaf.path.join("."),
                        leaf.origin
                    ));
                }
            }
        }
    }
    assert!(charts > 100 && leaves > 10_000, "{charts} charts, {leaves} leaves");
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}
