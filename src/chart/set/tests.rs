use super::*;
use crate::yaml::Value;

/// Compares what a parser makes of texts, written over the same values, with what Helm makes of them.
#[track_caller]
fn check(
    rows: &[(&str, Result<&str, &str>)],
    parse: impl Fn(&str, &mut Map) -> Result<(), SetError>,
) {
    let base: Map = serde_json::from_str(r#"{"t":{"x":1},"l":["one"]}"#).unwrap();
    let mut wrong = Vec::new();
    for (text, want) in rows {
        let mut map = base.clone();
        let got = parse(text, &mut map).map(|()| {
            map.retain(|key, value| base.get(key) != Some(value));
            Value::Object(map).to_string()
        });
        let got = got.map_err(|error| error.to_string());
        if got.as_deref().map_err(String::as_str) != *want {
            wrong.push(format!("{text}: got {got:?}, want {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_is_read_as_helm_reads_it() {
    #[rustfmt::skip]
    let rows: &[(&str, Result<&str, &str>)] = &[
        (r#"a=1,b=[1,2],c={"x":null}"#, Ok(r#"{"a":1.0,"b":[1.0,2.0],"c":{"x":null}}"#)),
        ("a=", Ok(r#"{"a":null}"#)), ("a=,b=1", Ok(r#"{"a":null,"b":1.0}"#)),
        (r#"a="x,y",b=true"#, Ok(r#"{"a":"x,y","b":true}"#)), ("a=1, b=2", Ok(r#"{" b":2.0,"a":1.0}"#)),
        (r#"{"t":{"y":2}}"#, Ok(r#"{"t":{"x":1,"y":2.0}}"#)), (r#"t={"y":2}"#, Ok(r#"{"t":{"y":2.0}}"#)),
        ("l[1]={}", Ok(r#"{"l":["one",{}]}"#)),
        ("a=foo", Err("failed parsing --set-json data a=foo")),
        ("a", Err("failed parsing --set-json data a")),
        (r#"{"a":"#, Err(r#"failed parsing --set-json data JSON: {"a":"#)),
    ];
    check(rows, parse_set_json);
}

#[test]
fn literals_end_where_the_text_ends() {
    #[rustfmt::skip]
    let rows: &[(&str, Result<&str, &str>)] = &[
        ("a=1,b=2", Ok(r#"{"a":"1,b=2"}"#)), ("a=", Ok(r#"{"a":""}"#)), ("a={1,2}", Ok(r#"{"a":"{1,2}"}"#)),
        (r"a.b\.c=x", Ok(r#"{"a":{"b\\":{"c":"x"}}}"#)), ("l[1]=x,y", Ok(r#"{"l":["one","x,y"]}"#)),
        ("a,b=1", Ok(r#"{"a,b":"1"}"#)), ("a", Err(r#"key "a" has no value"#)),
    ];
    check(rows, parse_set_literal);
}

#[test]
fn files_are_read_for_each_value() {
    #[rustfmt::skip]
    let rows: &[(&str, Result<&str, &str>)] = &[
        ("a=p", Ok(r#"{"a":"<p>"}"#)), ("a=p,t.x=q", Ok(r#"{"a":"<p>","t":{"x":"<q>"}}"#)),
        ("a={p,q}", Ok(r#"{"a":["<p>","<q>"]}"#)), ("l[1]=p", Ok(r#"{"l":["one","<p>"]}"#)),
        ("a=", Ok(r#"{"a":""}"#)), ("a=none", Err("open none: no such file or directory")),
    ];
    let mut read = |path: &str| match path {
        "none" => Err("open none: no such file or directory".to_owned()),
        path => Ok(format!("<{path}>")),
    };
    let read = std::cell::RefCell::new(&mut read);
    check(rows, |text, map| parse_set_file(text, map, &mut **read.borrow_mut()));
}

#[test]
fn pairs_are_read_as_helm_reads_them() {
    #[rustfmt::skip]
    let rows: &[(&str, Result<&str, &str>)] = &[
        ("a=1", Ok(r#"{"a":1}"#)), ("a=-5", Ok(r#"{"a":-5}"#)), ("a=01", Ok(r#"{"a":"01"}"#)),
        ("a=1.5", Ok(r#"{"a":"1.5"}"#)), ("a=true", Ok(r#"{"a":true}"#)), ("a=Null", Ok(r#"{"a":null}"#)),
        ("a=", Ok(r#"{"a":""}"#)), (r"a=b\,c", Ok(r#"{"a":"b,c"}"#)), (r"a\.b=c", Ok(r#"{"a.b":"c"}"#)),
        ("a.b.c=x", Ok(r#"{"a":{"b":{"c":"x"}}}"#)), ("a={1,b,true}", Ok(r#"{"a":[1,"b",true]}"#)),
        ("a[0]=1,a[2]=3", Ok(r#"{"a":[1,null,3]}"#)), ("a[0][1]=x", Ok(r#"{"a":[[null,"x"]]}"#)),
        ("a[1].b=1", Ok(r#"{"a":[null,{"b":1}]}"#)), ("a=x=y", Ok(r#"{"a":"x=y"}"#)), ("a=1,", Ok(r#"{"a":1}"#)),
        ("a[0].b.c=1,a[0].b.d={1}", Ok(r#"{"a":[{"b":{"c":1,"d":[1]}}]}"#)),
        ("a[0]={x},a[0][1]", Ok(r#"{"a":[["x"]]}"#)), ("a[0]={x},a[0][1].b={}", Ok(r#"{"a":[["x",{"b":[""]}]]}"#)),
        ("a", Err(r#"key "a" has no value"#)), ("a[-1]=1", Err("negative -1 index not allowed")),
        ("a={1", Err("list must terminate with '}'")), ("a=\"x,y\"", Err(r#"key "y\"" has no value"#)),
        ("a[70000]=1", Err("index of 70000 is greater than maximum supported index of 65536")),
    ];
    let mut wrong = Vec::new();
    for (text, want) in rows {
        let mut map = Map::new();
        let got = parse_set(text, &mut map).map(|()| Value::Object(map).to_string());
        let got = got.map_err(|error| crate::base::class::chain(&error));
        let same = match (&got, want) {
            (Ok(got), Ok(want)) => got == want,
            (Err(got), Err(want)) => got.contains(want),
            _ => false,
        };
        if !same {
            wrong.push(format!("{text}: got {got:?}, want {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in r#"[ -~]*|[ab.\[\]{}=,\\0-9]*"#) {
        let _ = parse_set(&text, &mut Map::new());
        let _ = parse_set_json(&text, &mut Map::new());
        let _ = parse_set_literal(&text, &mut Map::new());
    }
}

/// A `--set` pair whose value is a text, with all that means something escaped.
fn pair(path: &[String], value: &str) -> String {
    let escaped = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            if r"\,.=[]{}".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    let keys: Vec<_> = path.iter().map(|key| escaped(key)).collect();
    format!("{}={}", keys.join("."), escaped(value))
}

proptest::proptest! {
    #[test]
    fn escaped_pairs_are_read_back(
        entries in proptest::collection::btree_map(
            proptest::collection::vec("k[ -~é]{0,5}", 1..4), "[ -~é日]{0,8}", 1..5
        )
    ) {
        // A path that ends where another goes on has no place for both.
        let entries: Vec<_> = entries.iter().filter(|(path, _)| {
            !entries.keys().any(|other| other != *path && other.starts_with(path))
        }).collect();
        let text: Vec<_> = entries.iter().map(|(path, value)| pair(path, value)).collect();
        let mut map = Map::new();
        parse_set_string(&text.join(","), &mut map).unwrap();
        for (path, value) in entries {
            let (first, rest) = path.split_first().unwrap();
            let found = rest.iter().try_fold(&map[first], |here, key| here.get(key));
            proptest::prop_assert_eq!(found, Some(&Value::String(value.clone())), "{:?}", text);
        }
    }
}
