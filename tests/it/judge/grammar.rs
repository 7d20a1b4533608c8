//! Templates and values put together at random: mostly right, often odd, sometimes wrong.

use rand::prelude::*;
use serde_json::{Value, json};

/// What a function takes in a place; what it gets there is often something else.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Any,
    Bool,
    Int,
    Float,
    Text,
    List,
    Dict,
}

use Kind::{Any, Bool, Dict, Float, Int, List, Text};

/// Functions whose results depend on their arguments alone, and what they take.
const FUNCTIONS: &[(&str, &[Kind])] = &[
    ("abbrev", &[Int, Text]),
    ("abbrevboth", &[Int, Int, Text]),
    ("add", &[Int, Int]),
    ("add1", &[Int]),
    ("add1f", &[Float]),
    ("addf", &[Float, Float]),
    ("adler32sum", &[Text]),
    ("all", &[Any, Any]),
    ("and", &[Any, Any]),
    ("any", &[Any, Any]),
    ("append", &[List, Any]),
    ("atoi", &[Text]),
    ("b32dec", &[Text]),
    ("b32enc", &[Text]),
    ("b64dec", &[Text]),
    ("b64enc", &[Text]),
    ("biggest", &[Int, Int]),
    ("camelcase", &[Text]),
    ("cat", &[Any, Any]),
    ("ceil", &[Float]),
    ("chunk", &[Int, List]),
    ("coalesce", &[Any, Any]),
    ("compact", &[List]),
    ("concat", &[List, List]),
    ("contains", &[Text, Text]),
    ("deepCopy", &[Any]),
    ("deepEqual", &[Any, Any]),
    ("default", &[Any, Any]),
    ("dict", &[Text, Any]),
    ("dig", &[Text, Any, Dict]),
    ("div", &[Int, Int]),
    ("divf", &[Float, Float]),
    ("duration", &[Int]),
    ("durationRound", &[Text]),
    ("empty", &[Any]),
    ("eq", &[Any, Any]),
    ("fail", &[Text]),
    ("first", &[List]),
    ("float64", &[Any]),
    ("floor", &[Float]),
    ("fromJson", &[Text]),
    ("fromJsonArray", &[Text]),
    ("fromYaml", &[Text]),
    ("fromYamlArray", &[Text]),
    ("ge", &[Int, Int]),
    ("get", &[Dict, Text]),
    ("gt", &[Int, Int]),
    ("has", &[Any, List]),
    ("hasKey", &[Dict, Text]),
    ("hasPrefix", &[Text, Text]),
    ("hasSuffix", &[Text, Text]),
    ("html", &[Any]),
    ("indent", &[Int, Text]),
    ("index", &[Any, Any]),
    ("initial", &[List]),
    ("initials", &[Text]),
    ("int", &[Any]),
    ("int64", &[Any]),
    ("isAbs", &[Text]),
    ("join", &[Text, List]),
    ("js", &[Any]),
    ("kebabcase", &[Text]),
    ("kindIs", &[Text, Any]),
    ("kindOf", &[Any]),
    ("last", &[List]),
    ("le", &[Int, Int]),
    ("len", &[Any]),
    ("list", &[Any, Any]),
    ("lower", &[Text]),
    ("lt", &[Float, Float]),
    ("max", &[Int, Int]),
    ("maxf", &[Float, Float]),
    ("merge", &[Dict, Dict]),
    ("mergeOverwrite", &[Dict, Dict]),
    ("min", &[Int, Int]),
    ("minf", &[Float, Float]),
    ("mod", &[Int, Int]),
    ("mul", &[Int, Int]),
    ("mulf", &[Float, Float]),
    ("mustAppend", &[List, Any]),
    ("mustFirst", &[List]),
    ("mustFromJson", &[Text]),
    ("mustHas", &[Any, List]),
    ("mustLast", &[List]),
    ("mustRegexFind", &[Text, Text]),
    ("mustToJson", &[Any]),
    ("mustUniq", &[List]),
    ("ne", &[Any, Any]),
    ("nindent", &[Int, Text]),
    ("nospace", &[Text]),
    ("not", &[Any]),
    ("omit", &[Dict, Text]),
    ("or", &[Any, Any]),
    ("pick", &[Dict, Text]),
    ("pluck", &[Text, Dict]),
    ("plural", &[Text, Text, Int]),
    ("prepend", &[List, Any]),
    ("print", &[Any, Any]),
    ("printf", &[Text, Any]),
    ("println", &[Any]),
    ("push", &[List, Any]),
    ("quote", &[Any]),
    ("regexFind", &[Text, Text]),
    ("regexFindAll", &[Text, Text, Int]),
    ("regexMatch", &[Text, Text]),
    ("regexQuoteMeta", &[Text]),
    ("regexReplaceAll", &[Text, Text, Text]),
    ("regexReplaceAllLiteral", &[Text, Text, Text]),
    ("regexSplit", &[Text, Text, Int]),
    ("replace", &[Text, Text, Text]),
    ("required", &[Text, Any]),
    ("rest", &[List]),
    ("reverse", &[List]),
    ("round", &[Float, Int]),
    ("semver", &[Text]),
    ("semverCompare", &[Text, Text]),
    ("seq", &[Int, Int]),
    ("set", &[Dict, Text, Any]),
    ("sha1sum", &[Text]),
    ("sha256sum", &[Text]),
    ("sha512sum", &[Text]),
    ("slice", &[Any, Int, Int]),
    ("snakecase", &[Text]),
    ("sortAlpha", &[List]),
    ("split", &[Text, Text]),
    ("splitList", &[Text, Text]),
    ("splitn", &[Text, Int, Text]),
    ("squote", &[Any]),
    ("sub", &[Int, Int]),
    ("subf", &[Float, Float]),
    ("substr", &[Int, Int, Text]),
    ("swapcase", &[Text]),
    ("ternary", &[Any, Any, Bool]),
    ("title", &[Text]),
    ("toDecimal", &[Text]),
    ("toJson", &[Any]),
    ("toPrettyJson", &[Any]),
    ("toRawJson", &[Any]),
    ("toString", &[Any]),
    ("toStrings", &[List]),
    ("toYaml", &[Any]),
    ("toYamlPretty", &[Any]),
    ("tpl", &[Text, Any]),
    ("trim", &[Text]),
    ("trimAll", &[Text, Text]),
    ("trimPrefix", &[Text, Text]),
    ("trimSuffix", &[Text, Text]),
    ("trunc", &[Int, Text]),
    ("tuple", &[Any]),
    ("typeIs", &[Text, Any]),
    ("typeIsLike", &[Text, Any]),
    ("typeOf", &[Any]),
    ("uniq", &[List]),
    ("unset", &[Dict, Text]),
    ("until", &[Int]),
    ("untilStep", &[Int, Int, Int]),
    ("untitle", &[Text]),
    ("upper", &[Text]),
    ("urlParse", &[Text]),
    ("urlquery", &[Any]),
    ("without", &[List, Any]),
    ("wrap", &[Int, Text]),
    ("wrapWith", &[Int, Text, Text]),
];

const TEXTS: &[&str] = &[
    r#""""#,
    r#""a""#,
    r#""a b""#,
    r#""é\n""#,
    "`raw`",
    r#""x.y""#,
    r#""1.2.3""#,
    r#""^1.2""#,
    r#""[a-z]+""#,
    r#""$1-${1}""#,
    r#""%d %s %v""#,
    r#""%5.2f|%-4q""#,
    r#""%T %#v""#,
    r#""a: [1]""#,
    r#""{\"a\":1}""#,
    r#""[1, 2]""#,
    r#""true""#,
    r#""0x1F""#,
    r#""1e3""#,
    r#""YWJj""#,
    r#""http://u:p@h:80/p?q=1#f""#,
    r#""{{ .Values.t }}""#,
    r#""string""#,
    r#""map""#,
    r#""Hello World""#,
    r#"" pad ""#,
    r#""a,b,,c""#,
    r#""1h2m""#,
    r#""a\tb""#,
    r#""-""#,
    r#""snake_case""#,
    r#""ａ""#,
];
const INTS: &[&str] = &["0", "1", "-1", "2", "3", "7", "10", "0x10", "'a'", "1_000", "-5"];
const FLOATS: &[&str] = &["0.0", "1.5", "-2.25", "1e3", "1e-7", "3.0", "1e21", "0.1"];
const FIELDS: &[(&str, Kind)] = &[
    (".Values.t", Text),
    (".Values.i", Int),
    (".Values.f", Float),
    (".Values.b", Bool),
    (".Values.l", List),
    (".Values.d", Dict),
    (".Values.n", Any),
    (".Values.none", Any),
    (".Values.d.k", Text),
    (".Values.d.in.x", Any),
    (".Values.none.x", Any),
    (".Values.m", List),
    (".Release.Name", Text),
    (".Release.IsInstall", Bool),
    (".Chart.Name", Text),
    (".Values", Dict),
    (".Values.t.x", Any),
    (".Values.e", Text),
    (".Values.y", Text),
    ("$.Values.d", Dict),
];

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
        if self.chance(20) {
            let body = self.parts(1);
            self.named = 1;
            text = format!("{{{{ define \"n\" }}}}{body}{{{{ end }}}}");
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

    fn part(&mut self, depth: usize) -> String {
        let (open, close) = (*self.pick(&["{{", "{{", "{{-"]), *self.pick(&["}}", "}}", "-}}"]));
        let control = depth < 3 && self.chance(35);
        if !control {
            return match self.random.random_range(0..10) {
                0 => (*self.pick(&["text ", "\n", "a: ", " ", "{", "é"])).to_owned(),
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
                        "template \"n\" D",
                        "include \"n\" D",
                        "include \"n\" D | quote",
                    ]);
                    format!("{open} {} {close}", form.replace('D', &data))
                }
                _ => format!("{open} {} {close}", self.pipeline(depth)),
            };
        }
        let condition = self.pipeline(depth);
        let known = self.variables;
        let text = match self.random.random_range(0..6) {
            0 | 1 => {
                let (yes, no) = (self.parts(depth + 1), self.parts(depth + 1));
                let other = *self.pick(&["", "else", "else if .Values.b"]);
                let no =
                    if other.is_empty() { String::new() } else { format!("{{{{ {other} }}}}{no}") };
                format!("{open} if {condition} {close}{yes}{no}{{{{ end }}}}")
            }
            2 => {
                let body = self.inside(depth);
                format!("{open} with {condition} {close}{body}{{{{ end }}}}")
            }
            3 => {
                let list = self.operand(List, depth);
                let jump = *self.pick(&["", "", "{{ break }}", "{{ continue }}"]);
                let body = self.inside(depth);
                format!("{open} range {list} {close}{body}{jump};{{{{ else }}}}none{{{{ end }}}}")
            }
            4 => {
                let dict = self.operand(Dict, depth);
                format!(
                    "{open} range $k, $w := {dict} {close}{{{{ $k }}}}={{{{ $w }}}} {{{{ end }}}}"
                )
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
            let before = &takes[..takes.len() - 1];
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
            Text => *self.pick(TEXTS),
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
