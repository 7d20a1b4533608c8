use super::*;
use crate::yaml::Value;

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
