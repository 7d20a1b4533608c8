//! Functions of dates and durations.
//!
//! Source: sprig v3.3.0 date.go; helm v4.3.1 pkg/engine/funcs.go (durations).

use std::rc::Rc;

use super::super::value::{IntKind, Value};
use super::super::{marked, strconv};
use super::layouts::quoted;
use super::moments::{GoTime, Zone};
use super::readings::parse;
use super::types::to_text;
use super::{Args, Func, Outcome, Ty, lossy};
use crate::base::duration::{self, Fault};

const A: Ty = Ty::Any;
const S: Ty = Ty::Str;

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
    let shown = |text: &str| quoted(&marked::restored(text));
    duration::nanos(text).map_err(|fault| match fault {
        Fault::Invalid => format!("time: invalid duration {}", shown(text)),
        Fault::NoUnit => format!("time: missing unit in duration {}", shown(text)),
        Fault::UnknownUnit(unit) => {
            format!("time: unknown unit {} in duration {}", shown(unit), shown(text))
        }
    })
}

/// Layouts of TOML, and the names that zones have where TOML names none.
const TOML: [(&str, &str); 4] = [
    ("2006-01-02T15:04:05.999999999Z07:00", ""),
    ("2006-01-02T15:04:05.999999999", "datetime-local"),
    ("2006-01-02", "date-local"),
    ("15:04:05.999999999", "time-local"),
];

/// Reads a date or time of TOML.
pub(super) fn from_toml(text: &str) -> Value {
    let read = |(layout, zone): (&str, &str)| {
        let found = parse(layout.as_bytes(), text.as_bytes()).ok()?;
        Some(match zone {
            "" => found,
            name => found.in_zone(Zone::fixed(name.to_owned(), 0)),
        })
    };
    TOML.into_iter().find_map(read).map_or_else(|| Value::str(text), time)
}

/// Writes a date or time of TOML.
pub(in crate::template) fn to_toml(time: &GoTime) -> String {
    let is_its = |(_, zone): &&(&str, &str)| *zone == time.zone().name() && !zone.is_empty();
    let (layout, _) = TOML.iter().find(is_its).unwrap_or(&TOML[0]);
    lossy(&time.format(layout.as_bytes())).into_owned()
}

pub(super) const TABLE: &[Func] = &[
    Func::varying("now", &[], |_, _| Ok(time(GoTime::now()))),
    Func::varying("date", &[S, A], |_, a| Ok(formatted(a, a.str(0), 1, None))),
    Func::varying("dateInZone", &[S, A, S], |_, a| Ok(formatted(a, a.str(0), 1, Some(2)))),
    Func::varying("date_in_zone", &[S, A, S], |_, a| Ok(formatted(a, a.str(0), 1, Some(2)))),
    Func::varying("htmlDate", &[A], |_, a| Ok(formatted(a, b"2006-01-02", 0, None))),
    Func::varying("htmlDateInZone", &[A, S], |_, a| Ok(formatted(a, b"2006-01-02", 0, Some(1)))),
    Func::new("dateModify", &[S, Ty::Time], |_, a| modify(a, false)),
    Func::new("date_modify", &[S, Ty::Time], |_, a| modify(a, false)),
    Func::new("mustDateModify", &[S, Ty::Time], |_, a| modify(a, true)),
    Func::new("must_date_modify", &[S, Ty::Time], |_, a| modify(a, true)),
    Func::new("toDate", &[S, S], |_, a| {
        Ok(time(parse(a.str(0), a.str(1)).unwrap_or_else(|_| GoTime::zero())))
    }),
    Func::new("mustToDate", &[S, S], |_, a| {
        parse(a.str(0), a.str(1)).map(time).map_err(Into::into)
    }),
    Func::new("unixEpoch", &[Ty::Time], |_, a| Ok(Value::str(moment(a.any(0)).unix().to_string()))),
    Func::varying("ago", &[A], |_, a| {
        let since = GoTime::now().since(&moment(a.any(0)));
        Ok(Value::str(duration_text(rounded_to(since, 1_000_000_000))))
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
    match value {
        Value::Time(time) => (**time).clone(),
        Value::Int(number, IntKind::Int | IntKind::Int64) => GoTime::of_unix(*number),
        _ => GoTime::now(),
    }
}

fn formatted(args: Args<'_>, layout: &[u8], at: usize, zone: Option<usize>) -> Value {
    let found = moment(args.any(at));
    let zone = zone.map_or(Zone::Local, |index| Zone::named(&lossy(args.str(index)), &found));
    Value::str(found.in_zone(zone).format(layout))
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
        Value::Time(time) => GoTime::now().since(time),
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

/// Writes a time of RFC 3339 by a layout of Go's; none if it is no such time.
pub fn format_time(time: &str, layout: &str) -> Option<String> {
    let time = parse(b"2006-01-02T15:04:05Z07:00", time.as_bytes()).ok()?;
    Some(lossy(&time.format(layout.as_bytes())).into_owned())
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
    part!("Year", |t| t.date().year),
    part!("Day", |t| t.date().day),
    part!("YearDay", |t| t.date().year_day),
    part!("Hour", |t| t.time_of_day().hour),
    part!("Minute", |t| t.time_of_day().minute),
    part!("Second", |t| t.time_of_day().second),
    part!("Nanosecond", GoTime::nanosecond),
    Func::new("Month", &[], |_, a| Ok(Value::Int(moment(a.any(0)).date().month, IntKind::Month))),
    Func::new("Weekday", &[], |_, a| {
        Ok(Value::Int(moment(a.any(0)).date().weekday, IntKind::Weekday))
    }),
    Func::new("Unix", &[], |_, a| Ok(Value::int64(moment(a.any(0)).unix()))),
    Func::new("UnixMilli", &[], |_, a| Ok(Value::int64(moment(a.any(0)).in_units(1_000)))),
    Func::new("UnixMicro", &[], |_, a| Ok(Value::int64(moment(a.any(0)).in_units(1_000_000)))),
    Func::new("UnixNano", &[], |_, a| Ok(Value::int64(moment(a.any(0)).in_units(1_000_000_000)))),
    Func::new("AddDate", &[Ty::Int, Ty::Int, Ty::Int], |_, a| {
        Ok(time(moment(a.any(0)).add_date([a.int(1), a.int(2), a.int(3)])))
    }),
    Func::new("Equal", &[Ty::Time], |_, a| Ok(Value::Bool(order(a).is_eq()))),
    Func::new("Compare", &[Ty::Time], |_, a| Ok(Value::int(order(a) as i64))),
    Func::new("Sub", &[Ty::Time], |_, a| {
        Ok(Value::Duration(moment(a.any(0)).since(&moment(a.any(1)))))
    }),
    Func::new("Truncate", &[Ty::Duration], |_, a| Ok(time(moment(a.any(0)).truncated(a.int(1))))),
    Func::new("Round", &[Ty::Duration], |_, a| Ok(time(moment(a.any(0)).rounded(a.int(1))))),
    Func::new("Format", &[S], |_, a| Ok(Value::str(moment(a.any(0)).format(a.str(1))))),
    Func::new("AppendFormat", &[Ty::Bytes, S], |_, a| {
        Ok(behind(a, &moment(a.any(0)).format(a.str(2))))
    }),
    Func::new("AppendText", &[Ty::Bytes], |_, a| written(a, "Time.AppendText: ", "")),
    Func::new("AppendBinary", &[Ty::Bytes], |_, a| packed(a)),
    Func::new("MarshalText", &[], |_, a| written(a, "Time.MarshalText: ", "")),
    Func::new("MarshalJSON", &[], |_, a| written(a, "Time.MarshalJSON: ", "\"")),
    Func::new("MarshalBinary", &[], |_, a| packed(a)),
    Func::new("GobEncode", &[], |_, a| packed(a)),
    Func::new("String", &[], |_, a| Ok(Value::str(moment(a.any(0)).to_string()))),
    Func::new("GoString", &[], |_, a| Ok(Value::str(moment(a.any(0)).go_string()))),
    Func::new("UTC", &[], |_, a| Ok(time(moment(a.any(0)).in_zone(Zone::Utc)))),
    Func::new("Local", &[], |_, a| Ok(time(moment(a.any(0)).in_zone(Zone::Local)))),
    Func::new("In", &[Ty::Location], |_, a| match a.any(1) {
        Value::Location(zone) => Ok(time(moment(a.any(0)).in_zone(zone.clone()))),
        _ => Err("time: missing Location in call to Time.In".into()),
    }),
    Func::new("Location", &[], |_, a| Ok(Value::Location(moment(a.any(0)).zone().clone()))),
    Func::new("IsDST", &[], |_, _| Ok(Value::Bool(false))),
    Func::new("IsZero", &[], |_, a| Ok(Value::Bool(moment(a.any(0)).is_zero()))),
    Func::new("Add", &[Ty::Duration], |_, a| Ok(time(moment(a.any(0)).add(a.int(1))))),
    Func::new("Before", &[Ty::Time], |_, a| Ok(Value::Bool(order(a).is_lt()))),
    Func::new("After", &[Ty::Time], |_, a| Ok(Value::Bool(order(a).is_gt()))),
];

/// Returns bytes behind those that were given first, if any were.
fn behind(args: Args<'_>, bytes: &[u8]) -> Value {
    let given: &[u8] = match args.any(1) {
        Value::Bytes(given) => given,
        _ => &[],
    };
    Value::Bytes([given, bytes].concat().into())
}

/// The text of JSON, between such quotes.
fn written(args: Args<'_>, method: &str, quote: &str) -> Outcome {
    let text = moment(args.any(0)).rfc3339_nano().map_err(|why| format!("{method}{why}"))?;
    Ok(behind(args, format!("{quote}{text}{quote}").as_bytes()))
}

fn packed(args: Args<'_>) -> Outcome {
    Ok(behind(args, &moment(args.any(0)).packed()?))
}

/// How two moments stand to each other.
fn order(args: Args<'_>) -> std::cmp::Ordering {
    moment(args.any(0)).order(&moment(args.any(1)))
}

/// Methods of the places of times.
pub(super) const LOCATION_METHODS: &[Func] = &[Func::new("String", &[], |_, a| {
    Ok(match a.any(0) {
        Value::Location(zone) => Value::str(zone.location()),
        _ => Value::Nil,
    })
})];

/// Methods of months.
pub(super) const MONTH_METHODS: &[Func] =
    &[Func::new("String", &[], |_, a| Ok(Value::str(month_name(a.int(0)))))];

/// Methods of days of the week.
pub(super) const WEEKDAY_METHODS: &[Func] =
    &[Func::new("String", &[], |_, a| Ok(Value::str(weekday_name(a.int(0)))))];

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
