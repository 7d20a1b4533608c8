//! Texts put together at random: YAML, `--set`, constraints, `Chart.yaml`.

use rand::prelude::*;
use serde_json::{Value, json};

/// Writes texts; the same seed writes the same ones.
pub(super) struct Texts(StdRng);

/// Scalars as people write them, and as nobody should.
#[rustfmt::skip]
const SCALARS: &[&str] = &[
    "a", "1", "-1", "+1", "1.5", ".5", "5.", "1e3", "1E-7", "0x1F", "0b11", "0o17", "017", "08", "1_000", "0x_1", "1__0", "-0", "-0.0",
    "9223372036854775808", "18446744073709551616", "1e400", "true", "False", "yes", "NO", "on", "Off", "y", "N", "tRue", "null", "~", "Null", "nULL",
    ".inf", "-.INF", ".nan", "NaN", "1:30", "190:20:30", "2024-02-29", "2024-02-29T12:00:00Z", "2024-13-45", "<<", "=", "''", "\"\"", "'it''s'",
    "\"a\\tb\\u00e9\\x41\"", "\"\\ud83d\"", "'a: b'", "a b", "a  b", "a:b", "a#b", "a #b", "- a", "-a", "?a", "? a", ":a", "@a", "`a`", "%a", "!a", "!!str 5",
    "!!int \"7\"", "!!float 1", "!!bool \"yes\"", "!!null ''", "!!binary aGk=", "!custom x", "&x a", "*x", "*nope", "{}", "[]", "{a: 1}", "[1, b]", "[1,", "{a",
    "{a: [1, {b: c}]}", "[a: 1]", "{a, b: }", "é", "日本", "😀", "a\tb", "\"open", "'open", "a]", "a}", "a,b", "[a , b ]", "{\"a\":1}", "\"a\" b", "1.2.3", "0x", "1e", "...", "---",
];
const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "k1",
    "a b",
    "1",
    "1.5",
    "true",
    "y",
    "~",
    "\"q\"",
    "'s'",
    "0x10",
    "? c",
    "&k k",
    "!!str d",
    ".inf",
    "9223372036854775808",
    "é",
    "<<",
    "-",
    "\"\"",
    "[a]",
    "{a: b}",
    "2024-01-01",
    "=",
];
const KEY_TEXTS: &[&str] = &[
    "a", "b", "t", "l", "t.x", "t.y.z", "l[0]", "l[2]", "l[0][1]", "a\\.b", "", ".", "a.", "é",
    " a", "t[0]", "l.x", "a[", "a]", "n[x]", "n[-1]", "n[1", "n[ 0]", "a\\", "a\\=b", "s", "s.x",
    "s[0]",
];
const VALUE_TEXTS: &[&str] = &[
    "1",
    "-5",
    "01",
    "1.5",
    "true",
    "FALSE",
    "null",
    "",
    "x",
    "x=y",
    "{1,b}",
    "{}",
    "{,}",
    "{a",
    "{a}b",
    "{{a},b}",
    "a\\,b",
    "\"q\"",
    "[1]",
    " 1",
    "{ 1 , 2 }",
    "{null,true}",
    "99999999999999999999",
    "é",
    "~",
    "\\",
    "{a\\,b,c}",
    "{\"x\": 1}",
    "[1,{\"a\":null}]",
    "\"s\"",
    "1e3",
    "{a=b}",
    "{\"a\":[1,2],\"b\":{}}",
    "nul",
    "[",
    "{\"a\"",
    "x y",
    "0",
];
const PARTS: &[&str] = &[
    "1",
    "1.2",
    "1.2.3",
    "0",
    "0.2",
    "0.0.3",
    "2.0.0-rc.1",
    "1.2.3-0",
    "1.x",
    "1.2.*",
    "*",
    "x",
    "X",
    "v1.2",
    "01.2",
    "1.2.3+b",
    "1.2.3-a.b+c.d",
    "2",
    "1.2.3.4",
    "",
    "a",
    "1.-1",
    "1.2.3-01",
];
const SIGNS: &[&str] =
    &["", "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^", ">>", "=="];
const VERSIONS: &[&str] = &[
    "1.2.3",
    "0.2.5",
    "1.2",
    "v1.2.3",
    "2.0.0-rc.1",
    "1.2.3-0",
    "1.2.3+b",
    "0.0.3",
    "3.0.0",
    "1.0.0-alpha",
    "2.0.0",
    "1",
    "x",
    "",
    "1.2.4-beta.2+x",
];

impl Texts {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.random_range(0..of.len())]
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// A YAML text: mostly blocks of maps and lists.
    pub(super) fn yaml(&mut self) -> String {
        let mut text = String::new();
        if self.chance(5) {
            text.push_str(self.pick(&["%YAML 1.1\n---\n", "---\n", "# c\n", "\u{feff}", "--- \n"]));
        }
        self.block(&mut text, 0);
        if self.chance(8) {
            text.push_str(self.pick(&[
                "...\n",
                "---\na: 2\n",
                "# end",
                "\n\n",
                "--- {c: 3}\n",
                "\tx: 1\n",
            ]));
        }
        text
    }

    fn block(&mut self, text: &mut String, depth: usize) {
        let is_list = depth > 0 && self.chance(35);
        for _ in 0..self.0.random_range(1..4) {
            let wrong = usize::from(self.chance(2));
            text.push_str(&" ".repeat(depth * 2 + wrong));
            if is_list {
                text.push_str(self.pick(&["- ", "- ", "- ", "-   ", "-"]));
            } else {
                text.push_str(self.pick(KEYS));
                text.push_str(self.pick(&[": ", ": ", ": ", ":", " : ", ":  "]));
            }
            self.value(text, depth);
        }
    }

    fn value(&mut self, text: &mut String, depth: usize) {
        if depth < 3 && self.chance(25) {
            text.push_str(self.pick(&["\n", "\n", " # c\n", "&x\n", "!!map\n", "  \n"]));
            return self.block(text, depth + 1);
        }
        if self.chance(12) {
            let pad = " ".repeat(depth * 2 + 2);
            text.push_str(self.pick(&["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-"]));
            text.push('\n');
            for _ in 0..self.0.random_range(0..4) {
                let line =
                    self.pick(&["x", "x y", "  in", "", "# no c", "\ttab", "a: b", "é ", " "]);
                text.push_str(&format!("{pad}{line}\n"));
            }
            return;
        }
        text.push_str(self.pick(SCALARS));
        if self.chance(8) {
            text.push_str(self.pick(&[
                " # c",
                " x",
                "\n  more",
                "\n      deeper\n\n      still",
                "  ",
                ": x",
            ]));
        }
        text.push('\n');
    }

    /// A `--set` text and its kind.
    pub(super) fn set(&mut self) -> (String, &'static str) {
        let kind = self.pick(&["set", "set", "string", "json", "literal"]);
        let pairs: Vec<_> = (0..self.0.random_range(1..4))
            .map(|_| match self.chance(92) {
                true => format!("{}={}", self.pick(KEY_TEXTS), self.pick(VALUE_TEXTS)),
                false => self.pick(KEY_TEXTS).to_owned(),
            })
            .collect();
        let mut text = pairs.join(self.pick(&[",", ",", ", ", ",,"]));
        if self.chance(5) {
            text.push_str(self.pick(&[",", "=", "\\", "}", "[0]"]));
        }
        (text, kind)
    }

    /// A constraint and a version.
    pub(super) fn constraint(&mut self) -> (String, String) {
        let mut text = String::new();
        for index in 0..self.0.random_range(1..4) {
            if index > 0 {
                text.push_str(self.pick(&[" ", ", ", ",", " || ", "||", " - ", " , "]));
            }
            text.push_str(self.pick(SIGNS));
            text.push_str(self.pick(&["", "", " "]));
            text.push_str(self.pick(PARTS));
        }
        (text, self.pick(VERSIONS).to_owned())
    }

    /// A `Chart.yaml`: most of it right.
    pub(super) fn metadata(&mut self) -> String {
        let mut lines =
            vec!["apiVersion: v2".to_owned(), "name: a".to_owned(), "version: 1.0.0".to_owned()];
        if self.chance(10) {
            lines.remove(self.0.random_range(0..3));
        }
        for _ in 0..self.0.random_range(0..6) {
            let key = self.pick(&[
                "apiVersion",
                "name",
                "NAME",
                "version",
                "appVersion",
                "description",
                "home",
                "icon",
                "type",
                "deprecated",
                "kubeVersion",
                "condition",
                "tags",
                "keywords",
                "sources",
                "maintainers",
                "dependencies",
                "annotations",
                "unknown",
            ]);
            let value = match key {
                "maintainers" if self.chance(70) => {
                    format!("[{{name: {}, email: {}}}]", self.plain(), self.plain())
                }
                "dependencies" if self.chance(70) => format!(
                    "[{{name: d, version: {}, repository: {}, alias: {}, tags: [{}]}}]",
                    self.plain(),
                    self.plain(),
                    self.pick(&["b", "1", "''", "a b", "x-y_z"]),
                    self.plain()
                ),
                "annotations" if self.chance(70) => {
                    format!("{{k: {}, {}: v}}", self.plain(), self.plain())
                }
                "keywords" | "sources" if self.chance(70) => {
                    format!("[{}, {}]", self.plain(), self.plain())
                }
                "type" if self.chance(60) => {
                    self.pick(&["application", "library", "Library"]).to_owned()
                }
                "apiVersion" if self.chance(60) => self.pick(&["v1", "v2", "''"]).to_owned(),
                "apiVersion" => "v2".to_owned(),
                _ => self.plain().to_owned(),
            };
            lines.push(format!("{key}: {value}"));
        }
        lines.join("\n")
    }

    /// A scalar that stands between brackets without breaking them.
    fn plain(&mut self) -> &'static str {
        loop {
            let scalar = self.pick(SCALARS);
            // Numbers that JSON does not have become texts in some places only.
            let is_odd = [
                ".inf",
                "-.INF",
                ".nan",
                "-0.0",
                "!a",
                "~",
                "null",
                "Null",
                "NULL",
                "!!null ''",
                "!custom x",
                "9223372036854775808",
                "18446744073709551616",
                "1e400",
            ]
            .contains(&scalar);
            if !is_odd
                && !scalar.contains(['[', ']', '{', '}', ',', '#', '*', '&'])
                && !scalar.ends_with("open")
            {
                return scalar;
            }
        }
    }

    /// A tree of values for the printer.
    pub(super) fn tree(&mut self, depth: usize) -> Value {
        match self.0.random_range(0..if depth < 3 { 9 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.chance(50)),
            2 => json!(
                self.0.random_range(-2_000..2_000) as f64
                    / self.pick(&["1", "3", "0.001", "1e9", "1e-18"]).parse::<f64>().unwrap()
            ),
            3..=6 => json!(self.text()),
            7 => (0..self.0.random_range(0..4)).map(|_| self.tree(depth + 1)).collect(),
            _ => {
                // Keys whose order Helm itself does not know are left out: no digits before letters.
                let entries = (0..self.0.random_range(0..4)).map(|_| {
                    let key = self.pick(&[
                        "a", "b", "a b", "", "true", "~", "é", "- x", "x: y", "_z", "k", "0x1f",
                        "'",
                    ]);
                    (key.to_owned(), self.tree(depth + 1))
                });
                Value::Object(entries.collect())
            }
        }
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.0.random_range(1..4) {
            text.push_str(match self.chance(30) {
                true => self.pick(SCALARS),
                false => self.pick(&[
                    " ",
                    "\n",
                    "\t",
                    "x",
                    ": ",
                    " #",
                    "'",
                    "\"",
                    "\\",
                    "word ",
                    "\u{85}",
                    "\u{7f}",
                    "\u{feff}",
                    "\u{2028}",
                    "\r",
                    "\0",
                    "long long long long long long long ",
                    "  ",
                    "-",
                ]),
            });
        }
        text
    }
}
