//! How an error travels: from a room to a condition, an event and an exit code.

use std::time::Duration;

/// What to do about an error that reached the controller.
///
/// Each room's `Error` answers `fn class(&self) -> Class`. The controller turns it into a requeue,
/// a condition and an event; the command line into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Something outside may heal by itself: try again with backoff.
    Retry,
    /// The other side said when to come back (`Retry-After`): try again after that long.
    Wait(Duration),
    /// Nothing changes until a person changes something: no retry before the next interval.
    Stalled,
    /// A promise of ours does not hold. Retried like [`Class::Retry`], but said to be our fault.
    Bug,
}

/// Writes an error and its causes as one line, joined by `: `.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
