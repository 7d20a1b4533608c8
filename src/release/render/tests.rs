use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

use super::*;
use crate::base::file::{read_bytes, read_text, write_atomic};
use crate::base::testing::corpus;
use crate::release::manifest::{Selection, template_output};
use crate::release::offline;
use crate::yaml::Value;

/// What `leadsman template rel CHART --namespace prod` asks for.
fn request<'a>(
    chart: &'a Arc<Chart>,
    values: &'a Map,
    capabilities: &'a Capabilities,
) -> RenderRequest<'a> {
    RenderRequest {
        chart,
        values,
        release: ReleaseInfo {
            name: "rel".into(),
            namespace: "prod".into(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities,
        lookup: None,
        hosts: None,
        check_schema: true,
    }
}

fn packed(corpus: &Path, repository: &str, archive: &str) -> Bytes {
    read_bytes(&corpus.join("charts").join(repository).join(archive), 1 << 26).unwrap().into()
}

/// Renders one case of the corpus as `leadsman template rel CHART --namespace prod [-f VALUES]`: an
/// archive that was rendered before, as it was left in the store.
fn render(corpus: &Path, repository: &str, case: &Value, store: &Path) -> Result<String, String> {
    let bytes = packed(corpus, repository, case["chart"].as_str().unwrap());
    let say = |error: &(dyn std::error::Error + 'static)| crate::base::class::chain(error);
    let renderer = Renderer::with_store(store.to_owned());
    let chart = Arc::new(renderer.load_archive(&bytes).map_err(|error| say(&error))?);
    let values = match case["values"].as_str() {
        None => Map::new(),
        Some(name) => {
            let text = match name.strip_prefix("../") {
                Some(name) => {
                    read_bytes(&corpus.join("golden").join(repository).join(name), 1 << 26).unwrap()
                }
                None => chart.files.iter().find(|file| file.name == name).unwrap().data.to_vec(),
            };
            chart::parse_values(&text)
                .map_err(|error| format!("failed to parse {name}: {}", say(&error)))?
        }
    };
    let capabilities = offline("1.34.2", &[]).unwrap();
    let request = request(&chart, &values, &capabilities);
    let rendered = renderer.render(&request).map_err(|error| say(&error));
    renderer.keep();
    let rendered = rendered?;
    template_output(rendered.manifest.clone(), &rendered.hooks, &Selection::default())
        .map_err(|error| say(&error))
}

fn golden(path: &Path) -> String {
    let packed = read_bytes(path, 1 << 26).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text
}

/// Returns the first line that differs, random ones apart.
fn difference(got: &str, want: &str, random: &[usize]) -> Option<String> {
    let (got, want): (Vec<_>, Vec<_>) = (got.split('\n').collect(), want.split('\n').collect());
    for index in 0..got.len().max(want.len()) {
        let (a, b) = (got.get(index), want.get(index));
        if a != b && !random.contains(&(index + 1)) {
            return Some(format!("line {}: got {a:?}, want {b:?}", index + 1));
        }
    }
    None
}

const ADVICE: &str = "\n\nUse --debug flag to render out invalid YAML\n";

fn check(repository: &str) {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("golden").join(repository);
    let store = tempfile::tempdir().unwrap();
    let (mut total, mut wrong, mut seen) = (0, Vec::new(), HashSet::new());
    for line in read_text(&folder.join("cases.jsonl"), 1 << 26).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        total += 1;
        let archive = case["chart"].as_str().unwrap();
        if seen.insert(archive.to_owned()) {
            // What is made of an archive is kept from the second time on.
            let renderer = Renderer::with_store(store.path().to_owned());
            drop(renderer.load_archive(&packed(&corpus, repository, archive)));
            renderer.keep();
        }
        let got = render(&corpus, repository, &case, store.path());
        let problem = match (&got, case["golden"].as_str()) {
            (Ok(got), Some(file)) => {
                let random: Vec<usize> =
                    serde_json::from_value(case["random"].clone()).unwrap_or_default();
                difference(got, &golden(&folder.join(file)), &random)
            }
            (Err(got), None) => {
                let want = case["error"].as_str().unwrap();
                let told = format!("Error: {got}");
                // Warnings come first, and advice last.
                let want = &want[want.find("Error: ").unwrap_or_default()..];
                let want = want.strip_suffix(ADVICE).unwrap_or(want);
                (want.trim_end_matches('\n') != told.trim_end_matches('\n'))
                    .then(|| format!("error {got}, want {want}"))
            }
            (Ok(_), None) => Some(format!("rendered, want {}", case["error"])),
            (Err(got), Some(_)) => Some(got.clone()),
        };
        if let Some(problem) = problem {
            wrong.push(format!("{} {}: {problem}", case["chart"], case["case"]));
        }
    }
    assert!(
        total > 0 && wrong.is_empty(),
        "{} of {total} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn podinfo_renders_as_helm_renders_it() {
    check("podinfo");
}

#[test]
fn prometheus_community_renders_as_helm_renders_it() {
    check("prometheus-community");
}

#[test]
fn bitnami_renders_as_helm_renders_it() {
    check("bitnami");
}

#[test]
fn grafana_renders_as_helm_renders_it() {
    check("grafana");
}

#[test]
fn others_render_as_helm_renders_them() {
    check("mixed");
}

/// Values and templates are made ready side by side; of several things that are wrong, the one is
/// told that Helm comes upon first.
#[test]
fn of_several_mistakes_the_first_one_is_told() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    const NO_TEMPLATE: (&str, &str) = ("templates/a.yaml", "{{ if }}");
    const NO_FIT: (&str, &str) = ("values.schema.json", r#"{"required": ["missing"]}"#);
    const NO_TABLE: (&str, &str) = ("values.yaml", "sub: text");
    let of = |more: &str| format!("apiVersion: v2\nname: web\nversion: 1.0.0\n{more}");
    let (plain, old) = (of(""), of("kubeVersion: '<1.0.0'\n"));
    let (library, sub) = (of("type: library\n"), of("").replace("web", "sub"));
    let declared = of("dependencies: [{name: sub, version: '*'}]\n");
    let below = ("charts/sub/Chart.yaml", sub.as_str());
    let rows: [Row<'_>; 7] = [
        (&plain, &[NO_TEMPLATE], "missing value for if"),
        (&plain, &[NO_TEMPLATE, NO_FIT], "missing property 'missing'"),
        (&declared, &[NO_TEMPLATE, NO_FIT, NO_TABLE, below], "type mismatch on sub"),
        (&plain, &[NO_TEMPLATE, below, NO_TABLE], "type mismatch on sub"),
        (&old, &[NO_TEMPLATE], "chart requires kubeVersion: <1.0.0"),
        (&library, &[NO_TEMPLATE], "library charts are not installable"),
        (&plain, &[NO_TEMPLATE, below, ("charts/sub/templates/b.yaml", "{{ end }}")], "b.yaml:1"),
    ];
    let capabilities = offline("1.34.2", &[]).unwrap();
    for (metadata, files, want) in rows {
        let files = [("Chart.yaml", metadata)].into_iter().chain(files.iter().copied());
        let file = |(name, text): (&str, &str)| chart::File {
            name: name.to_owned(),
            data: Bytes::copy_from_slice(text.as_bytes()).into(),
        };
        let chart = Arc::new(chart::load_files(files.map(file).collect()).unwrap());
        let values = Map::new();
        let error = Renderer::default().render(&request(&chart, &values, &capabilities));
        let told = crate::base::class::chain(&error.unwrap_err());
        assert!(told.contains(want), "{told}\nlacks {want}");
    }
}

#[test]
fn what_is_remembered_of_a_rendering_is_used_for_its_like_alone() {
    let chart = |name: &str| {
        let template = "kind: {{ .Chart.Name }}\na: {{ .Values.a }}\n";
        let schema = r#"{"properties": {"a": {"type": "integer"}}}"#;
        let files = [
            ("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n")),
            ("values.yaml", "a: 0\n".to_owned()),
            ("values.schema.json", schema.to_owned()),
            ("templates/a.yaml", template.to_owned()),
        ];
        let file = |(name, text): (&str, String)| chart::File {
            name: name.to_owned(),
            data: bytes::Bytes::from(text).into(),
        };
        Arc::new(chart::load_files(files.into_iter().map(file).collect()).unwrap())
    };
    let (one, two) = (chart("one"), chart("two"));
    let renderer = Renderer::default();
    let capabilities = offline("1.34.2", &[]).unwrap();
    let render = |chart: &Arc<Chart>, a: Option<Value>, check_schema: bool| {
        let values: Map = a.into_iter().map(|a| ("a".to_owned(), a)).collect();
        let request = RenderRequest { check_schema, ..request(chart, &values, &capabilities) };
        let rendered = renderer.render(&request).map_err(|error| error.to_string())?;
        let lines: Vec<_> = rendered.manifest.lines().skip(2).collect();
        Ok::<_, String>(lines.join(" ").trim_end().to_owned())
    };
    for _ in 0..2 {
        for (chart, a, wanted) in [
            (&one, None, "kind: one a: 0"),
            (&one, Some(1.into()), "kind: one a: 1"),
            (&two, Some(1.into()), "kind: two a: 1"),
            (&two, Some(2.into()), "kind: two a: 2"),
            (&one, Some(2.into()), "kind: one a: 2"),
        ] {
            assert_eq!(render(chart, a.clone(), true).as_deref(), Ok(wanted), "{a:?}");
        }
        // What was never checked is checked when somebody asks for it, and each time.
        assert_eq!(render(&one, Some("x".into()), false).as_deref(), Ok("kind: one a: x"));
        for _ in 0..2 {
            let refused = render(&one, Some("x".into()), true).unwrap_err();
            assert!(refused.contains("got string, want integer"), "{refused}");
        }
        renderer.forget();
    }
}

#[test]
fn what_another_process_has_left_is_what_this_one_would_make() {
    let chart = || {
        let files = [
            ("Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n"),
            ("values.yaml", "a: 1\nb: [0.1, 1e300, null, {c: x}]\n"),
            ("templates/_helpers.tpl", "{{ define \"n\" }}{{ .Values.b }}{{ end }}"),
            ("templates/a.yaml", "kind: A\na: {{ include \"n\" . | quote }}\nb: {{ .Values.a }}\n"),
            ("templates/empty.yaml", ""),
            ("crds/c.yaml", &"# a long definition\n".repeat(1_000)),
            ("README.md", &"A long text.\n".repeat(2_000)),
            ("files/x.txt", "x"),
        ];
        let files = files.iter().map(|(name, text)| (*name, text.as_bytes()));
        Bytes::from(chart::pack("a", files).unwrap())
    };
    let store = tempfile::tempdir().unwrap();
    let rendered = || {
        let renderer = Renderer::with_store(store.path().to_owned());
        let chart = Arc::new(renderer.load_archive(&chart()).unwrap());
        let capabilities = offline("", &[]).unwrap();
        let values = Map::new();
        let request = request(&chart, &values, &capabilities);
        let manifest = renderer.render(&request).unwrap().manifest;
        renderer.keep();
        let files: Vec<_> = chart.files.iter().map(|file| (&file.name, file.data.len())).collect();
        format!("{manifest}{:?}{files:?}{:?}", chart.values, chart.values_text)
    };
    let kept = || {
        let files = std::fs::read_dir(store.path()).unwrap().map(|file| file.unwrap().path());
        let (marks, mut made): (Vec<_>, Vec<_>) =
            files.partition(|path| path.to_string_lossy().contains("/seen-"));
        assert!(marks.len() == 1 && made.len() < 2, "one archive");
        made.pop()
    };
    let first = rendered();
    assert!(first.contains("README.md") && first.contains("1e+300"), "{first}");
    assert_eq!(kept(), None, "only that it was seen");
    let read = || read_bytes(&kept().unwrap(), 1 << 20).unwrap();
    assert_eq!(rendered(), first);
    let written = read();
    assert!((1..8_000).contains(&written.len()), "large files are not kept twice");
    assert_eq!(rendered(), first);
    // What is damaged is made and written again.
    write_atomic(&kept().unwrap(), &written[..written.len() / 2]).unwrap();
    assert_eq!(rendered(), first);
    assert_eq!(read(), written);
}
