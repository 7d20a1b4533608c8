//! YAML that keeps how it was written: comments, quotes, flow and block style, anchors.
//!
//! What is read and written again is not the text that was read: indentation and blank lines are
//! the writer's. It is what Go's YAML library makes of it, which is what counts.
//!
//! Mirrors: go.yaml.in/yaml/v3 v3.0.5 (scannerc.go, parserc.go, decode.go, encode.go,
//! emitterc.go), as sigs.k8s.io/kustomize/kyaml sets it up: two blanks a level, sequences of a
//! mapping not indented, lines of any length.
//!
//! ```
//! use leadsman::yaml::layout::{read, write};
//! let document = read("a:   # why\n    - 'x'\n\n    - {b: 1}\n")?.unwrap();
//! assert_eq!(write(&[document]), "a: # why\n- 'x'\n- {b: 1}\n");
//! # Ok::<(), String>(())
//! ```

mod comment;
mod output;
pub mod plain;
mod reader;
mod scalar;
mod writer;

pub use reader::read;
pub use writer::write;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Comment before everything, with a blank line behind it.
    pub head: String,
    /// Comment after everything.
    pub foot: String,
    /// What it holds.
    pub root: Node,
}

/// A value and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// What kind of value it is.
    pub kind: Kind,
    /// How it is written.
    pub style: Style,
    /// Tag, where one is written, such as `!!binary`.
    pub tag: String,
    /// Name of its anchor; may be empty.
    pub anchor: String,
    /// Text of a scalar, name of an alias.
    pub value: String,
    /// Comment on the lines before.
    pub head: String,
    /// Comment behind, on the same line.
    pub line: String,
    /// Comment on the lines after, before a blank line.
    pub foot: String,
    /// Items of a sequence; keys and values of a mapping in turn.
    pub content: Vec<Self>,
}

/// What kind of value a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A text, number, …
    #[default]
    Scalar,
    /// A list.
    Sequence,
    /// A map.
    Mapping,
    /// A reference to an anchor.
    Alias,
}

/// How a node is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// A scalar without quotes; a collection on lines of its own.
    #[default]
    Plain,
    /// A collection in brackets.
    Flow,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

impl Node {
    /// Returns a scalar.
    pub fn scalar(value: impl Into<String>, style: Style) -> Self {
        Self { value: value.into(), style, ..Self::default() }
    }

    /// Returns an empty mapping.
    pub fn mapping() -> Self {
        Self { kind: Kind::Mapping, ..Self::default() }
    }

    /// Returns whether it is a scalar that says `null`.
    pub fn is_null(&self) -> bool {
        let says = matches!(self.value.as_str(), "" | "~" | "null" | "Null" | "NULL");
        let plain = self.kind == Kind::Scalar && self.style == Style::Plain;
        plain && (self.tag == "!!null" || self.tag.is_empty() && says)
    }

    /// Returns where the value of a field is, in the content of a mapping.
    pub fn position(&self, field: &str) -> Option<usize> {
        let keys = self.content.chunks_exact(2).map(|pair| pair[0].value.as_str());
        let found = keys.enumerate().find(|(_, key)| *key == field);
        found.filter(|_| self.kind == Kind::Mapping).map(|(at, _)| 2 * at + 1)
    }

    /// Returns the value of a field of a mapping.
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.position(name).map(|at| &self.content[at])
    }

    /// Returns the value of a field of a mapping.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.position(name).map(|at| &mut self.content[at])
    }

    /// Removes a field of a mapping, comments and all.
    pub fn remove(&mut self, field: &str) {
        if let Some(at) = self.position(field) {
            self.content.drain(at - 1..=at);
        }
    }
}

#[cfg(test)]
mod tests;
