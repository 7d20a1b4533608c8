//! What goes wrong while objects are patched.

use crate::yaml::layout::{Document, Kind, Node, write};

/// Why objects cannot be patched. The text is kustomize's, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(super) String);

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Error {
    /// Says what was being done.
    pub(super) fn doing(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

/// Checks that a node, unless it is null, is of a kind.
pub(super) fn require(node: &Node, kind: Kind) -> Result<(), Error> {
    if node.is_null() || node.kind == kind {
        return Ok(());
    }
    let name = |kind| match kind {
        Kind::Scalar => "ScalarNode",
        Kind::Sequence => "SequenceNode",
        Kind::Mapping => "MappingNode",
        Kind::Alias => "AliasNode",
    };
    let document = Document { root: node.clone(), ..Document::default() };
    Err(Error(format!(
        "wrong node kind: expected {} but got {}: node contents:\n{}",
        name(kind),
        name(node.kind),
        write(&[document])
    )))
}
