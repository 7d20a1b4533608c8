//! Texts that are parsed before it is known whose templates they are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::eval::STACK_BYTES;
use super::parser;
use crate::base::parallel::Background;

/// Parses texts in the background, while their chart is still being read.
///
/// A text that is no template is forgotten: it may never be asked for, and if it is, the error
/// needs the name of its file.
#[derive(Debug)]
pub struct ParseAhead(Background<Bytes, Option<(Key, parser::Parsed)>>);

/// So many texts wake a thread.
const BATCH: usize = 8;

/// A text by its place in memory, which is kept by what was parsed of it.
type Key = (usize, usize);

fn key(text: &Bytes) -> Key {
    (text.as_ptr().addr(), text.len())
}

impl ParseAhead {
    /// Starts to wait for texts.
    pub fn start() -> Self {
        let parse = |text: Bytes| Some((key(&text), parser::parse_unnamed(&text).ok()?));
        Self(Background::start(STACK_BYTES, BATCH, parse))
    }

    /// Adds a text.
    pub fn give(&mut self, text: Bytes) {
        self.0.give(text);
    }

    /// Waits for what is not parsed yet, and helps.
    pub fn finish(self) -> Parsed {
        let done = self.0.finish();
        let mut parsed = HashMap::with_capacity(done.len());
        parsed.extend(done.into_iter().flatten());
        Parsed(Mutex::new(parsed))
    }
}

/// Texts that were parsed, each for one use.
#[derive(Debug, Default)]
pub struct Parsed(Mutex<HashMap<Key, parser::Parsed>>);

impl Parsed {
    /// Whether a text, this very one, was parsed.
    pub(super) fn knows(&self, text: &Bytes) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key(text))
    }

    /// Takes what was parsed of a text: of this very one, not of its equals.
    pub(super) fn take(&self, text: &Bytes) -> Option<parser::Parsed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(text))
    }
}
