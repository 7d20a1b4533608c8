use std::path::Path;

use super::*;
use crate::base::testing::corpus;

fn lines(path: &Path) -> Vec<Value> {
    let text = crate::base::file::read_text(path, 1 << 26).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn report(name: &str, total: usize, wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{name}: {} of {total} rows differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn strings_are_printed_as_helm_prints_them() {
    let Some(corpus) = corpus() else { return };
    let rows = lines(&corpus.join("vectors/yaml-print.jsonl"));
    let mut wrong = Vec::new();
    for row in &rows {
        let want = row["yaml"].as_str().unwrap();
        let value = serde_json::json!({"k": row["string"]});
        let got = print(&value).unwrap_or_default();
        let got = got.strip_suffix('\n').unwrap_or(&got);
        if got != want {
            wrong.push(format!("{}: got {got:?}, want {want:?}", row["string"]));
        }
    }
    report("yaml-print", rows.len(), &wrong);
}

#[test]
fn documents_are_read_as_helm_reads_them() {
    let Some(corpus) = corpus() else { return };
    let rows = lines(&corpus.join("vectors/yaml-read.jsonl"));
    let mut wrong = Vec::new();
    for row in &rows {
        let want: Value = serde_json::from_str(row["json"].as_str().unwrap()).unwrap();
        let got = match parse_map(row["yaml"].as_str().unwrap(), Numbers::Float) {
            Ok(map) => Value::Object(map),
            Err(error) => serde_json::json!({"Error": error.to_string()}),
        };
        let (got, want) = (json::to_string(&got), json::to_string(&want));
        if got != want {
            wrong.push(format!("{}: got {got}, want {want}", row["yaml"]));
        }
    }
    report("yaml-read", rows.len(), &wrong);
}

#[test]
fn structure_is_printed_as_helm_prints_it() {
    for (json, want) in [
        (r#"{"a":{},"b":[],"c":null}"#, "a: {}\nb: []\nc: null\n"),
        (r#"{"b":["c",{"d":1,"e":[2]}]}"#, "b:\n- c\n- d: 1\n  e:\n  - 2\n"),
        (r#"[[1,2],[[3]]]"#, "- - 1\n  - 2\n- - - 3\n"),
        (r#"{"a":{"b":{"c":"x\ny\n"}},"z":1}"#, "a:\n  b:\n    c: |\n      x\n      y\nz: 1\n"),
        (r#"{"a":"x\n\n","z":1}"#, "a: |+\n  x\n\nz: 1\n"),
        (r#"{"a":["x\ny"],"z":1}"#, "a:\n- |-\n  x\n  y\nz: 1\n"),
        (r#"{"a\nb":1}"#, "? |-\n  a\n  b\n: 1\n"),
        (r#"{"":1}"#, "\"\": 1\n"),
        (r#""x""#, "x\n"),
        (r#"{}"#, "{}\n"),
        (r#"[{"a":[{"b":1}]}]"#, "- a:\n  - b: 1\n"),
        (
            r#"{"n":1000000.0,"f":1.5,"g":1234567.5,"s":1e-7,"h":1e20}"#,
            "f: 1.5\ng: 1.2345675e+06\nh: 1e+20\n\"n\": 1000000\ns: 1e-07\n",
        ),
    ] {
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(print(&value).unwrap(), want, "{json}");
    }
    let value: Value = serde_json::from_str(r#"{"b":["c",{"d":1000000.0,"e":[[2.0]]}]}"#).unwrap();
    assert_eq!(print_pretty(&value), "b:\n  - c\n  - d: 1e+06\n    e:\n      - - 2\n");
}

#[test]
fn documents_know_their_lines() {
    let found = parse_documents("a: 1\n---\n# c\nb: 2\n---\n", Numbers::Exact).unwrap();
    let shown: Vec<_> = found.iter().map(|d| (d.value.to_string(), d.line)).collect();
    assert_eq!(shown[..2], [("{\"a\":1}".to_owned(), 1), ("{\"b\":2}".to_owned(), 4)]);
    assert_eq!(parse_documents("a: [1\nb: 2\n", Numbers::Exact).unwrap_err().line(), Some(2));
}

#[test]
fn bombs_and_towers_are_refused() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
        let list = vec![format!("*{before}"); 9].join(",");
        bomb += &format!("{name}: &{name} [{list}]\n");
    }
    let error = parse(&bomb, Numbers::Float).unwrap_err().to_string();
    assert!(error.contains("excessive aliasing"), "{error}");
    let tower = "[".repeat(50_000);
    assert!(parse(&tower, Numbers::Float).is_err());
    // Aliases must not pile up what the bound forbids.
    let wrap = |inner: &str| format!("{}{inner}{}", "[".repeat(200), "]".repeat(200));
    let piled = format!("a: &a {}\nb: &b {}\nc: {}\n", wrap("1"), wrap("*a"), wrap("*b"));
    assert!(parse(&piled, Numbers::Float).unwrap_err().to_string().contains("max depth"));
    assert!(parse_strict("a: 1\na: 2\n", Numbers::Float).is_err());
}

#[test]
fn what_has_no_json_form_may_be_replaced() {
    for (text, want) in [
        ("a: .inf\na: 1\n", Ok(r#"{"a":1}"#)),
        ("a: {~: 1}\na: 2\n", Ok(r#"{"a":2}"#)),
        ("a: [{~: 1}]\na: 2\n", Ok(r#"{"a":2}"#)),
        ("<<: {a: .inf}\na: 2\n", Ok(r#"{"a":2}"#)),
        ("<<: [{a: 1}, {a: .inf}]\n", Ok(r#"{"a":1}"#)),
        (".inf: 1\n-.inf: 2\n", Ok(r#"{"-.inf":2,".inf":1}"#)),
        ("b: &x {a: .nan}\nb: 1\nc: *x\n", Err("json: unsupported value: NaN")),
        ("<<: [{a: .inf}, {a: 1}]\n", Err("json: unsupported value: +Inf")),
        ("<<: {~: 1}\n", Err("unsupported map key of type: %!s(<nil>), key: <nil>, value: 1")),
        (
            "9223372036854775808: x\n",
            Err("unsupported map key of type: uint64, key: 0x8000000000000000, value: \"x\""),
        ),
        ("a: &x [&x b, c]\nd: *x\n", Ok(r#"{"a":["b","c"],"d":"b"}"#)),
        ("a: &x [*x]\n", Err("yaml: anchor 'x' value contains itself")),
    ] {
        let got = parse(text, Numbers::Exact).map(|value| value.to_string());
        let got = got.map_err(|error| error.to_string());
        let want = want.map(str::to_owned);
        let want = want.map_err(|error| format!("error converting YAML to JSON: {error}"));
        assert_eq!(got, want, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|[-a:\\[\\]{}&*!|>'\"%@` \\n\\t#,?0-9]*") {
        let _ = parse_documents(&text, Numbers::Float);
    }

    #[test]
    fn what_is_printed_is_read_back(text in "[ -~\\n\\t\u{a0}-\u{d7ff}\u{10000}-\u{10ffff}]*") {
        let text_has_tab = text.contains('\t');
        let value = serde_json::json!({"k": [text.clone()], text: 1});
        // The pretty form writes tabs that the reader refuses, as upstream's two versions do.
        let pretty = if text_has_tab { print_sorted(&value) } else { print_pretty(&value) };
        for shown in [print(&value).unwrap(), print_sorted(&value), pretty] {
            proptest::prop_assert_eq!(&parse(&shown, Numbers::Exact).unwrap(), &value, "{}", shown);
        }
    }
}

/// Texts that YAML could take for something else.
const ODD: &[&str] = &[
    "",
    "yes",
    "No",
    "~",
    "null",
    "1",
    "0x1f",
    "1e3",
    ".5",
    "1_000",
    "0o17",
    "-",
    "- a",
    "a: b",
    "#",
    "a #b",
    "2001-01-01",
    "<<",
    "=",
    "{}",
    "[a]",
    "'",
    "\"",
    "a\nb",
    "a\n",
    "\na",
    " a",
    "a ",
    "a\n\n b\n",
    "%",
    "@",
    "`",
    "!t",
    "&a",
    "*a",
    "?",
    "|",
    ">",
    "é",
    "\u{2028}",
    "😀",
];

/// Trees as values files hold them: numbers are floats, texts look like all that YAML knows. But
/// no key is `<<`: Helm prints it so that it is read back as a merge.
fn trees() -> impl proptest::prelude::Strategy<Value = Value> {
    use proptest::prelude::*;
    let text = prop_oneof![
        prop::sample::select(ODD).prop_map(str::to_owned),
        "[ -~\n]{0,12}".prop_map(|text: String| text),
    ];
    let whole = (-1_000_000_000_000_i64..1_000_000_000_000).prop_map(|whole| whole as f64);
    let number = prop_oneof![whole, -1e30..1e30, Just(0.1), Just(1e21), Just(1e-7)];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(Value::from),
        text.clone().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(
                text.clone().prop_filter("a merge", |key| key != "<<"),
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every number as a float, as values files are read.
fn with_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.into_iter().map(with_floats).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (key, with_floats(value))).collect()
        }
        other => other,
    }
}

proptest::proptest! {
    #[test]
    fn trees_are_read_back_by_this_reader_and_by_another(value in trees()) {
        let printed = print(&value).unwrap();
        proptest::prop_assert_eq!(&parse(&printed, Numbers::Float).unwrap(), &value, "{}", printed);
        let other: Value = serde_yaml::from_str(&printed).unwrap();
        proptest::prop_assert_eq!(with_floats(other), value, "{}", printed);
    }
}
