//! `semver('1.2.3').isLessThan(semver('1.3.0'))`.

use cel::common::types::{CelBool, CelInt, CelString};
use cel::{DeclarationError, Env, ExecutionError, add_member_overload, add_overload};

use super::quantity::order;
use super::value;
use crate::base::version::Version;

/// A version.
#[derive(Debug, Clone, PartialEq)]
struct Semver(Version);

value!(Semver, SEMVER, "kubernetes.Semver");

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(SEMVER.to_owned())?;
    add_overload!(env, fn semver: (CelString) -> Result<Semver>)?;
    add_overload!(env, fn semver_of: (CelString, CelBool) -> Result<Semver>, name = "semver")?;
    add_overload!(env, fn is_semver: (CelString) -> CelBool)?;
    add_overload!(env, fn is_semver_of: (CelString, CelBool) -> CelBool, name = "isSemver")?;
    add_member_overload!(env, fn major: (Semver) -> CelInt)?;
    add_member_overload!(env, fn minor: (Semver) -> CelInt)?;
    add_member_overload!(env, fn patch: (Semver) -> CelInt)?;
    add_member_overload!(env, fn is_less_than: (Semver, Semver) -> CelBool)?;
    add_member_overload!(env, fn is_greater_than: (Semver, Semver) -> CelBool)?;
    add_member_overload!(env, fn compare_to: (Semver, Semver) -> CelInt)?;
    Ok(())
}

/// Reads a version; a loose one may begin with `v`, have fewer parts, and zeros before its numbers.
fn parse(text: &str, loose: bool) -> Option<Version> {
    if !loose {
        return Version::parse_strict(text).ok();
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
    if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
        return None;
    }
    parts.resize(3, "0".to_owned());
    Version::parse_strict(&parts.join(".")).ok()
}

fn without_zeros(part: &str) -> String {
    if part.len() < 2 {
        return part.to_owned();
    }
    let short = part.trim_start_matches('0');
    let zero = if short.starts_with(|sign: char| sign.is_ascii_digit()) { "" } else { "0" };
    format!("{zero}{short}")
}

fn read(text: &CelString<'_>, loose: bool) -> Result<Semver, ExecutionError> {
    let wrong = || {
        // Which part of it is wrong the evaluator of Kubernetes tells, too.
        ExecutionError::function_error("semver", "No Major.Minor.Patch elements found")
    };
    parse(text.inner(), loose).map(Semver).ok_or_else(wrong)
}

fn semver(text: &CelString<'_>) -> Result<Semver, ExecutionError> {
    read(text, false)
}

fn semver_of(text: &CelString<'_>, loose: &CelBool) -> Result<Semver, ExecutionError> {
    read(text, *loose.inner())
}

fn is_semver(text: &CelString<'_>) -> CelBool {
    parse(text.inner(), false).is_some().into()
}

fn is_semver_of(text: &CelString<'_>, loose: &CelBool) -> CelBool {
    parse(text.inner(), *loose.inner()).is_some().into()
}

fn number(number: u64) -> CelInt {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn major(this: &Semver) -> CelInt {
    number(this.0.major())
}

fn minor(this: &Semver) -> CelInt {
    number(this.0.minor())
}

fn patch(this: &Semver) -> CelInt {
    number(this.0.patch())
}

fn is_less_than(this: &Semver, other: &Semver) -> CelBool {
    (this.0 < other.0).into()
}

fn is_greater_than(this: &Semver, other: &Semver) -> CelBool {
    (this.0 > other.0).into()
}

fn compare_to(this: &Semver, other: &Semver) -> CelInt {
    order(this.0.cmp(&other.0))
}
