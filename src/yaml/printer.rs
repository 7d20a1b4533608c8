//! Values → YAML, character for character as go-yaml writes them.
//!
//! Source: go.yaml.in/yaml/v2 v2.4.4 emitterc.go and encode.go; v3 v3.0.4 for the pretty form.

use super::resolve::{Scalar, is_timestamp, resolve};
use super::scalar::{self, Analysis, Style};
use super::{Value, WORD, float, key_text, order};

/// Lines are folded at the first single space past this column.
const WIDTH: usize = 80;
/// Longer keys are written with `? `.
const SIMPLE_KEY_BYTES: usize = 128;

/// Which emitter is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `toYaml`: version 2, natural order.
    Plain,
    /// Version 2, bytewise order.
    Sorted,
    /// `toYamlPretty`: version 3.
    Pretty,
}

pub(crate) struct Printer {
    form: Form,
    out: String,
    /// Characters on the present line.
    column: usize,
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    /// Indentation of the enclosing collection; -1 at the root.
    indent: isize,
    /// Whether the line so far is only indentation and `- `: a collection may begin right here.
    inline: bool,
    /// Whether the node is the value of a map's key.
    in_map: bool,
}

impl Printer {
    pub(crate) fn print(value: &Value, form: Form) -> String {
        let mut printer = Self { form, out: String::new(), column: 0 };
        printer.node(value, Place { indent: -1, inline: true, in_map: false });
        if !printer.out.ends_with('\n') {
            printer.line();
        }
        printer.out
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Array(list) if !list.is_empty() => self.sequence(list, place),
            Value::Object(map) if !map.is_empty() => self.mapping(map, place),
            Value::Array(_) => self.word("[]"),
            Value::Object(_) => self.word("{}"),
            Value::Null => self.word("null"),
            Value::Bool(true) => self.word("true"),
            Value::Bool(false) => self.word("false"),
            Value::Number(number) => {
                let text = number_text(number, self.form);
                self.word(&text);
            }
            Value::String(text) => match text.strip_prefix(WORD) {
                Some(word) if self.form == Form::Pretty && !word.starts_with(WORD) => {
                    self.word(word);
                }
                Some(again) if self.form == Form::Pretty => {
                    self.string(again, place.indent, false);
                }
                _ => self.string(text, place.indent, false),
            },
        }
    }

    fn sequence(&mut self, list: &[Value], place: Place) {
        let indentless = place.in_map && self.form != Form::Pretty;
        let indent = match place.indent {
            ..0 => 0,
            outer if indentless => outer,
            outer => outer + 2,
        };
        let mut inline = place.inline;
        for item in list {
            if !inline {
                self.fresh(indent);
            } else if self.column > 0 {
                self.push(" ");
            }
            inline = false;
            self.push("-");
            self.node(item, Place { indent, inline: true, in_map: false });
        }
    }

    fn mapping(&mut self, map: &super::Map, place: Place) {
        let indent = if place.indent < 0 { 0 } else { place.indent + 2 };
        let mut entries: Vec<_> = map.iter().collect();
        match self.form {
            Form::Plain => order::sort(&mut entries, false),
            Form::Pretty => order::sort(&mut entries, true),
            Form::Sorted => {}
        }
        let mut inline = place.inline;
        for (key, value) in entries {
            if !inline {
                self.fresh(indent);
            } else if self.column > 0 {
                self.push(" ");
            }
            inline = false;
            self.key(if self.form == Form::Pretty { key_text(key) } else { key }, indent);
            self.push(":");
            let nested = Place { indent, inline: false, in_map: true };
            self.node(value, nested);
        }
    }

    fn key(&mut self, key: &str, indent: isize) {
        let simple = key.len() <= SIMPLE_KEY_BYTES && !scalar::analyze(key).multiline;
        if simple {
            self.string_at(key, indent, true, false);
            return;
        }
        self.push("?");
        self.string(key, indent, false);
        self.fresh(indent);
    }

    /// Writes a word behind what is there.
    fn word(&mut self, word: &str) {
        if self.column > 0 {
            self.push(" ");
        }
        self.push(word);
    }

    fn string(&mut self, text: &str, indent: isize, key: bool) {
        self.string_at(text, indent, key, self.column > 0);
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "where it stands, in two respects")]
    fn string_at(&mut self, text: &str, indent: isize, key: bool, space: bool) {
        let analysis = scalar::analyze(text);
        let style = self.style(text, &analysis, key);
        if space {
            self.push(" ");
        }
        let indent = usize::try_from(indent + 2).unwrap_or(2).max(2);
        let fold = !key && self.form != Form::Pretty;
        match style {
            Style::Plain => self.plain(text, indent, fold),
            Style::Single => self.single(text, indent, fold),
            Style::Double => self.double(text, indent, fold),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn style(&self, text: &str, analysis: &Analysis, key: bool) -> Style {
        let pretty = self.form == Form::Pretty;
        let mut style = if text.contains('\n') {
            Style::Literal
        } else if is_plain_text(text) {
            Style::Plain
        } else {
            Style::Double
        };
        if key && analysis.multiline {
            style = Style::Double;
        }
        if style == Style::Plain && (!analysis.plain_allowed || analysis.tabs) {
            style = Style::Single;
        }
        let special = analysis.special || !pretty && analysis.tabs;
        if style == Style::Single
            && (!analysis.single_allowed || special || pretty && analysis.tabs)
        {
            style = Style::Double;
        }
        if style == Style::Literal && (!analysis.block_allowed || special || key) {
            style = Style::Double;
        }
        style
    }

    fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        let mut spaces = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                if fold && !spaces && self.column > WIDTH && chars.peek() != Some(&' ') {
                    self.continued(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
    }

    fn single(&mut self, text: &str, indent: usize, fold: bool) {
        self.put('\'');
        let (mut spaces, mut breaks) = (false, false);
        let last = text.chars().count().saturating_sub(1);
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            if c == ' ' {
                let next_is_space = chars.peek().is_some_and(|(_, next)| *next == ' ');
                let inside = at > 0 && at < last;
                if fold && !spaces && self.column > WIDTH && inside && !next_is_space {
                    self.continued(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if scalar::is_break(c) {
                self.out.push(c);
                self.column = 0;
                breaks = true;
            } else {
                if breaks {
                    self.pad(indent);
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                (spaces, breaks) = (false, false);
            }
        }
        self.put('\'');
    }

    fn double(&mut self, text: &str, indent: usize, fold: bool) {
        self.put('"');
        let all = text.starts_with('\u{feff}');
        let last = text.chars().count().saturating_sub(1);
        let mut spaces = false;
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            if all || scalar::must_escape(c) {
                let escape = scalar::escape(c);
                self.push(&escape);
                spaces = false;
            } else if c == ' ' {
                if fold && !spaces && self.column > WIDTH && at > 0 && at < last {
                    self.continued(indent);
                    if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.put('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with(|c| c == ' ' || scalar::is_break(c)) {
            self.put('2');
        }
        let mut from_end = text.chars().rev();
        let chomp = match (from_end.next(), from_end.next()) {
            (Some(last), _) if !scalar::is_break(last) => "-",
            (_, Some(before)) if !scalar::is_break(before) => "",
            _ => "+",
        };
        self.push(chomp);
        self.line();
        let mut breaks = true;
        for c in text.chars() {
            if scalar::is_break(c) {
                self.out.push(c);
                self.column = 0;
                breaks = true;
            } else {
                if breaks {
                    self.pad(indent);
                }
                self.put(c);
                breaks = false;
            }
        }
    }

    /// Starts a fresh line with indentation, unless one was just started.
    fn fresh(&mut self, indent: isize) {
        if self.column > 0 {
            self.line();
        }
        self.pad(usize::try_from(indent).unwrap_or(0));
    }

    fn continued(&mut self, indent: usize) {
        self.line();
        self.pad(indent);
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column += indent;
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }
}

/// Returns whether a text, written plain, would be read back as that text.
fn is_plain_text(text: &str) -> bool {
    // Version 3 looks such words up by their first character, and has none for merge keys.
    let resolved = match resolve(text) {
        Scalar::Text | Scalar::Merge => true,
        Scalar::Null | Scalar::Bool(_) | Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_) => {
            false
        }
    };
    resolved && !is_timestamp(text) && !is_base_60(text)
}

/// `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`: read as numbers by old parsers.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some((first, rest)) = text.split_once(':') else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let (parts, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let part = |part: &str| match part.as_bytes() {
        [a] => a.is_ascii_digit(),
        [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
        _ => false,
    };
    parts.split(':').all(part) && digits(fraction)
}

fn number_text(number: &serde_json::Number, form: Form) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    if form == Form::Pretty {
        return float::format_g(value);
    }
    // Version 2 sees JSON text, in which whole numbers have no point.
    let json = float::format_json(value);
    if json == "-0" {
        "0".to_owned()
    } else if json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok() {
        json
    } else {
        float::format_g(value)
    }
}
