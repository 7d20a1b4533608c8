use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::super::entry::{Fields, entries_of};
use super::known::mark;
use super::reading::parse_whole;
use super::rows::Rows;
use super::store::StoreWriter;
use super::*;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::yaml::{self, Numbers, Value};

fn versions(text: &str, chart: &str) -> Vec<String> {
    let (entries, _) = Index::of(text).unwrap().entries(chart).unwrap();
    entries.into_iter().map(|entry| entry.text).collect()
}

/// Reads a text that comes in pieces, and whether it had to be parsed whole, or which charts again.
fn read_in_pieces(text: &str, size: usize) -> Result<(Index, bool), String> {
    let (index, _, is_strange) = read_after(text, size, Before::default())?;
    Ok((index, is_strange))
}

/// The same after another index; returns the digest of what it says, too.
fn read_after(text: &str, size: usize, before: Before) -> Result<(Index, Digest, bool), String> {
    let raw = Raw::Spool(Spool::in_memory());
    let mut reading = Reading::new(raw, None, before);
    text.as_bytes().chunks(size).for_each(|part| reading.take(part));
    let is_strange = reading.is_strange();
    let made = reading.finish(None).map_err(|problem| problem.to_string())?;
    let (bytes, _) = made.packed.keep().unwrap_err();
    Ok((Index::of_packed(bytes).unwrap(), made.content, is_strange))
}

const INDEX: &str = "apiVersion: v1\nentries:\n  b:\n  - name: b\n    version: 1.0.0\n  a:\n  - name: a\n    version: 0.9.0\n    description: |\n      x:\n        y\n  - name: a\n    version: 0.10.0\n  - version: 1.0.0\n  - name: a\n    version: nope\n  - null\ngenerated: x\n";

#[test]
fn charts_are_found_and_broken_entries_left_out() {
    let index = Index::of(INDEX).unwrap();
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
            "keys of an entry that nobody knows, and times that are none",
            format!(
                "apiVersion: v1\nentries:\n  a:\n  {item}    version: 1.0.0\n    created: yesterday\n    foo: {{bar: 1}}\ngenerated: now\nunknown: 1\n"
            ),
        ),
        (
            "other parts of metadata that are wrong",
            format!(
                "apiVersion: v1\nentries:\n  a:\n  {item}    version: 1.0.0\n    maintainers: [null]\n    dependencies: [{{name: b, alias: 'b c'}}, null]\n"
            ),
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
        let error = Index::of(text).unwrap_err();
        assert!(error.to_lowercase().contains(&want.to_lowercase()), "{text}: {error}");
    }
    assert!(Index::of("apiVersion: v1\nentries: {}\n").unwrap().charts().next().is_none());
}

#[test]
fn a_broken_chart_does_not_hide_the_others() {
    let text =
        "apiVersion: v1\nentries:\n  a:\n  - name: [\n  b:\n  - name: b\n    version: 1.0.0\n";
    let index = Index::of(text).unwrap();
    assert!(index.entries("a").unwrap_err().contains("chart `a`"));
    assert_eq!(index.entries("b").unwrap().0.len(), 1);
}

/// The texts that are searched, by the plainest way.
fn searched(list: &Value) -> BTreeSet<(String, String, String)> {
    let items = list.as_array().into_iter().flatten();
    let text = |fields: Fields<'_>| {
        let clean = |text: String| {
            let mut text = text;
            crate::chart::sanitize(&mut text);
            text
        };
        let description = clean(fields.description.into());
        (fields.version.into(), description, clean(fields.keywords.join(" ")))
    };
    items.filter_map(|item| Fields::of(item).ok()).map(|(fields, _)| text(fields)).collect()
}

/// What all ways make of a text.
#[track_caller]
fn agree(name: &str, text: &str) {
    let (index, is_strange) = read_in_pieces(text, 1000).unwrap();
    assert!(!is_strange, "{name} is of the common style");
    let whole = parse_whole(text).unwrap();
    assert!(index.charts().eq(whole.keys().map(String::as_str)), "{name}");
    for (chart, list) in &whole {
        assert_eq!(index.entries(chart).unwrap(), entries_of(list), "{name} {chart}");
        let look = |versions: &Versions<'_>| -> BTreeSet<_> {
            let text = |row: &Row<'_>| {
                let (description, keywords) = versions.texts[row.text];
                (row.version.to_owned(), description.to_owned(), keywords.to_owned())
            };
            versions.list.iter().map(text).collect()
        };
        assert_eq!(index.look(chart, look).unwrap(), searched(list), "{name} {chart}");
    }
}

#[test]
fn all_ways_agree_on_real_indexes() {
    let Some(corpus) = crate::base::testing::corpus() else { return };
    for repository in ["podinfo", "prometheus-community", "grafana", "mixed", "bitnami"] {
        let path = corpus.join("charts").join(repository).join("index.yaml");
        agree(repository, &crate::base::file::read_text(&path, 1 << 26).unwrap());
    }
    // The largest one takes too long to be parsed whole without optimization.
    for name in ["argo", "datadog"] {
        let text = unpacked(&corpus, name);
        agree(name, &text);
        let json = yaml::parse(&text, Numbers::Exact).unwrap();
        agree(name, &json.to_string());
        agree(name, &yaml::json::to_string_pretty(&json));
    }
}

#[test]
fn the_largest_index_is_of_the_common_style() {
    let Some(corpus) = crate::base::testing::corpus() else { return };
    let rows = [("bitnami", 30_810), ("prometheus-community", 3_395), ("grafana", 3_591)];
    for (name, count) in rows {
        let text = unpacked(&corpus, name);
        let (index, is_strange) = read_in_pieces(&text, 1 << 16).unwrap();
        assert!(!is_strange, "{name}");
        let items = index.charts().map(|chart| index.entries(chart).unwrap());
        let items = items.map(|(good, bad)| good.len() + bad.len());
        assert_eq!(items.sum::<usize>(), count, "{name}");
    }
}

/// Nearly every real entry is read by lines: the others take much longer.
#[test]
fn entries_of_real_indexes_are_plain() {
    let Some(corpus) = crate::base::testing::corpus() else { return };
    for name in ["bitnami", "prometheus-community", "grafana", "argo", "datadog"] {
        let text = unpacked(&corpus, name);
        let mut starts: Vec<usize> = memchr::memmem::find_iter(text.as_bytes(), "\n  - ").collect();
        let tops = memchr::memmem::find_iter(text.as_bytes(), "\n  ")
            .filter(|at| !b" -".contains(&text.as_bytes()[at + 3]));
        starts.extend(tops);
        starts.extend(text.rfind("\ngenerated:"));
        starts.sort_unstable();
        let (mut all, mut plain_ones) = (0, 0);
        for pair in starts.windows(2) {
            let entry = &text[pair[0] + 1..=pair[1]];
            if entry.starts_with("  - ") {
                all += 1;
                plain_ones += usize::from(plain::read(entry, 2).is_some());
            }
        }
        assert!(plain_ones * 100 >= all * 99, "{name}: {plain_ones} of {all}");
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

/// What an index has at one time, by numbers of items, and in which style it is written.
fn step() -> impl Strategy<Value = (BTreeMap<String, Vec<usize>>, u8)> {
    let items = proptest::collection::vec(0_usize..8, 0..7);
    (proptest::collection::btree_map("[abc]", items, 0..4), 0_u8..5)
}

/// Writes such an index; two of the items are wrong.
fn text_of(charts: &BTreeMap<String, Vec<usize>>, pool: &[Value], style: u8) -> String {
    let item = |number: &usize| match number {
        6 => json!({"name": "a", "version": "none"}),
        7 => Value::Null,
        number => pool[*number].clone(),
    };
    let lists = charts
        .iter()
        .map(|(name, numbers)| (name.clone(), Value::Array(numbers.iter().map(item).collect())));
    let entries: yaml::Map = lists.collect();
    let index = json!({"apiVersion": "v1", "entries": entries, "generated": "now"});
    match style {
        0 => index.to_string(),
        1 => yaml::json::to_string_pretty(&index),
        // The first is read by other means, as a whole.
        2 => yaml::print_sorted(&index).replacen("entries:", "entries: # all", 1),
        _ => yaml::print_sorted(&index),
    }
}

/// Nothing else tells whether an entry was read: what was packed of it before says something else.
#[test]
fn entries_that_were_there_are_not_read_again() {
    let entry = |version: &str| format!("  - name: a\n    version: {version}\n");
    let write = |entries: &[String]| {
        let text = format!("apiVersion: v1\nentries:\n  a:\n{}", entries.concat());
        format!("{text}  b:\n{}", entry("9.0.0").replace(": a", ": b"))
    };
    let mut rows = Rows::default();
    for (version, digest) in [("1.0.0", "one"), ("2.0.0", "two"), ("3.0.0", "three")] {
        let fields = Fields {
            name: "a".into(),
            version: version.into(),
            digest: digest.into(),
            ..Fields::default()
        };
        rows.add("a", (&fields, version.parse().unwrap()), Some(mark(&entry(version))));
    }
    rows.warn("four".to_owned(), Some(mark(&entry("four"))));
    let (packed, content) = rows.finish(&|_| None);
    let mut store = StoreWriter::new(Spool::in_memory());
    store.chart("a".to_owned(), &packed, content).unwrap();
    let (spool, _) = store.finish("before").unwrap();
    let index = Arc::new(Index::of_packed(spool.keep().unwrap_err().0).unwrap());
    let all = ["1.0.0", "2.0.0", "3.0.0", "four"].map(entry);
    let other = entry("4.0.0");
    let [one, two, three, four] = &all;
    let rows: [(&str, Vec<&String>, &str); 6] = [
        ("the same", vec![one, two, three, four], "three two one | four"),
        ("another one behind them", vec![one, two, three, four, &other], "- three two one | four"),
        ("another one before them", vec![&other, one, two, three, four], "- three two one | four"),
        ("fewer", vec![one, two], "two one |"),
        ("another order", vec![three, four, one], "three one | four"),
        ("twice", vec![one, two, two], "two two one |"),
    ];
    for (name, entries, want) in rows {
        let text = write(&entries.into_iter().cloned().collect::<Vec<_>>());
        let before = Before { index: Some(Arc::clone(&index)), now: Timestamp::UNIX_EPOCH };
        let (after, _, _) = read_after(&text, 50, before).unwrap();
        let (found, warnings) = after.entries("a").unwrap();
        let digests: Vec<&str> = found
            .iter()
            .map(|entry| if entry.digest.is_empty() { "-" } else { entry.digest.as_str() })
            .collect();
        let warnings: Vec<&str> = warnings.iter().map(|warning| warning.0.as_str()).collect();
        let got = format!("{} | {}", digests.join(" "), warnings.join(" "));
        assert_eq!(got.trim_end(), want, "{name}");
        assert_eq!(after.entries("b").unwrap().0.len(), 1, "{name}");
    }
}

proptest! {
    #[test]
    fn all_ways_agree_on_generated_indexes(
        charts in proptest::collection::btree_map("[a-z][a-z0-9.-]{0,6}", proptest::collection::vec(item(), 1..4), 0..5),
        size in 1_usize..300,
    ) {
        let index = json!({"apiVersion": "v1", "entries": charts, "generated": "now"});
        let texts =
            [yaml::print_sorted(&index), index.to_string(), yaml::json::to_string_pretty(&index)];
        for text in texts {
            let (found, _) = read_in_pieces(&text, size).unwrap();
            prop_assert!(found.charts().eq(charts.keys().map(String::as_str)));
            for (chart, list) in &charts {
                prop_assert_eq!(found.entries(chart).unwrap(), entries_of(&json!(list)));
            }
        }
    }

    /// However an index came to be what it is, it answers as one that was made just now.
    #[test]
    fn an_index_that_changed_answers_as_a_new_one(
        pool in proptest::collection::vec(item(), 6),
        steps in proptest::collection::vec(step(), 1..6),
        size in 1_usize..300,
    ) {
        let mut before = Before::default();
        let mut seen: Option<BTreeMap<(String, String), Option<Timestamp>>> = None;
        for (number, (charts, style)) in steps.into_iter().enumerate() {
            before.now = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
            let text = text_of(&charts, &pool, style);
            let (index, content, _) = read_after(&text, size, before.clone()).unwrap();
            let (new, new_content, _) = read_after(&text, 1 << 20, Before::default()).unwrap();
            prop_assert_eq!(content, new_content);
            prop_assert!(index.charts().eq(new.charts()));
            let mut known = BTreeMap::new();
            for chart in new.charts() {
                let (mut entries, warnings) = index.entries(chart).unwrap();
                for entry in &mut entries {
                    let first = match &seen {
                        None => None,
                        Some(seen) => {
                            let key = (chart.to_owned(), entry.text.clone());
                            seen.get(&key).copied().unwrap_or(Some(before.now))
                        }
                    };
                    prop_assert_eq!(entry.first_seen.take(), first);
                    known.insert((chart.to_owned(), entry.text.clone()), first);
                }
                prop_assert_eq!((entries, warnings), new.entries(chart).unwrap());
                let shown = |versions: &Versions<'_>| -> Vec<(String, String)> {
                    let text = |row: &Row<'_>| versions.texts[row.text];
                    versions.list.iter().map(text).map(|(a, b)| (a.into(), b.into())).collect()
                };
                prop_assert_eq!(index.look(chart, shown).unwrap(), new.look(chart, shown).unwrap());
            }
            seen = Some(known);
            before.index = Some(Arc::new(index));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(bytes: Vec<u8>, text in "\\PC*|[-a:\\[\\]{}&*!|>'\"%@` \n\t#,?0-9]*") {
        for text in [String::from_utf8_lossy(&bytes).into_owned(), text] {
            let _ = Index::of(&text);
            let _ = Index::of(&format!("apiVersion: v1\nentries:\n  a:\n  - {text}"));
        }
    }

    #[test]
    fn nothing_makes_the_reader_panic(text in "(apiVersion: v1\n|entries:\n|  [a-c]:\n|  - name: a\n|    version: 1.0.0\n|[ \"'{:\n-]){0,12}") {
        let _ = Index::of(&text);
    }

    /// Whatever the quick reader of entries takes, the general one reads alike.
    #[test]
    fn a_plain_entry_is_read_as_yaml(lines in proptest::collection::vec(line(), 1..12)) {
        let text = format!("  - {}\n", lines.join("\n    "));
        if let Some(fields) = plain::read(&text, 2) {
            let value = yaml::parse(&text, Numbers::Exact).unwrap_or_else(|error| panic!("{error}: {text}"));
            let general = Fields::of(&value[0]).map(|(fields, _)| fields);
            let quick = fields.check().map(|_| fields);
            prop_assert_eq!(quick, general, "{}", text);
        }
    }
}

/// A line of an entry, or several, mostly right.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => "name|version|type|appVersion|kubeVersion|urls|digest|created|deprecated|description|keywords",
        2 => "home|icon|annotations|dependencies|on|x/y.z",
        1 => "[a-z\"'? -]{0,3}",
    ];
    let scalar = prop_oneof![
        4 => "[a-z][a-z0-9.-]{0,5}",
        3 => "[0-9]{1,2}(\\.[0-9]{1,2}){1,2}(-rc\\.1)?",
        2 => "\"[a-z:# \\\\n]{0,6}\"|'[a-z:# \"]{0,5}'",
        1 => "\"[a-z \\\\]{0,4}( *\n){1,3} {0,6}[a-z \\\\]{0,4}\"|'[a-z ]{0,4}( *\n){1,3} {0,6}[a-z ']{0,4}'",
        1 => "\"[a-z]?\\\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U0001f5[0-9a-f]{2}|[ntr/ 0abe_x])[a-z]?\"",
        2 => "[0-9a-fxo_.:eE+-]{1,6}",
        1 => "true|false|null|~|yes|\\[\\]|\\{\\}|[|>]-?|&a|\\*a|!x|<<",
        1 => "[ a-z:#\"'\\[\\]{}|>&*!%@`\\\\,?0-9.-]{0,8}",
    ];
    let more = prop_oneof![
        6 => Just(String::new()),
        2 => "\n    - [a-z0-9.:# \"'-]{0,6}",
        1 => "\n      [a-z0-9.:# \"'|-]{0,8}",
        1 => "\n    - [a-z]: [a-z0-9]\n      [b-y]: [a-z\"']{0,2}",
        1 => "\n      - [a-z0-9]{0,2}",
        1 => "\n *",
    ];
    let space = prop_oneof![8 => Just(" "), 1 => Just(""), 1 => Just("  ")];
    (key, space, prop_oneof![3 => scalar.boxed(), 1 => Just(String::new()).boxed()], more)
        .prop_map(|(key, space, scalar, more)| format!("{key}:{space}{scalar}{more}"))
}
