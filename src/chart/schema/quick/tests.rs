use proptest::prelude::*;
use serde_json::json;

use super::super::check;
use super::*;

fn map(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

#[test]
fn plain_schemas_are_understood() {
    let values = map(json!({
        "name": "web", "port": 80.0, "ratio": 0.5, "hosts": ["a", "b"], "tls": {"on": true},
        "none": null,
    }));
    for schema in [
        json!({}),
        json!({"type": "object", "title": "t", "form": true, "default": {"any": [1]}}),
        json!({"$schema": "http://json-schema.org/schema#", "type": ["object", "null"]}),
        json!({"required": ["name", "none"], "properties": {"port": {"type": "integer"}}}),
        json!({"properties": {"port": {"minimum": 80, "maximum": 80, "enum": [1, 80]}}}),
        json!({"properties": {"name": {"minLength": 3, "maxLength": 3, "enum": ["web"]}}}),
        json!({"properties": {"hosts": {"items": {"type": "string", "maxLength": 1}}}}),
        json!({"properties": {"absent": {"properties": {"deeper": {"type": "string"}}}}}),
        json!({"properties": {"name": {}, "port": {}, "ratio": {}, "hosts": {}, "tls": {},
            "none": {"type": "null"}}, "additionalProperties": false}),
    ] {
        let text = schema.to_string();
        assert!(fits(text.as_bytes(), &values), "{text}");
        assert_eq!(check(text.as_bytes(), &values), [""; 0], "{text}");
    }
}

#[test]
fn everything_else_is_left_to_the_general_reader() {
    let values = map(json!({"name": "web", "port": 80.0, "hosts": ["a", 1.0], "big": 1e300}));
    for schema in [
        r#"{"type": "array"}"#,
        r#"{"type": "text"}"#,
        r#"{"type": []}"#,
        r#"{"type": ["object", "object"]}"#,
        r#"{"title": 1}"#,
        r##"{"$ref": "#/definitions/a"}"##,
        r#"{"anyOf": [{}]}"#,
        r#"{"required": []}"#,
        r#"{"required": ["absent"]}"#,
        r#"{"required": ["name", "name"]}"#,
        r#"{"properties": {"absent": {"type": "text"}}}"#,
        r#"{"properties": {"absent": true}}"#,
        r#"{"properties": {"name": {"minLength": 4}}}"#,
        r#"{"properties": {"name": {"minLength": 1.5}}}"#,
        r#"{"properties": {"port": {"maximum": 79}}}"#,
        r#"{"properties": {"port": {"minimum": 0.5}}}"#,
        r#"{"properties": {"big": {"type": "integer"}}}"#,
        r#"{"properties": {"name": {"enum": ["a", "b"]}}}"#,
        r#"{"properties": {"name": {"enum": ["web", "web"]}}}"#,
        r#"{"properties": {"name": {"enum": ["web", []]}}}"#,
        r#"{"properties": {"hosts": {"items": {"type": "string"}}}}"#,
        r#"{"properties": {"hosts": {"items": [{}]}}}"#,
        r#"{"properties": {"name": {}}, "additionalProperties": false}"#,
        r#"{"properties": {"name": {}, "port": {}}, "properties": {"hosts": {}, "big": {}},
            "additionalProperties": false}"#,
        r#"{"$schema": "http://json-schema.org/draft-03/schema"}"#,
        r#"{} {}"#,
        r#"{"type": "object""#,
        "[]",
        "",
    ] {
        assert!(!fits(schema.as_bytes(), &values), "{schema}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![-1.0, 0.0, 1.0, 2.5, 1e16]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "b", "äöü"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let kinds = ["array", "boolean", "integer", "null", "number", "object", "string", "text"];
    let limit = || prop::sample::select(vec![json!(-1), json!(0), json!(1), json!(2.5)]);
    let pair = |name: &'static str, value: BoxedStrategy<Value>| {
        value.prop_map(move |value| (name.to_owned(), value)).boxed()
    };
    let kind = prop::sample::select(kinds.to_vec());
    let leaf = vec![
        pair("type", kind.clone().prop_map(Value::from).boxed()),
        pair("type", prop::collection::vec(kind, 0..4).prop_map(Value::from).boxed()),
        pair("required", prop::collection::vec("[abc]", 0..3).prop_map(Value::from).boxed()),
        pair("enum", prop::collection::vec(value(), 0..4).prop_map(Value::from).boxed()),
        pair("minimum", limit().boxed()),
        pair("maximum", limit().boxed()),
        pair("minLength", limit().boxed()),
        pair("maxLength", limit().boxed()),
        pair("minItems", limit().boxed()),
        pair("title", value().boxed()),
        pair("default", value().boxed()),
        pair("form", value().boxed()),
        pair("const", value().boxed()),
    ];
    let leaf = prop::collection::vec(proptest::strategy::Union::new(leaf), 0..4);
    let made = |members: Vec<(String, Value)>| Value::Object(members.into_iter().collect());
    leaf.prop_map(made).prop_recursive(3, 16, 4, move |inner| {
        let named = prop::collection::btree_map("[abc]", inner.clone(), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()));
        let members = vec![
            pair("properties", named.boxed()),
            pair("items", inner.clone().boxed()),
            pair("additionalProperties", any::<bool>().prop_map(Value::from).boxed()),
            pair("not", inner.clone().boxed()),
            pair("x", inner.boxed()),
        ];
        prop::collection::vec(proptest::strategy::Union::new(members), 1..4).prop_map(made)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_fits_here_fits_for_the_general_reader(
        schema in schema(),
        values in prop::collection::btree_map("[abc]", value(), 0..4),
    ) {
        let values: Map = values.into_iter().collect();
        let text = schema.to_string();
        if fits(text.as_bytes(), &values) {
            prop_assert_eq!(check(text.as_bytes(), &values), Vec::<String>::new(), "{}", text);
        }
    }
}
