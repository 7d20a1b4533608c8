//! Dates and durations: Go's layouts.
//!
//! Source: sprig v3.3.0 date.go; go time/format.go; helm v4.3.1 pkg/engine/funcs.go (durations).

use std::fmt;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::value::{IntKind, Value};
use super::super::{marked, strconv};
use super::types::to_text;
use super::{Args, Func, Outcome, Ty, lossy};
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::duration::{self, Fault};

const A: Ty = Ty::Any;
const S: Ty = Ty::Str;

/// A moment and the zone that it is shown in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoTime {
    civil: DateTime,
    /// Seconds east of UTC.
    offset: i32,
    zone: String,
    unix: i64,
}

impl GoTime {
    fn new(unix: i64, nanos: i32, zone: &TimeZone) -> Option<Self> {
        let moment = Timestamp::new(unix, nanos).ok()?;
        let info = zone.to_offset_info(moment);
        Some(Self {
            civil: info.offset().to_datetime(moment),
            offset: info.offset().seconds(),
            zone: info.abbreviation().to_owned(),
            unix,
        })
    }

    fn now() -> Self {
        let now = SystemClock.now();
        Self::new(now.as_second(), now.subsec_nanosecond(), &TimeZone::UTC)
            .unwrap_or_else(Self::zero)
    }

    fn zero() -> Self {
        Self {
            civil: DateTime::constant(1, 1, 1, 0, 0, 0, 0),
            offset: 0,
            zone: "UTC".into(),
            unix: -62_135_596_800,
        }
    }

    /// Returns the text of JSON: RFC 3339 with nanoseconds.
    pub(crate) fn rfc3339_nano(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    fn add(&self, nanos: i64) -> Self {
        let total = i128::from(self.unix) * 1_000_000_000
            + i128::from(self.civil.subsec_nanosecond())
            + i128::from(nanos);
        let unix = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(self.unix);
        let rest = i32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0);
        let zone =
            jiff::tz::Offset::from_seconds(self.offset).map_or(TimeZone::UTC, TimeZone::fixed);
        match Self::new(unix, rest, &zone) {
            Some(moved) => Self { zone: self.zone.clone(), ..moved },
            None => self.clone(),
        }
    }

    /// Nanoseconds since 1970.
    fn nanos(&self) -> i128 {
        i128::from(self.unix) * 1_000_000_000 + i128::from(self.civil.subsec_nanosecond())
    }

    /// Time since 1970 in such parts of a second.
    fn in_units(&self, a_second: i128) -> i64 {
        i64::try_from(self.nanos() * a_second / 1_000_000_000).unwrap_or(0)
    }

    /// Rounds down to a multiple of a duration since the year 1.
    fn truncated(&self, unit: i64) -> Self {
        if unit <= 0 {
            return self.clone();
        }
        let since = self.nanos() - Self::zero().nanos();
        self.add(-i64::try_from(since.rem_euclid(i128::from(unit))).unwrap_or(0))
    }

    /// Moves the date; a day that a month does not have becomes one of the next month.
    fn add_date(&self, years: i64, months: i64, days: i64) -> Self {
        let months = (i64::from(self.civil.year()) + years) * 12 + i64::from(self.civil.month())
            - 1
            + months;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let first = i16::try_from(year).ok().zip(i8::try_from(month).ok());
        let first = first.and_then(|(year, month)| jiff::civil::Date::new(year, month, 1).ok());
        let days = days + i64::from(self.civil.day()) - 1;
        let date =
            first.and_then(|first| first.checked_add(jiff::Span::new().try_days(days).ok()?).ok());
        let Some(date) = date else { return self.clone() };
        let civil = date.to_datetime(self.civil.time());
        let moved = civil.duration_since(self.civil);
        let unix = self.unix + moved.as_secs();
        Self { civil, unix, zone: self.zone.clone(), offset: self.offset }
    }

    fn format(&self, layout: &str) -> String {
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let (size, part) = next_part(rest, out.ends_with([',', '.']));
            match part {
                Some(part) => self.put(&mut out, part),
                None => out.push_str(&rest[..size]),
            }
            rest = &rest[size..];
        }
        out
    }

    fn put(&self, out: &mut String, part: Part) {
        use fmt::Write as _;
        let c = &self.civil;
        let hour12 = if c.hour() % 12 == 0 { 12 } else { c.hour() % 12 };
        let weekday = c.weekday().to_sunday_zero_offset();
        // Writing to a String cannot fail.
        let _ = match part {
            Part::Year => write!(out, "{:04}", c.year()),
            Part::Year2 => write!(out, "{:02}", c.year() % 100),
            Part::Month => out.write_str(&month_name(i64::from(c.month()))),
            Part::Mon => out.write_str(&month_name(i64::from(c.month()))[..3]),
            Part::Month2 => write!(out, "{:02}", c.month()),
            Part::Month1 => write!(out, "{}", c.month()),
            Part::Weekday => out.write_str(&weekday_name(i64::from(weekday))),
            Part::Wday => out.write_str(&weekday_name(i64::from(weekday))[..3]),
            Part::Day1 => write!(out, "{}", c.day()),
            Part::DaySpace => write!(out, "{:2}", c.day()),
            Part::Day2 => write!(out, "{:02}", c.day()),
            Part::YearDay => write!(out, "{:03}", c.day_of_year()),
            Part::YearDaySpace => write!(out, "{:3}", c.day_of_year()),
            Part::Hour24 => write!(out, "{:02}", c.hour()),
            Part::Hour12 => write!(out, "{hour12:02}"),
            Part::Hour1 => write!(out, "{hour12}"),
            Part::Minute2 => write!(out, "{:02}", c.minute()),
            Part::Minute1 => write!(out, "{}", c.minute()),
            Part::Second2 => write!(out, "{:02}", c.second()),
            Part::Second1 => write!(out, "{}", c.second()),
            Part::Noon(upper) => {
                let half = if c.hour() >= 12 { "PM" } else { "AM" };
                if upper { out.write_str(half) } else { out.write_str(&half.to_lowercase()) }
            }
            Part::Fraction { separator, digits, trim } => {
                let nanos = format!("{:09}", c.subsec_nanosecond());
                let mut text = &nanos[..digits];
                if trim {
                    text = text.trim_end_matches('0');
                }
                if text.is_empty() { Ok(()) } else { write!(out, "{separator}{text}") }
            }
            Part::Zone => out.write_str(&self.zone),
            Part::Offset(form) => {
                if form.zulu && self.offset == 0 {
                    out.write_str("Z")
                } else {
                    let sign = if self.offset < 0 { '-' } else { '+' };
                    let minutes = self.offset.abs() / 60;
                    let colon = if form.colon { ":" } else { "" };
                    if form.minutes {
                        write!(out, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
                    } else {
                        write!(out, "{sign}{:02}", minutes / 60)
                    }
                }
            }
        };
    }
}

impl fmt::Display for GoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "three marks tell all forms apart")]
struct OffsetForm {
    zulu: bool,
    colon: bool,
    minutes: bool,
}

#[derive(Clone, Copy)]
enum Part {
    Year,
    Year2,
    Month,
    Mon,
    Month2,
    Month1,
    Weekday,
    Wday,
    Day1,
    DaySpace,
    Day2,
    YearDay,
    YearDaySpace,
    Hour24,
    Hour12,
    Hour1,
    Minute2,
    Minute1,
    Second2,
    Second1,
    Noon(bool),
    Fraction { separator: char, digits: usize, trim: bool },
    Zone,
    Offset(OffsetForm),
}

/// Returns the part at the start of a layout, or how much of it is literal.
fn next_part(layout: &str, _after_separator: bool) -> (usize, Option<Part>) {
    #[expect(clippy::fn_params_excessive_bools, reason = "three marks tell all forms apart")]
    const fn offset(zulu: bool, colon: bool, minutes: bool) -> Part {
        Part::Offset(OffsetForm { zulu, colon, minutes })
    }
    const PARTS: &[(&str, Part)] = &[
        ("January", Part::Month),
        ("Jan", Part::Mon),
        ("Monday", Part::Weekday),
        ("Mon", Part::Wday),
        ("MST", Part::Zone),
        ("2006", Part::Year),
        ("__2", Part::YearDaySpace),
        ("_2", Part::DaySpace),
        ("002", Part::YearDay),
        ("01", Part::Month2),
        ("02", Part::Day2),
        ("03", Part::Hour12),
        ("04", Part::Minute2),
        ("05", Part::Second2),
        ("06", Part::Year2),
        ("15", Part::Hour24),
        ("PM", Part::Noon(true)),
        ("pm", Part::Noon(false)),
        ("-07:00", offset(false, true, true)),
        ("-0700", offset(false, false, true)),
        ("-07", offset(false, false, false)),
        ("Z07:00", offset(true, true, true)),
        ("Z0700", offset(true, false, true)),
        ("Z07", offset(true, false, false)),
        ("1", Part::Month1),
        ("2", Part::Day1),
        ("3", Part::Hour1),
        ("4", Part::Minute1),
        ("5", Part::Second1),
    ];
    if let Some((text, part)) = PARTS.iter().find(|(text, _)| layout.starts_with(text)) {
        return (text.len(), Some(*part));
    }
    let mut chars = layout.chars();
    let first = chars.next().unwrap_or(' ');
    if matches!(first, '.' | ',') {
        for (digit, trim) in [('0', false), ('9', true)] {
            let digits = layout[1..].chars().take_while(|c| *c == digit).count();
            let next = layout[1 + digits..].chars().next();
            if digits > 0 && digits <= 9 && next.is_none_or(|c| !c.is_ascii_digit()) {
                return (1 + digits, Some(Part::Fraction { separator: first, digits, trim }));
            }
        }
    }
    (first.len_utf8(), None)
}

/// Returns the English name of a month.
pub(crate) fn month_name(month: i64) -> String {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let name = usize::try_from(month - 1).ok().and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

/// Returns the English name of a day, from Sunday (0).
pub(crate) fn weekday_name(day: i64) -> String {
    const NAMES: [&str; 7] =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let name = usize::try_from(day).ok().and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("%!Weekday({day})"), |name| (*name).to_owned())
}

/// Prints nanoseconds as Go's `Duration.String`.
pub(crate) fn duration_text(nanos: i64) -> String {
    let size = std::time::Duration::from_nanos(nanos.unsigned_abs());
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", duration::GoDuration(size))
}

/// Reads a duration; Go's words if it is none.
fn parse_duration(text: &str) -> Result<i64, String> {
    duration::nanos(text).map_err(|fault| match fault {
        Fault::Invalid => format!("time: invalid duration {}", shown(text)),
        Fault::NoUnit => format!("time: missing unit in duration {}", shown(text)),
        Fault::UnknownUnit(unit) => {
            format!("time: unknown unit {} in duration {}", shown(unit), shown(text))
        }
    })
}

/// Reads a date or time of TOML; local ones are taken as UTC.
pub(super) fn from_toml(text: &str) -> Value {
    const LAYOUTS: [&str; 4] = [
        "2006-01-02T15:04:05.999999999Z07:00",
        "2006-01-02T15:04:05.999999999",
        "2006-01-02",
        "15:04:05.999999999",
    ];
    let time = LAYOUTS.iter().find_map(|layout| parse(layout, text).ok());
    time.map_or_else(|| Value::str(text), |time| Value::Time(Rc::new(time)))
}

pub(super) const TABLE: &[Func] = &[
    Func::varying("now", &[], |_, _| Ok(time(GoTime::now()))),
    Func::varying("date", &[S, A], |_, a| Ok(formatted(a, &lossy(a.str(0)), 1, None))),
    Func::varying("dateInZone", &[S, A, S], |_, a| Ok(formatted(a, &lossy(a.str(0)), 1, Some(2)))),
    Func::varying("date_in_zone", &[S, A, S], |_, a| {
        Ok(formatted(a, &lossy(a.str(0)), 1, Some(2)))
    }),
    Func::varying("htmlDate", &[A], |_, a| Ok(formatted(a, "2006-01-02", 0, None))),
    Func::varying("htmlDateInZone", &[A, S], |_, a| Ok(formatted(a, "2006-01-02", 0, Some(1)))),
    Func::new("dateModify", &[S, Ty::Time], |_, a| modify(a, false)),
    Func::new("date_modify", &[S, Ty::Time], |_, a| modify(a, false)),
    Func::new("mustDateModify", &[S, Ty::Time], |_, a| modify(a, true)),
    Func::new("must_date_modify", &[S, Ty::Time], |_, a| modify(a, true)),
    Func::new("toDate", &[S, S], |_, a| {
        Ok(time(parse(&lossy(a.str(0)), &lossy(a.str(1))).unwrap_or_else(|_| GoTime::zero())))
    }),
    Func::new("mustToDate", &[S, S], |_, a| {
        parse(&marked::lossless(a.str(0)), &marked::lossless(a.str(1)))
            .map(time)
            .map_err(Into::into)
    }),
    Func::new("unixEpoch", &[Ty::Time], |_, a| Ok(Value::str(moment(a.any(0)).unix.to_string()))),
    Func::varying("ago", &[A], |_, a| {
        let seconds = GoTime::now().unix - moment(a.any(0)).unix;
        Ok(Value::str(duration_text(seconds.saturating_mul(1_000_000_000))))
    }),
    Func::new("duration", &[A], |_, a| {
        let seconds = match a.any(0) {
            Value::Str(text) => strconv::parse_int_saturating(&lossy(text)),
            Value::Int(number, IntKind::Int64) => *number,
            _ => 0,
        };
        // Go does not notice that it is too much.
        Ok(Value::str(duration_text(seconds.wrapping_mul(1_000_000_000))))
    }),
    Func::varying("durationRound", &[A], |_, a| Ok(Value::str(rounded(a.any(0))))),
    Func::new("mustToDuration", &[A], |_, a| {
        nanos_of(a.any(0)).map(Value::Duration).map_err(Into::into)
    }),
    Func::new("durationNanoseconds", &[A], |_, a| Ok(Value::int64(nanos(a)))),
    Func::new("durationMicroseconds", &[A], |_, a| Ok(Value::int64(nanos(a) / 1_000))),
    Func::new("durationMilliseconds", &[A], |_, a| Ok(Value::int64(nanos(a) / 1_000_000))),
    Func::new("durationSeconds", &[A], |_, a| Ok(in_units(a, 1.0))),
    Func::new("durationMinutes", &[A], |_, a| Ok(in_units(a, 60.0))),
    Func::new("durationHours", &[A], |_, a| Ok(in_units(a, 3600.0))),
    Func::new("durationDays", &[A], |_, a| Ok(in_units(a, 86_400.0))),
    Func::new("durationWeeks", &[A], |_, a| Ok(in_units(a, 604_800.0))),
    Func::new("durationRoundTo", &[A, A], |_, a| {
        Ok(Value::Duration(rounded_to(nanos(a), nanos_of(a.any(1)).unwrap_or(0))))
    }),
    Func::new("durationTruncateTo", &[A, A], |_, a| {
        let (value, unit) = (nanos(a), nanos_of(a.any(1)).unwrap_or(0));
        Ok(Value::Duration(if unit > 0 { value - value % unit } else { value }))
    }),
];

fn time(time: GoTime) -> Value {
    Value::Time(Rc::new(time))
}

/// Anything that is no time and no whole number means now.
fn moment(value: &Value) -> GoTime {
    let unix = match value {
        Value::Time(time) => return (**time).clone(),
        Value::Int(number, IntKind::Int | IntKind::Int64) => *number,
        _ => return GoTime::now(),
    };
    GoTime::new(unix, 0, &TimeZone::UTC).unwrap_or_else(GoTime::now)
}

fn formatted(args: Args<'_>, layout: &str, at: usize, zone: Option<usize>) -> Value {
    let found = moment(args.any(at));
    let zone = match zone.map(|index| lossy(args.str(index)).into_owned()) {
        Some(name) if !matches!(name.as_str(), "" | "UTC" | "Local") => {
            TimeZone::get(&name).unwrap_or(TimeZone::UTC)
        }
        _ => TimeZone::UTC,
    };
    let shown = GoTime::new(found.unix, found.civil.subsec_nanosecond(), &zone);
    Value::str(shown.unwrap_or(found).format(layout))
}

fn modify(args: Args<'_>, must: bool) -> Outcome {
    let found = moment(args.any(1));
    match parse_duration(&marked::lossless(args.str(0))) {
        Ok(nanos) => Ok(time(found.add(nanos))),
        Err(complaint) if must => Err(complaint.into()),
        Err(_) => Ok(time(found)),
    }
}

fn nanos_of(value: &Value) -> Result<i64, String> {
    let whole = |seconds: Option<i64>, shown: &dyn std::fmt::Display| {
        let nanos = seconds.and_then(|seconds| seconds.checked_mul(1_000_000_000));
        nanos.ok_or_else(|| format!("duration seconds overflow: {shown}"))
    };
    match value {
        Value::Duration(nanos) => Ok(*nanos),
        Value::Int(number, _) => whole(Some(*number), number),
        Value::Uint(number, _) => whole(i64::try_from(*number).ok(), number),
        Value::Float(number) => nanos_of_seconds(*number),
        Value::Str(text) => {
            let plain = lossy(text);
            let plain = plain.trim();
            if plain.is_empty() {
                return Err("empty duration".to_owned());
            }
            if let Ok(nanos) = parse_duration(plain) {
                return Ok(nanos);
            }
            match strconv::parse_float(plain) {
                Some(seconds) => nanos_of_seconds(seconds),
                None => Err(format!("could not parse duration {}", strconv::quote(text))),
            }
        }
        Value::Nil | Value::Invalid => Err("invalid duration".to_owned()),
        other => Err(format!("unsupported duration type {}", other.type_name())),
    }
}

/// Source: helm v4.3.1 pkg/engine/funcs.go (durationFromSecondsFloat).
fn nanos_of_seconds(seconds: f64) -> Result<i64, String> {
    #[expect(clippy::cast_precision_loss, reason = "Go computes in floats, too")]
    const MOST: f64 = i64::MAX as f64;
    let shown = |number| lossy(&to_text(&Value::Float(number))).into_owned();
    if !seconds.is_finite() {
        return Err(format!("invalid duration seconds: {}", shown(seconds)));
    }
    if seconds.abs() > MOST / 1e9 {
        return Err(format!("duration seconds overflow: {}", shown(seconds)));
    }
    let nanos = seconds * 1e9;
    #[expect(clippy::cast_possible_truncation, reason = "in range, but for 2^63")]
    // What is just too large becomes the least number where Go runs on such processors.
    Ok(if nanos >= MOST { i64::MIN } else { nanos as i64 })
}

fn nanos(args: Args<'_>) -> i64 {
    nanos_of(args.any(0)).unwrap_or(0)
}

/// Rounds to the nearest multiple, halves away from zero.
fn rounded_to(value: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return value;
    }
    let rest = value % unit;
    let up = rest.abs().saturating_mul(2) >= unit;
    (value - rest).saturating_add(if up { unit * value.signum() } else { 0 })
}

/// Source: go time/time.go (Seconds, Minutes, Hours): whole units and the rest are divided apart.
fn in_units(args: Args<'_>, seconds: f64) -> Value {
    let nanos = nanos(args);
    // Days and weeks are made of hours.
    let (unit, hours) = if seconds > 3600.0 { (3600.0, seconds / 3600.0) } else { (seconds, 1.0) };
    #[expect(clippy::cast_possible_truncation, reason = "1, 60 or 3600")]
    let whole = unit as i64 * 1_000_000_000;
    #[expect(clippy::cast_precision_loss, reason = "Go computes in floats, too")]
    let count = (nanos / whole) as f64 + (nanos % whole) as f64 / (unit * 1e9);
    Value::Float(if hours > 24.0 { count / 24.0 / 7.0 } else { count / hours })
}

fn rounded(value: &Value) -> String {
    let nanos = match value {
        Value::Str(text) => parse_duration(&lossy(text)).unwrap_or(0),
        Value::Int(number, IntKind::Int64) => *number,
        Value::Time(time) => {
            let now = GoTime::now();
            let part = now.civil.subsec_nanosecond() - time.civil.subsec_nanosecond();
            let seconds = (now.unix - time.unix).saturating_mul(1_000_000_000);
            seconds.saturating_add(part.into())
        }
        _ => 0,
    };
    let nanos = nanos.unsigned_abs();
    for (unit, seconds) in
        [("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]
    {
        let size = seconds * 1_000_000_000;
        if nanos > size {
            return format!("{}{unit}", nanos / size);
        }
    }
    "0s".to_owned()
}

/// A text as Go's errors about times show it.
///
/// Source: go time/format.go (quote).
fn shown(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='\u{7f}' => out.push(c),
            _ => {
                let mut buffer = [0; 4];
                let bytes = match marked::lost(c) {
                    Some(byte) => &[byte],
                    None => c.encode_utf8(&mut buffer).as_bytes(),
                };
                for byte in bytes {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// What follows a text of a layout, in which blanks stand for any number of them; or where it
/// began to differ.
///
/// Source: go time/format.go (skip).
fn skipped<'a>(text: &'a str, prefix: &str) -> Result<&'a str, &'a str> {
    let (mut text, mut prefix) = (text, prefix);
    while let Some(wanted) = prefix.chars().next() {
        if wanted == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return Err(text);
            }
            (text, prefix) = (text.trim_start_matches(' '), prefix.trim_start_matches(' '));
            continue;
        }
        text = text.strip_prefix(wanted).ok_or(text)?;
        prefix = &prefix[wanted.len_utf8()..];
    }
    Ok(text)
}

/// Writes a time of RFC 3339 by a layout of Go's; none if it is no such time.
pub fn format_time(time: &str, layout: &str) -> Option<String> {
    parse("2006-01-02T15:04:05Z07:00", time).ok().map(|time| time.format(layout))
}

/// The number at the start of a text, of so many digits, and how many they were.
fn digits_of(text: &str, low: usize, high: usize) -> Option<(i32, usize)> {
    let count = text.bytes().take(high).take_while(u8::is_ascii_digit).count();
    (count >= low).then(|| text[..count].parse().ok().map(|number| (number, count)))?
}

/// Parses a text by a layout: the parts that charts use.
///
/// Source: go time/format.go (Parse).
#[expect(clippy::too_many_lines, reason = "one arm for each part of a layout, as in Go")]
fn parse(layout: &str, value: &str) -> Result<GoTime, String> {
    let fail = |element: &str, rest: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            shown(value),
            shown(layout),
            shown(rest),
            shown(element)
        )
    };
    let (mut year, mut month, mut day) = (0_i16, 1_i8, 1_i8);
    let (mut hour, mut minute, mut second, mut nanos) = (0_i8, 0_i8, 0_i8, 0_i32);
    let (mut offset, mut zone, mut pm) = (0, "UTC".to_owned(), None);
    let mut year_day: Option<i32> = None;
    let (mut rest_layout, mut rest) = (layout, value);
    while !rest_layout.is_empty() {
        let (mut size, part) = next_part(rest_layout, false);
        while part.is_none() && size < rest_layout.len() {
            match next_part(&rest_layout[size..], false) {
                (more, None) => size += more,
                (_, Some(_)) => break,
            }
        }
        let element = &rest_layout[..size];
        rest_layout = &rest_layout[size..];
        let Some(part) = part else {
            rest = skipped(rest, element).map_err(|left| fail(element, left))?;
            continue;
        };
        let wrong = || fail(element, rest);
        let digits = |low: usize, high: usize| digits_of(rest, low, high);
        let mut take = |low, high| {
            let (number, used) = digits(low, high).ok_or_else(wrong)?;
            rest = &rest[used..];
            Ok::<i32, String>(number)
        };
        let out = |what: &str| format!("parsing time {}: {what} out of range", shown(value));
        let within = |number: i32, low: i8, high: i8, what: &str| {
            let number = i8::try_from(number).ok().filter(|n| (low..=high).contains(n));
            number.ok_or_else(|| out(what))
        };
        let small = |number: i32| i8::try_from(number).unwrap_or(i8::MAX);
        match part {
            Part::Year => year = i16::try_from(take(4, 4)?).unwrap_or(0),
            Part::Year2 => {
                let two = take(2, 2)?;
                year = i16::try_from(if two >= 69 { 1900 + two } else { 2000 + two }).unwrap_or(0);
            }
            Part::Month2 => month = within(take(2, 2)?, 1, 12, "month")?,
            Part::Month1 => month = within(take(1, 2)?, 1, 12, "month")?,
            Part::Day2 => day = small(take(2, 2)?),
            Part::Day1 => day = small(take(1, 2)?),
            Part::DaySpace => {
                rest = rest.strip_prefix(' ').unwrap_or(rest);
                let (number, used) = digits(1, 2).ok_or_else(|| fail(element, rest))?;
                rest = &rest[used..];
                day = small(number);
            }
            Part::Hour24 => hour = within(take(1, 2)?, 0, 23, "hour")?,
            Part::Hour12 => hour = within(take(2, 2)?, 0, 12, "hour")?,
            Part::Hour1 => hour = within(take(1, 2)?, 0, 12, "hour")?,
            Part::Minute2 => minute = within(take(2, 2)?, 0, 59, "minute")?,
            Part::Minute1 => minute = within(take(1, 2)?, 0, 59, "minute")?,
            Part::Second2 | Part::Second1 => {
                let least = if matches!(part, Part::Second2) { 2 } else { 1 };
                second = within(take(least, 2)?, 0, 59, "second")?;
                if let Some(fraction) = rest.strip_prefix('.')
                    && !matches!(next_part(rest_layout, false).1, Some(Part::Fraction { .. }))
                {
                    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
                    if count > 0 {
                        nanos = format!("{:0<9}", &fraction[..count.min(9)]).parse().unwrap_or(0);
                        rest = &fraction[count..];
                    }
                }
            }
            Part::Fraction { digits: wanted, trim, .. } => {
                let body = rest.strip_prefix(['.', ',']);
                let count = body.map_or(0, |b| b.bytes().take_while(u8::is_ascii_digit).count());
                if let Some(body) = body.filter(|_| count > 0) {
                    nanos = format!("{:0<9}", &body[..count.min(9)]).parse().unwrap_or(0);
                    rest = &body[count..];
                } else if !trim || wanted == 0 {
                    return Err(wrong());
                }
            }
            Part::Month | Part::Mon => {
                let name = |month: i64| {
                    let name = month_name(month);
                    if matches!(part, Part::Mon) { name[..3].to_owned() } else { name }
                };
                let found =
                    (1..=12).find(|m| rest.to_lowercase().starts_with(&name(*m).to_lowercase()));
                let found = found.ok_or_else(wrong)?;
                rest = &rest[name(found).len()..];
                month = i8::try_from(found).unwrap_or(1);
            }
            Part::Weekday | Part::Wday => {
                let name = |day: i64| {
                    let name = weekday_name(day);
                    if matches!(part, Part::Wday) { name[..3].to_owned() } else { name }
                };
                let found = (0..7).find(|d| rest.starts_with(&name(*d))).ok_or_else(wrong)?;
                rest = &rest[name(found).len()..];
            }
            Part::Noon(_) => {
                let half = rest.get(..2).map(str::to_lowercase);
                pm = match half.as_deref() {
                    Some("pm") => Some(true),
                    Some("am") => Some(false),
                    _ => return Err(wrong()),
                };
                rest = &rest[2..];
            }
            Part::Zone => {
                let count = rest.bytes().take_while(u8::is_ascii_uppercase).count();
                if count < 3 {
                    return Err(wrong());
                }
                rest[..count].clone_into(&mut zone);
                rest = &rest[count..];
            }
            Part::Offset(form) => {
                if form.zulu && rest.starts_with('Z') {
                    rest = &rest[1..];
                    continue;
                }
                let (sign, body) = match rest.as_bytes().first() {
                    Some(b'+') => (1, &rest[1..]),
                    Some(b'-') => (-1, &rest[1..]),
                    _ => return Err(wrong()),
                };
                let hours: i32 = body.get(..2).and_then(|h| h.parse().ok()).ok_or_else(wrong)?;
                let mut body = &body[2..];
                let mut minutes = 0;
                if form.minutes {
                    if form.colon {
                        body = body.strip_prefix(':').ok_or_else(wrong)?;
                    }
                    minutes = body.get(..2).and_then(|m| m.parse().ok()).ok_or_else(wrong)?;
                    body = &body[2..];
                }
                offset = sign * (hours * 3600 + minutes * 60);
                rest = body;
                zone = if offset == 0 { "UTC".into() } else { String::new() };
            }
            Part::YearDay | Part::YearDaySpace => {
                if matches!(part, Part::YearDaySpace) {
                    rest = rest.trim_start_matches(' ');
                }
                let (number, used) = digits_of(rest, 1, 3).ok_or_else(|| fail(element, rest))?;
                rest = &rest[used..];
                year_day = Some(number);
            }
        }
    }
    if !rest.is_empty() {
        return Err(format!("parsing time {}: extra text: {}", shown(value), shown(rest)));
    }
    match pm {
        Some(true) if hour < 12 => hour += 12,
        Some(false) if hour == 12 => hour = 0,
        _ => {}
    }
    if let Some(number) = year_day {
        let first = jiff::civil::Date::new(year, 1, 1).ok();
        let date = first.filter(|first| (1..=first.days_in_year().into()).contains(&number));
        let date = date.and_then(|first| {
            first.checked_add(jiff::Span::new().days(i64::from(number) - 1)).ok()
        });
        let date =
            date.ok_or_else(|| format!("parsing time {}: day-of-year out of range", shown(value)))?;
        (month, day) = (date.month(), date.day());
    }
    let civil = DateTime::new(year, month, day, hour, minute, second, nanos).map_err(|_| {
        let what = if (1..=12).contains(&month) { "day" } else { "month" };
        format!("parsing time {}: {what} out of range", shown(value))
    })?;
    let at_offset = jiff::tz::Offset::from_seconds(offset).unwrap_or(jiff::tz::Offset::UTC);
    let unix = at_offset.to_timestamp(civil).map_or(0, Timestamp::as_second);
    if zone.is_empty() {
        let minutes = offset.abs() / 60;
        let sign = if offset < 0 { '-' } else { '+' };
        zone = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
    }
    Ok(GoTime { civil, offset, zone, unix })
}

macro_rules! part {
    ($name:literal, $of:expr) => {
        Func::new($name, &[], |_, a| {
            let of: fn(&GoTime) -> i64 = $of;
            Ok(Value::int(of(&moment(a.any(0)))))
        })
    };
}

pub(super) const TIME_METHODS: &[Func] = &[
    part!("Year", |t| i64::from(t.civil.year())),
    part!("Day", |t| i64::from(t.civil.day())),
    part!("YearDay", |t| i64::from(t.civil.day_of_year())),
    part!("Hour", |t| i64::from(t.civil.hour())),
    part!("Minute", |t| i64::from(t.civil.minute())),
    part!("Second", |t| i64::from(t.civil.second())),
    part!("Nanosecond", |t| i64::from(t.civil.subsec_nanosecond())),
    Func::new("Month", &[], |_, a| {
        Ok(Value::Int(i64::from(moment(a.any(0)).civil.month()), IntKind::Month))
    }),
    Func::new("Weekday", &[], |_, a| {
        let day = moment(a.any(0)).civil.weekday().to_sunday_zero_offset();
        Ok(Value::Int(i64::from(day), IntKind::Weekday))
    }),
    Func::new("Unix", &[], |_, a| Ok(Value::int64(moment(a.any(0)).unix))),
    Func::new("UnixMilli", &[], |_, a| Ok(Value::int64(moment(a.any(0)).in_units(1_000)))),
    Func::new("UnixMicro", &[], |_, a| Ok(Value::int64(moment(a.any(0)).in_units(1_000_000)))),
    Func::new("UnixNano", &[], |_, a| Ok(Value::int64(moment(a.any(0)).in_units(1_000_000_000)))),
    Func::new("AddDate", &[Ty::Int, Ty::Int, Ty::Int], |_, a| {
        Ok(time(moment(a.any(0)).add_date(a.int(1), a.int(2), a.int(3))))
    }),
    Func::new("Equal", &[Ty::Time], |_, a| {
        Ok(Value::Bool(moment(a.any(0)).nanos() == moment(a.any(1)).nanos()))
    }),
    Func::new("Compare", &[Ty::Time], |_, a| {
        let order = moment(a.any(0)).nanos().cmp(&moment(a.any(1)).nanos());
        Ok(Value::int(order as i64))
    }),
    Func::new("Sub", &[Ty::Time], |_, a| {
        let nanos = moment(a.any(0)).nanos() - moment(a.any(1)).nanos();
        let most = if nanos < 0 { i64::MIN } else { i64::MAX };
        Ok(Value::Duration(i64::try_from(nanos).unwrap_or(most)))
    }),
    Func::new("Truncate", &[Ty::Duration], |_, a| Ok(time(moment(a.any(0)).truncated(a.int(1))))),
    Func::new("Format", &[S], |_, a| {
        Ok(Value::str(moment(a.any(0)).format(&lossy(&to_text(a.any(1))))))
    }),
    Func::new("String", &[], |_, a| Ok(Value::str(moment(a.any(0)).to_string()))),
    Func::new("UTC", &[], |_, a| {
        let found = moment(a.any(0));
        let nanos = found.civil.subsec_nanosecond();
        Ok(time(GoTime::new(found.unix, nanos, &TimeZone::UTC).unwrap_or(found)))
    }),
    Func::new("IsZero", &[], |_, a| Ok(Value::Bool(moment(a.any(0)) == GoTime::zero()))),
    Func::new("Add", &[Ty::Duration], |_, a| Ok(time(moment(a.any(0)).add(a.int(1))))),
    Func::new("Before", &[Ty::Time], |_, a| {
        Ok(Value::Bool(moment(a.any(0)).nanos() < moment(a.any(1)).nanos()))
    }),
    Func::new("After", &[Ty::Time], |_, a| {
        Ok(Value::Bool(moment(a.any(0)).nanos() > moment(a.any(1)).nanos()))
    }),
];

pub(super) const DURATION_METHODS: &[Func] = &[
    Func::new("String", &[], |_, a| Ok(Value::str(duration_text(a.int(0))))),
    Func::new("Seconds", &[], |_, a| Ok(in_units(a, 1.0))),
    Func::new("Minutes", &[], |_, a| Ok(in_units(a, 60.0))),
    Func::new("Hours", &[], |_, a| Ok(in_units(a, 3600.0))),
    Func::new("Milliseconds", &[], |_, a| Ok(Value::int64(a.int(0) / 1_000_000))),
    Func::new("Microseconds", &[], |_, a| Ok(Value::int64(a.int(0) / 1_000))),
    Func::new("Nanoseconds", &[], |_, a| Ok(Value::int64(a.int(0)))),
    Func::new("Abs", &[], |_, a| Ok(Value::Duration(a.int(0).saturating_abs()))),
    Func::new("Round", &[Ty::Duration], |_, a| Ok(Value::Duration(rounded_to(a.int(0), a.int(1))))),
    Func::new("Truncate", &[Ty::Duration], |_, a| {
        let (value, unit) = (a.int(0), a.int(1));
        Ok(Value::Duration(if unit > 0 { value - value % unit } else { value }))
    }),
];
