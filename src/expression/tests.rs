use serde_json::json;

use super::*;

fn evaluated(text: &str) -> Result<bool, String> {
    let object = json!({
        "metadata": {"generation": 3, "labels": {"a/b": "x"}},
        "status": {
            "ok": true, "replicas": 3, "ratio": 0.5, "phase": "Running", "none": null,
            "conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"},
            ],
        },
    });
    let fields = object.as_object().unwrap();
    let variables: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
    Expression::parse(text)?.is_true(&variables)
}

#[test]
fn expressions_are_true_or_false() {
    let rows = [
        ("has(status.ok) && status.ok", true),
        ("!has(status.other)", true),
        ("has(status.other)", false),
        ("status.phase == 'Running'", true),
        ("status.phase in ['Running', 'Succeeded']", true),
        ("status.replicas == 3 && status.replicas + 1 == 4", true),
        ("status.replicas > 2.5 && status.ratio < 1", true),
        ("status.none == null", true),
        ("metadata.labels['a/b'] == 'x'", true),
        ("'a/b' in metadata.labels", true),
        ("status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", true),
        ("status.conditions.filter(c, c.type == 'Stalled').all(c, c.status == 'False')", true),
        ("status.conditions.map(c, c.type)[1] == 'Stalled'", true),
        ("size(status.conditions) == 2", true),
        ("status.phase.startsWith('Run') && status.phase.matches('^R.*g$')", true),
        ("status.phase.lowerAscii() == 'running'", true),
        ("status.?other.orValue('x') == 'x'", true),
        ("has(metadata.generation) ? metadata.generation == 3 : false", true),
        ("timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-02T00:00:00Z')", true),
        ("duration('90s') > duration('1m')", true),
        ("missing.field == 1 || status.ok", true),
        ("base64.encode(b'hi') == 'aGk='", true),
    ];
    for (text, want) in rows {
        assert_eq!(evaluated(text), Ok(want), "{text}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_told_in_the_words_of_flux() {
    let rows = [
        ("!has(spec.ok)", "no such attribute(s): spec.ok"),
        ("spec.a.b == 1 && status.ok", "no such attribute(s): spec.a.b"),
        ("status.other == 1", "no such key: other"),
    ];
    for (text, why) in rows {
        let want = format!("failed to evaluate the CEL expression '{text}': {why}");
        assert_eq!(evaluated(text), Err(want));
    }
    let want = "failed to evaluate CEL expression as boolean: 'status.phase'";
    assert_eq!(evaluated("status.phase"), Err(want.to_owned()));
}

#[test]
fn what_is_no_expression_is_told_in_the_words_of_flux() {
    let rows = [(
        "not valid (",
        "ERROR: <input>:1:5: Syntax error: mismatched input 'valid' expecting <EOF>\n | not valid (\n | ....^",
    )];
    for (text, why) in rows {
        let want = format!("failed to parse the CEL expression '{text}': {why}");
        assert_eq!(evaluated(text), Err(want));
    }
    for text in ["", "a +", "'open", "[1, 2", "a ? b"] {
        assert!(evaluated(text).unwrap_err().starts_with("failed to parse"), "{text}");
    }
}

#[test]
fn what_could_take_too_long_is_refused() {
    let list = format!("[{}]", vec!["1"; 1000].join(","));
    let nested = format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, d > 0))))");
    let doubled = format!("['x']{}.size() > 0", ".map(s, s + s)".repeat(64));
    let lists = format!("[[1, 2]]{}.size() > 0", ".map(s, s + s)".repeat(40));
    let replaced = format!("'{0}'.replace('a', '{0}').replace('a', '{0}') == ''", "a".repeat(4000));
    for text in [nested, doubled, lists, replaced] {
        let refused = evaluated(&text).unwrap_err();
        assert!(refused.contains("too many steps"), "{}", &refused[refused.len() - 80..]);
    }
    let deep = format!("{}true{}", "(".repeat(5000), ")".repeat(5000));
    assert!(evaluated(&deep).unwrap_err().starts_with("failed to parse"));
    let chain = format!("status{} == 1", ".a".repeat(5000));
    assert!(evaluated(&chain).is_err());
    for chain in [".a", "[0]", ".f()", " + 1", " == a", " ? 1 : 2", " && a"] {
        let most = OPERATORS / chain.matches(['.', '[', '+', '=', '?', '&']).count();
        // As long as is allowed, it is dealt with; how does not matter.
        let _ = evaluated(&format!("status{}", chain.repeat(most)));
        assert!(evaluated(&format!("status{}", chain.repeat(most + 1))).is_err(), "{chain}");
    }
    let _ = evaluated(&format!("{}true{}", "(".repeat(64), ")".repeat(64)));
    let long = format!("'{}' == ''", "a".repeat(LONGEST_BYTES));
    assert!(evaluated(&long).unwrap_err().contains("longer than"));
}

#[test]
fn what_is_usual_is_cheap() {
    // As many conditions as a big object has.
    let conditions: Vec<_> = (0..300)
        .map(|n| json!({"type": format!("C{n}"), "status": "True", "message": "x".repeat(200)}))
        .collect();
    let status = json!({"conditions": conditions});
    let rows = [
        "status.conditions.exists(c, c.type == 'C299' && c.status == 'True')",
        "status.conditions.filter(c, c.type.startsWith('C2')).all(c, c.status == 'True')",
        "status.conditions.map(c, c.type).exists(t, t == 'C1')",
    ];
    for text in rows {
        let parsed = Expression::parse(text).unwrap();
        assert_eq!(parsed.is_true(&[("status", &status)]), Ok(true), "{text}");
    }
}

#[test]
fn a_state_before_may_be_missing() {
    let rule = Expression::parse("!old.hasValue() || self >= old.value()").unwrap();
    let (two, three) = (json!(2), json!(3));
    for (old, want) in
        [(None, true), (Some(&two), true), (Some(&three), true), (Some(&json!(4)), false)]
    {
        let given = [("self", Given::Value(&three)), ("old", Given::Optional(old))];
        assert_eq!(rule.evaluate(&given), Ok(Outcome::Bool(want)), "{old:?}");
    }
    assert!(rule.mentions("old") && rule.mentions("self") && !rule.mentions("value"));
    let text = Expression::parse("'got ' + self").unwrap();
    let got = text.evaluate(&[("self", Given::Value(&json!("x")))]);
    assert_eq!(got, Ok(Outcome::Text("got x".to_owned())));
}

#[test]
fn it_is_told_whether_another_evaluator_might_do_better() {
    let list = json!([1]);
    for (text, why, is_ours) in [
        ("self[3] == 1", "index out of bounds: 3", false),
        ("1 / (size(self) - 1) == 1", "division by zero", false),
        ("self.nope()", "", true),
    ] {
        let parsed = Expression::parse(text).unwrap();
        let failure = parsed.evaluate(&[("self", Given::Value(&list))]).unwrap_err();
        assert_eq!(failure.is_ours, is_ours, "{text}: {failure:?}");
        assert!(failure.why.contains(why), "{text}: {failure:?}");
    }
}
