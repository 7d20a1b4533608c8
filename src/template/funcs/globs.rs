//! Glob patterns of `.Files.Glob`.
//!
//! Source: gobwas/glob v0.2.3 with separator `/`; helm v4.3.1 pkg/engine/files.go.
//!
//! What a pattern matches there is not what it means: patterns are rewritten before they are used,
//! and the rewritten ones overlook some paths, take others twice, or panic. So the same is done here,
//! decision by decision: [`lexer`] → [`tree`] → [`common`] and [`compile`] → [`matcher`].

mod common;
mod compile;
mod index;
mod lexer;
mod matcher;
#[cfg(test)]
mod tests;
mod tree;

use super::Fail;
use matcher::Matcher;

/// The one character that `*` and `?` do not stand for.
const SEPARATOR: u8 = b'/';
/// Longest pattern, and most parts of one: what is nested in it is walked on the stack.
const MOST_BYTES: usize = 1 << 20;
const MOST_PARTS: usize = 5_000;
/// A step of a rendering pays for as many characters that are looked at, or matchers.
const WORK_PER_STEP: u64 = 4;

/// A pattern, made ready for many paths.
#[derive(Debug)]
pub(super) struct Glob(Matcher);

/// Why it is not known whether a path matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It takes more steps than there are left.
    TooMuch,
    TooLarge,
    /// Upstream panics: it cuts a text of so many bytes behind its end.
    Cut {
        to: usize,
        length: usize,
    },
}

impl From<Stop> for Fail {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooMuch => "a pattern of files takes too many steps".into(),
            Stop::TooLarge => "a pattern of files is too large".into(),
            Stop::Cut { to, length } => {
                format!("runtime error: slice bounds out of range [:{to}] with length {length}")
                    .into()
            }
        }
    }
}

/// Counts what a pattern costs: upstream tries some again and again, at any place of a path.
#[derive(Debug)]
pub(super) struct Work {
    done: u64,
    most: u64,
}

impl Work {
    pub(super) fn up_to(steps: u64) -> Self {
        Self { done: 0, most: steps.saturating_mul(WORK_PER_STEP) }
    }

    /// Returns the steps that were taken; more than there were where it was too much.
    pub(super) fn steps(&self) -> usize {
        usize::try_from(self.done.div_ceil(WORK_PER_STEP)).unwrap_or(usize::MAX)
    }

    fn spend(&mut self, units: usize) -> Result<(), Stop> {
        self.done = self.done.saturating_add(units as u64);
        if self.done > self.most { Err(Stop::TooMuch) } else { Ok(()) }
    }
}

impl Glob {
    pub(super) fn new(pattern: &str, work: &mut Work) -> Result<Self, Stop> {
        if pattern.len() > MOST_BYTES {
            return Err(Stop::TooLarge);
        }
        let Some(tokens) = lexer::tokens(pattern) else {
            // Helm takes everything then.
            return Ok(Self(Matcher::Super));
        };
        if tokens.len() > MOST_PARTS {
            return Err(Stop::TooLarge);
        }
        work.spend(pattern.len())?;
        compile::compile(tree::parse(tokens), work).map(Self)
    }

    /// Returns whether a path matches.
    pub(super) fn matches(&self, path: &str, work: &mut Work) -> Result<bool, Stop> {
        self.0.matches(path.as_bytes(), work)
    }
}
