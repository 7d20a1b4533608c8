use std::sync::Arc;

use super::*;
use crate::chart::{coalesce, parse_values};

fn map(text: &str) -> Map {
    parse_values(text.as_bytes()).unwrap()
}

fn chart(name: &str, values: &str, dependencies: Vec<Arc<Chart>>) -> Chart {
    let mut chart = Chart { values: map(values).into(), dependencies, ..Chart::default() };
    chart.metadata.name = name.to_owned();
    chart
}

/// A chart with a chart in it, with another one in it.
fn tree(root: &str, child: &str, inner: &str) -> Chart {
    let inner = Arc::new(chart("inner", inner, Vec::new()));
    chart("root", root, vec![Arc::new(chart("sub", child, vec![inner]))])
}

#[test]
fn both_ways_to_coalesce_give_the_same_where_nothing_shows_what_is_shared() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, &str)] = &[
        ("a: 1", "c: 3", "d: 4", ""),
        ("m: {a: 1, l: [1]}", "", "", "m: {b: 2, l: [2]}"),
        ("{a: null, b: {c: null}}", "c: null", "d: {e: null}", "a: null"),
        ("sub: {c: 4, t: null}", "c: 3\nt: {x: 1}", "", "sub: {c: null}"),
        ("global: {x: 1, t: {a: 1}}", "global: {x: {y: 1}, t: {b: {c: 1}}}", "global: {t: {b: {d: 2}}}", "global: {n: null}"),
        ("global: 1", "global: {x: 1}", "global: {t: 2}", "sub: {inner: {global: {z: 1}}}"),
        ("t: {a: 1}", "t: 1", "", "t: 1\nsub: {inner: {t: {x: 1}}, t: {q: 1}}"),
    ];
    for (root, child, inner, user) in rows {
        let chart = tree(root, child, inner);
        let (level, user) = (Level::of(&chart), map(user));
        assert!(!matters(level, &user), "{root}");
        let want = coalesce(&chart, &user).unwrap();
        let mut warnings = Vec::new();
        let got = coalesced(level, &user, Nulls::Delete, &mut warnings).unwrap().unwrap();
        assert_eq!((got, warnings), want, "{root} | {child} | {inner}");
    }
}

#[test]
fn nulls_inside_of_global_tables_matter_wherever_they_stand() {
    for (root, child, inner, user, want) in [
        ("", "", "", "", false),
        ("global: {a: null}", "t: {a: null}", "", "", false),
        ("global: {a: [null], t: {}}", "", "", "", false),
        ("global: {t: {a: null}}", "", "", "", true),
        ("", "global: {t: {a: {b: null}}}", "", "", true),
        ("", "", "global: {t: {a: null}}", "", true),
        ("sub: {inner: {global: {t: {a: null}}}}", "", "", "", true),
        ("", "inner: {global: {t: {a: null}}}", "", "", true),
        ("", "", "", "global: {t: {a: null}}", true),
        ("", "", "", "other: {global: {t: {a: null}}}", false),
    ] {
        let chart = tree(root, child, inner);
        let row = format!("{root} | {child} | {inner} | {user}");
        assert_eq!(matters(Level::of(&chart), &map(user)), want, "{row}");
    }
}

/// What a chart takes from `sub`, from path to path.
fn taken(root: &str, child: &str, paths: &[(&str, &str)]) -> Option<Map> {
    let chart = chart("root", root, vec![Arc::new(chart("sub", child, Vec::new()))]);
    let mut import = Import::new(Level::of(&chart)).unwrap();
    for (from, to) in paths {
        import.take(from, to).unwrap();
    }
    import.finish()
}

#[test]
fn an_import_shows_in_the_next_one_that_takes_the_same_table() {
    let child = "t: {a: 1}\nu: {b: 2}";
    let got = taken("", child, &[("sub.t", "x"), ("sub.u", "x"), ("sub.t", "y")]).unwrap();
    // The second import completes the table of the first, which the third takes.
    assert_eq!(got["y"], Value::Object(map("{a: 1, b: 2}")));
    assert_eq!(got["sub"]["t"], got["y"]);
    let got = taken("", "e: {}\nu: {b: 2}", &[("sub.e", "x"), ("sub.u", "x")]).unwrap();
    assert_eq!(got["sub"]["e"], Value::Object(map("{}")), "an empty one is not shared");
    let error = Import::new(Level::of(&chart("root", "t: 1", Vec::new()))).unwrap().take("t", ".");
    assert_eq!(error.unwrap_err(), "\"t\" is not a table");
}

#[test]
fn a_table_that_would_hold_itself_is_given_up() {
    assert!(taken("", "t: {a: 1}", &[("sub.t", "t"), ("sub.t", "t.x")]).is_none());
}
