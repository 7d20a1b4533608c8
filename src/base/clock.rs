//! Time as an argument: the one place where the wall clock is read.

use std::sync::Mutex;
use std::time::Duration;

pub use jiff::Timestamp;

/// A source of wall-clock time. Waiting goes through `tokio::time`; only *what time is it* is here.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Returns a clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Prints a time as Kubernetes does: whole seconds, UTC, `2026-01-02T03:04:05Z`.
pub fn rfc3339_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Prints a time as Kubernetes' `MicroTime`: six fractional digits, UTC.
pub fn rfc3339_micro(time: Timestamp) -> String {
    format!("{}.{:06}Z", time.strftime("%Y-%m-%dT%H:%M:%S"), time.subsec_nanosecond() / 1000)
}

/// Prints a time as Go's `RFC3339Nano`: up to nine fractional digits, trailing zeros dropped, UTC.
pub fn rfc3339_nano(time: Timestamp) -> String {
    let nanos = time.subsec_nanosecond();
    let seconds = time.strftime("%Y-%m-%dT%H:%M:%S");
    if nanos == 0 {
        return format!("{seconds}Z");
    }
    let fraction = format!("{nanos:09}");
    format!("{seconds}.{}Z", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_times_as_kubernetes_and_go_do() {
        let time: Timestamp = "2026-01-02T03:04:05.120Z".parse().unwrap();
        assert_eq!(rfc3339_seconds(time), "2026-01-02T03:04:05Z");
        assert_eq!(rfc3339_nano(time), "2026-01-02T03:04:05.12Z");
        assert_eq!(rfc3339_nano("2026-01-02T03:04:05Z".parse().unwrap()), "2026-01-02T03:04:05Z");
    }
}
