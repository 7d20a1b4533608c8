//! Arithmetic.
//!
//! Source: sprig v3.3.0 numeric.go, functions.go; shopspring/decimal v1.4.0.

use super::super::eval::Machine;
use super::super::fmt;
use super::super::strconv;
use super::super::value::{ListKind, Value};
use super::types::{to_float64, to_int64};
use super::{Args, Fail, Func, Outcome, Ty};

const DIVIDE_BY_ZERO: &str = "runtime error: integer divide by zero";

pub(super) const TABLE: &[Func] = &[
    Func::variadic("add", &[], Ty::Any, |_, args| Ok(fold(0, args.0, i64::wrapping_add))),
    Func::new("add1", &[Ty::Any], |_, args| Ok(fold(1, args.0, i64::wrapping_add))),
    Func::new("sub", &[Ty::Any, Ty::Any], |_, args| {
        Ok(fold(to_int64(args.any(0)), args.rest(1), i64::wrapping_sub))
    }),
    Func::variadic("mul", &[Ty::Any], Ty::Any, |_, args| {
        Ok(fold(to_int64(args.any(0)), args.rest(1), i64::wrapping_mul))
    }),
    Func::new("div", &[Ty::Any, Ty::Any], |_, args| divide(args, i64::wrapping_div)),
    Func::new("mod", &[Ty::Any, Ty::Any], |_, args| divide(args, i64::wrapping_rem)),
    Func::variadic("max", &[Ty::Any], Ty::Any, |_, args| {
        Ok(fold(to_int64(args.any(0)), args.rest(1), i64::max))
    }),
    Func::variadic("biggest", &[Ty::Any], Ty::Any, |_, args| {
        Ok(fold(to_int64(args.any(0)), args.rest(1), i64::max))
    }),
    Func::variadic("min", &[Ty::Any], Ty::Any, |_, args| {
        Ok(fold(to_int64(args.any(0)), args.rest(1), i64::min))
    }),
    Func::variadic("maxf", &[Ty::Any], Ty::Any, |_, args| {
        let above = |a: f64, b: f64| b > a || (b == a && a.is_sign_negative());
        Ok(fold_float(args, |a, b| if b.is_nan() || above(a, b) { b } else { a }))
    }),
    Func::variadic("minf", &[Ty::Any], Ty::Any, |_, args| {
        // Go tells a negative zero from zero.
        let below = |a: f64, b: f64| b < a || (b == a && b.is_sign_negative());
        Ok(fold_float(args, |a, b| if b.is_nan() || below(a, b) { b } else { a }))
    }),
    Func::variadic("addf", &[], Ty::Any, |_, args| {
        decimals(&Value::Float(0.0), args.0, |a, b| Ok(a.add(&b)))
    }),
    Func::new("add1f", &[Ty::Any], |_, args| {
        decimals(args.any(0), &[Value::int(1)], |a, b| Ok(a.add(&b)))
    }),
    Func::variadic("subf", &[Ty::Any], Ty::Any, |_, args| {
        decimals(args.any(0), args.rest(1), |a, b| Ok(a.add(&b.negated())))
    }),
    Func::variadic("mulf", &[Ty::Any], Ty::Any, |_, args| {
        decimals(args.any(0), args.rest(1), |a, b| Ok(a.mul(&b)))
    }),
    Func::variadic("divf", &[Ty::Any], Ty::Any, |_, args| {
        decimals(args.any(0), args.rest(1), |a, b| a.div(&b))
    }),
    Func::new("ceil", &[Ty::Any], |_, args| Ok(Value::Float(to_float64(args.any(0)).ceil()))),
    Func::new("floor", &[Ty::Any], |_, args| Ok(Value::Float(to_float64(args.any(0)).floor()))),
    Func::variadic("round", &[Ty::Any, Ty::Int], Ty::Float, |_, args| Ok(round(args))),
    Func::new("toDecimal", &[Ty::Any], |_, args| {
        let text = fmt::to_text(args.any(0));
        let text = std::str::from_utf8(&text).unwrap_or_default();
        Ok(Value::int64(strconv::parse_int_radix(text, 8).unwrap_or(0)))
    }),
    Func::new("atoi", &[Ty::Str], |_, args| {
        let text = std::str::from_utf8(args.str(0)).unwrap_or_default();
        Ok(Value::int(strconv::parse_int_saturating(text)))
    }),
    Func::new("until", &[Ty::Int], |m, args| {
        let count = args.int(0);
        Ok(ints(steps(m, 0, count, if count < 0 { -1 } else { 1 })?))
    }),
    Func::new("untilStep", &[Ty::Int, Ty::Int, Ty::Int], |m, args| {
        Ok(ints(steps(m, args.int(0), args.int(1), args.int(2))?))
    }),
    Func::variadic("seq", &[], Ty::Int, |m, args| seq(m, args)),
    Func::varying("randInt", &[Ty::Int, Ty::Int], |_, args| {
        let (low, high) = (args.int(0), args.int(1));
        if low >= high {
            return Err("invalid argument to Intn".into());
        }
        Ok(Value::int(rand::random_range(low..high)))
    }),
];

fn fold(start: i64, rest: &[Value], step: impl Fn(i64, i64) -> i64) -> Value {
    Value::int64(rest.iter().map(to_int64).fold(start, step))
}

fn fold_float(args: Args<'_>, step: impl Fn(f64, f64) -> f64) -> Value {
    let start = to_float64(args.any(0));
    let numbers = args.rest(1).iter().map(to_float64);
    Value::Float(numbers.fold(start, |a, b| if a.is_nan() { a } else { step(a, b) }))
}

fn divide(args: Args<'_>, step: impl Fn(i64, i64) -> i64) -> Outcome {
    let (a, b) = (to_int64(args.any(0)), to_int64(args.any(1)));
    if b == 0 { Err(DIVIDE_BY_ZERO.into()) } else { Ok(Value::int64(step(a, b))) }
}

fn round(args: Args<'_>) -> Value {
    let limit = if args.0.len() > 2 { args.float(2) } else { 0.5 };
    let places = i32::try_from(args.int(1)).unwrap_or(i32::MAX);
    let scale = 10_f64.powi(places);
    let scaled = scale * to_float64(args.any(0));
    let rounded = if scaled.fract() >= limit { scaled.ceil() } else { scaled.floor() };
    Value::Float(rounded / scale)
}

fn ints(numbers: Vec<i64>) -> Value {
    Value::typed_list(ListKind::Ints, numbers.into_iter().map(Value::int).collect())
}

fn steps(machine: &Machine<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fail> {
    let mut numbers = Vec::new();
    if (stop < start) != (step < 0) || step == 0 {
        return Ok(numbers);
    }
    let count = start.abs_diff(stop).div_ceil(step.unsigned_abs());
    machine.room_for_items(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut next = start;
    while if step < 0 { next > stop } else { next < stop } {
        numbers.push(next);
        let Some(after) = next.checked_add(step) else { break };
        next = after;
    }
    Ok(numbers)
}

fn seq(machine: &Machine<'_>, args: Args<'_>) -> Outcome {
    let int = |index| args.int(index);
    let (start, step, end) = match args.0.len() {
        1 => (1, None, int(0)),
        2 => (int(0), None, int(1)),
        3 => (int(0), Some(int(1)), int(2)),
        _ => return Ok(Value::str("")),
    };
    let direction = if end < start { -1 } else { 1 };
    if direction < 0 && step.is_some_and(|step| step > 0) {
        return Ok(Value::str(""));
    }
    let numbers = steps(machine, start, end.saturating_add(direction), step.unwrap_or(direction))?;
    let texts: Vec<_> = numbers.iter().map(i64::to_string).collect();
    Ok(Value::str(texts.join(" ")))
}

/// A decimal number: digits times a power of ten.
#[derive(Clone, Debug, PartialEq)]
struct Decimal {
    negative: bool,
    /// Most significant first, no leading zero; empty is zero.
    digits: Vec<u8>,
    exponent: i64,
}

/// Fractional digits of a quotient.
const PRECISION: i64 = 16;
/// Longest number that is computed with; floats have at most 17 digits and exponents of ±324.
const MAX_DIGITS: usize = 20_000;

impl Decimal {
    /// Source: decimal.NewFromFloat: the shortest digits that read back as the number.
    fn from_float(number: f64) -> Self {
        let text = strconv::format_float(number.abs(), b'e', -1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
        let exponent = exponent.parse::<i64>().unwrap_or(0);
        let mut value =
            Self { negative: number < 0.0, digits, exponent: exponent - size(fraction) };
        value.trim();
        value
    }

    fn trim(&mut self) {
        let zeros = self.digits.iter().take_while(|&&digit| digit == 0).count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            self.negative = false;
        }
    }

    fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    fn to_float(&self) -> f64 {
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let sign = if self.negative { "-" } else { "" };
        let digits = if digits.is_empty() { "0" } else { &digits };
        format!("{sign}{digits}e{}", self.exponent).parse().unwrap_or(0.0)
    }

    /// Digits with zeros appended until the exponent is the given one.
    fn scaled(&self, exponent: i64) -> Vec<u8> {
        let mut digits = self.digits.clone();
        if !digits.is_empty() {
            let zeros = usize::try_from(self.exponent - exponent).unwrap_or(0).min(MAX_DIGITS);
            digits.resize(digits.len() + zeros, 0);
        }
        digits
    }

    fn add(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.scaled(exponent), other.scaled(exponent));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add_digits(&a, &b))
        } else if compare_digits(&a, &b).is_ge() {
            (self.negative, sub_digits(&a, &b))
        } else {
            (other.negative, sub_digits(&b, &a))
        };
        let mut sum = Self { negative, digits, exponent };
        sum.trim();
        sum
    }

    fn mul(&self, other: &Self) -> Self {
        let mut cells = vec![0_u64; self.digits.len() + other.digits.len()];
        for (i, &a) in self.digits.iter().rev().enumerate() {
            for (j, &b) in other.digits.iter().rev().enumerate() {
                cells[i + j] += u64::from(a) * u64::from(b);
            }
        }
        let mut digits = carry(cells);
        digits.reverse();
        let mut product = Self {
            negative: self.negative != other.negative,
            digits,
            exponent: self.exponent + other.exponent,
        };
        product.trim();
        product
    }

    /// Source: decimal.DivRound: 16 fractional digits, half away from zero.
    fn div(&self, other: &Self) -> Result<Self, Fail> {
        if other.digits.is_empty() {
            return Err("decimal division by 0".into());
        }
        // One digit more than wanted decides the rounding; the rest cannot make it a half.
        let shift = self.exponent - other.exponent + PRECISION + 1;
        let mut dividend = self.digits.clone();
        if shift >= 0 {
            let zeros = usize::try_from(shift).unwrap_or(0).min(MAX_DIGITS);
            dividend.resize(dividend.len() + zeros, 0);
        } else {
            let cut = usize::try_from(-shift).unwrap_or(usize::MAX).min(dividend.len());
            dividend.truncate(dividend.len() - cut);
        }
        let mut quotient = Vec::with_capacity(dividend.len());
        let mut rest: Vec<u8> = Vec::new();
        for digit in dividend {
            if digit != 0 || !rest.is_empty() {
                rest.push(digit);
            }
            let mut count = 0;
            while compare_digits(&rest, &other.digits).is_ge() {
                rest = sub_digits(&rest, &other.digits);
                let zeros = rest.iter().take_while(|&&digit| digit == 0).count();
                rest.drain(..zeros);
                count += 1;
            }
            quotient.push(count);
        }
        let round_up = quotient.pop().unwrap_or(0) >= 5;
        let digits = if round_up { add_digits(&quotient, &[1]) } else { quotient };
        let mut result =
            Self { negative: self.negative != other.negative, digits, exponent: -PRECISION };
        result.trim();
        Ok(result)
    }
}

fn size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Carries from the least significant cell on.
fn carry(cells: Vec<u64>) -> Vec<u8> {
    let mut digits = Vec::with_capacity(cells.len() + 1);
    let mut over = 0;
    for cell in cells {
        let value = cell + over;
        digits.push(u8::try_from(value % 10).unwrap_or(0));
        over = value / 10;
    }
    while over > 0 {
        digits.push(u8::try_from(over % 10).unwrap_or(0));
        over /= 10;
    }
    digits
}

fn add_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let length = a.len().max(b.len());
    let at = |digits: &[u8], index: usize| {
        digits.len().checked_sub(index + 1).map_or(0, |place| u64::from(digits[place]))
    };
    let mut digits = carry((0..length).map(|index| at(a, index) + at(b, index)).collect());
    digits.reverse();
    digits
}

/// `a - b`; `a` is not the smaller one.
fn sub_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(a.len());
    let mut borrow = 0;
    for index in 0..a.len() {
        let below = b.len().checked_sub(index + 1).map_or(0, |place| b[place]) + borrow;
        let above = a[a.len() - 1 - index];
        borrow = u8::from(above < below);
        digits.push(above + 10 * borrow - below);
    }
    digits.reverse();
    digits
}

fn compare_digits(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let trim = |digits: &[u8]| digits.iter().take_while(|&&digit| digit == 0).count();
    let (a, b) = (&a[trim(a)..], &b[trim(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn decimals(
    first: &Value,
    rest: &[Value],
    step: impl Fn(Decimal, Decimal) -> Result<Decimal, Fail>,
) -> Outcome {
    let decimal = |value: &Value| {
        let number = to_float64(value);
        if number.is_finite() {
            Ok(Decimal::from_float(number))
        } else {
            let text = strconv::format_float(number, b'g', -1);
            Err(Fail::Text(format!("Cannot create a Decimal from {text}")))
        }
    };
    let mut result = decimal(first)?;
    for value in rest {
        result = step(result, decimal(value)?)?;
        if result.digits.len() > MAX_DIGITS {
            return Err("number has too many digits".into());
        }
    }
    Ok(Value::Float(result.to_float()))
}
