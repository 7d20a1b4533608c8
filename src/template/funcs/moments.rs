//! Moments: Go's `time.Time`, as far back and ahead as it goes.
//!
//! Source: go1.26 time/time.go, time/zoneinfo.go. The zone of the machine is UTC here.

use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::dates::{month_name, weekday_name};
use crate::base::clock::{Clock as _, SystemClock};

const DAY: i64 = 86_400;
const SECOND: i64 = 1_000_000_000;
/// The absolute years are this many before the year 0, and begin in March.
const ABSOLUTE_YEARS: i64 = 292_277_022_400;
const MARCH_THROUGH_DECEMBER: i64 = 306;
/// Seconds from the year 1 to 1970.
const UNIX_TO_INTERNAL: i64 = (1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400) * DAY;
const INTERNAL_TO_ABSOLUTE: i64 = (ABSOLUTE_YEARS / 400 * 146_097 + MARCH_THROUGH_DECEMBER) * DAY;
const UNIX_TO_ABSOLUTE: i64 = UNIX_TO_INTERNAL + INTERNAL_TO_ABSOLUTE;

/// The zone that a moment is shown in.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    Utc,
    /// That of the machine, which is another one to Go even where it is UTC.
    Local,
    Fixed(Rc<Fixed>),
}

/// A zone that is always as far from UTC.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// May be empty.
    pub(super) name: String,
    /// Seconds east of UTC.
    pub(super) offset: i64,
}

/// A moment and the zone that it is shown in.
#[derive(Debug, Clone)]
pub(crate) struct GoTime {
    unix: i64,
    nanos: i64,
    zone: Zone,
}

/// A date of the calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    /// From 1 on.
    pub(super) year_day: i64,
    /// From Sunday (0) on.
    pub(super) weekday: i64,
}

/// A time of the day.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeOfDay {
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Zone {
    /// Returns a zone that is always so far from UTC.
    pub(super) fn fixed(name: String, offset: i64) -> Self {
        Self::Fixed(Rc::new(Fixed { name, offset }))
    }

    /// Returns the zone of a name, as it is at a moment; UTC if there is none.
    pub(super) fn named(name: &str, at: &GoTime) -> Self {
        match name {
            "" | "UTC" => return Self::Utc,
            "Local" => return Self::Local,
            _ => {}
        }
        // Names of zones are names of files.
        let found = TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name));
        let Some(zone) = found else { return Self::Utc };
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let moment = Timestamp::from_second(at.unix.clamp(first, last)).unwrap_or_default();
        let info = zone.to_offset_info(moment);
        Self::fixed(info.abbreviation().to_owned(), info.offset().seconds().into())
    }

    pub(super) fn offset(&self) -> i64 {
        match self {
            Self::Utc | Self::Local => 0,
            Self::Fixed(zone) => zone.offset,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Utc | Self::Local => "UTC",
            Self::Fixed(zone) => &zone.name,
        }
    }

    /// Returns the name of the place, which is not that of its time.
    pub(crate) fn location(&self) -> &str {
        match self {
            Self::Utc => "UTC",
            Self::Local => "Local",
            Self::Fixed(zone) => &zone.name,
        }
    }

    /// Whether it is the same thing, as `==` of pointers.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Utc, Self::Utc) | (Self::Local, Self::Local) => true,
            (Self::Fixed(a), Self::Fixed(b)) => Rc::ptr_eq(a, b) || (a == b && a.is_kept()),
            _ => false,
        }
    }

    /// Whether it is alike inside.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) => a == b,
            _ => self.is(other),
        }
    }
}

impl Fixed {
    /// Whether Go makes such a zone once: it has no name, and whole hours.
    ///
    /// Source: time.FixedZone.
    fn is_kept(&self) -> bool {
        self.name.is_empty()
            && self.offset % 3600 == 0
            && (-12..=14).contains(&(self.offset / 3600))
    }
}

impl GoTime {
    /// Returns the moment so many seconds after 1970.
    pub(super) fn of_unix(unix: i64) -> Self {
        Self { unix, nanos: 0, zone: Zone::Local }
    }

    pub(super) fn now() -> Self {
        let now = SystemClock.now();
        Self { unix: now.as_second(), nanos: now.subsec_nanosecond().into(), zone: Zone::Local }
    }

    pub(super) fn zero() -> Self {
        Self { unix: -UNIX_TO_INTERNAL, nanos: 0, zone: Zone::Utc }
    }

    /// Returns the moment of a date and a time in UTC; what is too large counts for what is above.
    ///
    /// Source: time.Date.
    pub(super) fn of_date(date: [i64; 3], time: [i64; 3], nanos: i64, zone: Zone) -> Self {
        let ([year, month, day], [hour, minute, second]) = (date, time);
        let (year, month) = normal(year, month.wrapping_sub(1), 12);
        let (second, nanos) = normal(second, nanos, SECOND);
        let (minute, second) = normal(minute, second, 60);
        let (hour, minute) = normal(hour, minute, 60);
        let (day, hour) = normal(day, hour, 24);
        let unix = absolute_days(year, month + 1, day)
            .wrapping_mul(DAY)
            .wrapping_add(hour * 3600 + minute * 60 + second)
            .wrapping_sub(UNIX_TO_ABSOLUTE);
        Self { unix: unix.wrapping_sub(zone.offset()), nanos, zone }
    }

    pub(super) fn unix(&self) -> i64 {
        self.unix
    }

    pub(super) fn nanosecond(&self) -> i64 {
        self.nanos
    }

    /// Returns what Go's structure holds, where it has no address of a zone: nanoseconds of the
    /// second, and seconds since the year 1.
    pub(crate) fn inside(&self) -> Option<(u64, i64)> {
        let seconds = self.unix.wrapping_add(UNIX_TO_INTERNAL);
        let nanoseconds = u64::try_from(self.nanos).ok()?;
        matches!(self.zone, Zone::Utc).then_some((nanoseconds, seconds))
    }

    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn in_zone(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// Seconds since the year 1: what is compared.
    fn internal(&self) -> i64 {
        self.unix.wrapping_add(UNIX_TO_INTERNAL)
    }

    fn absolute(&self) -> u64 {
        self.unix.wrapping_add(self.zone.offset()).wrapping_add(UNIX_TO_ABSOLUTE).cast_unsigned()
    }

    /// Source: time.absDays.
    pub(super) fn date(&self) -> Date {
        let days = self.absolute() / DAY.cast_unsigned();
        let quarters = days.wrapping_mul(4).wrapping_add(3);
        let (century, rest) = (quarters / 146_097, (quarters % 146_097) | 3);
        let scaled = 2_939_745 * rest;
        let (century_year, year_day) = (scaled >> 32, (scaled & 0xffff_ffff) / 2_939_745 / 4);
        let scaled = 2141 * year_day + 197_913;
        let (month, day) =
            ((scaled >> 16).cast_signed(), 1 + ((scaled & 0xffff) / 2141).cast_signed());
        let year_day = year_day.cast_signed();
        let january = i64::from(year_day >= MARCH_THROUGH_DECEMBER);
        let is_leap = century_year % 4 == 0 && (century_year != 0 || century % 4 == 0);
        let year = century.wrapping_mul(100).wrapping_sub(ABSOLUTE_YEARS.cast_unsigned());
        Date {
            year: year.cast_signed().wrapping_add(century_year.cast_signed() + january),
            month: month - 12 * january,
            day,
            year_day: year_day + 60 + (i64::from(is_leap) & !january) - 365 * january,
            weekday: (days.wrapping_add(3) % 7).cast_signed(),
        }
    }

    pub(super) fn time_of_day(&self) -> TimeOfDay {
        let seconds = (self.absolute() % DAY.cast_unsigned()).cast_signed();
        TimeOfDay { hour: seconds / 3600, minute: seconds / 60 % 60, second: seconds % 60 }
    }

    /// Source: Time.Add.
    pub(super) fn add(&self, nanos: i64) -> Self {
        let mut seconds = nanos / SECOND;
        let mut rest = self.nanos + nanos % SECOND;
        if rest >= SECOND {
            (seconds, rest) = (seconds + 1, rest - SECOND);
        } else if rest < 0 {
            (seconds, rest) = (seconds - 1, rest + SECOND);
        }
        let most = if seconds > 0 { i64::MAX } else { -i64::MAX };
        let internal = self.internal().checked_add(seconds).unwrap_or(most);
        let unix = internal.wrapping_sub(UNIX_TO_INTERNAL);
        Self { unix, nanos: rest, zone: self.zone.clone() }
    }

    /// Moves the date; a day that a month does not have becomes one of the next month.
    pub(super) fn add_date(&self, [years, months, days]: [i64; 3]) -> Self {
        let (date, time) = (self.date(), self.time_of_day());
        let date = [
            date.year.wrapping_add(years),
            date.month.wrapping_add(months),
            date.day.wrapping_add(days),
        ];
        Self::of_date(date, [time.hour, time.minute, time.second], self.nanos, self.zone.clone())
    }

    /// Source: Time.Sub.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let seconds = self.internal().wrapping_sub(other.internal());
        let nanos = seconds.wrapping_mul(SECOND).wrapping_add(self.nanos - other.nanos);
        match other.add(nanos).order(self) {
            std::cmp::Ordering::Equal => nanos,
            _ if self.order(other).is_lt() => i64::MIN,
            _ => i64::MAX,
        }
    }

    /// What is left of it above a multiple of a duration since the year 1.
    fn above(&self, unit: i64) -> i64 {
        let since = i128::from(self.internal()) * i128::from(SECOND) + i128::from(self.nanos);
        i64::try_from(since.rem_euclid(i128::from(unit))).unwrap_or(0)
    }

    /// Rounds down to a multiple of a duration since the year 1.
    pub(super) fn truncated(&self, unit: i64) -> Self {
        if unit <= 0 { self.clone() } else { self.add(-self.above(unit)) }
    }

    /// Rounds to the nearest multiple of a duration since the year 1, halves up.
    pub(super) fn rounded(&self, unit: i64) -> Self {
        if unit <= 0 {
            return self.clone();
        }
        let above = self.above(unit);
        let is_less = above < unit - above;
        self.add(if is_less { -above } else { unit - above })
    }

    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        (self.internal(), self.nanos).cmp(&(other.internal(), other.nanos))
    }

    pub(super) fn is_zero(&self) -> bool {
        (self.internal(), self.nanos) == (0, 0)
    }

    /// Time since 1970 in such parts of a second.
    pub(super) fn in_units(&self, a_second: i64) -> i64 {
        self.unix.wrapping_mul(a_second).wrapping_add(self.nanos / (SECOND / a_second))
    }

    /// Whether `==` holds, which compares zones by their addresses.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.unix, self.nanos) == (other.unix, other.nanos) && self.zone.is(&other.zone)
    }

    /// Whether it is the same moment in a zone that is alike.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (self.unix, self.nanos) == (other.unix, other.nanos) && self.zone.is_like(&other.zone)
    }

    /// Returns the text of JSON: RFC 3339 with nanoseconds.
    ///
    /// # Errors
    /// Go's words for a moment that has none.
    pub(crate) fn rfc3339_nano(&self) -> Result<String, &'static str> {
        if !(0..=9999).contains(&self.date().year) {
            return Err("year outside of range [0,9999]");
        }
        if self.zone.offset().abs() >= DAY {
            return Err("timezone hour outside of range [0,23]");
        }
        Ok(self.rfc3339_text())
    }

    /// Returns the text of RFC 3339 with nanoseconds, even where that has none.
    pub(crate) fn rfc3339_text(&self) -> String {
        let text = self.format(b"2006-01-02T15:04:05.999999999Z07:00");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Returns the bytes that Go keeps a moment as: a version, seconds since the year 1,
    /// nanoseconds, and how far the zone is from UTC.
    ///
    /// Source: Time.AppendBinary.
    ///
    /// # Errors
    /// Go's words for a zone that is too far away.
    pub(super) fn packed(&self) -> Result<Vec<u8>, &'static str> {
        let offset = self.zone.offset();
        let minutes = match (&self.zone, i16::try_from(offset / 60)) {
            // What no other zone may be.
            (Zone::Utc, _) => -1,
            (_, Ok(-1) | Err(_)) => return Err("Time.MarshalBinary: unexpected zone offset"),
            (_, Ok(minutes)) => minutes,
        };
        let rest = i8::try_from(offset % 60).unwrap_or(0);
        let nanoseconds = u32::try_from(self.nanos).unwrap_or(0);
        let mut bytes = vec![if rest == 0 { 1 } else { 2 }];
        bytes.extend(self.internal().to_be_bytes());
        bytes.extend(nanoseconds.to_be_bytes());
        bytes.extend(minutes.to_be_bytes());
        if rest != 0 {
            bytes.extend(rest.to_be_bytes());
        }
        Ok(bytes)
    }

    /// Returns the text of `%#v`.
    pub(crate) fn go_string(&self) -> String {
        let (date, time) = (self.date(), self.time_of_day());
        let zone = match &self.zone {
            Zone::Utc => "time.UTC".to_owned(),
            Zone::Local => "time.Local".to_owned(),
            Zone::Fixed(zone) => {
                format!("time.Location({})", super::layouts::quoted(zone.name.as_bytes()))
            }
        };
        format!(
            "time.Date({}, time.{}, {}, {}, {}, {}, {}, {zone})",
            date.year,
            month_name(date.month),
            date.day,
            time.hour,
            time.minute,
            time.second,
            self.nanos
        )
    }

    /// The English name of its day.
    pub(super) fn weekday_name(&self) -> String {
        weekday_name(self.date().weekday)
    }
}

impl std::fmt::Display for GoTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.format(b"2006-01-02 15:04:05.999999999 -0700 MST");
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Source: time.norm.
fn normal(high: i64, low: i64, base: i64) -> (i64, i64) {
    (high.wrapping_add(low.div_euclid(base)), low.rem_euclid(base))
}

/// Source: time.dateToAbsDays.
fn absolute_days(year: i64, month: i64, day: i64) -> i64 {
    let january = i64::from(month < 3);
    let month = month + 12 * january;
    let year = year.wrapping_sub(january).wrapping_add(ABSOLUTE_YEARS).cast_unsigned();
    let year_day = (979 * month - 2919) >> 5;
    let (century, century_year) = (year / 100, (year % 100).cast_signed());
    let century_days = (century.wrapping_mul(146_097) / 4).cast_signed();
    century_days.wrapping_add(1461 * century_year / 4 + year_day).wrapping_add(day).wrapping_sub(1)
}
