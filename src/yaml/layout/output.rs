//! Scalars, comments and characters of the writer, and its state.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.5 emitterc.go (`yaml_emitter_write_…`,
//! `yaml_emitter_process_…_comment`).

use super::scalar::{is_break, is_printable};

/// Blanks a level.
pub(super) const STEP: i64 = 2;

/// Comments that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Comments {
    pub(super) head: String,
    pub(super) line: String,
    pub(super) foot: String,
    /// Foot of the value before.
    pub(super) tail: String,
    /// Comment behind a key.
    pub(super) key_line: String,
}

impl Comments {
    pub(super) fn is_behind(&self) -> bool {
        !(self.line.is_empty() && self.foot.is_empty() && self.tail.is_empty())
    }
}

pub(super) struct Writer {
    pub(super) out: String,
    pub(super) column: i64,
    pub(super) indent: i64,
    pub(super) flow_level: usize,
    pub(super) whitespace: bool,
    pub(super) indention: bool,
    pub(super) foot_indent: i64,
    pub(super) comments: Comments,
}

/// How an indicator stands among what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Close to what is before.
    Close,
    /// With a blank before.
    Spaced,
    /// With a blank before, and close to what is behind.
    Open,
    /// With a blank before, as part of the indentation.
    Line,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            out: String::new(),
            column: 0,
            indent: -1,
            flow_level: 0,
            whitespace: true,
            indention: true,
            foot_indent: -1,
            comments: Comments::default(),
        }
    }

    pub(super) fn plain(&mut self, text: &str) {
        if !text.is_empty() {
            if !self.whitespace {
                self.put(' ');
            }
            self.text(text);
            self.whitespace = false;
        }
        self.indention = false;
    }

    pub(super) fn single(&mut self, text: &str) {
        self.indicator("'", Mark::Spaced);
        let mut breaks = false;
        for c in text.chars() {
            if is_break(c) {
                if !breaks && c == '\n' {
                    self.put_break();
                }
                self.break_as(c);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if c == '\'' {
                self.put('\'');
            }
            self.put(c);
            (self.indention, breaks) = (false, false);
        }
        self.indicator("'", Mark::Close);
        (self.whitespace, self.indention) = (false, false);
    }

    pub(super) fn double(&mut self, text: &str) {
        self.indicator("\"", Mark::Spaced);
        for c in text.chars() {
            let plain = is_printable(c) && !is_break(c) && !matches!(c, '"' | '\\' | '\u{feff}');
            if plain {
                self.put(c);
                continue;
            }
            let escaped = match c {
                '\0' => "\\0".to_owned(),
                '\u{7}' => "\\a".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\t' => "\\t".to_owned(),
                '\n' => "\\n".to_owned(),
                '\u{b}' => "\\v".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                '\r' => "\\r".to_owned(),
                '\u{1b}' => "\\e".to_owned(),
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\u{85}' => "\\N".to_owned(),
                '\u{a0}' => "\\_".to_owned(),
                '\u{2028}' => "\\L".to_owned(),
                '\u{2029}' => "\\P".to_owned(),
                c => match u32::from(c) {
                    code @ ..=0xff => format!("\\x{code:02X}"),
                    code @ ..=0xffff => format!("\\u{code:04X}"),
                    code => format!("\\U{code:08X}"),
                },
            };
            self.text(&escaped);
        }
        self.indicator("\"", Mark::Close);
        (self.whitespace, self.indention) = (false, false);
    }

    pub(super) fn block(&mut self, mark: &str, text: &str, body: fn(&mut Self, &str)) {
        self.indicator(mark, Mark::Spaced);
        if text.starts_with([' ', '\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']) {
            self.indicator(&STEP.to_string(), Mark::Close);
        }
        let mut back = text.chars().rev();
        let chomp = match (back.next().map(is_break), back.next().map(is_break)) {
            (None | Some(false), _) => "-",
            (Some(true), None | Some(true)) => "+",
            (Some(true), Some(false)) => "",
        };
        if !chomp.is_empty() {
            self.indicator(chomp, Mark::Close);
        }
        if self.comments.line.is_empty() {
            self.put_break();
        } else {
            self.line();
        }
        self.whitespace = true;
        body(self, text);
    }

    pub(super) fn literal(&mut self, text: &str) {
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.break_as(c);
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                self.put(c);
                (self.indention, breaks) = (false, false);
            }
        }
    }

    pub(super) fn folded(&mut self, text: &str) {
        let (mut breaks, mut leading_spaces) = (true, true);
        // The emitter looks for what follows from the start of the text, not from here.
        let first = text.chars().find(|c| !is_break(*c));
        let ends_blank = first.is_none_or(|c| matches!(c, ' ' | '\t' | '\0'));
        for c in text.chars() {
            if is_break(c) {
                if !breaks && !leading_spaces && c == '\n' && !ends_blank {
                    self.put_break();
                }
                self.break_as(c);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                leading_spaces = matches!(c, ' ' | '\t');
            }
            self.put(c);
            (self.indention, breaks) = (false, false);
        }
    }

    // Comments.

    pub(super) fn head(&mut self) {
        if !self.comments.tail.is_empty() {
            let tail = std::mem::take(&mut self.comments.tail);
            self.write_indent();
            self.comment(&tail);
            self.foot_indent = self.indent.max(0);
        }
        if !self.comments.head.is_empty() {
            let head = std::mem::take(&mut self.comments.head);
            self.write_indent();
            self.comment(&head);
        }
    }

    pub(super) fn line(&mut self) {
        if !self.comments.line.is_empty() {
            let line = std::mem::take(&mut self.comments.line);
            if !self.whitespace {
                self.put(' ');
            }
            self.comment(&line);
        }
    }

    pub(super) fn foot(&mut self) {
        if !self.comments.foot.is_empty() {
            let foot = std::mem::take(&mut self.comments.foot);
            self.write_indent();
            self.comment(&foot);
            self.foot_indent = self.indent.max(0);
        }
    }

    pub(super) fn comment(&mut self, text: &str) {
        let (mut breaks, mut pound) = (false, false);
        for c in text.chars() {
            if is_break(c) {
                self.break_as(c);
                (breaks, pound) = (true, false);
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if !pound && c != '#' {
                self.text("# ");
            }
            pound = true;
            self.put(c);
            (self.indention, breaks) = (false, false);
        }
        if !breaks {
            self.put_break();
        }
        self.whitespace = true;
    }

    // Characters.

    pub(super) fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    pub(super) fn text(&mut self, text: &str) {
        text.chars().for_each(|c| self.put(c));
    }

    pub(super) fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.indention = true;
    }

    pub(super) fn break_as(&mut self, c: char) {
        if c == '\n' {
            self.put_break();
        } else {
            self.out.push(c);
            self.column = 0;
            self.indention = true;
        }
    }

    pub(super) fn write_indent(&mut self) {
        let indent = self.indent.max(0);
        if !self.indention || self.column > indent || self.column == indent && !self.whitespace {
            self.put_break();
        }
        if self.foot_indent == indent {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.foot_indent = -1;
    }

    pub(super) fn indicator(&mut self, text: &str, mark: Mark) {
        if mark != Mark::Close && !self.whitespace {
            self.put(' ');
        }
        self.text(text);
        self.whitespace = mark == Mark::Open;
        self.indention &= mark == Mark::Line;
    }
}
