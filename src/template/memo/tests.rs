use serde_json::json;

use super::super::funcs;
use super::super::tests::{render_files, render_within};
use crate::base::limit::{Limit, Limits};

/// Renders one file beside the definition of `x`.
fn render(definitions: &str, file: &str) -> Result<String, String> {
    let files = [("a.yaml", file.to_owned()), ("_t.tpl", definitions.to_owned())];
    let values = json!({"n": 1, "deep": {"n": 1}});
    Ok(render_files(&files, &values)?.swap_remove(0).text)
}

#[test]
fn what_is_asked_again_is_not_executed_again() {
    let costly = "{{ define \"x\" }}{{ range until 1000 }}.{{ end }}{{ end }}";
    let limits = || Limits::default().with(Limit::Steps, 6_000);
    for (ask, ends) in [
        ("include \"x\" .", true),
        ("template \"x\" .", true),
        ("range until 1 }}{{ template \"x\" $ }}{{ end", true),
        ("with .Values.deep }}{{ include \"x\" $ }}{{ end", true),
        ("tpl \"{{ include \\\"x\\\" . }}\" .", true),
        ("include \"x\" .Values", false),
        ("include \"x\" (dict \"a\" .)", false),
    ] {
        let file = format!("{{{{ {ask} }}}}").repeat(100);
        let files = [("a.yaml", file), ("_t.tpl", costly.to_owned())];
        let rendered = render_within(&files, &json!({"deep": {"n": 1}}), limits());
        assert_eq!(rendered.is_ok(), ends, "{ask}: {:?}", rendered.err());
        if let Ok(rendered) = rendered {
            assert_eq!(rendered[0].text, ".".repeat(100_000), "{ask}");
        }
    }
}

#[test]
fn what_varies_is_executed_each_time() {
    let varying = [
        "ago now | printf \"%s %s\" now",
        "bcrypt \"a\"",
        "date \"05.000000000\" \"\"",
        "dateInZone \"05.000000000\" \"\" \"\"",
        "date_in_zone \"05.000000000\" \"\" \"\"",
        "encryptAES \"key\" \"text\"",
        "(genCA \"a\" 1).Cert",
        "(genCAWithKey \"a\" 1 (genPrivateKey \"ed25519\")).Cert",
        "genPrivateKey \"ed25519\"",
        "(genSelfSignedCert \"a\" nil nil 1).Cert",
        "(genSelfSignedCertWithKey \"a\" nil nil 1 (genPrivateKey \"ed25519\")).Cert",
        "(genSignedCert \"a\" nil nil 1 (genCA \"a\" 1)).Cert",
        "(genSignedCertWithKey \"a\" nil nil 1 (genCA \"a\" 1) (genPrivateKey \"ed25519\")).Cert",
        "htpasswd \"a\" \"b\"",
        "now",
        "randAlpha 30",
        "randAlphaNum 30",
        "randAscii 30",
        "randBytes 30",
        "randInt 0 1000000000000",
        "randNumeric 30",
        "shuffle \"abcdefghijklmnopqrstuvwxyz\"",
        "uuidv4",
    ];
    // Nothing can be seen of these: days, seconds, and what only a cluster or a network knows.
    let unseen = ["htmlDate", "htmlDateInZone", "durationRound", "lookup", "getHostByName"];
    for expression in varying {
        let definitions = format!(
            "{{{{ define \"y\" }}}}{{{{ {expression} }}}}{{{{ end }}}}{{{{ define \"x\" }}}}{{{{ include \"y\" . }}}}{{{{ end }}}}"
        );
        for ask in ["include \"x\" .", "template \"x\" ."] {
            let file = format!("{{{{ {ask} }}}}<>{{{{ {ask} }}}}");
            let rendered = render(&definitions, &file).unwrap();
            let (one, other) = rendered.split_once("<>").unwrap();
            assert_ne!(one, other, "{expression}");
        }
    }
    let shown = |name: &str| {
        varying.iter().any(|text| text.split([' ', '(', ')']).any(|word| word == name))
    };
    let all = funcs::varying();
    assert!(all.len() > 25, "{all:?}");
    let missing: Vec<_> =
        all.into_iter().filter(|name| !shown(name) && !unseen.contains(name)).collect();
    assert!(missing.is_empty(), "not asked for: {missing:?}");
}

#[test]
fn what_was_remembered_is_not_used_for_anything_else() {
    for (definitions, file, expected) in [
        // A value is changed, below the root or in it.
        (
            "{{ define \"x\" }}{{ .Values.n }}{{ end }}",
            "{{ include \"x\" . }}{{ $_ := set .Values \"n\" 2 }}{{ include \"x\" . }}",
            "12",
        ),
        (
            "{{ define \"x\" }}{{ .Values.deep.n }}{{ end }}",
            "{{ template \"x\" . }}{{ $_ := set .Values.deep \"n\" 2 }}{{ template \"x\" . }}",
            "12",
        ),
        (
            "{{ define \"x\" }}{{ $_ := set .Values \"n\" (add1 .Values.n) }}{{ .Values.n }}{{ end }}",
            "{{ include \"x\" . }}{{ include \"x\" . }}",
            "23",
        ),
        (
            "{{ define \"x\" }}{{ .more }}{{ end }}",
            "{{ include \"x\" . }}{{ $_ := set . \"more\" 2 }}{{ include \"x\" . }}",
            "2",
        ),
        // `.Template` is changed, which nobody watches.
        (
            "{{ define \"x\" }}{{ .Template.k }}{{ end }}",
            "{{ include \"x\" . }}{{ $_ := set .Template \"k\" 2 }}{{ include \"x\" . }}",
            "2",
        ),
        // A `tpl` text defines a name of its own.
        (
            "{{ define \"x\" }}{{ include \"y\" . }}{{ end }}{{ define \"y\" }}outer{{ end }}",
            "{{ include \"x\" . }} {{ tpl \"{{ define \\\"y\\\" }}inner{{ end }}{{ include \\\"x\\\" . }}\" . }} {{ include \"x\" . }}",
            "outer inner outer",
        ),
        (
            "{{ define \"x\" }}{{ template \"y\" . }}{{ end }}{{ define \"y\" }}outer{{ end }}",
            "{{ tpl \"{{ define \\\"y\\\" }}inner{{ end }}{{ include \\\"x\\\" . }}\" . }} {{ include \"x\" . }}",
            "inner outer",
        ),
        // The name that every `tpl` text has is one of the chart's.
        (
            "{{ define \"gotpl\" }}outer{{ end }}{{ define \"x\" }}{{ include \"gotpl\" . }}{{ end }}",
            "{{ include \"x\" . }}{{ include \"gotpl\" . }} {{ tpl \"{{ if not .seen }}{{ $_ := set . \\\"seen\\\" 1 }}{{ include \\\"x\\\" . }}{{ else }}inner{{ end }}\" . }}",
            "outerouter inner",
        ),
        // Another root, and another type of the same map.
        (
            "{{ define \"x\" }}{{ .n }}{{ end }}",
            "{{ include \"x\" .Values }}{{ include \"x\" .Values.deep }}{{ include \"x\" (dict \"n\" 3) }}",
            "113",
        ),
    ] {
        assert_eq!(render(definitions, file).as_deref(), Ok(expected), "{definitions} {file}");
    }
}

#[test]
fn what_names_the_file_is_executed_for_each_file() {
    for name in [".Template.Name", "toJson .Template", "get .Template \"Name\"", "toJson ."] {
        let definitions = format!("{{{{ define \"x\" }}}}{{{{ {name} }}}}{{{{ end }}}}");
        let mut files: Vec<_> = (0..5)
            .map(|index| {
                let text = "{{ include \"x\" . }}{{ include \"x\" . | len }}";
                (format!("f{index}.yaml"), text.to_owned())
            })
            .collect();
        files.push(("_t.tpl".to_owned(), definitions));
        for (file, index) in render_files(&files, &json!({})).unwrap().iter().zip((0..5).rev()) {
            assert!(file.text.contains(&format!("f{index}.yaml")), "{name}: {}", file.text);
        }
    }
}

#[test]
fn nesting_is_bounded_whatever_is_remembered() {
    // Each `x` asks for itself through a map, down to where it asks for what is remembered.
    let definitions = "{{ define \"y\" }}{{ end }}{{ define \"x\" }}{{ if .n }}{{ include \"x\" \
        (dict \"n\" (sub .n 1) \"root\" .root) }}{{ else }}{{ include \"y\" .root }}{{ end }}{{ end }}";
    let ask = |n: u32| {
        format!("{{{{ include \"y\" . }}}}{{{{ include \"x\" (dict \"n\" {n} \"root\" .) }}}}")
    };
    assert!(render(definitions, &ask(900)).is_ok());
    let error = render(definitions, &ask(1100)).unwrap_err();
    assert!(error.contains("rendering template has a nested reference name: x"), "{error}");
}
