//! Rows whose answers are kustomize's own (`tests/parts/kustomize/main.go`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{customize, label};
use crate::api::Kustomize;

#[derive(Deserialize)]
struct Row {
    name: String,
    objects: String,
    kustomize: Option<Kustomize>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    output: Option<String>,
    #[serde(default)]
    error: String,
}

/// Refused in other words (`docs/compat.md`): lines are counted otherwise, and objects with what
/// has no JSON form are not shown whole.
const OTHERWISE: &[&str] = &["int keys", "infinite", "broken yaml", "label: broken yaml"];

#[test]
fn rows_are_what_kustomize_makes_of_them() {
    let rows = include_str!("../../tests/golden/kustomize/rows.jsonl");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in rows.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let got = match &row.kustomize {
            Some(asked) => customize(&row.objects, asked),
            None => label(&row.objects, &row.labels, &row.annotations),
        };
        let got = got.map_err(|error| error.to_string());
        let want = row.output.ok_or(row.error);
        count += 1;
        let other_words = OTHERWISE.contains(&row.name.as_str());
        let fits = if other_words { got.is_err() && want.is_err() } else { got == want };
        if !fits || other_words && got == want {
            let show = |said: &Result<String, String>| match said {
                Ok(text) => text.clone(),
                Err(error) => format!("error: {error}"),
            };
            wrong.push(format!(
                "=== {}\n--- want\n{}\n--- got\n{}",
                row.name,
                show(&want),
                show(&got)
            ));
        }
    }
    assert!(count > 100, "only {count} rows");
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong.join("\n"));
}
