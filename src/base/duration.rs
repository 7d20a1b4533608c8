//! Durations as Go writes them: `1h30m`, `5m0s`, `250ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration whose text form is Go's. Reading accepts what Flux's CRDs accept
/// (`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`), and whatever else Go reads that has no sign; printing gives
/// Go's `Duration.String()`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration(pub Duration);

/// A text that is not a duration.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a duration such as `30s`, `5m` or `1h30m`")]
pub struct ParseError(String);

/// What is wrong with a text that is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault<'a> {
    /// There is no number, or it is too large.
    Invalid,
    /// A number has no unit.
    NoUnit,
    /// There is no such unit.
    UnknownUnit(&'a str),
}

/// Reads a duration, which may have a sign, as nanoseconds.
///
/// Source: go1.26 time/format.go (`ParseDuration`).
///
/// # Errors
/// The text is none, or lasts longer than 292 years.
pub fn nanos(text: &str) -> Result<i64, Fault<'_>> {
    const MOST: u64 = 1 << 63;
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(Fault::Invalid);
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (whole, behind) = digits(rest);
        let (fraction, behind) = behind.strip_prefix('.').map_or(("", behind), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(Fault::Invalid);
        }
        let value = if whole.is_empty() { Ok(0) } else { whole.parse::<u64>() };
        let value = value.ok().filter(|value| *value <= MOST).ok_or(Fault::Invalid)?;
        let end = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        if unit.is_empty() {
            return Err(Fault::NoUnit);
        }
        let size = unit_size(unit).ok_or(Fault::UnknownUnit(unit))?;
        let part = value.checked_mul(size).filter(|part| *part <= MOST).ok_or(Fault::Invalid)?;
        total = part
            .checked_add(fraction_of(fraction, size))
            .filter(|part| *part <= MOST)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= MOST)
            .ok_or(Fault::Invalid)?;
        rest = behind;
    }
    if text.starts_with('-') {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| Fault::Invalid)
}

/// The digits that a text begins with, and what follows.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Nanoseconds of a unit.
fn unit_size(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Nanoseconds of what stands behind the point. Go leaves out the digits that don't fit.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes in floats, too; it is less than an hour"
)]
fn fraction_of(digits: &str, size: u64) -> u64 {
    let (mut value, mut scale) = (0_u64, 1.0);
    for digit in digits.bytes() {
        let more = value.checked_mul(10).and_then(|more| more.checked_add((digit - b'0').into()));
        let Some(more) = more.filter(|more| *more <= 1 << 63) else { break };
        value = more;
        scale *= 10.0;
    }
    (value as f64 * (size as f64 / scale)) as u64
}

impl FromStr for GoDuration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let signed = text.starts_with(['-', '+']);
        let nanos = nanos(text).ok().filter(|_| !signed).and_then(|nanos| nanos.try_into().ok());
        nanos.map(Duration::from_nanos).map(Self).ok_or_else(|| ParseError(text.to_owned()))
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
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("0.000000000999s", "0s"),
            ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), printed, "{text}");
        }
        for bad in
            ["", "5", "m", "5x", "-5m", "+5m", "-0", "1..5s", ".s", "2562047h47m16.854775808s"]
        {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }
}
