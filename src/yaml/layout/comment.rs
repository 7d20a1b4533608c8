//! Comments and what they belong to.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.5 scannerc.go (`yaml_parser_scan_comments`,
//! `yaml_parser_scan_line_comment`, `yaml_parser_unroll_indent`). There comments are found while
//! tokens are; here afterwards, between the tokens.

use libyaml_safer::{Mark, ScalarStyle, Token, TokenData};

/// Where in the text something is, from 0: the index in bytes, the column in characters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) index: i64,
    line: i64,
    column: i64,
}

impl From<Mark> for Place {
    fn from(mark: Mark) -> Self {
        let of = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self { index: of(mark.index), line: of(mark.line), column: of(mark.column) }
    }
}

/// On which side of its token a comment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Head,
    Line,
    Foot,
}

/// A comment.
#[derive(Debug)]
pub(super) struct Comment {
    pub(super) side: Side,
    pub(super) text: String,
    /// Tokens from here on may take it.
    pub(super) token: i64,
    scan: i64,
    start: Place,
    end: i64,
}

/// Finds the comments between tokens; returns also where each token starts, which for ends of
/// blocks depends on the comments.
pub(super) fn find(text: &str, tokens: &[Token]) -> (Vec<Comment>, Vec<i64>) {
    let mut finder = Finder {
        text,
        comments: Vec::new(),
        indents: vec![-1],
        at: Place::default(),
        scan: Place::default(),
        flow: 0,
        is_scanned: false,
        ended: None,
    };
    let mut starts = Vec::with_capacity(tokens.len());
    for (number, token) in tokens.iter().enumerate() {
        let start = finder.token(tokens, number);
        starts.push(start.unwrap_or_else(|| Place::from(token.start_mark).index));
    }
    (finder.comments, starts)
}

struct Finder<'a> {
    text: &'a str,
    comments: Vec<Comment>,
    /// Columns of the open blocks.
    indents: Vec<i64>,
    /// Behind the last token, and its comment on the same line.
    at: Place,
    /// Where the search for the next token began.
    scan: Place,
    flow: usize,
    /// Whether the gap behind the last token is done.
    is_scanned: bool,
    /// The last end of a block in this gap: where its search began, and what it found.
    ended: Option<(i64, i64)>,
}

impl Finder<'_> {
    /// The byte at an index; all that matters is ASCII.
    fn char(&self, index: i64) -> Option<char> {
        self.text.as_bytes().get(usize::try_from(index).ok()?).copied().map(char::from)
    }

    /// What is before an index.
    fn until(&self, index: i64) -> &str {
        let end = usize::try_from(index).unwrap_or(0);
        self.text.get(..end).unwrap_or(self.text)
    }

    fn indent(&self) -> i64 {
        self.indents.last().copied().unwrap_or(-1)
    }

    /// Follows one token; returns where it starts if that is not where it says.
    fn token(&mut self, tokens: &[Token], number: usize) -> Option<i64> {
        let token = &tokens[number];
        self.gap(tokens, number);
        let start = Place::from(token.start_mark);
        match &token.data {
            TokenData::BlockEnd => return Some(self.block_end(tokens, number)),
            TokenData::BlockMappingStart => self.indents.push(start.column),
            TokenData::BlockSequenceStart => self.indents.push(start.column),
            TokenData::Key if token.start_mark == token.end_mark => {}
            TokenData::FlowSequenceStart | TokenData::FlowMappingStart => self.flow += 1,
            TokenData::FlowSequenceEnd | TokenData::FlowMappingEnd => {
                self.flow = self.flow.saturating_sub(1);
            }
            _ => {}
        }
        if token.start_mark == token.end_mark {
            return None;
        }
        self.at = Place::from(token.end_mark);
        (self.is_scanned, self.ended) = (false, None);
        let belongs = match (&token.data, self.flow) {
            (TokenData::BlockEntry, _) => return None,
            (TokenData::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. }, _) => {
                self.block_header(start);
                return None;
            }
            (TokenData::Value, 0) => before(tokens, number),
            (TokenData::FlowEntry, 1..) => before(tokens, number),
            _ => start.index,
        };
        self.line_comment(belongs);
        None
    }

    /// A comment behind a token, on the same line.
    fn line_comment(&mut self, token: i64) {
        let mut index = self.at.index;
        while matches!(self.char(index), Some(' ' | '\t')) {
            index += 1;
        }
        if self.char(index) != Some('#') {
            return;
        }
        let start = Place { index, column: self.at.column + index - self.at.index, ..self.at };
        let (text, end) = self.to_line_end(index);
        self.at = Place { index: end, column: start.column + end - index, ..start };
        let side = Side::Line;
        self.comments.push(Comment { side, text, token, scan: 0, start, end: 0 });
    }

    /// A comment behind `|` or `>`.
    fn block_header(&mut self, start: Place) {
        let mut index = start.index;
        while self.char(index).is_some_and(|c| c != '\n' && c != '#') {
            index += 1;
        }
        if self.char(index) == Some('#') {
            let (text, _) = self.to_line_end(index);
            let (side, token) = (Side::Line, start.index);
            let start = Place { index, ..start };
            self.comments.push(Comment { side, text, token, scan: 0, start, end: 0 });
        }
    }

    fn to_line_end(&self, from: i64) -> (String, i64) {
        let start = usize::try_from(from).unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        (line.to_owned(), from + i64::try_from(line.len()).unwrap_or(0))
    }

    /// Walks what lies before the next token, once.
    fn gap(&mut self, tokens: &[Token], number: usize) {
        if self.is_scanned || number == 0 {
            return;
        }
        let next = tokens[number..].iter().find(|token| !matches!(token.data, TokenData::BlockEnd));
        if next.is_none_or(|next| Place::from(next.start_mark).index < self.at.index) {
            return;
        }
        self.is_scanned = true;
        let last = tokens[..number].iter().rev().find(|t| t.start_mark != t.end_mark);
        let mut mark = self.at;
        while let Some(c @ (' ' | '\t' | '\n')) = self.char(mark.index) {
            mark.index += 1;
            mark.column += 1;
            if c == '\n' {
                mark = Place { index: mark.index, line: mark.line + 1, column: 0 };
            }
        }
        // Scanning such a scalar goes on to the next thing that is no blank.
        let far = last.is_some_and(|token| {
            matches!(
                token.data,
                TokenData::Scalar {
                    style: ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded,
                    ..
                }
            )
        });
        self.scan = if far { mark } else { self.at };
        if self.char(mark.index) == Some('#') {
            let token = &tokens[number - 1];
            let token = match token.data {
                TokenData::FlowEntry if number > 1 => &tokens[number - 2],
                _ => token,
            };
            let is_value = matches!(token.data, TokenData::Value);
            self.comments_from(mark, Place::from(token.start_mark).index, is_value);
        }
    }

    /// Returns how many lines end between the thing before and a place.
    fn newlines(&self, index: i64) -> i64 {
        let before = self.until(index);
        let blanks = &before[before.trim_end_matches([' ', '\t', '\n', '\r']).len()..];
        i64::try_from(blanks.matches('\n').count()).unwrap_or(0)
    }

    /// Takes the comments from a `#` on: those that belong to what is before, and those that
    /// belong to what follows.
    fn comments_from(&mut self, from: Place, token: i64, is_value: bool) {
        let newlines = self.newlines(from.index);
        let foot_line = match (self.scan.line, newlines) {
            _ if is_value => None,
            (0, _) => Some(-1),
            (_, 0) if from.column > 1 => Some(from.line + 2),
            _ => Some(from.line - newlines + 1),
        };
        let mut run = Run {
            scan: self.scan.index,
            token,
            start: Place::default(),
            text: String::new(),
            at: from,
            foot_line,
            first_empty: newlines <= 1,
            recent_empty: false,
        };
        loop {
            run.at.column += 1;
            let c = self.char(run.at.index);
            if matches!(c, Some(' ' | '\t')) {
                run.at.index += 1;
                continue;
            }
            let close = self.flow > 0 && matches!(c, Some(']' | '}'));
            if close || matches!(c, None | Some('\n')) {
                self.line_end(&mut run, c, close);
                if c != Some('\n') {
                    break;
                }
                run.at = Place { index: run.at.index + 1, line: run.at.line + 1, column: 0 };
                continue;
            }
            let column = run.at.column;
            if column - 1 < self.indent().max(0) && column != run.start.column {
                self.foot(&mut run);
            }
            if c != Some('#') {
                break;
            }
            if !self.comment_line(&mut run) {
                self.line_end(&mut run, None, false);
                break;
            }
        }
        if !run.text.is_empty() {
            let Run { scan, start, text, at, .. } = run;
            let (side, token, end) = (Side::Head, start.index, at.index - 1);
            self.comments.push(Comment { side, text, token, scan, start, end });
        }
    }

    /// A line without a comment, or the end of brackets: what stands before may be a foot.
    fn line_end(&mut self, run: &mut Run, c: Option<char>, close: bool) {
        if close || !run.recent_empty {
            let dedented = run.start.column - 1 < self.indent().max(0);
            let is_foot = run.foot_line == Some(run.start.line) || dedented;
            if close || run.first_empty && is_foot {
                if dedented && !run.text.is_empty() {
                    // It is unrelated to the token before.
                    run.token = run.start.index;
                }
                self.foot(run);
            } else if !run.text.is_empty() && c.is_some() {
                run.text.push('\n');
            }
        }
        (run.first_empty, run.recent_empty) = (false, true);
    }

    /// Takes the comment of one line; returns whether another line follows.
    fn comment_line(&self, run: &mut Run) -> bool {
        if run.text.is_empty() {
            run.start = run.at;
        } else {
            run.text.push('\n');
        }
        run.recent_empty = false;
        let (text, end) = self.to_line_end(run.at.index);
        run.text.push_str(&text);
        let line = i64::try_from(self.until(end).matches('\n').count()).unwrap_or(0);
        run.at = Place { index: end, line, column: 0 };
        let follows = self.char(end).is_some();
        run.at.index += i64::from(follows);
        follows
    }

    /// What was put together so far belongs to what is before.
    fn foot(&mut self, run: &mut Run) {
        if run.text.is_empty() {
            return;
        }
        let text = std::mem::take(&mut run.text);
        let (side, token, scan, start, end) =
            (Side::Foot, run.token, run.scan, run.start, run.at.index);
        self.comments.push(Comment { side, text, token, scan, start, end });
        (run.scan, run.token) = (end, end);
    }

    /// Returns where a block ends: before comments that belong to what is around it.
    fn block_end(&mut self, tokens: &[Token], number: usize) -> i64 {
        let next = tokens[number..].iter().find(|token| !matches!(token.data, TokenData::BlockEnd));
        let indent = self.indents.pop().unwrap_or(-1);
        let scan = match next {
            Some(next) if is_end(&next.data) && indent <= Place::from(next.start_mark).column => {
                Place::from(next.start_mark).index
            }
            _ => self.scan.index,
        };
        // Of blocks that end together each begins its search where the one before found something.
        let together = self.ended.filter(|(from, _)| *from == scan);
        let mut block = together.map_or(scan - 1, |(_, block)| block);
        let mut stop = block;
        for comment in self.comments.iter().rev() {
            if comment.end < stop {
                break;
            }
            if comment.start.column == indent + 1 {
                block = comment.start.index;
            }
            stop = comment.scan;
        }
        self.ended = Some((scan, block));
        block
    }
}

/// Comments that are being put together.
struct Run {
    scan: i64,
    token: i64,
    start: Place,
    text: String,
    at: Place,
    /// The line where a comment must start to belong to what is before.
    foot_line: Option<i64>,
    /// Whether there was no empty line yet.
    first_empty: bool,
    /// Whether the line before was empty.
    recent_empty: bool,
}

fn is_end(data: &TokenData) -> bool {
    matches!(data, TokenData::StreamEnd | TokenData::DocumentStart | TokenData::DocumentEnd)
}

/// Where the token before one starts.
fn before(tokens: &[Token], number: usize) -> i64 {
    number.checked_sub(1).map_or(0, |at| Place::from(tokens[at].start_mark).index)
}
