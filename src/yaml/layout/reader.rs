//! Text → nodes.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.5 parserc.go, decode.go (`parser`). There events are between
//! the two; here nodes are made of tokens at once.

use std::collections::HashSet;

use libyaml_safer::{ScalarStyle, Scanner, Token, TokenData};

use super::comment::{self, Comment, Side};
use super::{Document, Kind, Node, Style};
use crate::yaml::MAX_DEPTH;
use crate::yaml::guard::guarded;
use crate::yaml::reader::{failure, forbidden};

/// Reads the first document of a text; none where there is nothing but comments, or `null`.
///
/// # Errors
/// The text is not YAML; Go's words.
pub fn read(text: &str) -> Result<Option<Document>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens = tokens(text).map_err(|error| words(&error))?;
    let (comments, starts) = comment::find(text, &tokens);
    let mut reader = Reader {
        tokens: tokens.into_iter(),
        starts: starts.into_iter(),
        next: None,
        comments: comments.into_iter().peekable(),
        now: Comments::default(),
        stem: String::new(),
        anchors: HashSet::new(),
        depth: 0,
    };
    reader.document().map(|document| document.filter(|document| !document.root.is_null()))
}

fn tokens(text: &str) -> Result<Vec<Token>, crate::yaml::Error> {
    if let Some(error) = forbidden(text) {
        return Err(error);
    }
    // The scanner needs a line break behind a block scalar, which then has one too many.
    let unfinished = !text.ends_with('\n');
    let whole = if unfinished { format!("{text}\n") } else { text.to_owned() };
    let mut bytes = whole.as_bytes();
    let mut scanner = Scanner::new();
    scanner.set_input_string(&mut bytes);
    let scanned = guarded(|| scanner.collect::<Result<Vec<Token>, _>>());
    let mut tokens = scanned
        .ok_or_else(|| {
            let problem = "yaml: did not find expected whitespace or line break";
            crate::yaml::Error::syntax(problem, None)
        })?
        .map_err(|error| failure(&error))?;
    let last = text.rsplit('\n').next().unwrap_or_default();
    if unfinished && !last.trim().is_empty() {
        let reaches_end = |token: &&mut Token| token.end_mark.index >= text.len() as u64;
        for token in tokens.iter_mut().filter(reaches_end) {
            if let TokenData::Scalar { value, style } = &mut token.data
                && matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
                && value.ends_with('\n')
            {
                value.pop();
            }
        }
    }
    Ok(tokens)
}

fn words(error: &crate::yaml::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("error converting YAML to JSON: ").unwrap_or(&text).to_owned()
}

/// What stands around the next token.
#[derive(Debug, Default)]
struct Comments {
    head: String,
    line: String,
    foot: String,
}

struct Reader {
    tokens: std::vec::IntoIter<Token>,
    starts: std::vec::IntoIter<i64>,
    next: Option<Token>,
    comments: std::iter::Peekable<std::vec::IntoIter<Comment>>,
    now: Comments,
    /// Comment of an item that is a block of its own.
    stem: String,
    anchors: HashSet<String>,
    depth: usize,
}

type Outcome = Result<Node, String>;

/// What a node is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    /// The document, or an item of a sequence on lines of its own.
    Item,
    /// A mapping on lines of its own, where a sequence need not be indented.
    Entry,
    /// A collection in brackets.
    Flow,
}

fn wrong(token: &TokenMark, problem: &str) -> String {
    format!("yaml: line {}: {problem}", token.line + 1)
}

struct TokenMark {
    line: u64,
}

impl Reader {
    /// Returns the next token, and takes the comments that it may have.
    fn peek(&mut self) -> &TokenData {
        if self.next.is_none() {
            self.next = self.tokens.next();
            let start = self.starts.next().unwrap_or(i64::MAX);
            let is_end = matches!(self.next.as_ref().map(|t| &t.data), Some(TokenData::BlockEnd));
            self.unfold(start, is_end);
        }
        self.next.as_ref().map_or(&TokenData::StreamEnd, |token| &token.data)
    }

    fn unfold(&mut self, start: i64, is_end: bool) {
        let is_next = |comment: &Comment| start >= comment.token;
        while let Some(comment) = self.comments.peek().filter(|comment| is_next(comment)) {
            let slot = match comment.side {
                // No heads on ends: they are for what follows.
                Side::Head if is_end => break,
                Side::Head => &mut self.now.head,
                Side::Line => &mut self.now.line,
                Side::Foot => &mut self.now.foot,
            };
            if !slot.is_empty() {
                slot.push('\n');
            }
            slot.push_str(&comment.text);
            self.comments.next();
        }
    }

    fn skip(&mut self) -> Option<Token> {
        self.peek();
        self.next.take()
    }

    fn mark(&mut self) -> TokenMark {
        self.peek();
        TokenMark { line: self.next.as_ref().map_or(0, |token| token.start_mark.line) }
    }

    /// Gives a node the comments that were met.
    fn comment(&mut self, node: &mut Node) {
        self.stem.clear();
        let Comments { head, line, foot } = std::mem::take(&mut self.now);
        (node.head, node.line, node.foot) = (head, line, foot);
    }

    fn document(&mut self) -> Result<Option<Document>, String> {
        self.peek();
        self.skip();
        let mut document = Document::default();
        loop {
            match self.peek() {
                TokenData::StreamEnd => return Ok(None),
                TokenData::VersionDirective { .. } | TokenData::TagDirective { .. } => {
                    self.skip();
                }
                TokenData::DocumentStart => {
                    self.skip();
                    break;
                }
                _ => {
                    document.head = self.split_head();
                    break;
                }
            }
        }
        if !matches!(
            self.peek(),
            TokenData::StreamEnd | TokenData::DocumentStart | TokenData::DocumentEnd
        ) {
            document.root = self.node(Context::Item)?;
        }
        match self.peek() {
            TokenData::DocumentEnd => {
                self.skip();
            }
            TokenData::StreamEnd | TokenData::DocumentStart => {}
            _ => {
                return Err(wrong(&self.mark(), "did not find expected <document start>"));
            }
        }
        let Comments { head, foot, .. } = std::mem::take(&mut self.now);
        document.foot = if foot.is_empty() { head } else { foot };
        Ok(Some(document))
    }

    /// Takes the part of a comment that has a blank line behind it.
    fn split_head(&mut self) -> String {
        let head = std::mem::take(&mut self.now.head);
        let bytes = head.as_bytes();
        for at in (1..bytes.len()).rev() {
            if bytes[at] != b'\n' {
                continue;
            }
            if at == bytes.len() - 1 || bytes[at - 1] == b'\n' {
                let end = if at == bytes.len() - 1 { at } else { at - 1 };
                head[at + 1..].clone_into(&mut self.now.head);
                return head[..end].to_owned();
            }
        }
        self.now.head = head;
        String::new()
    }

    fn node(&mut self, context: Context) -> Outcome {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(wrong(&self.mark(), "exceeded max depth"));
        }
        let node = self.value(context);
        self.depth -= 1;
        node
    }

    fn value(&mut self, context: Context) -> Outcome {
        let mut node = Node::default();
        if let TokenData::Alias { value } = self.peek() {
            (node.kind, node.value) = (Kind::Alias, value.clone());
            if !self.anchors.contains(&node.value) {
                return Err(format!("yaml: unknown anchor '{}' referenced", node.value));
            }
            self.comment(&mut node);
            self.skip();
            return Ok(node);
        }
        loop {
            match self.peek() {
                TokenData::Anchor { value } => {
                    node.anchor.clone_from(value);
                    self.anchors.insert(node.anchor.clone());
                }
                TokenData::Tag { handle, suffix } => node.tag = format!("{handle}{suffix}"),
                _ => break,
            }
            self.skip();
        }
        match self.peek() {
            TokenData::BlockEntry if context == Context::Entry => {
                node.kind = Kind::Sequence;
                self.indentless(node)
            }
            TokenData::Scalar { .. } => Ok(self.scalar(node)),
            TokenData::FlowSequenceStart => {
                (node.kind, node.style) = (Kind::Sequence, Style::Flow);
                self.flow_sequence(node)
            }
            TokenData::FlowMappingStart => {
                (node.kind, node.style) = (Kind::Mapping, Style::Flow);
                self.flow_mapping(node)
            }
            TokenData::BlockSequenceStart if context != Context::Flow => {
                node.kind = Kind::Sequence;
                node.head = std::mem::take(&mut self.stem);
                self.block_sequence(node)
            }
            TokenData::BlockMappingStart if context != Context::Flow => {
                node.kind = Kind::Mapping;
                node.head = std::mem::take(&mut self.stem);
                self.block_mapping(node)
            }
            _ if !node.anchor.is_empty() || !node.tag.is_empty() => Ok(node),
            _ => Err(wrong(&self.mark(), "did not find expected node content")),
        }
    }

    fn scalar(&mut self, mut node: Node) -> Node {
        self.comment(&mut node);
        if let Some(Token { data: TokenData::Scalar { value, style }, .. }) = self.skip() {
            node.value = value;
            node.style = match style {
                ScalarStyle::SingleQuoted => Style::Single,
                ScalarStyle::DoubleQuoted => Style::Double,
                ScalarStyle::Literal => Style::Literal,
                ScalarStyle::Folded => Style::Folded,
                _ => Style::Plain,
            };
        }
        node
    }

    /// Moves the comment of an item aside, if the item is a block that takes it as a whole.
    fn split_stem(&mut self, length: usize) {
        let is_block =
            matches!(self.peek(), TokenData::BlockSequenceStart | TokenData::BlockMappingStart);
        if length == 0 || !is_block {
            return;
        }
        let head = std::mem::take(&mut self.now.head);
        head[..length].clone_into(&mut self.stem);
        head.get(length + 1..).unwrap_or_default().clone_into(&mut self.now.head);
    }

    fn block_sequence(&mut self, mut node: Node) -> Outcome {
        self.skip();
        loop {
            match self.peek() {
                TokenData::BlockEntry => {
                    let item = self
                        .item(|next| matches!(next, TokenData::BlockEntry | TokenData::BlockEnd))?;
                    node.content.push(item);
                }
                TokenData::BlockEnd => {
                    self.skip();
                    return Ok(node);
                }
                _ => return Err(wrong(&self.mark(), "did not find expected '-' indicator")),
            }
        }
    }

    fn indentless(&mut self, mut node: Node) -> Outcome {
        while matches!(self.peek(), TokenData::BlockEntry) {
            let item = self.item(|next| {
                matches!(
                    next,
                    TokenData::BlockEntry | TokenData::Key | TokenData::Value | TokenData::BlockEnd
                )
            })?;
            node.content.push(item);
        }
        Ok(node)
    }

    fn item(&mut self, is_empty: impl Fn(&TokenData) -> bool) -> Outcome {
        let length = self.now.head.len();
        self.skip();
        self.split_stem(length);
        if is_empty(self.peek()) { Ok(Node::default()) } else { self.node(Context::Item) }
    }

    fn block_mapping(&mut self, mut node: Node) -> Outcome {
        let is_empty = |next: &TokenData| {
            matches!(next, TokenData::Key | TokenData::Value | TokenData::BlockEnd)
        };
        self.skip();
        loop {
            let mut key = match self.peek() {
                TokenData::Key => {
                    self.skip();
                    if is_empty(self.peek()) { Node::default() } else { self.node(Context::Entry)? }
                }
                TokenData::BlockEnd => break,
                _ => return Err(wrong(&self.mark(), "did not find expected key")),
            };
            let earlier = node.content.len().checked_sub(2);
            if let Some(earlier) = earlier.filter(|_| !key.foot.is_empty()) {
                // It stands below the value before, which it belongs to.
                node.content[earlier].foot = std::mem::take(&mut key.foot);
            }
            let mut value = Node::default();
            if matches!(self.peek(), TokenData::Value) {
                self.skip();
                if !is_empty(self.peek()) {
                    value = self.node(Context::Entry)?;
                }
            }
            if key.foot.is_empty() {
                key.foot = std::mem::take(&mut value.foot);
            }
            node.content.extend([key, value]);
        }
        self.end(&mut node);
        if let Some(last) = node.content.len().checked_sub(2)
            && !node.foot.is_empty()
        {
            node.content[last].foot = std::mem::take(&mut node.foot);
        }
        Ok(node)
    }

    /// Takes the end of a collection, and the comments there.
    fn end(&mut self, node: &mut Node) {
        let head = std::mem::take(&mut node.head);
        self.comment(node);
        node.head = head;
        self.skip();
    }

    fn flow_sequence(&mut self, mut node: Node) -> Outcome {
        self.comment(&mut node);
        self.skip();
        let mut first = true;
        while !matches!(self.peek(), TokenData::FlowSequenceEnd) {
            if !std::mem::take(&mut first) {
                self.comma("did not find expected ',' or ']'")?;
            }
            match self.peek() {
                TokenData::FlowSequenceEnd => break,
                TokenData::Key => {
                    let pair = self.pair()?;
                    node.content.push(pair);
                }
                _ => {
                    let item = self.node(Context::Flow)?;
                    node.content.push(item);
                }
            }
        }
        self.end(&mut node);
        Ok(node)
    }

    /// A mapping of one key without braces, in a sequence in brackets.
    fn pair(&mut self) -> Outcome {
        let is_empty = |next: &TokenData| {
            matches!(next, TokenData::Value | TokenData::FlowEntry | TokenData::FlowSequenceEnd)
        };
        self.skip();
        let mut node = Node { style: Style::Flow, ..Node::mapping() };
        let key = if is_empty(self.peek()) { Node::default() } else { self.node(Context::Flow)? };
        let mut value = Node::default();
        if matches!(self.peek(), TokenData::Value) {
            self.skip();
            if !is_empty(self.peek()) {
                value = self.node(Context::Flow)?;
            }
        }
        node.content.extend([key, value]);
        Ok(node)
    }

    fn flow_mapping(&mut self, mut node: Node) -> Outcome {
        let is_empty = |next: &TokenData| {
            matches!(next, TokenData::Value | TokenData::FlowEntry | TokenData::FlowMappingEnd)
        };
        self.comment(&mut node);
        self.skip();
        let mut first = true;
        while !matches!(self.peek(), TokenData::FlowMappingEnd) {
            if !std::mem::take(&mut first) {
                self.comma("did not find expected ',' or '}'")?;
            }
            if matches!(self.peek(), TokenData::FlowMappingEnd) {
                break;
            }
            let has_value = matches!(self.peek(), TokenData::Key);
            if has_value {
                self.skip();
            }
            let mut key =
                if is_empty(self.peek()) { Node::default() } else { self.node(Context::Flow)? };
            let mut value = Node::default();
            if has_value && matches!(self.peek(), TokenData::Value) {
                self.skip();
                if !is_empty(self.peek()) {
                    value = self.node(Context::Flow)?;
                }
            }
            if key.foot.is_empty() {
                key.foot = std::mem::take(&mut value.foot);
            }
            node.content.extend([key, value]);
        }
        self.end(&mut node);
        Ok(node)
    }

    fn comma(&mut self, problem: &str) -> Result<(), String> {
        if !matches!(self.peek(), TokenData::FlowEntry) {
            return Err(wrong(&self.mark(), problem));
        }
        self.skip();
        Ok(())
    }
}
