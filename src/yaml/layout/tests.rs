use super::{read, write};

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    let mut failures = Vec::new();
    for (text, wanted) in rows {
        let seen = read(text).map(|document| write(&document.into_iter().collect::<Vec<_>>()));
        if seen.as_deref() != Ok(wanted) {
            failures.push(format!("{text:?}\n  {seen:?}\n  {wanted:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_is_no_document() {
    for text in ["", "# only a comment\n", "---\n", "null", "~ # x", "\n\n"] {
        assert_eq!(read(text), Ok(None), "{text:?}");
    }
}

#[test]
fn documents_are_written_as_by_go() {
    // Made by go.yaml.in/yaml/v3 v3.0.5.
    check(&[
        ("a: 1   # x\n", "a: 1 # x\n"),
        (
            "# head\n\n# of a\na:\n    - 1\n    # two\n    - 2   # line\n\n    - 3\n# foot of a\n\nb: {x: 1,   y: [2,3]}\n# end\n",
            "# head\n\n# of a\na:\n- 1\n# two\n- 2 # line\n- 3\n# foot of a\n\nb: {x: 1, y: [2, 3]}\n# end\n",
        ),
        (
            "a: |\n    block\n      more\n\nb: >-\n  x\n  y\n\n  z\n",
            "a: |\n  block\n    more\nb: >-\n  x y\n\n  z\n",
        ),
        (
            "a: 'it''s'\nb: \"q\\t\\u00e9\"\nc: é # ü\nd: yes\n",
            "a: 'it''s'\nb: \"q\\té\"\nc: é # ü\nd: yes\n",
        ),
        ("- - a\n  - b\n- c: 1\n  d: 2\n", "- - a\n  - b\n- c: 1\n  d: 2\n"),
        ("a:\n- b:\n  - c\n  # in\n- d\n", "a:\n- b:\n  - c\n  # in\n- d\n"),
        ("? [a, b]\n: c\n", "? [a, b]\n: c\n"),
        ("a: &x {b: 1}\nc: *x\n", "a: &x {b: 1}\nc: *x\n"),
        ("a: !!binary aGk=\nb: !x y\n", "a: !!binary aGk=\nb: !x y\n"),
        ("a: |+\n  keep\n\n", "a: |+\n  keep\n\n"),
        ("a: [1, # one\n  2]\n", "a: [1, # one\n  2]\n"),
        ("a: # key\n  b: 1\nc: # list\n  - d\n", "a: # key\n  b: 1\nc: # list\n- d\n"),
        ("a:\n  b: 1\n  # deep\n# shallow\nc: 2\n", "a:\n  b: 1\n  # deep\n# shallow\nc: 2\n"),
        ("a: \"\"\nb: ''\nc:\nd: ~\n", "a: \"\"\nb: ''\nc:\nd: ~\n"),
        ("plain\n  over lines\n", "plain over lines\n"),
        ("a: |2\n   led\n", "a: |2\n   led\n"),
        ("a: '# no'\nb: a#b\nc: \"x: y\"\n", "a: '# no'\nb: a#b\nc: \"x: y\"\n"),
        ("a: \"emoji 😀\"\n", "a: \"emoji \\U0001F600\"\n"),
        ("a: |-\n  x  \n  y\n", "a: \"x  \\ny\"\n"),
        ("{}\n", "{}\n"),
        ("[]\n", "[]\n"),
        ("a: {}\nb: []\n", "a: {}\nb: []\n"),
        ("a: >\n  one\n\n   two\n  three\n", "a: >\n  one\n\n\n   two\n  three\n\n"),
        ("# one\na: 1\n\n\n# two\n\n# three\nb: 2\n", "# one\na: 1\n# two\n\n# three\nb: 2\n"),
        ("a:\n  - # c\n    b: 1\n  - x\n", "a:\n- # c\n  b: 1\n- x\n"),
    ]);
}
