//! Values files that are parsed while the rest of their archive still inflates.

use bytes::Bytes;

use super::Error;
use super::load::{STACK_BYTES, parse_values};
use crate::base::by_text::ByText;
use crate::base::parallel::Background;
use crate::yaml::Map;

/// Parses values files in the background.
#[derive(Debug, Default)]
pub(super) struct ValuesAhead(Option<Background<Bytes, Option<(Bytes, Map)>>>);

impl ValuesAhead {
    /// Adds a text.
    pub(super) fn give(&mut self, text: &Bytes) {
        let parse = |text: Bytes| {
            let values = parse_values(&text).ok()?;
            Some((text, values))
        };
        let running = self.0.get_or_insert_with(|| Background::start(STACK_BYTES, 1, parse));
        running.give(text.clone());
    }

    /// Waits for what is not parsed yet.
    pub(super) fn finish(self) -> ParsedValues {
        let done = self.0.map(Background::finish).unwrap_or_default();
        ParsedValues(done.into_iter().flatten().collect())
    }
}

/// The values of texts that were parsed, each for one use.
#[derive(Debug, Default)]
pub(crate) struct ParsedValues(ByText<Map>);

impl FromIterator<(Bytes, Map)> for ParsedValues {
    fn from_iter<I: IntoIterator<Item = (Bytes, Map)>>(known: I) -> Self {
        Self(known.into_iter().collect())
    }
}

impl ParsedValues {
    /// Looks at the values of this very text, if they are known.
    pub(super) fn look<R>(&self, text: &Bytes, look: impl FnOnce(&Map) -> R) -> Option<R> {
        self.0.look(text, look)
    }

    /// Whether a text, this very one, was parsed.
    pub(super) fn knows(&self, text: &Bytes) -> bool {
        self.0.knows(text)
    }

    /// Returns the values of a text; parses it if nobody has. What is wrong with a text is told
    /// where its chart is put together.
    pub(super) fn values(&self, text: &Bytes) -> Result<Map, Error> {
        if let Some(values) = self.0.take(text) {
            return Ok(values);
        }
        parse_values(text)
            .map_err(|error| Error::Parse { file: "values.yaml", text: error.to_string() })
    }
}
