//! Templates and texts put together at random, given to Helm's own packages and to Leadsman: the
//! same result, or the same error.
//!
//! `LEADSMAN_FUZZ=100000` tries so many, from `LEADSMAN_FUZZ_SEED` on, and prints what differs.

pub(crate) mod ask;
mod grammar;
mod literals;
mod operands;
mod paths;
mod phrases;
mod texts;
mod trees;
mod whole;
mod words;

use std::io::Write as _;
use std::time::{Duration, Instant};

use leadsman::chart;
use leadsman::jsonpath::Template;
use leadsman::yaml::{Map, Value, json as go_json};
use serde_json::json;

use self::ask::Said;
use self::paths::Paths;
use self::texts::Texts;
use self::trees::Trees;
use crate::support::parts;
use crate::support::single::Single;

/// So many are tried by an ordinary run of the tests.
const FEW: u64 = 4_000;
/// One in so many may be refused in other words: `docs/compat.md`.
const OTHERWISE: usize = 200;
/// What differs is shown up to this many times.
const SHOWN: usize = 20;

/// The functions of sprig that Helm hands on.
const SPRIG: &str = include_str!("sprig.txt");

const CHART: &str = "apiVersion: v2\nname: vec\nversion: 1.2.3\n";
const FILES: &[(&str, &str)] =
    &[("a.txt", "alpha\n"), ("b.txt", "l1\nl2"), ("conf/c.yaml", "c: 1\n"), ("empty", "")];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    number("LEADSMAN_FUZZ_SEED", 1)
}

fn rendered(template: &str, values: &Value) -> Said {
    let chart = json!({"Name": "vec", "Version": "1.2.3", "APIVersion": "v2", "IsRoot": true});
    Single { chart, files: FILES, values, kube: "" }.render(template)
}

fn question(template: &str, values: &Value) -> Value {
    let mut files = json!({"Chart.yaml": CHART, "templates/out.yaml": template});
    for (name, text) in FILES {
        files[name] = json!(text);
    }
    json!({"files": files, "values": values})
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

/// Whether a text has an address in memory, which is another one each time.
fn has_address(text: &str) -> bool {
    const DIGITS: usize = 9;
    let number = |rest: &str| rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    text.split("0x").skip(1).any(|rest| number(rest) >= DIGITS)
}

/// Compares all answers; what the judge died of is left out.
#[track_caller]
fn compare(asked: &[(String, Value)], got: impl Fn(usize) -> Said, least_good: u64) {
    compare_within(asked, got, (least_good, 0), |_, said| said);
}

/// The same for answers that mean the same in a certain form.
#[track_caller]
fn compare_as(
    asked: &[(String, Value)],
    got: impl Fn(usize) -> Said,
    least_good: u64,
    form: impl Fn(Said) -> Said,
) {
    compare_each(asked, got, least_good, |_, said| form(said));
}

/// The same, where the form depends on the question. A text with several mistakes may be refused
/// for another one of them.
#[track_caller]
fn compare_each(
    asked: &[(String, Value)],
    got: impl Fn(usize) -> Said,
    least_good: u64,
    form: impl Fn(usize, Said) -> Said,
) {
    compare_within(asked, got, (least_good, asked.len() / OTHERWISE), form);
}

/// The same, where so many may be refused in other words.
#[track_caller]
fn compare_within(
    asked: &[(String, Value)],
    got: impl Fn(usize) -> Said,
    (least_good, most_otherwise): (u64, usize),
    form: impl Fn(usize, Said) -> Said,
) {
    let Some(judge) = parts::judge() else { return };
    let questions: Vec<_> = asked.iter().map(|(_, question)| question.clone()).collect();
    let (mut good, mut died, mut otherwise, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for (index, want) in ask::all(&judge, &questions).into_iter().enumerate() {
        let Some(want) = want else {
            died += 1;
            continue;
        };
        let want = form(index, want);
        good += usize::from(want.is_ok());
        if matches!(&want, Ok(text) | Err(text) if has_address(text)) {
            continue;
        }
        let got = got(index);
        // A bound of ours, which Helm does not have.
        if matches!(&got, Err(text) if text.contains("(--limit ")) {
            continue;
        }
        if got != want {
            let list = if got.is_err() && want.is_err() { &mut otherwise } else { &mut wrong };
            list.push(format!("{}\n  want {want:?}\n  got  {got:?}", asked[index].0));
        }
    }
    let count = asked.len();
    if std::env::var_os("LEADSMAN_FUZZ").is_some() {
        let counts = format!("{good} good, {died} that Helm dies of");
        let others = format!("{} refused in other words, {} differ", otherwise.len(), wrong.len());
        let _ = writeln!(std::io::stderr(), "{count} asked: {counts}, {others}");
    }
    assert!(good as u64 * 100 >= count as u64 * least_good, "only {good} of {count} were good");
    if otherwise.len() > most_otherwise {
        wrong.append(&mut otherwise);
    }
    let shown = wrong.len().min(SHOWN);
    assert!(wrong.is_empty(), "{} of {count} differ\n{}", wrong.len(), wrong[..shown].join("\n"));
}

/// The chart around a random template: one more template, and a chart below it.
fn around(template: &str) -> whole::Files {
    const FILES_AROUND: &[(&str, &str)] = &[
        (
            "Chart.yaml",
            "apiVersion: v2\nname: vec\nversion: 1.2.3\nkeywords: [k, l]\nannotations: {a: b}\nmaintainers: [{name: m, email: m@h.example}]\ndependencies: [{name: sub, version: '*'}]\n",
        ),
        (
            "templates/_z.tpl",
            "{{ define \"who\" }}root {{ .Chart.Name }}{{ end }}{{ define \"t\" }}z{{ end }}z",
        ),
        ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
        ("charts/sub/values.yaml", "sv: 1\nglobal: {g: x}\nlist: [1, a]\n"),
        (
            "charts/sub/templates/_h.tpl",
            "{{ define \"who\" }}sub{{ end }}{{ define \"sub.h\" }}{{ .Chart.Name }}:{{ .Values | toJson }}{{ end }}h",
        ),
        ("charts/sub/templates/s.yaml", "{{ $_ := set .Values \"by\" .Template.Name }}"),
        ("charts/sub/s.txt", "below"),
    ];
    let files = FILES.iter().chain(FILES_AROUND);
    let mut files: whole::Files =
        files.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    files.push(("templates/out.yaml".to_owned(), template.to_owned()));
    files
}

/// Whether a template makes numbers up, which the text shows: many times the same is no chance.
/// Only where the two bounds of a number are one apart is it always the same.
fn draws_lots(template: &str, values: &Value) -> bool {
    const TIMES: usize = 32;
    // Those that take long are few, and mostly run into a bound.
    const LONGEST: Duration = Duration::from_secs(1);
    let rendered = || whole::rendered(&around(template), values);
    template.contains("randInt") && {
        let (begun, first) = (Instant::now(), rendered());
        (0..TIMES).take_while(|_| begun.elapsed() < LONGEST).any(|_| rendered() != first)
    }
}

/// Bytes that are no text are not told apart where YAML is written; behind a list, and
/// behind the bytes of a file, lies what Go happened to allocate; times have addresses inside.
fn is_known((template, values): &(String, Value)) -> bool {
    if template.contains("lice ") || template.contains("rintf ") {
        let is_known = match whole::rendered(&around(template), values) {
            Ok(text) => ["(time.Time=", "(*time.Location="].iter().any(|part| text.contains(part)),
            Err(error) => error.contains("slice index out of bounds"),
        };
        if is_known {
            return true;
        }
    }
    if draws_lots(template, values) {
        return true;
    }
    let writes = ["Yaml", "Toml", "Files"];
    let has_bytes = phrases::BYTES.iter().any(|bytes| template.contains(bytes));
    has_bytes && writes.iter().any(|name| template.contains(name))
}

#[test]
fn random_templates_come_out_as_from_helm_s_engine() {
    let mut writer = grammar::Writer::new(seed());
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| writer.snippet())
        .map(|(template, values)| (template, as_values(values)))
        .filter(|asked| !is_known(asked))
        .collect();
    let questions: Vec<_> = asked
        .iter()
        .map(|(template, values)| {
            (format!("{template}\n  values {values}"), whole::question(&around(template), values))
        })
        .collect();
    compare(&questions, |index| whole::rendered(&around(&asked[index].0), &asked[index].1), 10);
}

#[test]
fn every_function_is_reached_by_random_templates() {
    let mut writer = grammar::Writer::new(1);
    let text: String = (0..FEW).map(|_| writer.snippet().0 + " ").collect();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let reached: std::collections::HashSet<&str> = text.split(|c| !is_part(c)).collect();
    let keywords = "block break continue define else end if nil range template with";
    let own = "include tpl required fail lookup call";
    let names = words::FUNCTIONS.iter().map(|(name, _)| *name);
    let names =
        names.chain(SPRIG.split_whitespace()).chain(keywords.split(' ')).chain(own.split(' '));
    let missing: Vec<_> = names.filter(|name| !reached.contains(name)).collect();
    assert!(missing.is_empty(), "no random template has {missing:?}");
}

#[test]
fn random_charts_see_the_values_that_helm_gives_them() {
    let mut trees = Trees::new(seed());
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW)).map(|_| trees.chart()).collect();
    let questions: Vec<_> = asked
        .iter()
        .map(|(files, values)| {
            (format!("{files:?}\n  values {values}"), whole::question(files, values))
        })
        .collect();
    // Of several parts that are no tables, each tells any.
    let got = |index: usize| whole::rendered(&asked[index].0, &asked[index].1);
    compare_as(&questions, got, 20, |said| said);
}

#[test]
fn random_values_are_printed_as_helm_prints_them() {
    let mut texts = Texts::new(seed());
    let template = "{{ toYaml .Values.v }}\n--\n{{ toYamlPretty .Values.v }}\n--\n{{ toJson .Values.v }}\n--\n{{ toPrettyJson .Values.v }}\n--\n{{ toRawJson .Values.v }}\n--\n{{ .Values.v }}\n--\n{{ printf \"%#v %q\" .Values.v .Values.v }}";
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| as_values(json!({"v": texts.tree(0)})))
        .map(|values| (values.to_string(), question(template, &values)))
        .collect();
    compare(&asked, |index| rendered(template, &asked[index].1["values"]), 90);
}

#[test]
fn random_yaml_is_read_as_helm_reads_it() {
    let mut texts = Texts::new(seed());
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| texts.yaml())
        .map(|text| (format!("{text:?}"), json!({"yaml": text})))
        .collect();
    let got = |index: usize| {
        let text = asked[index].1["yaml"].as_str().unwrap();
        let values = chart::parse_values(text.as_bytes());
        let values = values.map_err(|error| leadsman::base::class::chain(&error))?;
        Ok(go_json::to_string(&Value::Object(values)))
    };
    // Of several things that are wrong in what a text means, Go tells any: it walks a map at random.
    let several = ["map key", "unsupported value", "map merge requires", "cannot unmarshal "];
    let form = |said: Said| {
        said.map_err(|error| {
            let meant = error.split("JSON: ").last().unwrap_or_default();
            if several.iter().any(|part| meant.contains(part)) { "meaning".into() } else { error }
        })
    };
    compare_as(&asked, |index| form(got(index)), 20, form);
}

#[test]
fn random_set_texts_are_read_as_helm_reads_them() {
    let mut texts = Texts::new(seed());
    let base = json!({"t": {"x": 1, "y": {"z": "q"}}, "l": ["one", ["two"], {"k": 1}], "s": "text", "n": null});
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| texts.set())
        .map(|(text, kind)| {
            (format!("{kind}: {text}"), json!({"set": text, "kind": kind, "base": base}))
        })
        .collect();
    let got = |index: usize| {
        let question = &asked[index].1;
        let text = question["set"].as_str().unwrap();
        let mut map: Map = base.as_object().unwrap().clone();
        let parsed = match question["kind"].as_str().unwrap() {
            "string" => chart::set::parse_set_string(text, &mut map),
            "json" => chart::set::parse_set_json(text, &mut map),
            "literal" => chart::set::parse_set_literal(text, &mut map),
            _ => chart::set::parse_set(text, &mut map),
        };
        parsed.map_err(|error| leadsman::base::class::chain(&error))?;
        Ok(go_json::to_string(&Value::Object(map)))
    };
    // Of JSON, Helm itself repeats only the text.
    let form = |said: Said| {
        said.map_err(|error| match error.strip_prefix("failed parsing --set-json data ") {
            Some(_) => "no JSON".to_owned(),
            None => error,
        })
    };
    let is_json: std::collections::HashSet<_> = asked
        .iter()
        .filter(|(_, question)| question["kind"] == "json")
        .map(|(text, _)| text)
        .collect();
    let asked_of = |index: usize| is_json.contains(&asked[index].0);
    compare_each(
        &asked,
        |index| form(got(index)),
        20,
        |index, said| {
            if asked_of(index) { said.map_err(|_| "no JSON".to_owned()) } else { said }
        },
    );
}

#[test]
fn random_constraints_match_as_in_helm() {
    let mut texts = Texts::new(seed());
    let template = "{{ semverCompare .Values.c .Values.v }}";
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| texts.constraint())
        .map(|(constraint, version)| json!({"c": constraint, "v": version}))
        .map(|values| (values.to_string(), question(template, &values)))
        .collect();
    compare(&asked, |index| rendered(template, &asked[index].1["values"]), 20);
}

#[test]
fn random_metadata_is_read_as_helm_reads_it() {
    let mut texts = Texts::new(seed());
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| texts.metadata())
        .map(|text| (text.clone(), json!({"metadata": text})))
        .collect();
    let got = |index: usize| {
        let text = asked[index].1["metadata"].as_str().unwrap().to_owned();
        let file =
            chart::File { name: "Chart.yaml".to_owned(), data: bytes::Bytes::from(text).into() };
        let chart = chart::load_files(vec![file]);
        let chart = chart.map_err(|error| leadsman::base::class::chain(&error))?;
        Ok(serde_json::to_value(&chart.metadata).map(|value| value.to_string()).unwrap())
    };
    let same =
        |said: Said| said.map(|text| serde_json::from_str::<Value>(&text).unwrap().to_string());
    compare_as(&asked, got, 20, same);
}

#[test]
fn random_urls_are_read_as_helm_reads_them() {
    let mut paths = Paths::new(seed());
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| format!("{{{{ urlParse \"{}\" | toJson }}}}", paths.url()))
        .map(|template| (template.clone(), question(&template, &json!({}))))
        .collect();
    compare_within(&asked, |index| rendered(&asked[index].0, &json!({})), (20, 0), |_, said| said);
}

#[test]
fn random_jsonpaths_find_what_helm_finds() {
    let mut paths = Paths::new(seed());
    let data = as_values(Paths::data());
    let asked: Vec<_> = (0..number("LEADSMAN_FUZZ", FEW))
        .map(|_| paths.template())
        .map(|text| (text.clone(), json!({"jsonpath": text, "values": data})))
        .collect();
    // Upstream walks maps at random.
    let form = |index: usize, said: Said| {
        let text = &asked[index].0;
        if !(text.contains('*') || text.contains("..")) {
            return said;
        }
        said.map(|found| {
            let mut bytes = found.into_bytes();
            bytes.sort_unstable();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let got = |index: usize| {
        let parsed = Template::parse(&asked[index].0).map_err(|error| error.to_string())?;
        // Helm prints nothing where there is nothing to be found.
        let found = parsed.render(&data).unwrap_or_default();
        Ok(String::from_utf8_lossy(&found).into_owned())
    };
    compare_within(&asked, |index| form(index, got(index)), (20, 0), form);
}
