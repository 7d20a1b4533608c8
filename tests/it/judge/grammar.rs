//! Templates and values put together at random: mostly right, often odd, sometimes wrong.

use rand::prelude::*;
use serde_json::{Value, json};

use super::literals::{self, pick};
use super::paths::Paths;
use super::texts::Texts;
use super::words::Kind::{self, Any, Dict, Int, List};

/// Names of templates.
const NAMES: [&str; 3] = ["n", "m", "o"];
/// What depends on chance, unless it stands as it was written.
const BY_CHANCE: &[&str] = &[
    "keys",
    "values ",
    "now",
    "rand",
    "uuid",
    "shuffle",
    "AES",
    "bcrypt",
    "htpasswd",
    "gen",
    "Subcharts",
];

/// Writes templates.
pub(super) struct Writer {
    pub(super) random: StdRng,
    pub(super) texts: Texts,
    pub(super) paths: Paths,
    /// The variables that can be seen here.
    pub(super) variables: Vec<String>,
    /// How many variables were declared.
    declared: usize,
    /// The named templates, and whether each is given the root context.
    named: Vec<(&'static str, bool)>,
    /// How many bodies of `with` and `range` are open. The root context is not printed: it holds a
    /// pointer, whose address nobody can guess.
    pub(super) inside: usize,
    /// Whether `$` is the root context.
    pub(super) is_rooted: bool,
    /// How many loops are open.
    loops: usize,
    /// Whether raw strings may be written.
    pub(super) may_be_raw: bool,
    /// How many of a hundred arguments are something else than what a function takes.
    pub(super) odd: u32,
    /// How many functions are open that take as much memory as their numbers say.
    pub(super) heavy: usize,
}

impl Writer {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            texts: Texts::new(seed),
            paths: Paths::new(seed),
            variables: Vec::new(),
            declared: 0,
            named: Vec::new(),
            inside: 0,
            is_rooted: true,
            loops: 0,
            may_be_raw: true,
            odd: 0,
            heavy: 0,
        }
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        pick(&mut self.random, of)
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// Returns a template and its values.
    pub(super) fn snippet(&mut self) -> (String, Value) {
        self.variables.clear();
        self.named.clear();
        self.declared = 0;
        self.odd = self.pick(&[0, 0, 0, 3, 3, 15]);
        let mut text = String::new();
        // Each may include those before it: none includes itself, unless it knows when to stop.
        for name in NAMES {
            if !self.chance(20) {
                break;
            }
            let is_given_root = self.chance(60);
            let body = self.apart(is_given_root, 1);
            self.named.push((name, is_given_root));
            text.push_str(&format!("{{{{ define \"{name}\" }}}}{body}{{{{ end }}}}"));
        }
        if self.chance(3) {
            text.push_str(self.pick(&[
                "{{ define \"n\" }}again{{ end }}",
                "{{ define \"n\" }} {{/* c */}} {{ end }}",
                "{{ define `r` }}{{ if . }}{{ first . }}{{ include \"r\" (rest .) }}{{ end }}{{ end }}{{ include \"r\" $.Values.m }}",
                "{{ define \"s\" }}{{ range . }}{{ if kindIs \"slice\" . }}[{{ template \"s\" . }}]{{ else }}{{ . }}{{ end }}{{ end }}{{ end }}{{ template \"s\" $.Values.l }}",
                "{{ define \"e\" }}{{ include \"e\" . }}{{ end }}{{ include \"e\" 1 }}",
                "{{ define \"sub.h\" }}mine{{ end }}",
            ]));
        }
        text.push_str(&self.parts(0));
        if self.chance(7) && !BY_CHANCE.iter().any(|word| text.contains(word)) {
            text = self.spoiled(&text);
        }
        (text, self.values())
    }

    /// The body of a template of its own.
    fn apart(&mut self, is_rooted: bool, depth: usize) -> String {
        let variables = std::mem::take(&mut self.variables);
        let state = (self.inside, self.is_rooted, self.loops);
        (self.inside, self.is_rooted, self.loops) = (usize::from(!is_rooted), is_rooted, 0);
        let body = self.parts(depth);
        (self.inside, self.is_rooted, self.loops) = state;
        self.variables = variables;
        body
    }

    /// A text with a mistake or two of typing.
    fn spoiled(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..self.random.random_range(1..3) {
            let at = self.random.random_range(0..chars.len().max(1));
            let until = (at + self.random.random_range(1..6)).min(chars.len());
            match self.random.random_range(0..4) {
                0 => drop(chars.drain(at.min(chars.len())..until)),
                1 => {
                    let again: Vec<char> = chars[at.min(chars.len())..until].to_vec();
                    chars.splice(until..until, again);
                }
                _ => {
                    let new = self.pick(&[
                        "{{",
                        "}}",
                        "-}}",
                        "{{-",
                        "(",
                        ")",
                        "|",
                        ".",
                        "$",
                        "\"",
                        "'",
                        "`",
                        "\\",
                        ":=",
                        "=",
                        ",",
                        "/*",
                        "*/",
                        "#",
                        " ",
                        "\n",
                        "0",
                        "a",
                        "é",
                        "\u{a0}",
                        "\u{1}",
                        "end",
                        "{{ end }}",
                        "{{ else }}",
                        "nil",
                        "-",
                        "{{/*",
                        "break",
                        "range ",
                        "%",
                        "&",
                        "\t",
                    ]);
                    chars.splice(at..at, new.chars());
                }
            }
        }
        chars.into_iter().collect()
    }

    fn values(&mut self) -> Value {
        let mut values = json!({
            "t": "text", "i": 3, "f": 1.5, "b": true, "l": [1, "two", null, [3]], "m": ["b", "a", "b"],
            "d": {"k": "v", "in": {"x": 1}, "z": null}, "e": "", "y": "a: 1\nb:\n- x\n",
            "tp": "{{ $.Release.Name }}-{{ .Values.t }}",
        });
        for key in ["t", "i", "f", "b", "l", "d", "m"] {
            if self.chance(12) {
                values[key] = self.value(0);
            }
        }
        if self.chance(40) {
            values["x"] = self.texts.tree(0);
        }
        if self.chance(20) {
            values["sub"] = json!({"sv": self.value(1), "global": {"g": self.value(2)}});
        }
        if self.chance(20) {
            values["global"] = json!({"h": self.value(1)});
        }
        if self.chance(10) {
            values["tp"] = json!(self.apart(true, 2));
        }
        values
    }

    fn value(&mut self, depth: usize) -> Value {
        let texts =
            ["", "yes", "0x1f", "a: b", "multi\nline\n", "é", "- x", "null", " lead", "1.0", "#c"];
        match self.random.random_range(0..if depth < 2 { 8 } else { 6 }) {
            0 => Value::Null,
            1 => Value::Bool(self.chance(50)),
            2 => json!(self.pick(&[0, 1, -7, 1_000_000, 123_456_789])),
            3 => json!(self.pick(&[0.5, -1.25, 1e21, 1e-9, 3.0])),
            4 | 5 => json!(self.pick(&texts)),
            6 => (0..self.random.random_range(0..4)).map(|_| self.value(depth + 1)).collect(),
            _ => {
                let count = self.random.random_range(0..4);
                let entries = (0..count).map(|_| {
                    let key = self.pick(&["k", "a b", "z", "1", "true", "in"]);
                    (key.to_owned(), self.value(depth + 1))
                });
                Value::Object(entries.collect())
            }
        }
    }

    /// A body whose dot is something else; what is declared in it ends with it.
    fn inside(&mut self, depth: usize, variables: &[&str]) -> String {
        let known = self.variables.len();
        self.variables.extend(variables.iter().map(|name| (*name).to_owned()));
        self.inside += 1;
        let body = self.parts(depth + 1);
        self.inside -= 1;
        self.variables.truncate(known);
        body
    }

    fn turn(&mut self, depth: usize, variables: &[&str]) -> String {
        self.loops += 1;
        let body = self.inside(depth, variables);
        self.loops -= 1;
        body
    }

    /// A body whose dot stays.
    fn branch(&mut self, depth: usize) -> String {
        let known = self.variables.len();
        let body = self.parts(depth + 1);
        self.variables.truncate(known);
        body
    }

    fn parts(&mut self, depth: usize) -> String {
        let count = self.random.random_range(1..4);
        (0..count).map(|_| self.part(depth)).collect()
    }

    fn part(&mut self, depth: usize) -> String {
        let (open, close) = (self.pick(&["{{", "{{", "{{-"]), self.pick(&["}}", "}}", "-}}"]));
        // A minus is a sign where no blank stands.
        let ends = if self.chance(5) && open != "{{-" && close != "-}}" {
            (open.to_owned(), close.to_owned())
        } else {
            let space = self.pick(&[" ", " ", " ", " ", "\n", "\t", "\r\n", "  "]);
            (format!("{open}{space}"), format!("{space}{close}"))
        };
        if depth < 3 && self.chance(35) {
            return self.control(depth, &ends.0, &ends.1);
        }
        self.action(depth, &ends.0, &ends.1)
    }

    /// An action that nothing belongs to, or a text.
    fn action(&mut self, depth: usize, open: &str, close: &str) -> String {
        match self.random.random_range(0..20) {
            0 | 1 => self
                .pick(&[
                    "text ",
                    "\n",
                    "a: ",
                    " ",
                    "{",
                    "}}",
                    "é",
                    " \t\n ",
                    "\r\n",
                    "{{/* c */}}",
                    " {{- /* c\n */ -}} ",
                    "{{- /**/}}\n",
                    "{{/*a*/ -}}\n",
                    "{{ \"\" }}",
                    "<no value>",
                ])
                .to_owned(),
            2 | 3 => {
                let value = self.pipeline(Any, depth);
                self.declared += 1;
                let name = format!("$v{}", self.declared);
                let text = format!("{open}{name} := {value}{close}");
                self.variables.push(name);
                text
            }
            4 | 5 if !self.variables.is_empty() => {
                let (value, variable) = (self.pipeline(Any, depth), self.variable());
                format!("{open}{variable} = {value}{close}")
            }
            6 | 7 if !self.named.is_empty() => self.included(depth, open, close),
            8 if depth < 2 => self.tpl(open, close),
            9 if self.loops > 0 => {
                let jump = self.pick(&["break", "continue"]);
                if self.chance(30) {
                    return format!("{open}{jump}{close}");
                }
                let condition = self.pipeline(Kind::Bool, depth);
                format!("{open}if {condition}{close}{{{{ {jump} }}}}{{{{ end }}}}")
            }
            10 if self.odd > 0 && self.chance(25) => self.oddity(depth, open, close),
            11 if self.is_rooted => {
                let form = self.pick(&[
                    "include \"sub.h\" $",
                    "include \"sub.h\" $.Subcharts.sub",
                    "template \"sub.h\" $",
                    "include \"who\" $",
                    "include \"vec/charts/sub/templates/_h.tpl\" $",
                    "include \"vec/templates/_z.tpl\" $ | quote",
                    "range $name, $chart := $.Subcharts}}{{ $name }}{{ $chart.Values | toJson }}{{ end ",
                    "tpl $.Values.tp $",
                ]);
                format!("{open}{form}{close}")
            }
            _ => format!("{open}{}{close}", self.pipeline(Any, depth)),
        }
    }

    fn included(&mut self, depth: usize, open: &str, close: &str) -> String {
        let index = self.random.random_range(0..self.named.len());
        let (name, is_given_root) = self.named[index];
        let data = if is_given_root && self.is_rooted && self.chance(97) {
            "$".to_owned()
        } else {
            self.operand(Any, depth)
        };
        let form = self.pick(&[
            "template \"N\" D",
            "include \"N\" D",
            "include \"N\" D | nindent 2",
            "include \"N\" D | quote",
            "include (print \"N\") D | trim | upper",
            "$x := include \"N\" D",
            "if include \"N\" D }}yes{{ end",
            "include \"N\" D | fromYaml | len",
        ]);
        let form = form.replace('N', name);
        format!("{open}{}{close}", form.replace('D', &data))
    }

    fn tpl(&mut self, open: &str, close: &str) -> String {
        let is_rooted = self.is_rooted && self.chance(85);
        let data = if is_rooted { "$".to_owned() } else { self.operand(Any, 2) };
        let before = self.may_be_raw;
        let is_raw = before && self.chance(50);
        self.may_be_raw = before && !is_raw;
        let mut inner = String::new();
        if self.chance(15) {
            let name = self.pick(&["n", "t", "u"]);
            let body = self.apart(true, 2);
            inner = format!(
                "{{{{ define \"{name}\" }}}}{body}{{{{ end }}}}{{{{ include \"{name}\" $ }}}}"
            );
        }
        inner.push_str(&self.apart(is_rooted, 2));
        self.may_be_raw = before;
        let text = match is_raw && !inner.contains('`') {
            true => format!("`{inner}`"),
            false => literals::quoted(&mut self.random, &inner, false),
        };
        let after = self.pick(&["", "", " | quote", " | trim", " | len"]);
        format!("{open}tpl {text} {data}{after}{close}")
    }

    /// What Go refuses, here or when it is met.
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn oddity(&mut self, depth: usize, open: &str, close: &str) -> String {
        let form = self.pick(&[
            "nil",
            "nil | quote",
            "1 | 2",
            "\"a\" \"b\"",
            "OP \"x\"",
            "\"x\" | OP",
            "(OP) \"x\"",
            "break",
            "continue",
            "end",
            "else",
            "template \"nope\"",
            "template \"nope\" OP",
            "include \"nope\" OP",
            "$nope",
            "$nope = OP",
            "$a, $b := OP",
            "nope OP",
            "OP.x.y",
            "(OP).x.y",
            "OP | ",
            "| OP",
            "",
            "define \"in\" }}x{{ end",
            "template OP",
            "if",
            "range",
            "with",
            "block \"c\"",
            "\"x\".y",
            "1.y",
            "true.x",
            "..x",
            ".Values..t",
            "OP,",
            "OP : OP",
            "(OP",
            "OP)",
            "\"a",
            "`a",
            "'a",
            "OP OP",
            "$ := OP",
            "$.x.y",
            "$ | len",
            "template \"n\" OP OP",
            "template `n`",
            "range $a, OP }}{{ end",
            "range $a, $b, $c := OP }}{{ end",
            "range OP }}{{ else range OP }}{{ end",
            "with OP }}{{ else if OP }}{{ end",
            "if OP }}{{ else OP }}{{ end",
            "if OP }}{{ else }}{{ else }}{{ end",
            "break 1",
            "$v1 := $v2 := OP",
            "OP | $q := quote",
            "call OP",
            "call OP OP",
            "NUM",
            "print NUM",
            "CHR",
            "print CHR NUM",
        ]);
        let mut text = String::new();
        for (index, piece) in form.split("OP").enumerate() {
            if index > 0 {
                text.push_str(&self.operand(Any, depth + 2));
            }
            text.push_str(piece);
        }
        let number = literals::number(&mut self.random);
        let character = literals::character(&mut self.random);
        let text = text.replace("NUM", &number).replace("CHR", &character);
        format!("{open}{text}{close}")
    }

    fn control(&mut self, depth: usize, open: &str, close: &str) -> String {
        let known = self.variables.len();
        let text = match self.random.random_range(0..16) {
            0..5 => self.condition(depth, open, close),
            5..8 => self.with(depth, open, close),
            8..14 => self.range(depth, open, close),
            14 => {
                self.declared += 1;
                let (name, data) = (format!("b{}", self.declared), self.operand(Any, depth));
                let is_rooted = false;
                let body = self.apart(is_rooted, depth + 1);
                format!("{open}block \"{name}\" {data}{close}{body}{{{{ end }}}}")
            }
            _ => {
                let condition = self.pipeline(Any, depth);
                let body = self.turn(depth, &["$j"]);
                format!("{open}range $j := {condition}{close}{body}{{{{ $j }}}}{{{{ end }}}}")
            }
        };
        self.variables.truncate(known);
        text
    }

    /// What a condition or `with` begins with: it may declare or assign.
    fn head(&mut self, depth: usize, kind: Kind) -> String {
        let value = self.pipeline(kind, depth);
        if self.chance(15) {
            self.declared += 1;
            let name = format!("$v{}", self.declared);
            let text = format!("{name} := {value}");
            self.variables.push(name);
            return text;
        }
        if !self.variables.is_empty() && self.chance(5) {
            return format!("{} = {value}", self.variable());
        }
        value
    }

    fn condition(&mut self, depth: usize, open: &str, close: &str) -> String {
        let head = self.head(depth, Kind::Bool);
        let mut text = format!("{open}if {head}{close}{}", self.branch(depth));
        while self.chance(30) {
            let head = self.head(depth, Kind::Bool);
            text.push_str(&format!("{{{{- else if {head} }}}}{}", self.branch(depth)));
        }
        if self.chance(50) {
            text.push_str(&format!("{{{{ else }}}}{}", self.branch(depth)));
        }
        text.push_str(self.pick(&["{{ end }}", "{{- end }}", "{{ end -}}", "{{end}}"]));
        text
    }

    fn with(&mut self, depth: usize, open: &str, close: &str) -> String {
        let head = self.head(depth, Any);
        let mut text = format!("{open}with {head}{close}{}", self.inside(depth, &[]));
        while self.chance(25) {
            let head = self.head(depth, Any);
            text.push_str(&format!("{{{{ else with {head} }}}}{}", self.inside(depth, &[])));
        }
        if self.chance(40) {
            text.push_str(&format!("{{{{ else -}}}}{}", self.branch(depth)));
        }
        text.push_str("{{ end }}");
        text
    }

    fn range(&mut self, depth: usize, open: &str, close: &str) -> String {
        let kind = self.pick(&[List, List, Dict, Int, Any]);
        // What is walked is not walked long.
        self.heavy += 1;
        let over =
            if self.chance(30) { self.pipeline(kind, depth) } else { self.operand(kind, depth) };
        self.heavy -= 1;
        let (first, second) = (self.variable_or("$i"), self.variable_or("$e"));
        let (head, body, tail) = match self.random.random_range(0..8) {
            0..3 => (over, self.turn(depth, &[]), self.pick(&["", ";"]).to_owned()),
            3 => (
                format!("$e := {over}"),
                self.turn(depth, &["$e"]),
                self.pick(&["", "{{ $e }}"]).to_owned(),
            ),
            4 if self.variables.len() > 1 => {
                (format!("{first}, {second} = {over}"), self.turn(depth, &[]), String::new())
            }
            5 if !self.variables.is_empty() => {
                (format!("{first} = {over}"), self.turn(depth, &[]), String::new())
            }
            _ => (
                format!("$i, $e := {over}"),
                self.turn(depth, &["$i", "$e"]),
                self.pick(&["", "{{ $i }}={{ $e }} "]).to_owned(),
            ),
        };
        let other = match self.chance(25) {
            true => format!("{{{{ else }}}}none{}", self.branch(depth)),
            false => String::new(),
        };
        format!("{open}range {head}{close}{body}{tail}{other}{{{{ end }}}}")
    }

    fn variable_or(&mut self, other: &str) -> String {
        if self.variables.is_empty() { other.to_owned() } else { self.variable() }
    }

    pub(super) fn variable(&mut self) -> String {
        if self.variables.is_empty() || (self.odd > 0 && self.chance(1)) {
            return "$v9".to_owned();
        }
        self.variables[self.random.random_range(0..self.variables.len())].clone()
    }
}
