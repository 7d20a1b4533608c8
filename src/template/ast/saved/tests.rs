use super::super::super::parser::parse;
use super::*;

fn saved(unit: &Unit) -> Bytes {
    let mut out = Writer::default();
    unit.save(&mut out);
    out.into_bytes().into()
}

/// Every kind of node, number and name.
const TEXT: &str = r#"
{{- define "a" }}{{ .x.y }}{{ end }}{{ define "b" }}{{ $.z }}{{ end -}}
{{ $v := 1 }}{{ $v = 0x10 }}{{ range $i, $e := .list }}{{ break }}{{ else }}{{ continue }}{{ end }}
{{ if and true (not false) }}{{ nil | printf "%v" }}{{ else if .x }}{{ 1.5 }}{{ else }}{{ 'x' }}{{ end }}
{{ with (include "a" .).b.c }}{{ . }}{{ end }}{{ template "b" }}{{ template "a" . | quote }}
{{ block "c" .x }}{{ 1+2i }}{{ end }}{{ "esc\"aped" }}{{ `raw` }}{{ -9223372036854775808 }}
{{ 18446744073709551615 }}{{ 1e3 }} text äöü {{ $v.a.b }}{{ "esc\"aped" }}
"#;

#[test]
fn a_tree_is_the_same_after_it_was_saved() {
    let name: Str = Arc::from(b"name".as_slice());
    let text = Bytes::from_static(
        TEXT.replace("{{ break }}{{ else }}{{ continue }}", "").leak().as_bytes(),
    );
    let long = format!("{}{{{{ .a }}}}{{{{ \"b\" }}}}", "long ".repeat(20_000)).into();
    for text in [
        Bytes::new(),
        text,
        long,
        Bytes::from_static(b"{{ range . }}{{ break }}{{ continue }}{{ end }}"),
    ] {
        let unit = parse(&name, &text).unwrap();
        let saved = saved(&unit);
        let again = Unit::restore(text.clone(), &saved, 0).unwrap();
        assert_eq!(again.name.len(), 0, "the name is not saved");
        let again = Unit { name: Arc::clone(&name), ..again };
        for (name, root) in &unit.templates {
            assert!(again.templates.contains(&(Arc::clone(name), *root)));
            let printed = String::from_utf8(again.print(*root)).unwrap();
            assert_eq!(printed, String::from_utf8(unit.print(*root)).unwrap());
        }
        let nodes = |unit: &Unit| -> Vec<_> {
            let count = unit.nodes.count();
            (0..count).map(|id| format!("{:?}", unit.node(super::super::index(id)))).collect()
        };
        assert_eq!(nodes(&again), nodes(&unit));
        assert_eq!(format!("{:?}", again.numbers), format!("{:?}", unit.numbers));
        assert_eq!(again.ids, unit.ids);
        assert_eq!(format!("{:?}", again.names), format!("{:?}", unit.names));
        assert_eq!(again.variables, unit.variables);
    }
}

#[test]
fn what_was_cut_is_no_tree() {
    let text = Bytes::from_static(b"{{ $x := .a.b }}{{ if $x }}{{ printf \"%d\" 1 }}{{ end }}");
    let saved = saved(&parse(&Arc::from(b"name".as_slice()), &text).unwrap());
    for end in 0..saved.len() {
        let restored = Unit::restore(text.clone(), &saved.slice(..end), 0);
        assert!(restored.is_none(), "cut at {end} of {}", saved.len());
    }
}
