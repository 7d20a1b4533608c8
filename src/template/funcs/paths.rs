//! Slash-separated paths.
//!
//! Source: go path/path.go; sprig's `os` twins are the same on Linux.

use super::super::value::Value;
use super::strings::lossless;
use super::{Func, Ty};

macro_rules! path {
    ($name:literal, $function:ident) => {
        Func::new($name, &[Ty::Str], |_, a| Ok(Value::str(lossless(a.str(0), $function))))
    };
}

pub(super) const TABLE: &[Func] = &[
    path!("base", base),
    path!("dir", dir),
    path!("clean", clean),
    path!("ext", ext),
    path!("osBase", base),
    path!("osDir", dir),
    path!("osClean", clean),
    path!("osExt", ext),
    Func::new("isAbs", &[Ty::Str], |_, a| Ok(Value::Bool(a.str(0).starts_with(b"/")))),
    Func::new("osIsAbs", &[Ty::Str], |_, a| Ok(Value::Bool(a.str(0).starts_with(b"/")))),
];

fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None => "/".to_owned(),
        Some(last) => last.to_owned(),
    }
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}

fn ext(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.rfind('.').map_or(String::new(), |at| last[at..].to_owned())
}

pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
