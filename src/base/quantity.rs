//! Quantities (`100m`, `1Gi`) in the one spelling that the server stores.
//!
//! Source: k8s.io/apimachinery 0.34 pkg/api/resource/quantity.go (CanonicalizeBytes, String).

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

const NANOS: i128 = 1_000_000_000;

/// Returns whether a text is a quantity at all.
pub fn is_one(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let suffix = &rest[digits..];
    let exponent =
        suffix.strip_prefix(['e', 'E']).is_some_and(|power| power.parse::<i32>().is_ok());
    let known =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    digits > 0 && (exponent || known.contains(&suffix))
}

const BINARY: [(&str, u32); 6] =
    [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// A quantity: billionths, and whether it was written with a binary suffix.
fn parse(text: &str) -> Option<(i128, bool)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !".+-".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.len() > 18 || whole.len() > 18 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    let (value, binary) = if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        (digits.checked_mul(1_000_000_000)?.checked_mul(1_i128 << bits)?, true)
    } else {
        let exponent = match DECIMAL.iter().find(|(name, _)| *name == suffix) {
            Some((_, exponent)) => *exponent,
            None => {
                suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|e| (-9..=18).contains(e))?
            }
        };
        (digits.checked_mul(10_i128.pow(u32::try_from(exponent + 9).ok()?))?, false)
    };
    let unit = 10_i128.pow(places);
    let rounded = value / unit + i128::from(value % unit != 0);
    Some((if negative { -rounded } else { rounded }, binary))
}

/// An amount: billionths, and whether it is told with binary suffixes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    nanos: i128,
    binary: bool,
}

impl Quantity {
    /// Returns so many of something.
    pub fn whole(count: usize) -> Self {
        let count = i128::try_from(count).unwrap_or(i128::MAX);
        Self { nanos: count.saturating_mul(NANOS), binary: false }
    }

    /// Reads a quantity of a stored object; what is none is nothing.
    pub fn of(value: &Value) -> Self {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (nanos, binary) = parse(&text).unwrap_or_default();
        Self { nanos, binary }
    }

    /// Returns the sum, told as the first of the two that is not zero.
    pub fn plus(self, other: Self) -> Self {
        let binary = if self.nanos == 0 { other.binary } else { self.binary };
        Self { nanos: self.nanos.saturating_add(other.nanos), binary }
    }

    /// Returns the amount with the other sign.
    pub fn negative(self) -> Self {
        Self { nanos: self.nanos.saturating_neg(), ..self }
    }

    /// Reads a text; none where it is no quantity, or one with too many digits.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text).map(|(nanos, binary)| Self { nanos, binary })
    }

    /// Returns the amount of a whole number.
    pub fn from_int(number: i64) -> Self {
        Self { nanos: i128::from(number) * NANOS, binary: false }
    }

    /// Returns the number, if it is a whole one that fits.
    pub fn as_int(self) -> Option<i64> {
        (self.nanos % NANOS == 0).then(|| i64::try_from(self.nanos / NANOS).ok()).flatten()
    }

    /// Returns the nearest floating-point number.
    #[expect(clippy::cast_precision_loss, reason = "it is asked for as an approximation")]
    pub fn as_float(self) -> f64 {
        self.nanos as f64 / NANOS as f64
    }

    /// Returns -1, 0 or 1.
    pub fn sign(self) -> i64 {
        i64::try_from(self.nanos.signum()).unwrap_or_default()
    }

    /// Whether it is more than nothing.
    pub fn is_positive(self) -> bool {
        self.nanos > 0
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.binary && self.nanos % NANOS == 0 && (self.nanos / NANOS).abs() >= 1024 {
            let mut value = self.nanos / NANOS;
            let mut suffix = "";
            for (name, _) in BINARY {
                if value % 1024 != 0 {
                    break;
                }
                value /= 1024;
                suffix = name;
            }
            return write!(f, "{value}{suffix}");
        }
        let mut value = self.nanos;
        let mut suffix = "n";
        for (name, _) in &DECIMAL[1..] {
            if value % 1000 != 0 {
                break;
            }
            value /= 1000;
            suffix = name;
        }
        write!(f, "{value}{suffix}")
    }
}

/// Returns a quantity as the server stores it, or nothing when it is no quantity.
pub fn canonical(text: &str) -> Option<String> {
    let (nanos, binary) = parse(text)?;
    Some(Quantity { nanos, binary }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_as_their_first_part() {
        for (one, other, sum) in [
            ("256Mi", "768Mi", "1Gi"),
            ("0", "256Mi", "256Mi"),
            ("500m", "250m", "750m"),
            ("1Gi", "-1Gi", "0"),
            ("1Gi", "1G", "2073741824"),
        ] {
            let sum_of = Quantity::of(&one.into()).plus(Quantity::of(&other.into()));
            assert_eq!(sum_of.to_string(), sum, "{one} + {other}");
        }
        assert!(Quantity::of(&"1Gi".into()) > Quantity::of(&"1G".into()));
        assert_eq!(Quantity::of(&2.into()), Quantity::whole(2));
    }

    #[test]
    fn spellings_become_one() {
        for (text, stored) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("100m", "100m"),
            ("1", "1"),
            ("0", "0"),
            ("0Mi", "0"),
            ("512Mi", "512Mi"),
            ("2048", "2048"),
            ("1000", "1k"),
            ("1e3", "1k"),
            ("500Ki", "500Ki"),
            ("0.1", "100m"),
            ("100M", "100M"),
            ("-1", "-1"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(stored), "{text}");
        }
        for bad in ["", "x", "1x", "1.2.3", "Mi"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
