//! Nodes → text.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.5 encode.go (`node`), emitterc.go. The names of the writer's
//! state are those of the emitter there.

use super::output::{Mark, STEP, Writer};
use super::scalar::{Allows, Place, is_break};
use super::{Document, Kind, Node, Style};

/// Longest key that stands before its `:` on one line.
const SIMPLE_KEY: usize = 128;

/// Writes documents, with `---` between them.
pub fn write(documents: &[Document]) -> String {
    let mut writer = Writer::new();
    for (number, document) in documents.iter().enumerate() {
        writer.document(document, number == 0);
    }
    writer.out
}

/// What a node is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Root,
    Item,
    FlowItem,
    Key,
    Value,
    FlowKey,
    FlowValue,
}

impl Within {
    fn is_mapping(self) -> bool {
        matches!(self, Self::Key | Self::Value | Self::FlowKey | Self::FlowValue)
    }
}

impl Writer {
    fn document(&mut self, document: &Document, first: bool) {
        if !first {
            self.write_indent();
            self.indicator("---", Mark::Spaced);
            self.write_indent();
        }
        if !document.head.is_empty() {
            self.comments.head.clone_from(&document.head);
            self.head();
            self.put_break();
        }
        self.take(&document.root);
        self.head();
        self.node(&document.root, Within::Root);
        self.line();
        self.foot();
        // The comment of the document is set apart.
        if !document.foot.is_empty() {
            self.comments.foot.clone_from(&document.foot);
        }
        self.foot_indent = 0;
        self.foot();
        self.foot_indent = -1;
        self.write_indent();
    }

    /// Takes the comments of a node; those of collections behind them come with their end.
    fn take(&mut self, node: &Node) {
        set(&mut self.comments.head, &node.head);
        if matches!(node.kind, Kind::Scalar | Kind::Alias) {
            set(&mut self.comments.line, &node.line);
            set(&mut self.comments.foot, &node.foot);
        }
    }

    /// Takes the comments of a key; what stands below it, behind its value, is the `tail` that the
    /// next key begins with.
    fn take_key(&mut self, key: &Node, tail: &str) {
        set(&mut self.comments.head, &key.head);
        set(&mut self.comments.tail, tail);
        if matches!(key.kind, Kind::Scalar | Kind::Alias) {
            set(&mut self.comments.line, &key.line);
        }
    }

    fn node(&mut self, node: &Node, within: Within) {
        let is_flow = self.flow_level > 0 || node.style == Style::Flow || node.content.is_empty();
        match node.kind {
            Kind::Alias => {
                self.indicator("*", Mark::Spaced);
                self.text(&node.value);
                (self.whitespace, self.indention) = (false, false);
            }
            Kind::Scalar => self.scalar(node, within),
            Kind::Sequence if is_flow => self.flow_sequence(node, within),
            Kind::Sequence => self.block_sequence(node, within),
            Kind::Mapping if is_flow => self.flow_mapping(node, within),
            Kind::Mapping => self.block_mapping(node, within),
        }
    }

    /// Writes anchor and tag.
    fn properties(&mut self, node: &Node) {
        if !node.anchor.is_empty() {
            self.indicator("&", Mark::Spaced);
            self.text(&node.anchor);
            (self.whitespace, self.indention) = (false, false);
        }
        if !node.tag.is_empty() && node.tag != "!" {
            if !self.whitespace {
                self.put(' ');
            }
            self.text(&node.tag);
            (self.whitespace, self.indention) = (false, false);
        }
    }

    /// Returns the indentation one level deeper.
    fn deeper(&self, within: Within, flow: bool) -> i64 {
        match (self.indent, within) {
            (..0, _) => {
                if flow {
                    STEP
                } else {
                    0
                }
            }
            (indent, Within::Item) => indent + 2,
            (indent, _) => STEP * ((indent + STEP) / STEP),
        }
    }

    fn block_sequence(&mut self, node: &Node, within: Within) {
        self.properties(node);
        let outer = self.indent;
        let compact = within.is_mapping() && (self.column == 0 || !self.indention);
        self.indent = self.deeper(within, false);
        if compact && outer >= 0 && within != Within::Item {
            self.indent -= 2;
        }
        for item in &node.content {
            self.take(item);
            self.head();
            self.write_indent();
            self.indicator("-", Mark::Line);
            self.node(item, Within::Item);
            self.line();
            self.foot();
        }
        set(&mut self.comments.line, &node.line);
        set(&mut self.comments.foot, &node.foot);
        self.indent = outer;
    }

    fn block_mapping(&mut self, node: &Node, within: Within) {
        self.properties(node);
        let outer = self.indent;
        self.indent = self.deeper(within, false);
        let mut tail = "";
        for pair in node.content.chunks_exact(2) {
            let (key, value) = (&pair[0], &pair[1]);
            self.take_key(key, tail);
            tail = &key.foot;
            self.head();
            self.write_indent();
            if !self.comments.line.is_empty() {
                self.comments.key_line = std::mem::take(&mut self.comments.line);
            }
            let simple = is_simple(key);
            if !simple {
                self.indicator("?", Mark::Line);
            }
            self.node(key, Within::Key);
            self.take(value);
            if simple {
                self.indicator(":", Mark::Close);
            } else {
                self.write_indent();
                self.indicator(":", Mark::Line);
            }
            self.key_comment(value);
            self.node(value, Within::Value);
            self.line();
            self.foot();
        }
        set(&mut self.comments.tail, tail);
        set(&mut self.comments.line, &node.line);
        set(&mut self.comments.foot, &node.foot);
        self.head();
        self.indent = outer;
    }

    /// A comment behind a key, whose value stands on the next lines.
    fn key_comment(&mut self, value: &Node) {
        if self.comments.key_line.is_empty() {
            return;
        }
        match value.kind {
            Kind::Scalar => {
                if self.comments.line.is_empty() {
                    self.comments.line = std::mem::take(&mut self.comments.key_line);
                }
            }
            Kind::Sequence | Kind::Mapping if value.style != Style::Flow => {
                let comments = &mut self.comments;
                std::mem::swap(&mut comments.line, &mut comments.key_line);
                self.line();
                let comments = &mut self.comments;
                std::mem::swap(&mut comments.line, &mut comments.key_line);
            }
            Kind::Sequence | Kind::Mapping | Kind::Alias => {}
        }
    }

    fn flow_sequence(&mut self, node: &Node, within: Within) {
        self.properties(node);
        self.indicator("[", Mark::Open);
        let outer = self.indent;
        self.indent = self.deeper(within, true);
        self.flow_level += 1;
        let mut comma = false;
        for item in &node.content {
            if comma {
                self.indicator(",", Mark::Close);
            }
            self.take(item);
            self.head();
            if self.column == 0 {
                self.write_indent();
            }
            let behind = self.comments.is_behind();
            self.node(item, Within::FlowItem);
            if self.comments.is_behind() {
                self.indicator(",", Mark::Close);
            }
            self.line();
            self.foot();
            comma = !behind;
        }
        set(&mut self.comments.line, &node.line);
        set(&mut self.comments.foot, &node.foot);
        self.flow_level -= 1;
        self.indent = outer;
        if self.column == 0 {
            self.write_indent();
        }
        self.indicator("]", Mark::Close);
        self.line();
        self.foot();
    }

    fn flow_mapping(&mut self, node: &Node, within: Within) {
        self.properties(node);
        self.indicator("{", Mark::Open);
        let outer = self.indent;
        self.indent = self.deeper(within, true);
        self.flow_level += 1;
        let (mut comma, mut tail) = (false, "");
        for pair in node.content.chunks_exact(2) {
            let (key, value) = (&pair[0], &pair[1]);
            self.take_key(key, tail);
            tail = &key.foot;
            if comma {
                self.indicator(",", Mark::Close);
            }
            self.head();
            if self.column == 0 {
                self.write_indent();
            }
            let simple = is_simple(key);
            if !simple {
                self.indicator("?", Mark::Spaced);
            }
            self.node(key, Within::FlowKey);
            self.take(value);
            self.indicator(":", if simple { Mark::Close } else { Mark::Spaced });
            let behind = self.comments.is_behind();
            self.node(value, Within::FlowValue);
            if self.comments.is_behind() {
                self.indicator(",", Mark::Close);
            }
            self.line();
            self.foot();
            comma = !behind;
        }
        set(&mut self.comments.tail, tail);
        set(&mut self.comments.line, &node.line);
        set(&mut self.comments.foot, &node.foot);
        let comments = &self.comments;
        let before_end =
            !(comments.head.is_empty() && comments.foot.is_empty() && comments.tail.is_empty());
        if before_end && comma {
            self.indicator(",", Mark::Close);
        }
        self.head();
        self.flow_level -= 1;
        self.indent = outer;
        self.indicator("}", Mark::Close);
        self.line();
        self.foot();
    }

    fn scalar(&mut self, node: &Node, within: Within) {
        let place = Place {
            in_flow: self.flow_level > 0,
            is_key: matches!(within, Within::Key | Within::FlowKey) && is_simple(node),
        };
        let wanted = match node.style {
            Style::Plain if node.value.contains('\n') => Style::Literal,
            style => style,
        };
        let style = Allows::of(&node.value).style(wanted, node.value.is_empty(), place);
        self.properties(node);
        let outer = self.indent;
        self.indent = self.deeper(within, true);
        match style {
            Style::Plain | Style::Flow => self.plain(&node.value),
            Style::Single => self.single(&node.value),
            Style::Double => self.double(&node.value),
            Style::Literal => self.block("|", &node.value, Self::literal),
            Style::Folded => self.block(">", &node.value, Self::folded),
        }
        self.indent = outer;
    }
}

/// A comment that is there already stays where there is none to take.
fn set(slot: &mut String, text: &str) {
    if !text.is_empty() {
        text.clone_into(slot);
    }
}

/// Whether a key can stand before its `:` on one line.
fn is_simple(key: &Node) -> bool {
    let length = match key.kind {
        Kind::Alias => key.value.len(),
        Kind::Scalar if key.value.chars().any(is_break) => return false,
        Kind::Scalar => key.anchor.len() + key.tag.len() + key.value.len(),
        Kind::Sequence | Kind::Mapping if !key.content.is_empty() => return false,
        Kind::Sequence | Kind::Mapping => key.anchor.len() + key.tag.len(),
    };
    length <= SIMPLE_KEY
}
