//! Paths put together at random: JSONPath, URLs.

use rand::prelude::*;
use serde_json::{Value, json};

/// Writes paths; the same seed writes the same ones.
pub(super) struct Paths(StdRng);

const FIELDS: &[&str] = &[
    ".a",
    ".a",
    ".b",
    ".l",
    ".l",
    ".m",
    ".n",
    ".s",
    ".f",
    ".t",
    ".e",
    ".none",
    ".k\\.x",
    ".é",
    ".a.b",
    ".l[0]",
    "['a']",
    "['b','a']",
    "[\"a\"]",
    "['k.x']",
    "['none']",
    ".",
    "..",
    "..a",
    "..b",
    ".*",
    "[*]",
];
const INDICES: &[&str] = &[
    "[0]",
    "[1]",
    "[-1]",
    "[2]",
    "[9]",
    "[-9]",
    "[0:2]",
    "[:]",
    "[1:]",
    "[:1]",
    "[::2]",
    "[0:3:2]",
    "[-2:]",
    "[:-1]",
    "[2:1]",
    "[0:9]",
    "[0,1]",
    "[1,0,-1]",
    "[ 0 ]",
    "[]",
    "[a]",
    "[1:2:0]",
    "[::-1]",
    "[0:1:2:3]",
];
const OPERATORS: &[&str] = &["==", "!=", "<", "<=", ">", ">=", " == ", " > ", "=", "=<", "=~"];
const OPERANDS: &[&str] = &[
    "@", "@.a", "@.b", "@.s", "@.none", "@.l[0]", "1", "1.0", "2.5", "-1", "'x'", "\"x\"", "'y z'",
    "true", "false", "nil", "x", "", "$.f", ".a", "'it\\'s'",
];
const TEXTS: &[&str] = &["x", " ", "a b", "\n", "é", "[", "]", "}", "$", "@", "\\", "{{", "'"];
const LITERALS: &[&str] = &[
    "\"x\"",
    "'x'",
    "\"\\n\"",
    "'\\t'",
    "\"\\u00e9\"",
    "\"it's\"",
    "'a\"b'",
    "\"\"",
    "\"x",
    "1",
    "1.5",
    "-3",
    "true",
    "false",
    "1x",
    "007",
    "1e3",
];

const URL_PARTS: &[&str] = &[
    "http://",
    "https://",
    "tcp://",
    "//",
    "mailto:",
    "h",
    "h.example",
    "u:p@",
    "u@",
    ":80",
    ":",
    ":8x",
    "/",
    "/a b",
    "/p/q",
    "?",
    "?a=1&b",
    "#",
    "#f",
    "%41",
    "%zz",
    "%4",
    "%25",
    "%e9",
    "é",
    " ",
    "\\\\",
    "\\xd3",
    "\\xff",
    "\\x01",
    "*",
    ",",
    "[",
    "]",
    "..",
    "1x:",
];
const ADDRESS_PARTS: &[&str] = &[
    "::",
    "::",
    ":",
    ":",
    "1",
    "fe80",
    "ffff",
    "abcd1",
    "0",
    "1.2.3.4",
    "1.2.3",
    "256.1.1.1",
    "01.2.3.4",
    ".",
    "..",
    "g",
    "%25",
    "%25en0",
    "%",
    "%41",
    "\\xd3",
    "é",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6",
];

impl Paths {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.random_range(0..of.len())]
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn some(&mut self, of: &[&str], most: usize) -> String {
        (0..self.0.random_range(0..=most)).map(|_| self.pick(of)).collect()
    }

    /// What paths are looked up in. Maps have one key where they stand in lists, since upstream
    /// walks them in any order.
    pub(super) fn data() -> Value {
        json!({
            "a": {"b": {"a": [1, 2.5, "x"]}}, "b": "text", "l": [{"a": 1}, {"b": "x"}, {"a": {"b": "y z"}}, {"s": "x"}],
            "m": [[1, 2, 3], [], [4]], "n": 7, "f": 2.5, "t": true, "e": {}, "s": ["x", "y", "z"], "k.x": "dotted",
            "é": "accent",
        })
    }

    /// A template of JSONPath.
    pub(super) fn template(&mut self) -> String {
        (0..self.0.random_range(1..4)).map(|_| self.part(0)).collect()
    }

    fn part(&mut self, depth: u32) -> String {
        match self.0.random_range(0..100) {
            0..55 => format!("{{{}}}", self.path()),
            55..63 => self.pick(TEXTS).to_owned(),
            63..71 => format!("{{{}}}", self.pick(LITERALS)),
            71..90 if depth < 2 => {
                let inner: String =
                    (0..self.0.random_range(0..3)).map(|_| self.part(depth + 1)).collect();
                let end = if self.chance(95) { "{end}" } else { "" };
                format!("{{range {}}}{inner}{end}", self.path())
            }
            71..94 => "{@}".to_owned(),
            _ => format!("{{{}", self.path()),
        }
    }

    fn path(&mut self) -> String {
        let mut path = self.pick(&["", "", "", "$", "@", " "]).to_owned();
        for _ in 0..self.0.random_range(1..4) {
            match self.0.random_range(0..10) {
                0..6 => path.push_str(self.pick(FIELDS)),
                6..8 => path.push_str(self.pick(INDICES)),
                _ => {
                    let filter = self.filter();
                    path.push_str(&filter);
                }
            }
        }
        path
    }

    fn filter(&mut self) -> String {
        let left = self.pick(OPERANDS);
        if self.chance(25) {
            return format!("[?({left})]");
        }
        format!("[?({left}{}{})]", self.pick(OPERATORS), self.pick(OPERANDS))
    }

    /// A URL, as a literal of a template has it; every other has brackets around a host.
    pub(super) fn url(&mut self) -> String {
        if self.chance(50) {
            return self.some(URL_PARTS, 6);
        }
        let (before, port) = (
            self.pick(&["http://", "//", "tcp://", "http://u@"]),
            self.pick(&["", "", ":80", "x", "/"]),
        );
        format!("{before}[{}]{port}", self.some(ADDRESS_PARTS, 6))
    }
}
