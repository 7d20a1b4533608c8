//! Texts that are parsed before it is known whose templates they are.

use std::fmt;

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
pub struct ParseAhead(Background<Source, Vec<(Bytes, parser::Parsed)>>);

/// So many texts wake a thread: fewer, and waking it takes a tenth of its time; more, and one thread
/// has some left when the others are done.
const BATCH: usize = 8;

/// Where parsed texts come from.
enum Source {
    Text(Bytes),
    /// Texts and what an earlier process has made of them.
    Saved(Box<dyn FnOnce() -> Vec<(Bytes, Bytes)> + Send>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "a text",
            Self::Saved(_) => "saved texts",
        })
    }
}

impl Source {
    fn parse(self) -> Vec<(Bytes, parser::Parsed)> {
        match self {
            Self::Text(text) => {
                let parsed = parser::parse_unnamed(&text).ok();
                parsed.map(|parsed| (text, parsed)).into_iter().collect()
            }
            Self::Saved(read) => {
                let restore = |(text, saved): (Bytes, Bytes)| {
                    Some((text.clone(), parser::Parsed::restore(text, &saved)?))
                };
                read().into_iter().filter_map(restore).collect()
            }
        }
    }
}

impl ParseAhead {
    /// Starts to wait for texts.
    pub fn start() -> Self {
        Self(Background::start(STACK_BYTES, BATCH, Source::parse))
    }

    /// Adds a text.
    pub fn give(&mut self, text: Bytes) {
        self.0.give(Source::Text(text));
    }

    /// Adds texts, and for each what [`Parsed::save`] has returned of it, as soon as they are read.
    pub fn give_saved(&mut self, read: impl FnOnce() -> Vec<(Bytes, Bytes)> + Send + 'static) {
        self.0.give(Source::Saved(Box::new(read)));
        self.0.hand_out();
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
