//! Text to tokens. Positions are byte offsets, which is all that errors need to name a line.
//! Space between tokens is no token: the one behind it knows of it.
//!
//! Source: go text/template/parse/lex.go.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use regex::Regex;

use super::strconv;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    String,
    Text,
    Variable,
    // Keywords.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// A token: what it is and which part of the text it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: TokenKind,
    /// Whether space stands before it, inside its action.
    pub(super) spaced: bool,
}

impl Token {
    /// Returns the part of the text.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// An offset in a text, which is less than 4 GiB long.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Where in a text the lexer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    Action,
    /// Nothing but the end comes: an error was told.
    Error,
}

/// Produces tokens one at a time.
pub(super) struct Lexer<'a> {
    input: &'a [u8],
    pos: usize,
    start: usize,
    paren_depth: u32,
    place: Place,
    /// Whether space was passed since the last token.
    spaced: bool,
    /// Message of the last `Error` token.
    pub(super) error: String,
}

static LETTER_OR_DIGIT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}]$").ok());

/// Whether a rune may be part of an identifier.
pub(super) fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        return c == '_' || c.is_ascii_alphanumeric();
    }
    let mut buffer = [0; 4];
    LETTER_OR_DIGIT.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut buffer)))
}

/// What a byte can be, as bits.
const WORD: u8 = 1;
const SPACE: u8 = 2;
/// What may follow a name.
const TERMINATOR: u8 = 4;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        classes[at] = match at as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => WORD,
            b' ' | b'\t' | b'\r' | b'\n' => SPACE | TERMINATOR,
            b'.' | b',' | b'|' | b':' | b')' | b'(' => TERMINATOR,
            _ => 0,
        };
        at += 1;
    }
    classes
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// Finds where an action or a comment begins.
fn find_open(text: &[u8]) -> Option<usize> {
    static OPEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("{{"));
    OPEN.find(text)
}

/// Finds where a comment ends.
fn find_comment_end(text: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, b"*/")
}

/// `U+002D '-'`, as Go's `%#U` prints a rune.
fn describe(c: Option<char>) -> String {
    // The end of the text is rune -1.
    let Some(c) = c else { return "U+FFFFFFFFFFFFFFFF".to_owned() };
    let code = u32::from(c);
    if strconv::is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

fn keyword(word: &[u8]) -> Option<TokenKind> {
    Some(match word {
        b"block" => TokenKind::Block,
        b"break" => TokenKind::Break,
        b"continue" => TokenKind::Continue,
        b"define" => TokenKind::Define,
        b"else" => TokenKind::Else,
        b"end" => TokenKind::End,
        b"if" => TokenKind::If,
        b"nil" => TokenKind::Nil,
        b"range" => TokenKind::Range,
        b"template" => TokenKind::Template,
        b"with" => TokenKind::With,
        _ => return None,
    })
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of a text.
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            paren_depth: 0,
            place: Place::Text,
            spaced: false,
            error: String::new(),
        }
    }

    /// Returns the next token; after an error, or at the end, the end forever.
    pub(super) fn next_token(&mut self) -> Token {
        match self.place {
            Place::Text => self.lex_text(),
            Place::Action => self.lex_action(),
            Place::Error => self.emit(TokenKind::Eof),
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        strconv::decode_rune(self.rest()).map(|rune| rune.0)
    }

    fn next(&mut self) -> Option<char> {
        let (c, width) = strconv::decode_rune(self.rest())?;
        self.pos += width;
        Some(c)
    }

    fn peek_byte(&self, ahead: usize) -> Option<u8> {
        self.input.get(self.pos + ahead).copied()
    }

    fn emit(&mut self, kind: TokenKind) -> Token {
        let (start, end) = (offset(self.start), offset(self.pos));
        self.start = self.pos;
        Token { kind, start, end, spaced: std::mem::take(&mut self.spaced) }
    }

    fn ignore(&mut self) {
        self.start = self.pos;
    }

    fn fail(&mut self, message: String) -> Token {
        self.error = message;
        self.pos = self.start;
        self.place = Place::Error;
        self.emit(TokenKind::Error)
    }

    fn lex_text(&mut self) -> Token {
        loop {
            let Some(length) = find_open(self.rest()) else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    return self.emit(TokenKind::Text);
                }
                return self.emit(TokenKind::Eof);
            };
            if length > 0 {
                self.pos += length;
                let mut end = self.pos;
                if self.at_left_trim(2) {
                    while end > self.start && is_space(self.input[end - 1]) {
                        end -= 1;
                    }
                }
                let delim = std::mem::replace(&mut self.pos, end);
                let token = self.emit(TokenKind::Text);
                self.pos = delim;
                self.ignore();
                if token.end > token.start {
                    return token;
                }
            }
            let marker = if self.at_left_trim(2) { 2 } else { 0 };
            if let [b'/', b'*', ..] = &self.rest()[2 + marker..] {
                self.pos += 2 + marker;
                self.ignore();
                if let Some(error) = self.skip_comment() {
                    return self.fail(error);
                }
                continue;
            }
            self.pos += 2;
            let token = self.emit(TokenKind::LeftDelim);
            self.place = Place::Action;
            self.pos += marker;
            self.ignore();
            self.paren_depth = 0;
            return token;
        }
    }

    fn at_left_trim(&self, ahead: usize) -> bool {
        self.peek_byte(ahead) == Some(b'-') && self.peek_byte(ahead + 1).is_some_and(is_space)
    }

    /// Whether a right delimiter stands here, and whether it trims what follows.
    fn right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        match rest {
            [space, b'-', b'}', b'}', ..] if is_space(*space) => Some(true),
            [b'}', b'}', ..] => Some(false),
            _ => None,
        }
    }

    fn skip_comment(&mut self) -> Option<String> {
        let Some(length) = find_comment_end(&self.rest()[2..]) else {
            return Some("unclosed comment".to_owned());
        };
        self.pos += length + 4;
        let Some(trim) = self.right_delim() else {
            return Some("comment ends before closing delimiter".to_owned());
        };
        self.pos += if trim { 4 } else { 2 };
        self.trim_following(trim);
        self.ignore();
        None
    }

    fn trim_following(&mut self, trim: bool) {
        while trim && self.peek_byte(0).is_some_and(is_space) {
            self.pos += 1;
        }
    }

    fn lex_right_delim(&mut self, trim: bool) -> Token {
        if trim {
            self.pos += 2;
            self.ignore();
        }
        self.pos += 2;
        let token = self.emit(TokenKind::RightDelim);
        self.trim_following(trim);
        self.ignore();
        self.place = Place::Text;
        token
    }

    fn lex_action(&mut self) -> Token {
        let from = self.pos;
        while self.peek_byte(0).is_some_and(is_space) {
            self.pos += 1;
        }
        // A trimming delimiter begins with a space.
        let trims = self.pos > from && matches!(self.rest(), [b'-', b'}', b'}', ..]);
        self.spaced = self.pos > from;
        self.start = self.pos - usize::from(trims);
        if trims || self.at_right_delim() {
            if self.paren_depth > 0 {
                return self.fail("unclosed left paren".to_owned());
            }
            self.pos = self.start;
            return self.lex_right_delim(trims);
        }
        let Some(byte) = self.peek_byte(0) else {
            return self.fail("unclosed action".to_owned());
        };
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => return self.lex_identifier(),
            b'.' if !self.peek_byte(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.pos += 1;
                // A lone dot at the very end of the text is a number to Go, and a bad one.
                return if self.rest().is_empty() {
                    self.pos -= 1;
                    self.lex_number()
                } else {
                    self.lex_name(TokenKind::Field)
                };
            }
            b'.' | b'+' | b'-' | b'0'..=b'9' => return self.lex_number(),
            0x80.. if self.peek().is_some_and(is_alphanumeric) => return self.lex_identifier(),
            _ => {}
        }
        self.lex_sign()
    }

    /// What is neither a name nor a number.
    fn lex_sign(&mut self) -> Token {
        let Some(c) = self.next() else { return self.emit(TokenKind::Eof) };
        match c {
            '=' => self.emit(TokenKind::Assign),
            ':' => {
                if self.next() == Some('=') {
                    self.emit(TokenKind::Declare)
                } else {
                    self.fail("expected :=".to_owned())
                }
            }
            '|' => self.emit(TokenKind::Pipe),
            '"' => self.lex_quoted('"', TokenKind::String, "unterminated quoted string"),
            '\'' => {
                self.lex_quoted('\'', TokenKind::CharConstant, "unterminated character constant")
            }
            '`' => self.lex_raw_string(),
            '$' => self.lex_name(TokenKind::Variable),
            '(' => {
                self.paren_depth += 1;
                self.emit(TokenKind::LeftParen)
            }
            ')' => {
                if self.paren_depth == 0 {
                    return self.fail("unexpected right paren".to_owned());
                }
                self.paren_depth -= 1;
                self.emit(TokenKind::RightParen)
            }
            ' '..='~' => self.emit(TokenKind::Char),
            _ => self.fail(format!("unrecognized character in action: {}", describe(Some(c)))),
        }
    }

    /// Passes letters, digits and `_`; nearly always ASCII.
    fn skip_alphanumeric(&mut self) {
        loop {
            let rest = &self.input[self.pos..];
            let length = rest.iter().position(|byte| !is(*byte, WORD));
            self.pos += length.unwrap_or(rest.len());
            match self.peek_byte(0) {
                Some(0x80..) if self.peek().is_some_and(is_alphanumeric) => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    fn lex_identifier(&mut self) -> Token {
        self.skip_alphanumeric();
        let word = &self.input[self.start..self.pos];
        if !self.at_terminator() {
            let message = format!("bad character {}", describe(self.peek()));
            return self.fail(message);
        }
        match word {
            b"true" | b"false" => self.emit(TokenKind::Bool),
            word => self.emit(keyword(word).unwrap_or(TokenKind::Identifier)),
        }
    }

    /// A field or a variable, whose first character has been read.
    fn lex_name(&mut self, kind: TokenKind) -> Token {
        if self.at_terminator() {
            return self.emit(if kind == TokenKind::Field { TokenKind::Dot } else { kind });
        }
        self.skip_alphanumeric();
        if !self.at_terminator() {
            let message = format!("bad character {}", describe(self.peek()));
            return self.fail(message);
        }
        self.emit(kind)
    }

    fn at_terminator(&self) -> bool {
        match self.peek_byte(0) {
            None => true,
            Some(byte) => is(byte, TERMINATOR) || self.at_right_delim(),
        }
    }

    fn at_right_delim(&self) -> bool {
        matches!(self.rest(), [b'}', b'}', ..])
    }

    fn lex_quoted(&mut self, quote: char, kind: TokenKind, error: &str) -> Token {
        loop {
            let plain = |byte: &&u8| !matches!(byte, b'\\' | b'\n' | b'"' | b'\'');
            self.pos += self.rest().iter().take_while(plain).count();
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.next();
                }
                None | Some('\n' | '\\') => {
                    return self.fail(error.to_owned());
                }
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn lex_raw_string(&mut self) -> Token {
        let Some(length) = memchr::memchr(b'`', self.rest()) else {
            return self.fail("unterminated raw quoted string".to_owned());
        };
        self.pos += length + 1;
        self.emit(TokenKind::RawString)
    }

    fn accept(&mut self, valid: &[u8]) -> bool {
        let accepted = self.peek_byte(0).is_some_and(|byte| valid.contains(&byte));
        if accepted {
            self.pos += 1;
        }
        accepted
    }

    fn accept_run(&mut self, valid: &[u8]) {
        while self.accept(valid) {}
    }

    fn lex_number(&mut self) -> Token {
        let mut kind = TokenKind::Number;
        let mut good = self.scan_number();
        if good && self.peek_byte(0).is_some_and(|byte| matches!(byte, b'+' | b'-')) {
            good = self.scan_number() && self.input[self.pos - 1] == b'i';
            kind = TokenKind::Complex;
        }
        if good {
            return self.emit(kind);
        }
        let text = strconv::quote(&self.input[self.start..self.pos]);
        self.fail(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let (mut digits, mut exponent) = (b"0123456789_".as_slice(), b"eE".as_slice());
        if self.accept(b"0") {
            if self.accept(b"xX") {
                (digits, exponent) = (b"0123456789abcdefABCDEF_", b"pP");
            } else if self.accept(b"oO") {
                (digits, exponent) = (b"01234567_", b"");
            } else if self.accept(b"bB") {
                (digits, exponent) = (b"01_", b"");
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}
