//! Quantities (`100m`, `1Gi`) in the one spelling that the server stores.
//!
//! Source: k8s.io/apimachinery 0.34 pkg/api/resource/quantity.go (CanonicalizeBytes, String).

/// Returns whether a text is a quantity at all.
pub(crate) fn is_one(text: &str) -> bool {
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

/// Returns a quantity as the server stores it, or nothing when it is no quantity.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (nanos, binary) = parse(text)?;
    let unit = 1_000_000_000;
    if nanos == 0 {
        return Some("0".to_owned());
    }
    if binary && nanos % unit == 0 && (nanos / unit).abs() >= 1024 {
        let mut value = nanos / unit;
        let mut suffix = "";
        for (name, _) in BINARY {
            if value % 1024 != 0 {
                break;
            }
            value /= 1024;
            suffix = name;
        }
        return Some(format!("{value}{suffix}"));
    }
    let mut value = nanos;
    let mut suffix = "n";
    for (name, _) in &DECIMAL[1..] {
        if value % 1000 != 0 {
            break;
        }
        value /= 1000;
        suffix = name;
    }
    Some(format!("{value}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
