//! Templates and values put together at random: mostly right, often odd, sometimes wrong.

use rand::prelude::*;
use serde_json::{Value, json};

use super::words::Kind::{self, Any, Bool, Dict, Float, Int, List, Text, Time};
use super::words::{BYTES, FIELDS, FLOATS, FUNCTIONS, INTS, TEXTS, TIMES};

/// Names of templates.
const NAMES: [&str; 3] = ["n", "m", "o"];

/// Writes templates.
pub(super) struct Writer {
    random: StdRng,
    /// How many variables are declared.
    variables: usize,
    /// How many named templates.
    named: usize,
    /// How many bodies of `with` and `range` are open. The root context is not printed: it holds a
    /// pointer, whose address nobody can guess.
    inside: usize,
}

impl Writer {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), variables: 0, named: 0, inside: 0 }
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.random.random_range(0..of.len())]
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// Returns a template and its values.
    pub(super) fn snippet(&mut self) -> (String, Value) {
        (self.variables, self.named) = (0, 0);
        let mut text = String::new();
        // Each may include those before it: none includes itself.
        for name in NAMES {
            if !self.chance(20) {
                break;
            }
            let body = self.parts(1);
            self.named += 1;
            text.push_str(&format!("{{{{ define \"{name}\" }}}}{body}{{{{ end }}}}"));
            self.variables = 0;
        }
        text.push_str(&self.parts(0));
        (text, self.values())
    }

    fn values(&mut self) -> Value {
        let mut values = json!({
            "t": "text", "i": 3, "f": 1.5, "b": true, "l": [1, "two", null, [3]], "m": ["b", "a", "b"],
            "d": {"k": "v", "in": {"x": 1}, "z": null}, "e": "", "y": "a: 1\nb:\n- x\n",
        });
        for key in ["t", "i", "f", "b", "l", "d", "m"] {
            if self.chance(15) {
                values[key] = self.value(0);
            }
        }
        values
    }

    fn value(&mut self, depth: usize) -> Value {
        let texts =
            ["", "yes", "0x1f", "a: b", "multi\nline\n", "é", "- x", "null", " lead", "1.0", "#c"];
        match self.random.random_range(0..if depth < 2 { 8 } else { 6 }) {
            0 => Value::Null,
            1 => Value::Bool(self.chance(50)),
            2 => json!(*self.pick(&[0, 1, -7, 1_000_000, 123_456_789])),
            3 => json!(*self.pick(&[0.5, -1.25, 1e21, 1e-9, 3.0])),
            4 | 5 => json!(*self.pick(&texts)),
            6 => (0..self.random.random_range(0..4)).map(|_| self.value(depth + 1)).collect(),
            _ => {
                let count = self.random.random_range(0..4);
                let entries = (0..count).map(|_| {
                    let key = *self.pick(&["k", "a b", "z", "1", "true", "in"]);
                    (key.to_owned(), self.value(depth + 1))
                });
                Value::Object(entries.collect())
            }
        }
    }

    fn inside(&mut self, depth: usize) -> String {
        self.inside += 1;
        let body = self.parts(depth + 1);
        self.inside -= 1;
        body
    }

    fn parts(&mut self, depth: usize) -> String {
        let count = self.random.random_range(1..4);
        (0..count).map(|_| self.part(depth)).collect()
    }

    /// An action that nothing belongs to, or a text.
    fn action(&mut self, depth: usize, (open, close): (&str, &str)) -> String {
        match self.random.random_range(0..10) {
            0 => (*self.pick(&[
                "text ",
                "\n",
                "a: ",
                " ",
                "{",
                "é",
                " \t\n ",
                "\r\n",
                "{{/* c */}}",
                " {{- /* c\n */ -}} ",
                "{{ \"\" }}",
                "<no value>",
            ]))
            .to_owned(),
            1 => {
                let value = self.pipeline(depth);
                self.variables += 1;
                format!("{open} $v{} := {value} {close}", self.variables)
            }
            2 if self.variables > 0 => {
                let (value, variable) = (self.pipeline(depth), self.variable());
                format!("{open} {variable} = {value} {close}")
            }
            3 if self.named > 0 => {
                let data = self.operand(Any, depth);
                let form = *self.pick(&[
                    "template \"N\" D",
                    "include \"N\" D",
                    "include \"N\" D | nindent 2",
                    "include \"N\" D | quote",
                    "include (print \"N\") D | trim | upper",
                ]);
                let name = NAMES[self.random.random_range(0..self.named)];
                let form = form.replace('N', name);
                format!("{open} {} {close}", form.replace('D', &data))
            }
            4 if depth < 2 => {
                // The root context would be printed.
                let inside = std::mem::take(&mut self.inside);
                let inner = self.parts(2).replace('`', "'");
                self.inside = inside;
                format!("{open} tpl `{inner}` $ {close}")
            }
            _ => format!("{open} {} {close}", self.pipeline(depth)),
        }
    }

    fn part(&mut self, depth: usize) -> String {
        let (open, close) = (*self.pick(&["{{", "{{", "{{-"]), *self.pick(&["}}", "}}", "-}}"]));
        let control = depth < 3 && self.chance(35);
        if !control {
            return self.action(depth, (open, close));
        }
        let condition = self.pipeline(depth);
        let known = self.variables;
        let text = match self.random.random_range(0..8) {
            0 | 1 => {
                let (yes, no) = (self.parts(depth + 1), self.parts(depth + 1));
                let other = *self.pick(&["", "else", "else if .Values.b"]);
                let no =
                    if other.is_empty() { String::new() } else { format!("{{{{ {other} }}}}{no}") };
                format!("{open} if {condition} {close}{yes}{no}{{{{ end }}}}")
            }
            2 => {
                let body = self.inside(depth);
                let other = *self.pick(&["", "", "else", "else with .Values.d"]);
                let no = match other {
                    "" => String::new(),
                    other => format!("{{{{ {other} }}}}{}", self.parts(depth + 1)),
                };
                format!("{open} with {condition} {close}{body}{no}{{{{ end }}}}")
            }
            3 => {
                let list = self.operand(List, depth);
                let jump = *self.pick(&[
                    "",
                    "",
                    "{{ break }}",
                    "{{ continue }}",
                    "{{ if . }}{{ break }}{{ end }}",
                    "{{ if not . }}{{ continue }}{{ end }}",
                ]);
                let body = self.inside(depth);
                format!("{open} range {list} {close}{body}{jump};{{{{ else }}}}none{{{{ end }}}}")
            }
            4 => {
                let dict = self.operand(Dict, depth);
                format!(
                    "{open} range $k, $w := {dict} {close}{{{{ $k }}}}={{{{ $w }}}} {{{{ end }}}}"
                )
            }
            5 => {
                let (list, body) = (self.operand(List, depth), self.inside(depth));
                format!(
                    "{open} range $i, $e := {list} {close}{body}{{{{ $i }}}}{{{{ $e }}}}{{{{ end }}}}"
                )
            }
            6 if depth == 0 => {
                let body = self.inside(depth);
                format!("{open} block \"b{known}\" {condition} {close}{body}{{{{ end }}}}")
            }
            _ => {
                let body = self.inside(depth);
                format!("{open} range $j := {condition} {close}{body}{{{{ $j }}}}{{{{ end }}}}")
            }
        };
        self.variables = known;
        text
    }

    fn variable(&mut self) -> String {
        let number = self.random.random_range(1..=self.variables.max(1));
        format!("$v{number}")
    }

    fn pipeline(&mut self, depth: usize) -> String {
        let mut text = self.command(depth);
        while self.chance(25) {
            let (name, takes) = *self.pick(FUNCTIONS);
            let Some((last, before)) = takes.split_last() else { continue };
            if *last == Time {
                continue;
            }
            text.push_str(" | ");
            text.push_str(name);
            for kind in before {
                text.push(' ');
                text.push_str(&self.operand(*kind, depth + 1));
            }
        }
        text
    }

    fn command(&mut self, depth: usize) -> String {
        if self.chance(30) {
            return self.operand(Any, depth);
        }
        self.call(depth)
    }

    fn call(&mut self, depth: usize) -> String {
        let (name, takes) = *self.pick(FUNCTIONS);
        let mut text = name.to_owned();
        for kind in takes {
            text.push(' ');
            text.push_str(&self.operand(*kind, depth + 1));
        }
        if self.chance(3) {
            text.push(' ');
            text.push_str(&self.operand(Any, depth + 1));
        }
        text
    }

    fn operand(&mut self, kind: Kind, depth: usize) -> String {
        if kind == Time {
            return (*self.pick(TIMES)).to_owned();
        }
        let kind = if self.chance(12) {
            *self.pick(&[Any, Bool, Int, Float, Text, List, Dict])
        } else {
            kind
        };
        if depth < 4 && self.chance(25) {
            let call = self.call(depth);
            let field = if self.chance(5) { ".k" } else { "" };
            return format!("({call}){field}");
        }
        if self.inside > 0 && self.chance(20) {
            return ".".to_owned();
        }
        if self.variables > 0 && self.chance(10) {
            return self.variable();
        }
        if self.chance(40) {
            let fits = |row: &&(&'static str, Kind)| kind == Any || row.1 == kind || row.1 == Any;
            let fields: Vec<_> = FIELDS.iter().filter(fits).collect();
            return self.pick(&fields).0.to_owned();
        }
        let literal = match kind {
            Bool => *self.pick(&["true", "false"]),
            Int => *self.pick(INTS),
            Float => *self.pick(FLOATS),
            Text if self.chance(2) => *self.pick(BYTES),
            Text => *self.pick(TEXTS),
            Time => *self.pick(TIMES),
            List => *self.pick(&[
                "(list)",
                "(list 1 2)",
                "(list \"b\" \"a\" nil)",
                "(until 3)",
                "(list (list 1))",
            ]),
            Dict => *self.pick(&[
                "(dict)",
                "(dict \"k\" 1)",
                "(dict \"k\" (dict \"x\" \"y\"))",
                "(dict \"a\" nil)",
            ]),
            Any => *self.pick(&["1", "\"s\"", "true", "nil", "1.5", "(list 1)", "(dict \"k\" 2)"]),
        };
        literal.to_owned()
    }
}
