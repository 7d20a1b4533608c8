//! Versions and constraints.
//!
//! Source: sprig v3.3.0 semver.go; Masterminds/semver v3.5.0.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::value::{UintKind, Value, VersionKind};
use super::{Args, Fail, Func, NIL_POINTER, Outcome, Ty, lossy};
use crate::base::constraint::Constraint;
use crate::base::version::{self, Version};

const S: Ty = Ty::Str;
const V: Ty = Ty::Version;

pub(super) const TABLE: &[Func] = &[
    Func::new("semver", &[S], |_, a| {
        Ok(Value::Version(VersionKind::Pointer, Rc::new(parsed(a.str(0))?)))
    }),
    Func::new("semverCompare", &[S, S], |_, a| {
        let constraint = Constraint::parse_bytes(a.str(0)).map_err(|error| error.to_string())?;
        Ok(Value::Bool(constraint.matches(&parsed(a.str(1))?)))
    }),
];

/// The methods that take no pointer.
pub(super) const PLAIN_METHODS: &[Func] = &[
    Func::new("Major", &[], |_, a| number(a, Version::major)),
    Func::new("Minor", &[], |_, a| number(a, Version::minor)),
    Func::new("Patch", &[], |_, a| number(a, Version::patch)),
    Func::new("Prerelease", &[], |_, a| text(a, |v| v.pre().to_owned())),
    Func::new("Metadata", &[], |_, a| text(a, |v| v.build().to_owned())),
    Func::new("String", &[], |_, a| text(a, Version::to_string)),
    Func::new("IncMajor", &[], |_, a| next(a, Version::next_major)),
    Func::new("IncMinor", &[], |_, a| next(a, Version::next_minor)),
    Func::new("IncPatch", &[], |_, a| next(a, Version::next_patch)),
    Func::new("SetPrerelease", &[S], |_, a| {
        with(a, "prerelease", |version, text| (text, version.build().to_owned()))
    }),
    Func::new("SetMetadata", &[S], |_, a| {
        with(a, "metadata", |version, text| (version.pre().to_owned(), text))
    }),
];

/// Those that a pointer has beside them.
pub(super) const POINTER_METHODS: &[Func] = &[
    Func::new("Original", &[], |_, a| text(a, |v| v.original().to_owned())),
    Func::new("Compare", &[V], |_, a| Ok(Value::int(compare(a)? as i64))),
    Func::new("LessThan", &[V], |_, a| is(a, Ordering::is_lt)),
    Func::new("LessThanEqual", &[V], |_, a| is(a, Ordering::is_le)),
    Func::new("GreaterThan", &[V], |_, a| is(a, Ordering::is_gt)),
    Func::new("GreaterThanEqual", &[V], |_, a| is(a, Ordering::is_ge)),
    Func::new("Equal", &[V], |_, a| Ok(Value::Bool(compare(a).is_ok_and(Ordering::is_eq)))),
];

fn parsed(text: &[u8]) -> Result<Version, String> {
    // No version has a character that is not ASCII; how many bytes it takes counts.
    let text: String =
        text.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }).collect();
    text.parse().map_err(|error: version::Error| error.to_string())
}

fn version(value: &Value) -> Option<&Version> {
    match value {
        Value::Version(_, version) => Some(version),
        _ => None,
    }
}

fn number(args: Args<'_>, of: fn(&Version) -> u64) -> Outcome {
    Ok(Value::Uint(version(args.any(0)).map_or(0, of), UintKind::Uint64))
}

fn text(args: Args<'_>, of: impl Fn(&Version) -> String) -> Outcome {
    Ok(Value::str(version(args.any(0)).map(of).unwrap_or_default()))
}

/// Fails as Go panics where there is nothing to compare with.
fn compare(args: Args<'_>) -> Result<Ordering, Fail> {
    let (one, other) = (version(args.any(0)), version(args.any(1)));
    one.zip(other).map(|(one, other)| one.cmp(other)).ok_or_else(|| NIL_POINTER.into())
}

fn is(args: Args<'_>, test: fn(Ordering) -> bool) -> Outcome {
    Ok(Value::Bool(test(compare(args)?)))
}

fn next(args: Args<'_>, step: fn(&Version) -> Option<Version>) -> Outcome {
    let next = version(args.any(0)).and_then(step).ok_or("version is too large")?;
    Ok(Value::Version(VersionKind::Plain, Rc::new(next)))
}

/// The version with another prerelease or build.
fn with(
    args: Args<'_>,
    what: &str,
    parts: impl Fn(&Version, String) -> (String, String),
) -> Outcome {
    let Some(version) = version(args.any(0)) else { return Ok(Value::Nil) };
    let (pre, build) = parts(version, lossy(args.str(1)).into_owned());
    let mut text = format!("{}.{}.{}", version.major(), version.minor(), version.patch());
    for (sign, part) in [('-', &pre), ('+', &build)] {
        if !part.is_empty() {
            text.push(sign);
            text.push_str(part);
        }
    }
    if version.original().starts_with('v') {
        text.insert(0, 'v');
    }
    let fits = |new: &Version| new.pre() == pre && new.build() == build;
    let new = text.parse::<Version>().ok().filter(fits);
    let new = new.ok_or_else(|| format!("invalid {what} string"))?;
    Ok(Value::Version(VersionKind::Plain, Rc::new(new)))
}
