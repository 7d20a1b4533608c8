//! Templates put together at random, rendered by Helm's own engine and by Leadsman: the same text,
//! or the same error.
//!
//! `LEADSMAN_FUZZ=100000` tries so many, from `LEADSMAN_FUZZ_SEED` on, and prints what differs.

pub(crate) mod ask;
mod grammar;

use leadsman::template::{Context, Program, ReleaseInfo, Scope, TemplateFile};
use leadsman::yaml::Value;
use serde_json::json;

use crate::support::parts;

/// So many are tried by an ordinary run of the tests.
const FEW: u64 = 4_000;
/// What differs is shown up to this many times.
const SHOWN: usize = 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn rendered(template: &str, values: &Value) -> Result<String, String> {
    let scopes = [Scope {
        path: "vec".into(),
        name: "vec".into(),
        parent: None,
        chart: json!({"Name": "vec", "Version": "1.2.3", "APIVersion": "v2", "IsRoot": true}),
        files: [].into(),
        library: false,
    }];
    let file = TemplateFile {
        name: "vec/templates/out.yaml".into(),
        text: template.to_owned().into(),
        scope: 0,
    };
    let program = Program::compile(vec![file], &scopes).map_err(|error| error.to_string())?;
    let (name, namespace) = ("rel".into(), "prod".into());
    let release = ReleaseInfo { name, namespace, revision: 1, is_upgrade: false };
    let capabilities = leadsman::release::offline("", &[]).unwrap();
    let context = Context {
        scopes: &scopes,
        values,
        release: &release,
        capabilities: &capabilities,
        lookup: None,
        lenient: false,
        limits: leadsman::base::limit::Limits::default(),
        hosts: None,
    };
    let rendered = program.render(&context).map_err(|error| error.to_string())?;
    Ok(rendered.into_iter().next().map(|file| file.text).unwrap_or_default())
}

/// Numbers as Helm's values have them, and no nulls: they never reach templates.
fn as_values(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.into_iter().map(as_values).collect(),
        Value::Object(map) => {
            let entries = map.into_iter().map(|(key, value)| (key, as_values(value)));
            Value::Object(entries.collect())
        }
        other => other,
    }
}

#[test]
fn random_templates_come_out_as_from_helm_s_engine() {
    let Some(judge) = parts::judge() else { return };
    let (count, seed) = (number("LEADSMAN_FUZZ", FEW), number("LEADSMAN_FUZZ_SEED", 1));
    let mut writer = grammar::Writer::new(seed);
    let asked: Vec<_> = (0..count)
        .map(|_| {
            let (template, values) = writer.snippet();
            (template, as_values(values))
        })
        .collect();
    let questions: Vec<_> = asked
        .iter()
        .map(|(template, values)| json!({"template": template, "values": values}))
        .collect();
    let judged = ask::all(&judge, &questions);
    let (mut good, mut wrong) = (0, Vec::new());
    for ((template, values), want) in asked.iter().zip(judged) {
        let got = rendered(template, values);
        let Some(want) = want else { continue };
        good += usize::from(want.is_ok());
        if got != want {
            wrong.push(format!("{template}\n  values {values}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(good as u64 > count / 10, "only {good} of {count} were good templates");
    let shown = wrong.len().min(SHOWN);
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong[..shown].join("\n"));
}
