//! How Go writes an `f64`.

/// The shortest decimal digits that read back as a float, and where the point stands.
struct Digits {
    negative: bool,
    /// Digits without leading or trailing zeros; `0` for zero.
    digits: String,
    /// Decimal exponent of the first digit.
    exponent: i32,
}

impl Digits {
    fn of(value: f64) -> Self {
        let text = format!("{:e}", value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Self {
            negative: value.is_sign_negative(),
            digits: mantissa.replace('.', ""),
            exponent: exponent.parse().unwrap_or(0),
        }
    }

    /// Writes `d.ddde±X`, the exponent padded to so many digits.
    fn scientific(&self, pad: usize) -> String {
        let (first, rest) = self.digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if self.negative { "-" } else { "" };
        let exponent_sign = if self.exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{dot}{rest}e{exponent_sign}{:0pad$}", self.exponent.unsigned_abs())
    }

    /// Writes plain decimals.
    fn plain(&self) -> String {
        let mut text = String::from(if self.negative { "-" } else { "" });
        let count = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        if self.exponent < 0 {
            text.push_str("0.");
            text.extend((1..-self.exponent).map(|_| '0'));
            text.push_str(&self.digits);
        } else if count <= self.exponent + 1 {
            text.push_str(&self.digits);
            text.extend((count..=self.exponent).map(|_| '0'));
        } else {
            let (whole, fraction) =
                self.digits.split_at(usize::try_from(self.exponent + 1).unwrap_or(0));
            text.push_str(whole);
            text.push('.');
            text.push_str(fraction);
        }
        text
    }
}

/// Returns the words for what is no number.
fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// Formats a float as Go's `%v` and `strconv.FormatFloat(f, 'g', -1, 64)`: shortest digits, an
/// exponent of at least two digits below 1e-4 and from 1e6 on.
pub fn format_g(value: f64) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    let digits = Digits::of(value);
    if digits.exponent < -4 || digits.exponent >= 6 { digits.scientific(2) } else { digits.plain() }
}

/// Formats a float as `strconv.FormatFloat(f, 'g', -1, 32)`: the shortest digits of its nearest
/// `f32`, which is how go-yaml turns a float key into text.
pub fn format_g32(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the upstream rounds to 32 bits here")]
    let short = value as f32;
    // The decimal digits of the f32, read as f64, keep their shortest form.
    format_g(format!("{short:e}").parse().unwrap_or(value))
}

/// Formats a finite float as Go's encoding/json: an exponent below 1e-6 and from 1e21 on,
/// without padding (`1e-7`, `1e+21`).
pub fn format_json(value: f64) -> String {
    let digits = Digits::of(value);
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) { digits.scientific(1) } else { digits.plain() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, g, json) in [
            (100_000.0, "100000", "100000"),
            (123_456.0, "123456", "123456"),
            (1_000_000.0, "1e+06", "1000000"),
            (1_234_567.5, "1.2345675e+06", "1234567.5"),
            (12_345_678.0, "1.2345678e+07", "12345678"),
            (100_000.5, "100000.5", "100000.5"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "0.00001"),
            (1e-7, "1e-07", "1e-7"),
            (3.0, "3", "3"),
            (1e20, "1e+20", "100000000000000000000"),
            (1e21, "1e+21", "1e+21"),
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (-1.5, "-1.5", "-1.5"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15", "9007199254740992"),
            (5e-324, "5e-324", "5e-324"),
        ] {
            assert_eq!(format_g(value), g);
            assert_eq!(format_json(value), json);
        }
        assert_eq!(format_g(f64::NAN), "NaN");
        assert_eq!(format_g(f64::INFINITY), "+Inf");
        assert_eq!(format_g32(1.1), "1.1");
        assert_eq!(format_g32(1.234_567_89), "1.2345679");
        assert_eq!(format_g32(1e3), "1000");
    }
}
