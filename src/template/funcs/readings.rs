//! Texts as dates: what is read by Go's layouts.
//!
//! Source: go1.26 time/format.go (parse), time/format_rfc3339.go.

use super::dates::{month_name, weekday_name};
use super::layouts::{Offset, Part, next_part, quoted};
use super::moments::{GoTime, Zone};

const RFC3339: &[u8] = b"2006-01-02T15:04:05Z07:00";
const RFC3339_NANO: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

/// Why a part of a text does not fit.
enum Misfit {
    /// It is no such thing.
    Bad,
    /// It is out of range: what is.
    Range(&'static str),
}

/// A text that is read from its beginning.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn digit_at(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(u8::is_ascii_digit)
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Misfit> {
        let (taken, rest) = self.0.split_at_checked(size).ok_or(Misfit::Bad)?;
        self.0 = rest;
        Ok(taken)
    }

    /// One or two digits; two if they are fixed.
    fn number(&mut self, is_fixed: bool) -> Result<i64, Misfit> {
        let count =
            usize::from(self.digit_at(0)) + usize::from(self.digit_at(0) && self.digit_at(1));
        if count == 0 || (is_fixed && count == 1) {
            return Err(Misfit::Bad);
        }
        Ok(value_of(self.take(count)?))
    }

    fn number_of(
        &mut self,
        is_fixed: bool,
        range: std::ops::RangeInclusive<i64>,
        what: &'static str,
    ) -> Result<i64, Misfit> {
        let number = self.number(is_fixed)?;
        if range.contains(&number) { Ok(number) } else { Err(Misfit::Range(what)) }
    }

    /// Leaves out one blank.
    fn blank(&mut self) {
        self.0 = self.0.strip_prefix(b" ").unwrap_or(self.0);
    }

    /// The index of the name that comes next, in letters of any case.
    fn name(&mut self, names: impl Iterator<Item = String>) -> Result<i64, Misfit> {
        for (index, name) in (0..).zip(names) {
            let head = self.0.get(..name.len());
            if head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes())) {
                self.take(name.len())?;
                return Ok(index);
            }
        }
        Err(Misfit::Bad)
    }

    /// A separator and so many digits.
    fn fraction(&mut self, size: usize) -> Result<i64, Misfit> {
        let text = self.take(size)?;
        let (b'.' | b',', digits) = text.split_first().ok_or(Misfit::Bad)? else {
            return Err(Misfit::Bad);
        };
        let digits = &digits[..digits.len().min(9)];
        // Go takes a sign here.
        let (is_negative, number) = match digits.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, digits),
        };
        if !number.iter().all(u8::is_ascii_digit) {
            return Err(Misfit::Bad);
        }
        let value = value_of(number);
        if is_negative && value > 0 {
            return Err(Misfit::Range("fractional second"));
        }
        Ok((digits.len()..9).fold(value, |value, _| value * 10))
    }

    /// How many bytes a separator and the digits behind it are.
    fn fraction_size(&self) -> Option<usize> {
        let is_fraction = matches!(self.0.first(), Some(b'.' | b',')) && self.digit_at(1);
        let digits = self.0.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        is_fraction.then_some(1 + digits)
    }

    fn offset(&mut self, form: Offset) -> Result<i64, Misfit> {
        let (size, colons): (usize, &[usize]) = match form {
            Offset::Hours => (3, &[]),
            Offset::Minutes => (5, &[]),
            Offset::ColonMinutes => (6, &[3]),
            Offset::Seconds => (7, &[]),
            Offset::ColonSeconds => (9, &[3, 6]),
        };
        let colon = |at: &usize| self.0.get(*at) == Some(&b':');
        if self.0.len() < size || !colons.iter().all(colon) {
            return Err(Misfit::Bad);
        }
        let text = self.take(size)?;
        let mut numbers = [0; 3];
        let mut is_bad = false;
        let digits: Vec<u8> = text[1..]
            .iter()
            .enumerate()
            .filter(|(at, _)| !colons.contains(&(at + 1)))
            .map(|(_, b)| *b)
            .collect();
        for (number, pair) in numbers.iter_mut().zip(digits.chunks(2)) {
            // What follows one that is wrong is not looked at.
            match Reader(pair).number(true) {
                Ok(value) if !is_bad => *number = value,
                _ => is_bad = true,
            }
        }
        let [hours, minutes, seconds] = numbers;
        for (number, most, what) in [
            (hours, 24, "time zone offset hour"),
            (minutes, 60, "time zone offset minute"),
            (seconds, 60, "time zone offset second"),
        ] {
            if number > most {
                return Err(Misfit::Range(what));
            }
        }
        let offset = (hours * 60 + minutes) * 60 + seconds;
        match text[0] {
            b'+' if !is_bad => Ok(offset),
            b'-' if !is_bad => Ok(-offset),
            _ => Err(Misfit::Bad),
        }
    }

    /// The abbreviation of a zone.
    fn zone(&mut self) -> Result<&'a [u8], Misfit> {
        let size = zone_size(self.0).ok_or(Misfit::Bad)?;
        self.take(size)
    }
}

fn value_of(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

/// Source: parseTimeZone.
fn zone_size(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_size(rest));
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_size(text)).filter(|size| *size > 0);
    }
    match text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count() {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// The length of a signed number up to 23; 0 if it is none.
fn signed_size(text: &[u8]) -> usize {
    let Some((b'+' | b'-', rest)) = text.split_first() else { return 0 };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rest[..count].iter().try_fold(0_i64, |value, digit| {
        value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    });
    if count > 0 && number.is_some_and(|number| number <= 23) { 1 + count } else { 0 }
}

/// What was read of a date.
#[derive(Default)]
struct Parsed {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    noon: Noon,
    is_utc: bool,
    offset: Option<i64>,
    zone: Vec<u8>,
}

/// On which side of noon a date said it is; a layout may ask twice.
#[derive(Default)]
struct Noon {
    is_after: bool,
    is_before: bool,
}

impl Parsed {
    /// Reads a part; `rest` of the layout follows it.
    fn read(&mut self, text: &mut Reader<'_>, part: Part, rest: &[u8]) -> Result<(), Misfit> {
        let months = |size: usize| (1..=12).map(move |m| short(month_name(m), size));
        let days = |size: usize| (0..7).map(move |day| short(weekday_name(day), size));
        match part {
            Part::Year2 => {
                let year = signed(text.take(2)?)?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::Year if !text.digit_at(0) => return Err(Misfit::Bad),
            Part::Year => self.year = signed(text.take(4)?)?,
            Part::Month => self.month = Some(text.name(months(9))? + 1),
            Part::Mon => self.month = Some(text.name(months(3))? + 1),
            Part::Month1 | Part::Month2 => {
                self.month = Some(text.number_of(part == Part::Month2, 1..=12, "month")?);
            }
            Part::Weekday | Part::Wday => {
                text.name(days(if part == Part::Wday { 3 } else { 9 }))?;
            }
            Part::Day1 | Part::Day2 | Part::DaySpace => {
                if part == Part::DaySpace {
                    text.blank();
                }
                self.day = Some(text.number(part == Part::Day2)?);
            }
            Part::YearDay | Part::YearDaySpace => {
                if part == Part::YearDaySpace {
                    text.blank();
                    text.blank();
                }
                let count = text.0.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
                if count == 0 || (part == Part::YearDay && count != 3) {
                    return Err(Misfit::Bad);
                }
                self.year_day = Some(value_of(text.take(count)?));
            }
            Part::Zulu(_) | Part::Offset(_) | Part::Zone => self.read_zone(text, part)?,
            _ => self.read_clock(text, part, rest)?,
        }
        Ok(())
    }

    /// Reads a part of the time of a day.
    fn read_clock(&mut self, text: &mut Reader<'_>, part: Part, rest: &[u8]) -> Result<(), Misfit> {
        match part {
            Part::Hour24 => self.hour = text.number_of(false, 0..=23, "hour")?,
            Part::Hour12 | Part::Hour1 => {
                self.hour = text.number_of(part == Part::Hour12, 0..=12, "hour")?;
            }
            Part::Minute1 | Part::Minute2 => {
                self.minute = text.number_of(part == Part::Minute2, 0..=59, "minute")?;
            }
            Part::Second1 | Part::Second2 => {
                self.second = text.number_of(part == Part::Second2, 0..=59, "second")?;
                let follows = next_part(rest).1.map(|(part, _)| part);
                let is_asked = matches!(follows, Some(Part::Zeros(..) | Part::Nines(..)));
                if let Some(size) = text.fraction_size().filter(|_| !is_asked) {
                    self.nanos = text.fraction(size)?;
                }
            }
            Part::Noon(after, before) => {
                let half = text.take(2)?;
                if half == after {
                    self.noon.is_after = true;
                } else if half == before {
                    self.noon.is_before = true;
                } else {
                    return Err(Misfit::Bad);
                }
            }
            Part::Zeros(_, digits) => self.nanos = text.fraction(1 + digits)?,
            Part::Nines(..) => {
                if let Some(size) = text.fraction_size() {
                    self.nanos = text.fraction(size)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a part that says which zone it is.
    fn read_zone(&mut self, text: &mut Reader<'_>, part: Part) -> Result<(), Misfit> {
        match part {
            Part::Zulu(_) if text.0.starts_with(b"Z") => {
                text.take(1)?;
                self.is_utc = true;
            }
            Part::Zulu(form) | Part::Offset(form) => self.offset = Some(text.offset(form)?),
            Part::Zone if text.0.starts_with(b"UTC") => {
                text.take(3)?;
                self.is_utc = true;
            }
            _ => self.zone = text.zone()?.to_vec(),
        }
        Ok(())
    }

    /// The moment; or what is wrong with it.
    fn moment(self) -> Result<GoTime, &'static str> {
        let hour = match self.hour {
            hour if self.noon.is_after && hour < 12 => hour + 12,
            12 if self.noon.is_before => 0,
            hour => hour,
        };
        let (month, day) = match self.year_day {
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
            Some(number) => {
                let (month, day) =
                    of_year_day(self.year, number).ok_or("day-of-year out of range")?;
                if self.month.is_some_and(|said| said != month) {
                    return Err("day-of-year does not match month");
                }
                if self.day.is_some_and(|said| said != day) {
                    return Err("day-of-year does not match day");
                }
                (month, day)
            }
        };
        if day < 1 || day > days_in(self.year, month) {
            return Err("day out of range");
        }
        let name = String::from_utf8_lossy(&self.zone).into_owned();
        // Go takes this one for none.
        let offset = self.offset.filter(|offset| *offset != -1);
        let zone = match offset {
            _ if self.is_utc => Zone::Utc,
            Some(0) if name.is_empty() || name == "UTC" => Zone::Local,
            Some(offset) => Zone::fixed(name, offset),
            None if name.is_empty() => Zone::Local,
            None => {
                let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i64>().ok());
                let zone = Zone::fixed(name, hours.unwrap_or(0) * 3600);
                // What the clock shows is taken for UTC.
                let time = [hour, self.minute, self.second];
                let date = [self.year, month, day];
                return Ok(GoTime::of_date(date, time, self.nanos, Zone::Utc).in_zone(zone));
            }
        };
        let time = [hour, self.minute, self.second];
        Ok(GoTime::of_date([self.year, month, day], time, self.nanos, zone))
    }
}

fn short(name: String, size: usize) -> String {
    name.get(..size).map(str::to_owned).unwrap_or(name)
}

/// A number that may have a sign.
fn signed(text: &[u8]) -> Result<i64, Misfit> {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    if digits.iter().all(u8::is_ascii_digit) {
        Ok(sign * value_of(digits))
    } else {
        Err(Misfit::Bad)
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The month and the day of a day of a year.
fn of_year_day(year: i64, number: i64) -> Option<(i64, i64)> {
    let mut left = number;
    for month in 1..=12 {
        let days = days_in(year, month);
        if (1..=days).contains(&left) {
            return Some((month, left));
        }
        left -= days;
    }
    None
}

/// What follows a text of a layout, in which blanks stand for any number of them; or where it
/// began to differ.
fn skipped<'a>(text: &'a [u8], prefix: &[u8]) -> Result<&'a [u8], &'a [u8]> {
    let trimmed = |text: &[u8]| text.iter().take_while(|byte| **byte == b' ').count();
    let (mut text, mut prefix) = (text, prefix);
    while let Some(wanted) = prefix.first() {
        if *wanted == b' ' {
            if !text.is_empty() && text[0] != b' ' {
                return Err(text);
            }
            (text, prefix) = (&text[trimmed(text)..], &prefix[trimmed(prefix)..]);
            continue;
        }
        if text.first() != Some(wanted) {
            return Err(text);
        }
        (text, prefix) = (&text[1..], &prefix[1..]);
    }
    Ok(text)
}

/// Reads a text by a layout.
///
/// # Errors
/// Go's words for what does not fit.
pub(super) fn parse(layout: &[u8], value: &[u8]) -> Result<GoTime, String> {
    if (layout == RFC3339 || layout == RFC3339_NANO)
        && let Some(found) = parse_rfc3339(value)
    {
        return Ok(found);
    }
    let fail = |element: &[u8], rest: &[u8]| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quoted(value),
            quoted(layout),
            quoted(rest),
            quoted(element)
        )
    };
    let wrong = |what: &str| format!("parsing time {}: {what}", quoted(value));
    let mut parsed = Parsed::default();
    let (mut left, mut text) = (layout, Reader(value));
    loop {
        let (before, part, rest) = next_part(left);
        text.0 = skipped(text.0, before).map_err(|rest| fail(before, rest))?;
        let Some((part, element)) = part else { break };
        let hold = text.0;
        parsed.read(&mut text, part, rest).map_err(|misfit| match misfit {
            Misfit::Bad => fail(element, hold),
            Misfit::Range(what) => wrong(&format!("{what} out of range")),
        })?;
        left = rest;
    }
    if !text.0.is_empty() {
        return Err(wrong(&format!("extra text: {}", quoted(text.0))));
    }
    parsed.moment().map_err(wrong)
}

/// Reads what is written exactly so, which differs from the layout's way in small things.
fn parse_rfc3339(text: &[u8]) -> Option<GoTime> {
    let number = |range: std::ops::Range<usize>, least: i64, most: i64| {
        let digits = text.get(range)?;
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| value_of(digits)).filter(|value| (least..=most).contains(value))
    };
    let year = number(0..4, 0, 9999)?;
    let month = number(5..7, 1, 12)?;
    let day = number(8..10, 1, days_in(year, month))?;
    let time = [number(11..13, 0, 23)?, number(14..16, 0, 59)?, number(17..19, 0, 59)?];
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !marks.iter().all(|(at, mark)| text.get(*at) == Some(mark)) {
        return None;
    }
    let mut rest = Reader(&text[19..]);
    let size = rest.fraction_size().filter(|_| rest.0.first() == Some(&b'.'));
    let nanos = size.map_or(Ok(0), |size| rest.fraction(size)).ok()?;
    let zone = match rest.0 {
        b"Z" => Zone::Utc,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let digits = [*a, *b, *c, *d];
            if !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let (hours, minutes) = (value_of(&digits[..2]), value_of(&digits[2..]));
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * 60;
            match if *sign == b'-' { -offset } else { offset } {
                0 => Zone::Local,
                offset => Zone::fixed(String::new(), offset),
            }
        }
        _ => return None,
    };
    Some(GoTime::of_date([year, month, day], time, nanos, zone))
}
