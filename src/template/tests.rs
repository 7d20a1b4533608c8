use std::sync::Arc;

use super::*;
use crate::base::testing::corpus;
use crate::yaml;

fn vec_scope() -> Scope {
    let chart = serde_json::json!({
        "APIVersion": "v2", "Annotations": {"x": "true"}, "AppVersion": "4.5", "Condition": "",
        "Dependencies": [], "Deprecated": false, "Description": "", "Home": "", "Icon": "",
        "IsRoot": true, "Keywords": ["a", "b"], "KubeVersion": "",
        "Maintainers": [{"Email": "m@example.com", "Name": "m", "URL": ""}], "Name": "vec", "Sources": [],
        "Tags": "", "Type": "application", "Version": "1.2.3",
    });
    let file =
        |name: &str, text: &str| (name.to_owned(), Bytes::copy_from_slice(text.as_bytes()).into());
    Scope {
        path: "vec".into(),
        name: "vec".into(),
        parent: None,
        chart,
        files: Arc::from([file("files/a.txt", "alpha\n"), file("files/b.txt", "l1\nl2")]),
        library: false,
    }
}

fn render(template: &str, values: &Value) -> Result<String, String> {
    let files = [
        ("out.yaml", "out: {{ include \"vec/templates/_t.tpl\" . | toJson }}".to_owned()),
        ("_t.tpl", template.to_owned()),
    ];
    let rendered = render_files(&files, values)?;
    let text = rendered[0].text.strip_prefix("out: ").unwrap().to_owned();
    Ok(serde_json::from_str(&text).unwrap())
}

pub(super) fn render_files<N: AsRef<str>>(
    files: &[(N, String)],
    values: &Value,
) -> Result<Vec<Rendered>, String> {
    render_within(files, values, Limits::default())
}

pub(super) fn render_within<N: AsRef<str>>(
    files: &[(N, String)],
    values: &Value,
    limits: Limits,
) -> Result<Vec<Rendered>, String> {
    let scopes = [vec_scope()];
    let file = |(name, text): &(N, String)| TemplateFile {
        name: format!("vec/templates/{}", name.as_ref()),
        text: Bytes::copy_from_slice(text.as_bytes()),
        scope: 0,
    };
    let files = files.iter().map(file).collect();
    let program = Program::compile(files, &scopes).map_err(|error| error.to_string())?;
    let release = ReleaseInfo {
        name: "rel".into(),
        namespace: "prod".into(),
        revision: 1,
        is_upgrade: false,
    };
    let capabilities = Capabilities {
        kube_version: "v1.34.2".into(),
        kube_normalized: String::new(),
        kube_major: "1".into(),
        kube_minor: "34".into(),
        api_versions: vec!["v1".into(), "apps/v1".into(), "policy/v1beta1".into()],
        helm: HelmBuild { version: "v4.3.1", go_version: "go1.26.8", kube_client_version: "v1.37" },
    };
    let values = Frozen::new(values);
    let context = Context {
        scopes: &scopes,
        values: &values,
        release: &release,
        capabilities: &capabilities,
        lookup: None,
        lenient: false,
        limits,
        hosts: None,
    };
    program.render(&context).map_err(|error| error.to_string())
}

/// Helm takes nulls out of a chart's defaults before templates see them.
fn without_nulls(values: &mut Value) {
    if let Value::Object(map) = values {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(without_nulls);
    }
}

#[test]
fn expressions_give_what_helm_gives() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| crate::base::file::read_text(&corpus.join(name), 1 << 26).unwrap();
    let mut values = yaml::parse(&read("vectors/values.yaml"), yaml::Numbers::Float).unwrap();
    without_nulls(&mut values);
    let (mut total, mut wrong) = (0, Vec::new());
    for line in read("vectors/expressions.jsonl").lines() {
        total += 1;
        let row: Value = serde_json::from_str(line).unwrap();
        let template = row["template"].as_str().unwrap();
        let got = render(template, &values);
        let same = match (&got, row["output"].as_str(), row["error"].as_str()) {
            (Ok(got), Some(want), _) => got == want,
            (Err(got), None, Some(want)) => want.contains(got.as_str()),
            _ => false,
        };
        if !same {
            let want = row.get("output").or(row.get("error")).unwrap();
            wrong.push(format!("{template}\n    got  {got:?}\n    want {want}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {total} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn certificates_are_made_and_trusted() {
    let template = r#"{{ $ca := genCA "root" 1 }}{{ $c := genSignedCert "leaf" (list "10.0.0.1") (list "a.b") 1 $ca -}}
{{ dict "ca" $ca.Cert "cert" $c.Cert "type" (typeOf $c) "key" (hasPrefix "-----BEGIN RSA PRIVATE KEY" $c.Key)
  "same" (eq $ca.Cert (buildCustomCert (b64enc $ca.Cert) (b64enc $ca.Key)).Cert) | toJson }}"#;
    let text = render(template, &Value::Null).unwrap();
    let made: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&made["type"], &made["key"], &made["same"]),
        (&"sprig.certificate".into(), &true.into(), &true.into())
    );
    for (name, want) in
        [("ca", "-----BEGIN CERTIFICATE-----\n"), ("cert", "-----BEGIN CERTIFICATE-----\n")]
    {
        assert!(made[name].as_str().unwrap().starts_with(want), "{name}");
    }
    let rows = [
        (r#"{{ genSelfSignedCert "x" (list "nope") nil 1 }}"#, "error parsing ip: nope"),
        (
            r#"{{ genSelfSignedCert "x" nil (list 1) 1 }}"#,
            "error processing alternate dns name: 1 is not a string",
        ),
        (r#"{{ genCAWithKey "x" 1 "y" }}"#, "parsing private key: no PEM data in input"),
        (r#"{{ buildCustomCert "?" "" }}"#, "unable to decode base64 certificate"),
    ];
    for (template, want) in rows {
        let got = render(template, &Value::Null).unwrap_err();
        assert!(got.ends_with(want), "{template}: {got}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_rendered_or_refused(text in "[ -~]{0,40}|\\{\\{[-. a-z$|()\"0-9:=]{0,30}\\}\\}") {
        let _ = render(&text, &Value::Null);
    }
}

/// What templates are made of.
#[rustfmt::skip]
const PIECES: &[&str] = &[
        "{{ ",
        " }}",
        "{{- ",
        " -}}",
        "{{",
        "}}",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define ",
        "block ",
        "template ",
        "include ",
        "tpl ",
        "break",
        "continue",
        "\"a\" ",
        "`b` ",
        "\"{{ . }}\" ",
        ". ",
        "$ ",
        "$x ",
        ":= ",
        "= ",
        ", ",
        "| ",
        "(",
        ") ",
        ".Values.a",
        ".Values.l ",
        "nil ",
        "true ",
        "1 ",
        "-1 ",
        "1.5 ",
        "'c' ",
        "0x1p4 ",
        "1i ",
        "/* c */",
        "text\n",
        "dict ",
        "list ",
        "set ",
        "merge ",
        "index ",
        "slice ",
        "printf ",
        "toYaml ",
        "fromYaml ",
        "until ",
        "repeat ",
        "splitList ",
        "regexFind ",
        "required ",
        "default ",
        "ternary ",
        "and ",
        "or ",
        "not ",
        "eq ",
        "len ",
        "first ",
        "last ",
        "rest ",
        "substr ",
        "trunc ",
        "indent ",
        "quote ",
        "date ",
        "get ",
];

/// Templates put together from what templates are made of.
fn templates() -> impl proptest::prelude::Strategy<Value = String> {
    use proptest::prelude::*;
    prop::collection::vec(prop::sample::select(PIECES), 0..20).prop_map(|pieces| pieces.concat())
}

proptest::proptest! {
    #[test]
    fn any_pieces_are_rendered_or_refused(text in templates()) {
        let _ = render(&text, &serde_json::json!({"a": {"b": "c"}, "l": [1, "two", null]}));
    }
}

/// Two hundred files, enough for every thread; Helm renders them from the last to the first.
fn many(text: impl Fn(usize) -> String) -> Vec<(String, String)> {
    (0..200).map(|index| (format!("f{index:03}.yaml"), text(index))).collect()
}

#[test]
fn files_come_in_helm_s_order_however_many_threads_render_them() {
    let files = many(|index| format!("{{{{ .Values.a }}}}{index}"));
    let rendered = render_files(&files, &serde_json::json!({"a": "x"})).unwrap();
    let texts: Vec<_> = rendered.iter().map(|file| file.text.clone()).collect();
    assert_eq!(texts, (0..200).rev().map(|index| format!("x{index}")).collect::<Vec<_>>());
}

#[test]
fn what_one_file_changes_is_seen_by_the_files_after_it() {
    for change in [
        "set .Values \"n\" (add1 .Values.n)",
        "set .Values.deep.er \"n\" 1 | and (set .Values \"n\" (add1 .Values.n))",
        "merge (dict \"n\" (add1 .Values.n)) .Values.deep | mergeOverwrite .Values",
        "set $ \"Values\" (dict \"n\" (add1 .Values.n) \"deep\" dict)",
    ] {
        let files = many(|_| format!("{{{{ $_ := {change} }}}}{{{{ .Values.n }}}}"));
        let values = serde_json::json!({"n": 0, "deep": {"er": {}}});
        let rendered = render_files(&files, &values).unwrap();
        let texts: Vec<_> = rendered.iter().map(|file| file.text.clone()).collect();
        assert_eq!(texts, (1..=200).map(|n| n.to_string()).collect::<Vec<_>>(), "{change}");
    }
}

#[test]
fn the_first_failure_in_helm_s_order_is_told() {
    for _ in 0..20 {
        let files = many(|index| match index {
            3 | 50 | 120 | 150 => format!("{{{{ fail \"file {index}\" }}}}"),
            _ => "{{ range until 50 }}x{{ end }}".to_owned(),
        });
        let error = render_files(&files, &Value::Null).unwrap_err();
        assert!(error.contains("file 150"), "{error}");
    }
}

#[test]
fn each_function_has_a_golden_row() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/expressions");
    let mut templates = String::new();
    for name in crate::base::file::list_tree(&folder).unwrap() {
        let text = crate::base::file::read_text(&folder.join(name), 1 << 26).unwrap();
        let rows = text.lines().filter(|line| line.starts_with(['>', '|']));
        templates.extend(rows.flat_map(|line| [line, "\n"]));
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let words: std::collections::HashSet<&str> = templates.split(|c| !is_part(c)).collect();
    let names = funcs::names();
    assert!(names.len() > 200, "only {} functions", names.len());
    let missing: Vec<_> = names.into_iter().filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "no golden row has {missing:?}");
}

mod limits;
