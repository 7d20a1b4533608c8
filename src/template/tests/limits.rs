//! Templates that would exhaust a machine: each ends with an error that says which bound it met.

use super::*;
use crate::base::limit::{Limit, Limits};

/// Makes `$x` a map that is shared forty times over: as a tree it has 2⁴⁰ leaves.
const DAG: &str =
    "{{ $x := dict \"k\" 1 }}{{ range until 40 }}{{ $x = dict \"a\" $x \"b\" $x }}{{ end }}";
/// The same once more, as `$y`.
const OTHER: &str =
    "{{ $y := dict \"k\" 1 }}{{ range until 40 }}{{ $y = dict \"a\" $y \"b\" $y }}{{ end }}";
const BIG: &str = "{{ $t := repeat 1000000 \"x\" }}";

fn small() -> Limits {
    Limits::default()
        .with(Limit::Steps, 2_000_000)
        .with(Limit::Memory, 64 << 20)
        .with(Limit::Text, 1 << 20)
        .with(Limit::Output, 1 << 20)
        .with(Limit::Items, 100_000)
        .with(Limit::Parts, 5_000)
        .with(Limit::Regex, 256 << 10)
        .with(Limit::Stack, 64 << 20)
}

/// `DAG`, `OTHER` and `BIG` stand for the texts above.
#[rustfmt::skip]
const ROWS: &[(&str, &str)] = &[
    // Lists.
    ("{{ until 1000000000 }}", "a list is too long: the limit items is 100k (--limit items=VALUE raises it)"),
    ("{{ until -1000000000 }}", "the limit items is"),
    ("{{ untilStep 0 1000000000 1 }}", "the limit items is"),
    ("{{ untilStep 0 -9223372036854775807 -1 }}", "the limit items is"),
    ("{{ seq 1000000000 }}", "the limit items is"),
    ("{{ seq 0 1 1000000000 }}", "the limit items is"),
    ("{{ $l := list 1 2 }}{{ range until 40 }}{{ $l = concat $l $l }}{{ end }}", "the limit items is"),
    ("{{ $l := list }}{{ range until 100000 }}{{ $l = append $l . }}{{ end }}", "templates take too much memory: the limit memory is 64Mi"),
    ("{{ $l := list }}{{ range until 100000 }}{{ $l = prepend $l . }}{{ end }}", "the limit memory is"),
    ("{{ $l := list }}{{ range until 1000 }}{{ $l = append $l (repeat 500000 \"x\") }}{{ end }}", "the limit memory is"),
    ("{{ uniq (until 50000) }}", "rendering takes too many steps: the limit steps is 2M"),
    ("{{ $l := until 50000 }}{{ range $l }}{{ $_ := has -1 $l }}{{ end }}", "the limit steps is"),
    ("{{ $l := until 50000 }}{{ range $l }}{{ $_ := reverse $l }}{{ end }}", "the limit memory is"),
    ("BIG{{ splitList \"\" $t }}", "the limit items is"),
    ("BIG{{ split \"x\" $t }}", "the limit items is"),
    ("BIG{{ regexFindAll \".\" $t -1 }}", "the limit items is"),
    ("BIG{{ regexSplit \"\" $t -1 }}", "the limit items is"),
    // Texts.
    ("{{ repeat 1000000000 \"x\" }}", "a text is too long: the limit text is 1Mi (--limit text=VALUE raises it)"),
    ("{{ repeat 1000000000 (repeat 1000000 \"x\") }}", "the limit text is"),
    ("{{ $s := \"xy\" }}{{ range until 60 }}{{ $s = printf \"%s%s\" $s $s }}{{ end }}", "the limit text is"),
    ("{{ $s := \"xy\" }}{{ range until 60 }}{{ $s = cat $s $s }}{{ end }}", "the limit text is"),
    ("{{ $s := \"xy\" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}", "the limit text is"),
    ("{{ $s := \"xy\" }}{{ range until 60 }}{{ $s = quote $s $s }}{{ end }}", "the limit text is"),
    ("{{ $s := \"xy\" }}{{ range until 99 }}{{ $s = b64enc $s }}{{ end }}", "the limit text is"),
    ("{{ $l := list }}{{ $b := repeat 100000 \"x\" }}{{ range until 100 }}{{ $l = append $l $b }}{{ end }}{{ join \"\" $l }}", "the limit text is"),
    ("{{ join (repeat 10000 \"x\") (until 10000) }}", "the limit text is"),
    ("{{ indent 1000000000 \"x\" }}", "the limit text is"),
    ("{{ nindent 1000 (repeat 10000 \"\\n\") }}", "the limit text is"),
    ("{{ randAlphaNum 1000000000 }}", "the limit text is"),
    ("{{ randAscii 1000000000 }}", "the limit text is"),
    ("{{ randBytes 1000000000 }}", "the limit text is"),
    ("{{ printf (repeat 1000 \"%999999[1]d\") 1 }}", "the limit text is"),
    ("{{ wrapWith 1 (repeat 1000 \"n\") (repeat 10000 \"x\") }}", "the limit text is"),
    ("{{ wrap 1 (repeat 1000000 \"x \") }}", "the limit text is"),
    ("BIG{{ replace \"x\" $t $t }}", "the limit text is"),
    ("BIG{{ replace \"\" $t $t }}", "the limit text is"),
    ("{{ regexReplaceAll \".\" (repeat 10000 \"x\") (repeat 10000 \"y\") }}", "the limit text is"),
    ("{{ regexReplaceAllLiteral \".\" (repeat 10000 \"x\") (repeat 10000 \"y\") }}", "the limit text is"),
    ("BIG{{ range until 100000 }}{{ $_ := shuffle $t }}{{ end }}", "the limit steps is"),
    ("BIG{{ range until 100000 }}{{ $_ := contains \"y\" $t }}{{ end }}", "the limit steps is"),
    ("BIG{{ range until 100000 }}{{ $_ := sha256sum $t }}{{ end }}", "the limit steps is"),
    ("{{ range until 100000 }}{{ $.Files.Get \"files/a.txt\" | repeat 1000 }}{{ end }}", "the output is too large: the limit output is 1Mi"),
    ("BIG{{ range until 10 }}{{ $t }}{{ end }}", "the limit output is"),
    // Loops.
    ("{{ range 1000000000 }}{{ end }}", "the limit steps is"),
    ("{{ range $i := until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}", "the limit"),
    ("{{ $m := dict }}{{ range $i := until 1000 }}{{ range until 1000 }}{{ $_ := set $m (printf \"%d.%d\" $i .) \"\" }}{{ end }}{{ end }}", "the limit"),
    ("{{ $m := dict }}{{ range until 3000 }}{{ $_ := set $m (toString .) . }}{{ end }}{{ range until 100000 }}{{ range $m }}{{ break }}{{ end }}{{ end }}", "error in range: rendering takes too many steps: the limit steps is"),
    ("{{ range until 100000 }}{{ $_ := toYaml $.Values }}{{ end }}", "the limit steps is"),
    ("{{ $b := repeat 10000 \"a: \" }}{{ range until 100000 }}{{ $_ := fromYaml $b }}{{ end }}", "the limit steps is"),
    // Templates in templates.
    ("{{ tpl .Values.again . }}", "templates are nested too deeply: the limit stack is 64Mi"),
    ("{{ define \"r\" }}{{ include \"r\" . }}{{ end }}{{ include \"r\" . }}", "rendering template has a nested reference name: r: unable to execute template"),
    ("{{ define \"a\" }}{{ include \"b\" . }}{{ end }}{{ define \"b\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}", "rendering template has a nested reference name"),
    ("{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}", "templates are nested too deeply"),
    ("{{ range $i := until 100000 }}{{ tpl (printf \"{{ %d }}%s\" $i (repeat 10000 \"x\")) $ }}{{ end }}", "the limit"),
    // Shared values written out.
    ("DAG{{ toYaml $x }}", "a value with too many parts is written out: the limit parts is 5k (--limit parts=VALUE raises it)"),
    ("DAG{{ mustToYaml $x }}", "the limit parts is"),
    ("DAG{{ toYamlPretty $x }}", "the limit parts is"),
    ("DAG{{ toJson $x }}", "the limit parts is"),
    ("DAG{{ toPrettyJson $x }}", "the limit parts is"),
    ("DAG{{ toRawJson $x }}", "the limit parts is"),
    ("DAG{{ toToml $x }}", "the limit parts is"),
    ("DAG{{ deepCopy $x }}", "a value with too many parts is copied: the limit parts is"),
    ("DAGOTHER{{ deepEqual $x $y }}", "values with too many parts are compared: the limit parts is"),
    ("DAGOTHER{{ has $x (list $y) }}", "the limit parts is"),
    ("DAGOTHER{{ merge $x $y }}", "the limit steps is"),
    ("DAGOTHER{{ mergeOverwrite $x $y }}", "the limit steps is"),
    ("DAG{{ toString $x }}", "the limit text is"),
    ("DAG{{ printf \"%v%v%v\" $x $x $x }}", "the limit text is"),
    ("DAG{{ $x }}", "the limit output is"),
    ("{{ $l := list }}{{ $b := repeat 100000 \"x\" }}{{ range until 100 }}{{ $l = append $l $b }}{{ end }}{{ toJson $l }}", "a value that is too large is written out: the limit text is"),
    // Texts read.
    ("{{ fail (fromYaml .Values.bomb).Error }}", "document contains excessive aliasing"),
    ("{{ $l := list }}{{ range until 1000 }}{{ $l = append $l (fromJson (printf \"{\\\"a\\\":[%s0]}\" (repeat 100000 \"0,\"))) }}{{ end }}", "the limit steps is"),
    ("{{ $l := list }}{{ range until 1000 }}{{ $l = append $l (fromYamlArray (repeat 100000 \"- 0\\n\")) }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := fromToml (printf \"a = [%s0]\" (repeat 100000 \"0,\")) }}{{ end }}", "the limit steps is"),
    // Regular expressions.
    ("{{ regexMatch \"\\\\p{L}{900}\\\\p{L}{900}\" \"x\" }}", "a regular expression is too large: the limit regex is 256Ki"),
    ("{{ mustRegexMatch \"\\\\p{L}{900}\\\\p{L}{900}\" \"x\" }}", "the limit regex is"),
    ("{{ range until 10000 }}{{ $_ := regexMatch (printf \"[a-z]{900}%d\" .) \"x\" }}{{ end }}", "the limit"),
    ("BIG{{ range until 1000 }}{{ $_ := regexMatch \"(x|y)*z\" $t }}{{ end }}", "the limit steps is"),
    // What is slow.
    ("{{ range until 1000 }}{{ $_ := genCA \"x\" 1 }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := genSelfSignedCert \"x\" nil nil 1 }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := genPrivateKey \"rsa\" }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := genPrivateKey \"ed25519\" }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := bcrypt \"x\" }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := htpasswd \"u\" \"x\" }}{{ end }}", "the limit steps is"),
    ("{{ range until 1000 }}{{ $_ := derivePassword 1 \"long\" \"p\" \"u\" \"s\" }}{{ end }}", "the limit steps is"),
];

fn values() -> Value {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", ")));
    }
    serde_json::json!({"again": "{{ tpl .Values.again . }}", "bomb": bomb})
}

#[test]
fn what_would_exhaust_the_machine_is_refused() {
    let values = values();
    let mut wrong = Vec::new();
    for (template, want) in ROWS {
        let template = template.replace("DAG", DAG).replace("OTHER", OTHER).replace("BIG", BIG);
        let file = [("out.yaml", template)];
        let place = "vec/templates/out.yaml";
        match render_within(&file, &values, small()) {
            Ok(rendered) => wrong.push(format!("{}: {} bytes", file[0].1, rendered[0].text.len())),
            Err(error)
                if !error.contains(want) || error.len() > 1_000 && want.contains("limit") =>
            {
                wrong.push(format!(
                    "{}: {}",
                    file[0].1,
                    crate::base::shorten::shorten(&error, 300)
                ));
            }
            // What `tpl` renders has no file of its own.
            Err(error) if !error.contains(place) && !error.contains("gotpl") => {
                wrong.push(format!("{}: no place in {error}", file[0].1));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

/// What Go itself bounds stays as Go has it.
#[test]
fn what_go_refuses_is_refused_as_go_does() {
    let rows = [
        (r#"{{ printf "%1000000000d" 1 }}"#, "%!(NOVERB)%!(EXTRA int=1)"),
        (r#"{{ printf "%.1000000000f" 1.5 }}"#, "%!(NOVERB)%!(EXTRA float64=1.5)"),
        (r#"{{ printf "%*d" 1000001 1 }}"#, "%!(BADWIDTH)1"),
        (r#"{{ regexMatch "(a{1000}){1000}" "x" }}"#, "false"),
    ];
    for (template, want) in rows {
        let got = render_within(&[("out.yaml", template.to_owned())], &Value::Null, small());
        assert_eq!(got.unwrap()[0].text, want, "{template}");
    }
}

/// Beside the chart's own files, nothing outside of the rendering can be read.
#[test]
fn templates_reach_nothing_outside() {
    let rows = [
        ("{{ env \"HOME\" }}", Err("function \"env\" not defined")),
        ("{{ expandenv \"$HOME\" }}", Err("function \"expandenv\" not defined")),
        ("[{{ .Files.Get \"/etc/hostname\" }}]", Ok("[]")),
        ("[{{ .Files.Get \"../../../../etc/hostname\" }}]", Ok("[]")),
        ("[{{ (.Files.Glob \"/etc/*\").AsConfig }}]", Ok("[{}]")),
        ("[{{ getHostByName \"localhost\" }}]", Ok("[]")),
        ("{{ lookup \"v1\" \"Secret\" \"default\" \"x\" }}", Ok("map[]")),
        ("{{ readFile \"/etc/hostname\" }}", Err("not defined")),
        ("{{ include \"/etc/hostname\" . }}", Err("no template")),
    ];
    let mut wrong = Vec::new();
    for (template, want) in rows {
        let file = [("out.yaml", template.to_owned())];
        let got = render_files(&file, &Value::Null).map(|files| files[0].text.clone());
        let same = match (&got, want) {
            (Ok(got), Ok(want)) => got == want,
            (Err(got), Err(want)) => got.contains(want),
            _ => false,
        };
        if !same {
            wrong.push(format!("{template}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
