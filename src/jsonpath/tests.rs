use serde_json::json;

use super::{Error, Template};

/// What Helm does not tell: why nothing is printed. What is printed stands in the golden files.
#[test]
fn data_that_does_not_fit_is_named() {
    let data = json!({"a": {"b": [1.0, 2.0], "t": "x"}, "n": null, "l": [{"p": 80.0}, {}]});
    let rows = [
        ("{.a.c}", "c is not found"),
        ("{.n.c}", "c is not found"),
        ("{.a[0]}", "a map is no list"),
        ("{.a.t[0]}", "a text is no list"),
        ("{.a.b[2]}", "array index out of bounds: index 2, length 2"),
        ("{.a.b[0:3]}", "array index out of bounds: index 2, length 2"),
        ("{.a.b[1:0]}", "starting index 1 is greater than ending index 0"),
        ("{.a.b[0:2:0]}", "step must be > 0"),
        ("{.a[?(@.b)]}", "a map is no list and cannot be filtered"),
        ("{.l[?(@.p==80)]}", "a number and a whole number are incompatible types for comparison"),
        ("{.a.b[?(@=<1.0)]}", "unrecognized filter operator =<"),
        ("{.l[?(@.*==1.0)]}", ""),
        ("{.a[?(@..b==1.0)]}", "a map is no list and cannot be filtered"),
        ("{end}", "not in range, nothing to end"),
        ("{what}", "unrecognized identifier what"),
        ("{range .n}{range @}{end}{end}", "there is nothing to range over"),
    ];
    let mut wrong = Vec::new();
    for (template, want) in rows {
        let got = Template::parse(template).unwrap().render(&data);
        let same = match &got {
            Ok(text) => want.is_empty() && text.is_empty(),
            Err(error) => *error == Error::Data(want.to_owned()),
        };
        if !same {
            wrong.push(format!("{template}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whole_numbers_are_compared_with_whole_numbers() {
    let data = json!({"l": [{"p": 80, "n": "a"}, {"p": 443, "n": "b"}]});
    let found = Template::parse("{.l[?(@.p>80)].n}").unwrap().render(&data).unwrap();
    assert_eq!(found, b"b");
}

#[test]
fn ranges_in_each_other_are_bounded() {
    let error = Template::parse(&"{range @}".repeat(10_000)).unwrap().render(&json!({"a": 1}));
    assert_eq!(error, Err(Error::Data("more than 1000 ranges in each other".to_owned())));
}
