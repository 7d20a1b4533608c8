//! Dates as texts: Go's layouts.
//!
//! Source: go1.26 time/format.go.

use super::dates::month_name;
use super::moments::GoTime;

/// How a distance from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Offset {
    Hours,
    Minutes,
    ColonMinutes,
    Seconds,
    ColonSeconds,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
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
    /// `PM` or `pm`.
    Noon(&'static [u8; 2], &'static [u8; 2]),
    /// So many zeros.
    Zeros(u8, usize),
    /// So many nines: zeros at the end are left out.
    Nines(u8, usize),
    Zone,
    /// `-07` and its like.
    Offset(Offset),
    /// `Z07` and its like: `Z` for UTC.
    Zulu(Offset),
}

/// What is looked for in a layout, the longer before the shorter.
const PARTS: &[(&[u8], Part)] = &[
    (b"January", Part::Month),
    (b"Monday", Part::Weekday),
    (b"MST", Part::Zone),
    (b"01", Part::Month2),
    (b"02", Part::Day2),
    (b"03", Part::Hour12),
    (b"04", Part::Minute2),
    (b"05", Part::Second2),
    (b"06", Part::Year2),
    (b"002", Part::YearDay),
    (b"15", Part::Hour24),
    (b"1", Part::Month1),
    (b"2006", Part::Year),
    (b"2", Part::Day1),
    (b"__2", Part::YearDaySpace),
    (b"_2", Part::DaySpace),
    (b"3", Part::Hour1),
    (b"4", Part::Minute1),
    (b"5", Part::Second1),
    (b"PM", Part::Noon(b"PM", b"AM")),
    (b"pm", Part::Noon(b"pm", b"am")),
    (b"-070000", Part::Offset(Offset::Seconds)),
    (b"-07:00:00", Part::Offset(Offset::ColonSeconds)),
    (b"-0700", Part::Offset(Offset::Minutes)),
    (b"-07:00", Part::Offset(Offset::ColonMinutes)),
    (b"-07", Part::Offset(Offset::Hours)),
    (b"Z070000", Part::Zulu(Offset::Seconds)),
    (b"Z07:00:00", Part::Zulu(Offset::ColonSeconds)),
    (b"Z0700", Part::Zulu(Offset::Minutes)),
    (b"Z07:00", Part::Zulu(Offset::ColonMinutes)),
    (b"Z07", Part::Zulu(Offset::Hours)),
];

/// Returns the part that a layout begins with, and its length.
fn part_at(layout: &[u8]) -> Option<(usize, Part)> {
    // It is a line and then a year.
    if layout.starts_with(b"_2006") {
        return None;
    }
    if let Some((text, part)) = PARTS.iter().find(|(text, _)| layout.starts_with(text)) {
        return Some((text.len(), *part));
    }
    for (text, part) in [(b"Jan", Part::Mon), (b"Mon", Part::Wday)] {
        if let Some(rest) = layout.strip_prefix(text)
            && !rest.first().is_some_and(u8::is_ascii_lowercase)
        {
            return Some((3, part));
        }
    }
    let (separator @ (b'.' | b','), rest) = layout.split_first()? else { return None };
    let digit = *rest.first().filter(|digit| matches!(digit, b'0' | b'9'))?;
    let count = rest.iter().take_while(|other| **other == digit).count();
    if rest.get(count).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let part = if digit == b'0' { Part::Zeros } else { Part::Nines };
    // Go keeps twelve bits of it.
    Some((1 + count, part(*separator, count & 0xfff)))
}

/// What stands before a part of a layout, the part and its text, and what follows.
type Split<'a> = (&'a [u8], Option<(Part, &'a [u8])>, &'a [u8]);

/// Splits a layout at its first part.
pub(super) fn next_part(layout: &[u8]) -> Split<'_> {
    for index in 0..layout.len() {
        if let Some((size, part)) = part_at(&layout[index..]) {
            let (text, rest) = layout[index..].split_at(size);
            return (&layout[..index], Some((part, text)), rest);
        }
    }
    (layout, None, &[])
}

/// Writes a number with at least so many digits.
fn put(out: &mut Vec<u8>, number: i64, width: usize) {
    let sign = if number < 0 { "-" } else { "" };
    out.extend_from_slice(format!("{sign}{:0width$}", number.unsigned_abs()).as_bytes());
}

impl GoTime {
    /// Writes it by a layout.
    pub(super) fn format(&self, layout: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut layout = layout;
        while !layout.is_empty() {
            let (before, part, rest) = next_part(layout);
            out.extend_from_slice(before);
            let Some((part, _)) = part else { break };
            self.put(&mut out, part);
            layout = rest;
        }
        out
    }

    fn put(&self, out: &mut Vec<u8>, part: Part) {
        let (date, time) = (self.date(), self.time_of_day());
        let hour12 = if time.hour % 12 == 0 { 12 } else { time.hour % 12 };
        match part {
            Part::Year => put(out, date.year, 4),
            Part::Year2 => put(out, date.year.wrapping_abs() % 100, 2),
            Part::Month => out.extend_from_slice(month_name(date.month).as_bytes()),
            Part::Mon => out.extend_from_slice(&month_name(date.month).as_bytes()[..3]),
            Part::Month2 => put(out, date.month, 2),
            Part::Month1 => put(out, date.month, 0),
            Part::Weekday => out.extend_from_slice(self.weekday_name().as_bytes()),
            Part::Wday => out.extend_from_slice(&self.weekday_name().as_bytes()[..3]),
            Part::Day1 => put(out, date.day, 0),
            Part::DaySpace => out.extend_from_slice(format!("{:2}", date.day).as_bytes()),
            Part::Day2 => put(out, date.day, 2),
            Part::YearDay => put(out, date.year_day, 3),
            Part::YearDaySpace => out.extend_from_slice(format!("{:3}", date.year_day).as_bytes()),
            Part::Hour24 => put(out, time.hour, 2),
            Part::Hour12 => put(out, hour12, 2),
            Part::Hour1 => put(out, hour12, 0),
            Part::Minute2 => put(out, time.minute, 2),
            Part::Minute1 => put(out, time.minute, 0),
            Part::Second2 => put(out, time.second, 2),
            Part::Second1 => put(out, time.second, 0),
            Part::Noon(after, before) => {
                out.extend_from_slice(if time.hour >= 12 { after } else { before });
            }
            Part::Zeros(separator, digits) => {
                let nanos = format!("{:09}", self.nanosecond());
                out.push(separator);
                out.extend_from_slice(&nanos.as_bytes()[..digits.min(9)]);
            }
            Part::Nines(separator, digits) => {
                let nanos = format!("{:09}", self.nanosecond());
                let shown = nanos[..digits.min(9)].trim_end_matches('0');
                if !shown.is_empty() {
                    out.push(separator);
                    out.extend_from_slice(shown.as_bytes());
                }
            }
            Part::Zone if !self.zone().name().is_empty() => {
                out.extend_from_slice(self.zone().name().as_bytes());
            }
            Part::Zone => put_offset(out, self.zone().offset(), Offset::Minutes),
            Part::Zulu(_) if self.zone().offset() == 0 => out.push(b'Z'),
            Part::Zulu(form) | Part::Offset(form) => put_offset(out, self.zone().offset(), form),
        }
    }
}

fn put_offset(out: &mut Vec<u8>, offset: i64, form: Offset) {
    let minutes = offset / 60;
    out.push(if minutes < 0 { b'-' } else { b'+' });
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    // Less than a minute before UTC keeps its sign.
    let seconds = if offset / 60 < 0 { -offset % 60 } else { offset % 60 };
    put(out, hours, 2);
    let colon: &[u8] = match form {
        Offset::ColonMinutes | Offset::ColonSeconds => b":",
        Offset::Hours | Offset::Minutes | Offset::Seconds => b"",
    };
    if form != Offset::Hours {
        out.extend_from_slice(colon);
        put(out, minutes, 2);
    }
    if matches!(form, Offset::Seconds | Offset::ColonSeconds) {
        out.extend_from_slice(colon);
        put(out, seconds, 2);
    }
}

/// A text as Go's errors about times show it.
pub(super) fn quoted(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=0x7f => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}
