//! Expressions of random templates: pipelines, calls, and what they are given.

use rand::prelude::*;

use super::grammar::Writer;
use super::literals;
use super::phrases::{BYTES, FIELDS, FLOATS, INTS, PHRASES, TEXTS, TIMES};
use super::words::Kind::{self, *};
use super::words::{FUNCTIONS, HEAVY, RESULTS};

/// What is mostly passed over, because it takes long.
const SLOW: &[&str] = &["bcrypt", "derivePassword INT", "genCA ", "genS"];
/// Capital words of phrases.
const STANDING: &[(&str, Kind)] = &[
    ("ANY", Any),
    ("DICT", Dict),
    ("DURATION", Duration),
    ("GLOB", Glob),
    ("INT", Int),
    ("KEY", Key),
    ("LAYOUT", Layout),
    ("LIST", List),
    ("MOMENT", Moment),
    ("REGEX", Regex),
    ("SUBJECT", Subject),
    ("TEXT", Text),
    ("TIME", Time),
    ("VERSION", Version),
    ("YAML", Yaml),
];

/// A function and what it takes.
type Row = (&'static str, &'static [Kind]);

/// What kind a kind is of for those who take it.
fn family(kind: Kind) -> Kind {
    match kind {
        Any | Bool | Int | Float | List | Dict | Time => kind,
        _ => Text,
    }
}

fn fits(wanted: Kind, given: Kind) -> bool {
    wanted == Any || given == Any || family(wanted) == family(given)
}

fn has_word(words: &str, name: &str) -> bool {
    words.contains(&format!(" {name} "))
}

/// What a function gives.
fn result(name: &str) -> Kind {
    RESULTS.iter().find(|(_, names)| has_word(names, name)).map_or(Any, |(kind, _)| *kind)
}

impl Writer {
    pub(super) fn pipeline(&mut self, kind: Kind, depth: usize) -> String {
        let mut count = 0;
        while count < 4 && self.chance(25) {
            count += 1;
        }
        let wanted = if count == 0 { kind } else { Any };
        let (mut text, mut is) = self.command(wanted, depth);
        for _ in 0..count {
            let Some((name, takes)) = self.stage(is) else { continue };
            // Whoever gave a number before did not know of this.
            if has_word(HEAVY, name) && is != Text && is != List {
                continue;
            }
            text.push_str(" | ");
            text.push_str(&self.call_of(name, &takes[..takes.len() - 1], depth));
            is = result(name);
        }
        text
    }

    /// A function that takes such a thing at last.
    fn stage(&mut self, given: Kind) -> Option<Row> {
        let is_odd = self.chance(self.odd);
        let takes = |row: &&Row| {
            row.1.last().is_some_and(|last| *last != Time && (is_odd || fits(*last, given)))
        };
        let rows: Vec<_> = FUNCTIONS.iter().filter(takes).collect();
        rows.choose(&mut self.random).map(|row| **row)
    }

    fn command(&mut self, kind: Kind, depth: usize) -> (String, Kind) {
        if self.chance(30) {
            return (self.operand(kind, depth), kind);
        }
        let (name, takes) = self.function(kind);
        (self.call_of(name, takes, depth), result(name))
    }

    /// A function that gives such a thing.
    fn function(&mut self, kind: Kind) -> Row {
        if kind == Any || self.chance(self.odd) {
            return self.pick(FUNCTIONS);
        }
        let gives = |row: &&Row| result(row.0) == family(kind);
        let rows: Vec<_> = FUNCTIONS.iter().filter(gives).collect();
        rows.choose(&mut self.random).map_or(FUNCTIONS[0], |row| **row)
    }

    fn call_of(&mut self, name: &str, takes: &[Kind], depth: usize) -> String {
        let is_heavy = has_word(HEAVY, name);
        self.heavy += usize::from(is_heavy);
        let mut takes = takes.to_vec();
        if self.odd > 0 && self.chance(2) {
            takes.pop();
        }
        if self.odd > 0 && self.chance(2) {
            takes.push(Any);
        }
        let mut text = name.to_owned();
        let mut kinds = takes.iter();
        while let Some(kind) = kinds.next() {
            text.push(' ');
            if *kind == Layout && kinds.clone().next() == Some(&Moment) {
                kinds.next();
                text.push_str(&self.date());
            } else {
                text.push_str(&self.operand(*kind, depth + 1));
            }
        }
        self.heavy -= usize::from(is_heavy);
        text
    }

    /// A layout and a text that mostly fits to it.
    fn date(&mut self) -> String {
        let (layout, text) = literals::date(&mut self.random);
        format!("{} {}", self.quoted(&layout), self.quoted(&text))
    }

    fn quoted(&mut self, text: &str) -> String {
        literals::quoted(&mut self.random, text, self.may_be_raw)
    }

    pub(super) fn operand(&mut self, kind: Kind, depth: usize) -> String {
        if kind == Time {
            if self.chance(40) {
                return format!("(toDate {})", self.date());
            }
            return self.pick(TIMES).to_owned();
        }
        let kind = if self.chance(self.odd) {
            self.pick(&[Any, Bool, Int, Float, Text, List, Dict])
        } else {
            kind
        };
        if depth < 4 && self.chance(22) {
            let inner = match self.chance(25) {
                true => self.pipeline(kind, depth + 1),
                false => {
                    let (name, takes) = self.function(kind);
                    self.call_of(name, takes, depth)
                }
            };
            let field = if self.chance(4) { self.pick(&[".k", ".x", ".k.x"]) } else { "" };
            return format!("({inner}){field}");
        }
        if self.inside > 0 && self.chance(12) {
            return self.pick(&[".", ".", ".", ".", ".k", ".x.k"]).to_owned();
        }
        if !self.variables.is_empty() && self.chance(10) {
            let field = if self.chance(5) { ".k" } else { "" };
            return format!("{}{field}", self.variable());
        }
        if depth < 5 && self.chance(if kind == Any { 35 } else { 20 }) {
            return self.phrase(kind, depth);
        }
        self.literal(kind, depth)
    }

    /// A field, or a phrase.
    fn phrase(&mut self, kind: Kind, depth: usize) -> String {
        let is_field = self.is_rooted && self.chance(75);
        let of = if is_field { FIELDS } else { PHRASES };
        let fit = |row: &&(&'static str, Kind)| fits(kind, row.1);
        let rows: Vec<_> = of.iter().filter(fit).collect();
        let Some((text, _)) = rows.choose(&mut self.random) else {
            return self.literal(kind, depth);
        };
        if SLOW.iter().any(|slow| text.contains(slow)) && !self.chance(4) {
            return self.literal(kind, depth);
        }
        let text = match text.strip_prefix('.') {
            Some(field) if self.inside > 0 && self.chance(90) => format!("$.{field}"),
            _ if text.starts_with("(.") && self.inside > 0 => text.replacen("(.", "($.", 1),
            _ => (*text).to_owned(),
        };
        self.heavy += 1;
        let written = self.written(&text, depth);
        self.heavy -= 1;
        written
    }

    /// A phrase with something for its capital words.
    fn written(&mut self, text: &str, depth: usize) -> String {
        let mut pieces = text.split(' ');
        let mut written = pieces.next().unwrap_or_default().to_owned();
        let mut is_moment = false;
        for piece in pieces {
            written.push(' ');
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_uppercase());
            let word = word.split(')').next().unwrap_or_default();
            let rest = &piece[word.len()..];
            if is_moment && word == "MOMENT" {
                // It stands already with its layout.
                written.pop();
            } else if word == "LAYOUT" && text.contains("LAYOUT MOMENT") && rest.is_empty() {
                written.push_str(&self.date());
                is_moment = true;
            } else if word == "TOML" {
                let toml = literals::toml(&mut self.random);
                written.push_str(&self.quoted(&toml));
            } else if let Some((_, kind)) = STANDING.iter().find(|(name, _)| *name == word) {
                written.push_str(&self.operand(*kind, depth + 2));
            } else {
                written.push_str(word);
            }
            written.push_str(rest);
        }
        written
    }

    fn literal(&mut self, kind: Kind, depth: usize) -> String {
        let text = match kind {
            Any => {
                let kind = self.pick(&[
                    Bool, Int, Float, Text, List, Dict, Int, Text, List, Dict, Subject, Yaml,
                    Duration, Version,
                ]);
                if self.chance(6) {
                    return "nil".to_owned();
                }
                return self.literal(kind, depth);
            }
            Bool => return self.pick(&["true", "false"]).to_owned(),
            Int | Float => return self.numeral(kind),
            List => return self.list(depth),
            Dict => return self.dict(depth),
            Text if self.chance(2) => return self.pick(BYTES).to_owned(),
            Text if self.chance(70) || !self.may_be_raw => return self.text(),
            Text => literals::subject(&mut self.random),
            Time => return self.operand(Time, depth),
            Constraint => self.texts.constraint().0,
            Duration => literals::duration(&mut self.random),
            Format => literals::format(&mut self.random),
            Glob => literals::glob(&mut self.random),
            Json => literals::json(&mut self.random, 0),
            Key => self
                .pick(&["k", "in", "z", "a", "x", "b", "", "d", "d.in", "t", "sub", "é", "a b"])
                .into(),
            Layout => literals::date(&mut self.random).0,
            Moment => literals::date(&mut self.random).1,
            Path => literals::path(&mut self.random),
            Regex => literals::regex(&mut self.random, 0),
            Replacement => literals::replacement(&mut self.random),
            Subject => literals::subject(&mut self.random),
            // It is a literal already.
            Url => return format!("\"{}\"", self.paths.url()),
            Version => self.texts.constraint().1,
            Word => literals::word(&mut self.random),
            Yaml => self.texts.yaml(),
        };
        self.quoted(&text)
    }

    /// One of the texts that are known to be odd.
    fn text(&mut self) -> String {
        loop {
            let text = self.pick(TEXTS);
            if self.may_be_raw || !text.starts_with('`') {
                return text.to_owned();
            }
        }
    }

    fn numeral(&mut self, kind: Kind) -> String {
        if self.heavy == 0 && self.odd > 0 && self.chance(6) {
            return match self.random.random_range(0..3) {
                0 => literals::number(&mut self.random),
                1 => literals::edge(&mut self.random).to_owned(),
                _ => literals::character(&mut self.random),
            };
        }
        self.pick(if kind == Int { INTS } else { FLOATS }).to_owned()
    }

    fn list(&mut self, depth: usize) -> String {
        if depth > 4 || self.chance(40) {
            return self
                .pick(&[
                    "(list)",
                    "(list 1 2)",
                    "(list \"b\" \"a\" nil)",
                    "(until 3)",
                    "(list (list 1))",
                    "(splitList \",\" \"b,a,b\")",
                    "(list 1 1.0 \"1\" 1)",
                    "(list (dict \"k\" 1) (dict \"k\" nil))",
                ])
                .to_owned();
        }
        let items: String = (0..self.random.random_range(0..4))
            .map(|_| format!(" {}", self.operand(Any, depth + 2)))
            .collect();
        format!("(list{items})")
    }

    fn dict(&mut self, depth: usize) -> String {
        if depth > 4 || self.chance(40) {
            return self
                .pick(&[
                    "(dict)",
                    "(dict \"k\" 1)",
                    "(dict \"k\" (dict \"x\" \"y\"))",
                    "(dict \"a\" nil)",
                    "(dict \"k\" \"\" \"in\" (dict) \"z\" (list))",
                    "(dict \"scheme\" \"http\" \"host\" \"h:80\" \"path\" \"/a b\" \"query\" \"q=1\" \"userinfo\" \"u:p\")",
                    "(dict \"k\" false \"z\" 0 \"d\" (dict \"in\" (list 1)))",
                ])
                .to_owned();
        }
        let mut items = String::new();
        for _ in 0..self.random.random_range(0..4) {
            let (key, value) = (self.literal(Key, depth), self.operand(Any, depth + 2));
            items.push_str(&format!(" {key} {value}"));
        }
        format!("(dict{items})")
    }
}
