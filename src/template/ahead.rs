//! Texts that are parsed before it is known whose templates they are.

use bytes::Bytes;

use super::eval::STACK_BYTES;
use super::parser;
use crate::base::by_text::ByText;
use crate::base::parallel::Background;

/// Parses texts in the background, while their chart is still being read.
///
/// A text that is no template is forgotten: it may never be asked for, and if it is, the error
/// needs the name of its file.
#[derive(Debug)]
pub struct ParseAhead(Background<Bytes, Option<(Bytes, parser::Parsed)>>);

/// So many texts wake a thread.
const BATCH: usize = 8;

impl ParseAhead {
    /// Starts to wait for texts.
    pub fn start() -> Self {
        let parse = |text: Bytes| {
            let parsed = parser::parse_unnamed(&text).ok()?;
            Some((text, parsed))
        };
        Self(Background::start(STACK_BYTES, BATCH, parse))
    }

    /// Adds a text.
    pub fn give(&mut self, text: Bytes) {
        self.0.give(text);
    }

    /// Waits for what is not parsed yet, and helps.
    pub fn finish(self) -> Parsed {
        Parsed(self.0.finish().into_iter().flatten().collect())
    }
}

/// Texts that were parsed, each for one use.
#[derive(Debug, Default)]
pub struct Parsed(pub(super) ByText<parser::Parsed>);
