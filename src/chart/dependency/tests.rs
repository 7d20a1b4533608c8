//! What of all values is looked at to find out which charts take part.

use super::*;
use crate::chart::parse_values;

fn map(text: &str) -> Map {
    parse_values(text.as_bytes()).unwrap()
}

/// A chart of a name that declares one dependency, with a condition and a tag.
fn chart(name: &str, dependency: &str, condition: &str, tag: &str) -> Chart {
    let declared = Dependency {
        name: dependency.to_owned(),
        condition: condition.to_owned(),
        tags: vec![tag.to_owned()],
        ..Dependency::default()
    };
    let metadata =
        Metadata { name: name.to_owned(), dependencies: vec![declared], ..Metadata::default() };
    Chart { metadata, ..Chart::default() }
}

#[test]
fn only_what_tags_and_conditions_ask_for_is_seen_and_what_lies_under_the_path() {
    let values = "{tags: {t: true}, global: {g: 1}, db: {use: true, size: 3}, other: {x: 1}, \
                  web: {db: {use: false}, more: {z: 2}}, use: 1}";
    let rows = [
        // At the root: the chart's own names, whole, and nothing beside them.
        (
            "",
            "{tags: {t: true}, global: {g: 1}, db: {use: true, size: 3}, \
               web: {db: {use: false}, more: {z: 2}}, use: 1}",
        ),
        // The path is a name that is asked for anyway.
        (
            "web.",
            "{tags: {t: true}, global: {g: 1}, db: {use: true, size: 3}, \
                   web: {db: {use: false}, more: {z: 2}}, use: 1}",
        ),
        // Of a path through others only what lies on it.
        (
            "other.",
            "{tags: {t: true}, global: {g: 1}, db: {use: true, size: 3}, other: {x: 1}, \
                     web: {db: {use: false}, more: {z: 2}}, use: 1}",
        ),
        (
            "none.db.",
            "{tags: {t: true}, global: {g: 1}, db: {use: true, size: 3}, \
                       web: {db: {use: false}, more: {z: 2}}, use: 1}",
        ),
    ];
    let web = chart("web", "db", "db.use, of.no.avail", "t");
    for (path, seen) in rows {
        assert_eq!(Asked::of(&web).seen_from(&map(values), path), map(seen), "{path:?}");
    }
    let part =
        Asked::of(&web).part_of(&map("{db: {use: true, size: 3}, other: {db: 1}, tags: {u: 1}}"));
    assert_eq!(part, map("{db: {use: true}, tags: {}}"), "of defaults only what is asked for");
}

#[test]
fn beside_a_path_nothing_is_taken_along() {
    let value = Value::Object(map("{a: {b: {c: 1, d: 2}, e: 3}, f: 4}"));
    let rows = [
        ("a.b", "{a: {b: {c: 1, d: 2}}}"),
        ("a.b.c", "{a: {b: {c: 1}}}"),
        ("a.e.x", "{a: {e: 3}}"),
        ("a.x", "{a: {}}"),
        ("f", "{f: 4}"),
    ];
    for (path, taken) in rows {
        assert_eq!(along(&value, path.split('.')), Value::Object(map(taken)), "{path}");
    }
    assert_eq!(along(&value, std::iter::empty::<&str>()), value);
}
