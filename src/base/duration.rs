//! Durations as Go writes them: `1h30m`, `5m0s`, `250ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration whose text form is Go's. Reading accepts what Flux's CRDs accept
/// (`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`), and also `us` and `ns`; printing gives Go's
/// `Duration.String()`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration(pub Duration);

/// A text that is not a duration.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a duration such as `30s`, `5m` or `1h30m`")]
pub struct ParseError(String);

impl FromStr for GoDuration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = || ParseError(text.to_owned());
        let mut rest = text;
        let mut total = 0.0_f64;
        if rest.is_empty() {
            return Err(fail());
        }
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(fail)?;
            let number: f64 = rest[..digits].parse().map_err(|_| fail())?;
            rest = &rest[digits..];
            let units: [(&str, f64); 7] = [
                ("ms", 1e6),
                ("us", 1e3),
                ("µs", 1e3),
                ("ns", 1.0),
                ("s", 1e9),
                ("m", 60e9),
                ("h", 3600e9),
            ];
            let (unit, nanos) =
                units.iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(fail)?;
            total += number * nanos;
            rest = &rest[unit.len()..];
        }
        if total > i64::MAX as f64 {
            return Err(fail());
        }
        Ok(Self(Duration::from_nanos(total.round() as u64)))
    }
}

impl TryFrom<String> for GoDuration {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<GoDuration> for String {
    fn from(duration: GoDuration) -> Self {
        duration.to_string()
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

/// Source: go1.26 time/time.go (Duration.String).
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let fraction = |value: u128, unit: u128, digits: usize| {
            let rest = format!("{:0digits$}", value % unit);
            let rest = rest.trim_end_matches('0');
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{}{dot}{rest}", value / unit)
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", fraction(nanos, 1_000, 3)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", fraction(nanos, 1_000_000, 6)),
            _ => {
                let seconds = nanos / 1_000_000_000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", fraction(nanos % 60_000_000_000, 1_000_000_000, 9))
            }
        }
    }
}

impl fmt::Debug for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_as_go_does() {
        for (text, printed) in [
            ("5m", "5m0s"),
            ("1h30m", "1h30m0s"),
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("250ms", "250ms"),
            ("0s", "0s"),
            ("0", "0s"),
            ("1500ms", "1.5s"),
            ("24h", "24h0m0s"),
            ("15314397571ns", "15.314397571s"),
            ("1500us", "1.5ms"),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), printed, "{text}");
        }
        for bad in ["", "5", "m", "5x", "-5m", "1..5s", "99999999999h"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }
}
