//! Chart versions, read as loosely as Helm does.
//!
//! Source: Masterminds/semver v3.5.0 version.go, which Helm and Flux use.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;

/// Longest text of a version, in bytes.
const LONGEST: usize = 256;

/// A semantic version: `61.9.0`, `v1.2`, `1.0.0-rc.1+build`.
///
/// Reading is loose: a leading `v`, missing minor and patch and leading zeros of numbers are taken.
/// The text is kept ([`Version::original`]); `Display` is canonical, `x.y.z[-pre][+build]`.
/// Order and equality are SemVer's precedence: build metadata does not count.
#[derive(Clone)]
pub struct Version {
    original: Box<str>,
    major: u64,
    minor: u64,
    patch: u64,
    pre: Range<u16>,
    build: Range<u16>,
}

/// A text that is not a version. The messages are Masterminds'.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The shape is wrong.
    #[error("invalid semantic version")]
    Invalid,
    /// A strict version was asked for and nothing was given.
    #[error("version string empty")]
    Empty,
    /// A number of a strict version is not a number.
    #[error("invalid characters in version")]
    Characters,
    /// A number of a prerelease (or of a strict version) starts with a zero.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// The part after `+` is wrong.
    #[error("invalid metadata string")]
    Metadata,
    /// The part after `-` is wrong.
    #[error("invalid prerelease string")]
    Prerelease,
    /// The text is too long.
    #[error("version string is too long (max {LONGEST} bytes)")]
    TooLong,
    /// A number does not fit in 64 bits.
    #[error(
        "error parsing version segment: strconv.ParseUint: parsing \"{0}\": value out of range"
    )]
    Range(String),
}

impl Version {
    /// Returns the version of these parts.
    ///
    /// # Errors
    /// `pre` or `build` is not valid.
    pub fn new(major: u64, minor: u64, patch: u64, pre: &str, build: &str) -> Result<Self, Error> {
        if !pre.is_empty() {
            check_pre(pre)?;
        }
        if !build.is_empty() {
            check_build(build)?;
        }
        Self::assemble("", [major, minor, patch], pre, build)
    }

    /// Reads a version that must be written out in full: three numbers, no `v`, no leading zero.
    ///
    /// Source: Masterminds/semver v3.5.0 version.go (`StrictNewVersion`).
    ///
    /// # Errors
    /// The text is not a full version.
    pub fn parse_strict(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text.len() > LONGEST {
            return Err(Error::TooLong);
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Invalid);
        };
        let (rest, build) = cut(rest, '+');
        build.map_or(Ok(()), check_build)?;
        let (patch, pre) = cut(rest, '-');
        pre.map_or(Ok(()), check_pre)?;
        for number in [major, minor, patch] {
            if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Error::Characters);
            }
            if number.len() > 1 && number.starts_with('0') {
                return Err(Error::LeadingZero);
            }
            if number.is_empty() {
                return Err(Error::Invalid);
            }
        }
        text.parse()
    }

    /// Returns the first number.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// Returns the second number.
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// Returns the third number.
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// Returns the prerelease without its `-`; empty for a release.
    pub fn pre(&self) -> &str {
        &self.original[usize::from(self.pre.start)..usize::from(self.pre.end)]
    }

    /// Returns the build metadata without its `+`.
    pub fn build(&self) -> &str {
        &self.original[usize::from(self.build.start)..usize::from(self.build.end)]
    }

    /// Returns the text that was read.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Returns whether the text is a full version without `v` and leading zeros, as OCI tags and
    /// other strict readers demand.
    pub fn is_strict(&self) -> bool {
        Self::parse_strict(&self.original).is_ok()
    }

    /// Returns the next major version, or `None` at the end of the numbers. A `v` is kept.
    pub fn next_major(&self) -> Option<Self> {
        Self::assemble(self.prefix(), [self.major.checked_add(1)?, 0, 0], "", "").ok()
    }

    /// Returns the next minor version, or `None` at the end of the numbers. A `v` is kept.
    pub fn next_minor(&self) -> Option<Self> {
        Self::assemble(self.prefix(), [self.major, self.minor.checked_add(1)?, 0], "", "").ok()
    }

    /// Returns the next patch version (for a prerelease: its release), or `None` at the end of the
    /// numbers. A `v` is kept.
    pub fn next_patch(&self) -> Option<Self> {
        let step = u64::from(self.pre().is_empty());
        let patch = self.patch.checked_add(step)?;
        Self::assemble(self.prefix(), [self.major, self.minor, patch], "", "").ok()
    }

    /// Returns the version with another prerelease. A `v` is kept.
    ///
    /// # Errors
    /// The prerelease is not valid.
    pub fn with_pre(&self, pre: &str) -> Result<Self, Error> {
        if !pre.is_empty() {
            check_pre(pre)?;
        }
        Self::assemble(self.prefix(), [self.major, self.minor, self.patch], pre, self.build())
    }

    /// Returns the version with other build metadata. A `v` is kept.
    ///
    /// # Errors
    /// The metadata is not valid.
    pub fn with_build(&self, build: &str) -> Result<Self, Error> {
        if !build.is_empty() {
            check_build(build)?;
        }
        Self::assemble(self.prefix(), [self.major, self.minor, self.patch], self.pre(), build)
    }

    fn prefix(&self) -> &'static str {
        if self.original.starts_with('v') { "v" } else { "" }
    }

    fn assemble(prefix: &str, numbers: [u64; 3], pre: &str, build: &str) -> Result<Self, Error> {
        let [major, minor, patch] = numbers;
        let mut text = format!("{prefix}{major}.{minor}.{patch}");
        for (mark, part) in [('-', pre), ('+', build)] {
            if !part.is_empty() {
                text.push(mark);
                text.push_str(part);
            }
        }
        text.parse()
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::TooLong);
        }
        let (rest, build) = cut(text, '+');
        let (numbers, pre) = cut(rest, '-');
        let mut parts = numbers.strip_prefix('v').unwrap_or(numbers).split('.');
        let mut texts = [""; 3];
        for slot in &mut texts {
            let Some(part) = parts.next() else { break };
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Error::Invalid);
            }
            *slot = part;
        }
        if parts.next().is_some() || !build.is_none_or(is_dotted) || !pre.is_none_or(is_dotted) {
            return Err(Error::Invalid);
        }
        let [major, minor, patch] = texts.map(number);
        let (major, minor, patch) = (major?, minor?, patch?);
        pre.map_or(Ok(()), check_pre)?;
        build.map_or(Ok(()), check_build)?;
        let range = |part: Option<&str>, start: usize| {
            let end = start + part.map_or(0, str::len);
            u16::try_from(start).unwrap_or(0)..u16::try_from(end).unwrap_or(0)
        };
        let (pre, build) = match (pre, build) {
            (None, None) => (0..0, 0..0),
            (Some(_), None) => (range(pre, numbers.len() + 1), 0..0),
            (None, Some(_)) => (0..0, range(build, rest.len() + 1)),
            (Some(_), Some(_)) => (range(pre, numbers.len() + 1), range(build, rest.len() + 1)),
        };
        Ok(Self { original: text.into(), major, minor, patch, pre, build })
    }
}

/// Splits at the first `mark`.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn number(text: &str) -> Result<u64, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| Error::Range(text.to_owned()))
}

fn is_dotted(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(allowed))
}

fn check_build(text: &str) -> Result<(), Error> {
    if is_dotted(text) { Ok(()) } else { Err(Error::Metadata) }
}

fn check_pre(text: &str) -> Result<(), Error> {
    for part in text.split('.') {
        if !is_dotted(part) {
            return Err(Error::Prerelease);
        }
        if part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::LeadingZero);
        }
    }
    Ok(())
}

/// Compares prereleases as Masterminds does; an empty part is lower than any other.
pub(super) fn compare_pre(left: &str, right: &str) -> Ordering {
    let mut others = right.split('.');
    for part in left.split('.') {
        let Some(other) = others.next() else { return Ordering::Greater };
        let order = compare_part(part, other);
        if order != Ordering::Equal {
            return order;
        }
    }
    if others.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

fn compare_part(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.pre().is_empty(), other.pre().is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(self.pre(), other.pre()),
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.major, self.minor, self.patch, self.pre()).hash(state);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre().is_empty() {
            write!(f, "-{}", self.pre())?;
        }
        if !self.build().is_empty() {
            write!(f, "+{}", self.build())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.original)
    }
}

impl<'de> serde::Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_loosely_and_prints_canonically() {
        let rows = [
            ("1.2.3", Ok("1.2.3")),
            ("v1.2", Ok("1.2.0")),
            ("01.02.03", Ok("1.2.3")),
            ("1", Ok("1.0.0")),
            ("1-rc", Ok("1.0.0-rc")),
            ("1.2.3-rc.1+b-1.x", Ok("1.2.3-rc.1+b-1.x")),
            ("1.2.3+a-b", Ok("1.2.3+a-b")),
            ("", Err("invalid semantic version")),
            ("V1", Err("invalid semantic version")),
            ("1.2.3.4", Err("invalid semantic version")),
            ("1.2.3-", Err("invalid semantic version")),
            ("1.2.3+", Err("invalid semantic version")),
            ("1..3", Err("invalid semantic version")),
            (" 1.2.3", Err("invalid semantic version")),
            ("1.2.3+a+b", Err("invalid semantic version")),
            ("1.2.3-01", Err("version segment starts with 0")),
            (
                "99999999999999999999",
                Err(
                    "error parsing version segment: strconv.ParseUint: parsing \"99999999999999999999\": value out of range",
                ),
            ),
        ];
        for (text, expected) in rows {
            let found = text.parse::<Version>();
            let shown = found.as_ref().map(ToString::to_string).map_err(ToString::to_string);
            assert_eq!(shown.as_deref().map_err(String::as_str), expected, "{text}");
            if let Ok(version) = found {
                assert_eq!(version.original(), text);
            }
        }
    }

    #[test]
    fn precedence_is_total_and_ignores_build() {
        let order = [
            "0.0.1-alpha",
            "0.0.1",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.10.0",
            "2.0.0",
        ];
        let versions = order.map(|text| text.parse::<Version>().unwrap());
        for (i, left) in versions.iter().enumerate() {
            for (j, right) in versions.iter().enumerate() {
                assert_eq!(left.cmp(right), i.cmp(&j), "{left} {right}");
            }
        }
        assert_eq!("v1.0+a".parse::<Version>().unwrap(), "1.0.0+b".parse().unwrap());
    }

    #[test]
    fn steps_keep_the_v() {
        let version: Version = "v1.2.3-rc.1+x".parse().unwrap();
        assert_eq!(version.next_patch().unwrap().original(), "v1.2.3");
        assert_eq!(version.next_minor().unwrap().original(), "v1.3.0");
        assert_eq!(version.next_major().unwrap().original(), "v2.0.0");
        assert_eq!(version.with_pre("a").unwrap().original(), "v1.2.3-a+x");
        assert_eq!(version.with_build("").unwrap().original(), "v1.2.3-rc.1");
        assert!(version.with_pre("01").is_err());
    }

    #[test]
    fn strict_texts_are_told_apart() {
        for (text, strict) in [
            ("1.2.3", true),
            ("1.2.3-a+b", true),
            ("v1.2.3", false),
            ("1.2", false),
            ("01.2.3", false),
        ] {
            assert_eq!(text.parse::<Version>().unwrap().is_strict(), strict, "{text}");
        }
        assert_eq!(Version::parse_strict("1.2").unwrap_err(), Error::Invalid);
        assert_eq!(Version::parse_strict("").unwrap_err(), Error::Empty);
    }
}
