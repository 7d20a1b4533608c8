//! Texts that are parsed before it is known whose templates they are.

use bytes::Bytes;

use super::eval::STACK_BYTES;
use super::parser;
use crate::base::by_text::ByText;
use crate::base::packed::Writer;
use crate::base::parallel::Background;

/// Parses texts in the background, while their chart is still being read.
///
/// A text that is no template is forgotten: it may never be asked for, and if it is, the error
/// needs the name of its file.
#[derive(Debug)]
pub struct ParseAhead(Background<Source, Option<(Bytes, parser::Parsed)>>);

/// So many texts wake a thread.
const BATCH: usize = 8;

/// A text, and what an earlier process has made of it.
#[derive(Debug)]
struct Source {
    text: Bytes,
    saved: Option<Bytes>,
}

impl Source {
    fn parse(self) -> Option<(Bytes, parser::Parsed)> {
        let Self { text, saved } = self;
        let restored = saved.and_then(|saved| parser::Parsed::restore(text.clone(), &saved));
        let parsed = match restored {
            Some(parsed) => parsed,
            None => parser::parse_unnamed(&text).ok()?,
        };
        Some((text, parsed))
    }
}

impl ParseAhead {
    /// Starts to wait for texts.
    pub fn start() -> Self {
        Self(Background::start(STACK_BYTES, BATCH, Source::parse))
    }

    /// Adds a text.
    pub fn give(&mut self, text: Bytes) {
        self.0.give(Source { text, saved: None });
    }

    /// Adds a text of which [`Parsed::save`] has returned this.
    pub fn give_saved(&mut self, text: Bytes, saved: Bytes) {
        self.0.give(Source { text, saved: Some(saved) });
    }

    /// Waits for what is not parsed yet, and helps.
    pub fn finish(self) -> Parsed {
        Parsed(self.0.finish().into_iter().flatten().collect())
    }
}

/// Texts that were parsed, each for one use.
#[derive(Debug, Default)]
pub struct Parsed(pub(super) ByText<parser::Parsed>);

impl Parsed {
    /// Writes what was made of this very text, for a later process of the same program.
    #[must_use]
    pub fn save(&self, text: &Bytes) -> Option<Vec<u8>> {
        let mut out = Writer::default();
        self.0.look(text, |parsed| parsed.save(&mut out))?;
        Some(out.into_bytes())
    }
}
