//! The parts of a pattern.
//!
//! Source: gobwas/glob v0.2.3 syntax/lexer/lexer.go, syntax/ast/parser.go (parserRange).

use std::str::Chars;

/// What stands for some text by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Atom {
    Text(String),
    /// `*`
    Any,
    /// `**`
    Super,
    /// `?`
    Single,
    /// `[abc]`
    List {
        chars: Vec<char>,
        not: bool,
    },
    /// `[a-c]`
    Range {
        low: char,
        high: char,
        not: bool,
    },
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Atom(Atom),
    Open,
    Separator,
    Close,
}

/// Returns the parts of a pattern; none where it is invalid.
pub(super) fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut lexer = Lexer { rest: pattern.chars(), braces: 0 };
    let mut tokens = Vec::new();
    loop {
        let start = lexer.rest.clone();
        let Some(c) = lexer.read()? else { return Some(tokens) };
        tokens.push(match c {
            '{' => {
                lexer.braces += 1;
                Token::Open
            }
            ',' if lexer.braces > 0 => Token::Separator,
            '}' if lexer.braces > 0 => {
                lexer.braces -= 1;
                Token::Close
            }
            '[' => Token::Atom(lexer.range()?),
            '?' => Token::Atom(Atom::Single),
            '*' => Token::Atom(lexer.stars()?),
            _ => {
                lexer.rest = start;
                let breaks = if lexer.braces > 0 { "?*[{}," } else { "?*[{" };
                let text = lexer.text(breaks)?;
                if text.is_empty() {
                    continue;
                }
                Token::Atom(Atom::Text(text))
            }
        });
    }
}

struct Lexer<'a> {
    rest: Chars<'a>,
    /// Those that are open. Upstream wants none of them closed.
    braces: usize,
}

impl Lexer<'_> {
    /// Reads a character; none within at the end, or at a NUL, which is taken for one but is passed.
    /// U+FFFD is taken for bytes that are no text, which are an error.
    #[expect(clippy::option_option, reason = "an error ends everything, the end does not")]
    fn read(&mut self) -> Option<Option<char>> {
        match self.rest.next() {
            Some('\u{fffd}') => None,
            other => Some(other.filter(|c| *c != '\0')),
        }
    }

    /// Reads on behind a star.
    fn stars(&mut self) -> Option<Atom> {
        let behind = self.rest.clone();
        if self.read()? == Some('*') {
            return Some(Atom::Super);
        }
        self.rest = behind;
        Some(Atom::Any)
    }

    /// Reads to one of some characters, or to the end. A backslash takes the next one for itself.
    fn text(&mut self, breaks: &str) -> Option<String> {
        let mut text = String::new();
        let mut escaped = false;
        loop {
            let here = self.rest.clone();
            let Some(c) = self.read()? else { return Some(text) };
            if !escaped && c == '\\' {
                escaped = true;
                continue;
            }
            if !escaped && breaks.contains(c) {
                self.rest = here;
                return Some(text);
            }
            escaped = false;
            text.push(c);
        }
    }

    /// Reads what is between brackets: one range or some characters.
    fn range(&mut self) -> Option<Atom> {
        let mut start = self.rest.clone();
        let mut low = self.read()??;
        let not = low == '!';
        if not {
            start = self.rest.clone();
            low = self.read()??;
        }
        let atom = if self.read()? == Some('-') {
            let high = self.read()??;
            (low <= high).then_some(Atom::Range { low, high, not })?
        } else {
            self.rest = start;
            let chars: Vec<_> = self.text("]")?.chars().collect();
            (!chars.is_empty()).then_some(Atom::List { chars, not })?
        };
        (self.read()?? == ']').then_some(atom)
    }
}
