use std::io::Read as _;
use std::path::Path;

use super::*;
use crate::base::file::{read_bytes, read_text};
use crate::base::testing::corpus;
use crate::release::manifest::{Selection, template_output};
use crate::release::offline;

/// Renders one case of the corpus as `leadsman template rel CHART --namespace prod` does.
fn render(corpus: &Path, repository: &str, archive: &str) -> Result<String, String> {
    let bytes = read_bytes(&corpus.join("charts").join(repository).join(archive), 1 << 26).unwrap();
    let say = |error: &(dyn std::error::Error + 'static)| crate::base::class::chain(error);
    let chart = Arc::new(chart::load_archive(&bytes).map_err(|error| say(&error))?);
    let capabilities = offline(Some("1.34.2"), &[]);
    let request = RenderRequest {
        chart: &chart,
        values: &Map::new(),
        release: ReleaseInfo {
            name: "rel".into(),
            namespace: "prod".into(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: &capabilities,
        lookup: None,
        check_schema: true,
    };
    let rendered = Renderer::default().render(&request).map_err(|error| say(&error))?;
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

fn check(repository: &str) {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("golden").join(repository);
    let (mut total, mut wrong) = (0, Vec::new());
    for line in read_text(&folder.join("cases.jsonl"), 1 << 26).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if case["case"] != "default" {
            continue;
        }
        total += 1;
        let archive = case["chart"].as_str().unwrap();
        let got = render(&corpus, repository, archive);
        let problem = match (&got, case["golden"].as_str()) {
            (Ok(got), Some(file)) => {
                let random: Vec<usize> =
                    serde_json::from_value(case["random"].clone()).unwrap_or_default();
                difference(got, &golden(&folder.join(file)), &random)
            }
            (Err(got), None) => {
                let want = case["error"].as_str().unwrap();
                (!want.contains(got.trim())).then(|| format!("error {got}, want {want}"))
            }
            (Ok(_), None) => Some(format!("rendered, want {}", case["error"])),
            (Err(got), Some(_)) => Some(got.clone()),
        };
        if let Some(problem) = problem {
            wrong.push(format!("{archive}: {problem}"));
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
