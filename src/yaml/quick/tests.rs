use proptest::prelude::*;

use super::super::Numbers;
use super::super::reader::{Options, read_any};
use super::*;
use crate::base::testing::corpus;

const PLAIN: Options = Options { numbers: Numbers::Exact, strict: false, first: true };

/// What this reader says is what the general one says.
#[track_caller]
fn agrees(text: &str) -> bool {
    let mut known = false;
    for (strict, first) in [(false, true), (true, true), (false, false)] {
        for numbers in [Numbers::Exact, Numbers::Float] {
            let options = Options { numbers, strict, first };
            let Some(quick) = read(text, options, Keep::All) else { continue };
            known = true;
            let general = read_any(text, options);
            assert_eq!(Ok(vec![quick.clone()]), general, "{text:?} {options:?}");
            let kept = read(text, options, Keep::Keys(&["a", "kind", "metadata"]));
            let mut whole = quick;
            if let Value::Object(map) = &mut whole.value {
                map.retain(|key, _| ["a", "kind", "metadata"].contains(&key.as_str()));
            }
            // A key that is there twice is told only of what is kept.
            assert!(strict || kept.as_ref() == Some(&whole), "{text:?}: {kept:?}");
        }
    }
    // What is kept alone must be as right as the whole.
    if read(text, PLAIN, Keep::Keys(&["a"])).is_some() {
        assert!(read_any(text, PLAIN).is_ok(), "{text:?}");
    }
    known
}

#[test]
fn plain_style_is_read() {
    for text in [
        "a: b",
        "a: b\n",
        "# c\n\na: 1 # d\nb:   two words  \n",
        "a:\n  b:\n    c: .5\n  d: ~\ne: 0x10\n",
        "a:\n- b\n-   c: 1\n    d: 2\n- - x\n  - y\n-\n- e:\n  - f\nb: []\n",
        "a:\n  - b # c\n  # d\n\n  -\n    c: d\nb: {}\n",
        "  a: 1\n  b: 2\n",
        "- a\n- b: c\n",
        "a: |\n  x\n\n    y\n  \n\nb: |-\n    z\n\nc: |+\n x\n\n",
        "a: |\n  x",
        "a: |-\n  x\ty\n  \tz\n   \n# c\n  # d\nb: 1",
        "a: |+ # c\n  x\n   \n",
        "'it''s': \"a\\tb\\\"\" # c\n\"q\": 'x # y: z'\n",
        "a: [b, 1, [], {}, \"c, d\", {e: f, 'g': 2}] # h\n",
        "a: http://x/y:1#z\nb.c/d-e: -x\nf: a:b\n",
        "a:\nb: é – 😀\n",
        "a: 1\na: 2\n",
        "a: \"\"\nb: ''\n",
        "a: 1e3\nb: 18446744073709551615\nc: -9223372036854775808\n",
        "a:\n  b: |\n    x\n  c: d\n",
        "a: b\n   \n  # c\n",
        "éa: |\n  1\n#",
        "éa: |\n  1",
        "a:\n  {}\nb:\n  - c\n",
        "a:\n  b\nc:\n  'd'\ne:\n  - f:\n      [g]\n",
        "a: :b\nc: ?d\n",
        "a: 'b  \n  c\n\n\n  d'\ne: \"f \\\"\n\n g\\n\n h\"\n",
        "-\n  a\n- b\n",
    ] {
        assert!(agrees(text), "{text:?}");
    }
}

#[test]
fn the_rest_is_left_alone() {
    for text in [
        "",
        "# only\n",
        "word\n",
        "a: b: c\n",
        "a: b\n  c\n",
        "'a\n b': c\n",
        "a: 'b\n--- c'\n",
        "a:\n  b\n  c\n",
        "a: \"b\\\n c\"\n",
        "a: >\n  b\n",
        "a: |2\n   b\n",
        "a: |\n    \n  b\n",
        "a: |\n\tb\n",
        "a: |\n  \tb\n",
        "a: |\n  b\n    ",
        "a: |\nb: 1\n",
        "a: |\n  b\n ",
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "<<: {a: b}\n",
        "a: .inf\n",
        "b: .nan\n",
        "a: b\n---\nc: d\n",
        "--- \na: b\n",
        "a: b\n...\n",
        "%YAML 1.1\n",
        "true: 1\n",
        "~: 1\n",
        "1: 1\n",
        "? a\n: b\n",
        "a: [b,]\n",
        "a: [b\n, c]\n",
        "a: {b}\n",
        "a: @b\n",
        "a: b\n- c\n",
        "a:\n  - b\n c: d\n",
        "a:\n    b: 1\n  c: 2\n",
        "a:\tb\n",
        "a: b\tc\n",
        "a: \"\\x41\"\n",
        "a: b\r\n",
        "a: \u{85}b\n",
        "a: \u{2028}\n",
        "\u{feff}a: b\n",
        "a: - b\n",
        "a: -\n",
        "- a\nb: c\n",
        "a: 'b'c\n",
        "a: 'b': c\n",
    ] {
        assert_eq!(read(text, PLAIN, Keep::All), None, "{text:?}");
    }
    let deep = |levels| format!("{}b", "- ".repeat(levels));
    assert!(agrees(&deep(DEEPEST)));
    assert_eq!(read(&deep(DEEPEST + 2), PLAIN, Keep::All), None);
    let long = |length| format!("{}: b", "k".repeat(length));
    assert!(agrees(&long(LONGEST_KEY)));
    assert_eq!(read(&long(LONGEST_KEY + 1), PLAIN, Keep::All), None);
}

#[test]
fn charts_are_mostly_in_plain_style() {
    let Some(corpus) = corpus() else { return };
    let (mut known, mut all) = (0, 0);
    let mut see = |text: &str| {
        all += text.len();
        known += if agrees(text) { text.len() } else { 0 };
    };
    let mut folders = vec![corpus.join("golden")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                let text = crate::base::file::read_text(&path, 1 << 26).unwrap();
                text.split("\n---\n").for_each(&mut see);
            }
        }
    }
    assert!(known * 10 > all * 9, "{known} of {all} bytes");
}

/// Pieces of YAML, right and wrong.
const PIECES: &[&str] = &[
    "a", "kind", "b: ", "a:", ":", "- ", "-", "\n", "\n", "\n  ", "\n    ", "\n ", "  ", " ", "|",
    "a: |\n  ", "|-\n", "|+", ">", "'", "''", "\"", "#", " #c", "[", "]", "{", "}", ",", ", ",
    "x y", "1", "-1", "0x1f", "1.5", "true", "~", ".inf", "-.inf", "é", "\u{85}", "\u{2028}", "\t",
    "\n---\n", "\n...\n", "%", "&a ", "*a", "!t ", "\\n", "\\", "<<: ", "?", "? ", "@", "\r\n",
    "---", "\u{7f}",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|parts| parts.concat())
}

/// Lines that are mostly right.
fn lines() -> impl Strategy<Value = String> {
    let ends = [
        "a:",
        "b: c",
        "kind: |",
        "- d",
        "-",
        "- e: f",
        "- - g",
        "h: |-",
        "i: 1 # j",
        "# k",
        "",
        "l",
        "m: []",
        "n: {o: p}",
        "\"q\": 'r'",
        "- |+",
        "- s:",
        "  ",
        "t: \"u\\n\"",
        "v:  ",
        "|",
    ];
    let line = (0..5_usize, prop::sample::select(ends.to_vec()));
    let line = line.prop_map(|(indent, end)| format!("{}{end}", " ".repeat(indent)));
    let ended = any::<bool>().prop_map(|ended| if ended { "\n" } else { "" });
    (prop::collection::vec(line, 1..9), ended).prop_map(|(lines, end)| lines.join("\n") + end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000,
        failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_alike(text in text()) {
        agrees(&text);
    }

    #[test]
    fn any_lines_are_read_alike(text in lines()) {
        agrees(&text);
    }
}
