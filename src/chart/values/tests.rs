use std::sync::Arc;

use super::*;
use crate::yaml::Value;

fn map(text: &str) -> Map {
    match crate::yaml::parse(text, crate::yaml::Numbers::Exact).unwrap() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn chart(name: &str, values: &str, dependencies: Vec<Arc<Chart>>) -> Chart {
    let mut chart = Chart { values: map(values).into(), dependencies, ..Chart::default() };
    chart.metadata.name = name.to_owned();
    chart
}

#[test]
fn values_are_coalesced_as_helm_does() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        ("chart default", "a: 1", "", "", r#"{"a":1,"sub":{"global":{}}}"#),
        ("user wins", "a: 1", "", "a: 2", r#"{"a":2,"sub":{"global":{}}}"#),
        ("maps merge, lists are replaced", "m: {a: 1, l: [1]}", "", "m: {b: 2, l: [2]}", r#"{"m":{"a":1,"b":2,"l":[2]},"sub":{"global":{}}}"#),
        ("user null deletes a default", "a: 1", "", "a: null", r#"{"sub":{"global":{}}}"#),
        ("user null without default stays", "b: 1", "", "a: null", r#"{"a":null,"b":1,"sub":{"global":{}}}"#),
        ("default null is removed", "a: null", "", "", r#"{"sub":{"global":{}}}"#),
        ("child default", "a: 1", "c: 3", "", r#"{"a":1,"sub":{"c":3,"global":{}}}"#),
        ("parent over child", "sub: {c: 4}", "c: 3", "", r#"{"sub":{"c":4,"global":{}}}"#),
        ("user over both", "sub: {c: 4}", "c: 3", "sub: {c: 5}", r#"{"sub":{"c":5,"global":{}}}"#),
        ("globals go down", "global: {x: 1}", "global: {x: 2, z: 3}", "", r#"{"global":{"x":1},"sub":{"global":{"x":1,"z":3}}}"#),
    ];
    let mut wrong = Vec::new();
    for (name, parent, child, user, want) in rows {
        let root = chart("root", parent, vec![Arc::new(chart("sub", child, Vec::new()))]);
        let (got, _) = coalesce(&root, &map(user)).unwrap();
        let got = Value::Object(got).to_string();
        if got != *want {
            wrong.push(format!("{name}: got {got}, want {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
