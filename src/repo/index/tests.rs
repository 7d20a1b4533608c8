use proptest::prelude::*;
use serde_json::json;

use super::*;

fn versions(text: &str, chart: &str) -> Vec<String> {
    let (index, other) = Index::find(text).unwrap();
    let (entries, _) = index.entries(chart, other.as_deref().unwrap_or(text)).unwrap();
    entries.into_iter().map(|entry| entry.text).collect()
}

const INDEX: &str = "apiVersion: v1\nentries:\n  b:\n  - name: b\n    version: 1.0.0\n  a:\n  - name: a\n    version: 0.9.0\n    description: |\n      x:\n        y\n  - name: a\n    version: 0.10.0\n  - version: 1.0.0\n  - name: a\n    version: nope\n  - null\ngenerated: x\n";

#[test]
fn charts_are_found_and_broken_entries_left_out() {
    let (index, rewritten) = Index::find(INDEX).unwrap();
    assert!(rewritten.is_none());
    assert_eq!(index.charts().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(versions(INDEX, "a"), ["0.10.0", "0.9.0"]);
    assert!(versions(INDEX, "c").is_empty());
}

#[test]
fn other_styles_are_parsed_whole() {
    let item = "- name: a\n";
    let rows = [
        (
            "json",
            r#"{"apiVersion":"v1","entries":{"a":[{"name":"a","version":"1.0.0"}]}}"#.to_owned(),
        ),
        ("flow", "apiVersion: v1\nentries: {a: [{name: a, version: 1.0.0}]}\n".to_owned()),
        ("wide", format!("apiVersion: v1\nentries:\n    a:\n    {item}      version: 1.0.0\n")),
        ("narrow", format!("apiVersion: v1\nentries:\n a:\n {item}   version: 1.0.0\n")),
        ("comment", format!("apiVersion: v1\nentries:\n  # a\n  a:\n  {item}    version: 1.0.0\n")),
        ("no last newline", format!("apiVersion: v1\nentries:\n  a:\n  {item}    version: 1.0.0")),
        ("entries first", format!("entries:\n  a:\n  {item}    version: 1.0.0\napiVersion: v1\n")),
        (
            "indented lists",
            format!("---\napiVersion: v1\nentries:\n  'a':\n    {item}      version: 1.0.0\n"),
        ),
        ("mark", format!("\u{feff}apiVersion: v1\nentries:\n  a:\n  {item}    version: 1.0.0\n")),
        (
            "carriage returns",
            "apiVersion: v1\r\nentries:\r\n  a:\r\n  - name: a\r\n    version: 1.0.0\r\n"
                .to_owned(),
        ),
        (
            "more keys",
            format!(
                "apiVersion: v1\nserverInfo:\n  x: y\nentries:\n  a:\n  {item}    version: 1.0.0\npublicKeys:\n- z\n"
            ),
        ),
    ];
    for (name, text) in rows {
        assert_eq!(versions(&text, "a"), ["1.0.0"], "{name}");
    }
}

#[test]
fn what_is_no_index_is_refused() {
    let rows = [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("<!DOCTYPE html><html>", "it is a web page"),
        ("entries: {}\n", "no API version specified"),
        ("apiVersion: v1\nentries: []\n", "its entries are not a map"),
        ("apiVersion: v1\nentries:\n  a:\n  - name: \"a", "yaml"),
        (r#"{"apiVersion":"v1","entries":{"a":[{"na"#, "JSON"),
        ("apiVersion: v1\nentries:\n  a:\n  - name: a\n  a:\n  - name: a\n", "already"),
        ("- a\n", "it is not a map"),
    ];
    for (text, want) in rows {
        let error = Index::find(text).unwrap_err();
        assert!(error.to_lowercase().contains(&want.to_lowercase()), "{text}: {error}");
    }
    assert!(Index::find("apiVersion: v1\nentries: {}\n").unwrap().0.charts().next().is_none());
}

#[test]
fn a_broken_chart_does_not_hide_the_others() {
    let text =
        "apiVersion: v1\nentries:\n  a:\n  - name: [\n  b:\n  - name: b\n    version: 1.0.0\n";
    let (index, _) = Index::find(text).unwrap();
    assert!(index.entries("a", text).unwrap_err().contains("chart `a`"));
    assert_eq!(index.entries("b", text).unwrap().0.len(), 1);
}

/// What both ways make of a text.
#[track_caller]
fn agree(name: &str, text: &str) {
    let (index, rewritten) = Index::find(text).unwrap();
    assert!(rewritten.is_none(), "{name} is of the common style");
    let whole = parse_whole(text).unwrap();
    assert!(index.charts().eq(whole.keys().map(String::as_str)), "{name}");
    for (chart, list) in &whole {
        assert_eq!(index.entries(chart, text).unwrap(), entries_of(list), "{name} {chart}");
    }
}

#[test]
fn both_ways_agree_on_real_indexes() {
    let Some(corpus) = crate::base::testing::corpus() else { return };
    for repository in ["podinfo", "prometheus-community", "grafana", "mixed", "bitnami"] {
        let path = corpus.join("charts").join(repository).join("index.yaml");
        agree(repository, &crate::base::file::read_text(&path, 1 << 26).unwrap());
    }
    // The largest one takes too long to be parsed whole without optimization.
    for name in ["argo", "datadog"] {
        agree(name, &unpacked(&corpus, name));
    }
}

#[test]
fn the_largest_index_is_of_the_common_style() {
    let Some(corpus) = crate::base::testing::corpus() else { return };
    let rows = [("bitnami", 30_810), ("prometheus-community", 3_395), ("grafana", 3_591)];
    for (name, count) in rows {
        let text = unpacked(&corpus, name);
        let ranges = scan(&text).unwrap();
        let starts = [
            "\n  - name:",
            "\n  - annotations:",
            "\n  - apiVersion:",
            "\n  - appVersion:",
            "\n  - created:",
        ];
        let items: usize = ranges
            .values()
            .map(|range| {
                starts.iter().map(|s| text[range.clone()].matches(s).count()).sum::<usize>()
            })
            .sum();
        assert_eq!(items, count, "{name}");
    }
}

fn unpacked(corpus: &std::path::Path, name: &str) -> String {
    use std::io::Read as _;
    let path = corpus.join(format!("indexes/{name}.yaml.gz"));
    let packed = crate::base::file::read_bytes(&path, 1 << 26).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text
}

fn item() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z:#'\"{} \n-]{0,12}",
        Just("a: b\n  c:\n- d".to_owned()),
        Just("\n  other:\n  - name: other\n".to_owned()),
        Just("true".to_owned()),
    ];
    let version = (0_u64..4, 0_u64..12, 0_u64..3, prop_oneof![Just(""), Just("-rc.1"), Just("+b")]);
    (version, text, any::<bool>(), any::<bool>()).prop_map(|((x, y, z, end), text, old, named)| {
        let mut item = json!({
            "version": format!("{x}.{y}.{z}{end}"), "description": text, "appVersion": text,
            "deprecated": old, "urls": [format!("a-{x}.tgz")], "keywords": [text],
        });
        if named {
            item["name"] = json!("a");
        }
        item
    })
}

proptest! {
    #[test]
    fn both_ways_agree_on_generated_indexes(
        charts in proptest::collection::btree_map("[a-z][a-z0-9.-]{0,6}", proptest::collection::vec(item(), 1..4), 0..5)
    ) {
        let index = json!({"apiVersion": "v1", "entries": charts, "generated": "now"});
        let text = yaml::print_sorted(&index);
        let (found, other) = Index::find(&text).unwrap();
        let used = other.as_deref().unwrap_or(&text);
        prop_assert!(found.charts().eq(charts.keys().map(String::as_str)));
        for (chart, list) in &charts {
            prop_assert_eq!(found.entries(chart, used).unwrap(), entries_of(&json!(list)));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(bytes: Vec<u8>, text in "\\PC*|[-a:\\[\\]{}&*!|>'\"%@` \n\t#,?0-9]*") {
        for text in [String::from_utf8_lossy(&bytes).into_owned(), text] {
            let _ = Index::find(&text);
            let _ = Index::find(&format!("apiVersion: v1\nentries:\n  a:\n  - {text}"));
        }
    }

    #[test]
    fn nothing_makes_the_reader_panic(text in "(apiVersion: v1\n|entries:\n|  [a-c]:\n|  - name: a\n|    version: 1.0.0\n|[ \"'{:\n-]){0,12}") {
        let _ = Index::find(&text);
    }
}
