//! Templates put together at random, rendered by Helm's own engine and by Leadsman: the same text,
//! or the same error.
//!
//! `LEADSMAN_FUZZ=100000` tries so many, from `LEADSMAN_FUZZ_SEED` on, and prints what differs.

mod grammar;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use leadsman::template::{Context, Frozen, Program, ReleaseInfo, Scope, TemplateFile};
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

/// What the engine says of all templates, in order; nothing of those that it dies of: a map that
/// holds itself exhausts Go's stack.
fn judged(judge: &Path, asked: &[(String, Value)]) -> Vec<Option<Result<String, String>>> {
    let mut said = Vec::with_capacity(asked.len());
    while said.len() < asked.len() {
        said.extend(judged_while_alive(judge, &asked[said.len()..]).into_iter().map(Some));
        if said.len() < asked.len() {
            said.push(None);
        }
    }
    said
}

fn judged_while_alive(judge: &Path, asked: &[(String, Value)]) -> Vec<Result<String, String>> {
    let mut command = Command::new(judge);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = command.spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    let output = BufReader::new(running.stdout.take().unwrap());
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            for (template, values) in asked {
                // It fails when the judge has died, which the number of answers tells.
                let line = json!({"template": template, "values": values});
                if writeln!(input, "{line}").is_err() {
                    return;
                }
            }
        });
        let said = |line: std::io::Result<String>| {
            // A judge that dies may do so in the middle of a line.
            let answer: Value = serde_json::from_str(&line.ok()?).ok()?;
            Some(match answer["output"].as_str() {
                Some(output) => Ok(output.to_owned()),
                None => Err(answer["error"].as_str()?.to_owned()),
            })
        };
        output.lines().map_while(said).collect::<Vec<_>>()
    });
    let _ = running.wait();
    answers
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
    let values = Frozen::new(values);
    let context = Context {
        scopes: &scopes,
        values: &values,
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
    let judged = judged(&judge, &asked);
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
