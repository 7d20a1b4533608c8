//! URLs.
//!
//! Source: sprig v3.3.0 url.go; go net/url.

use super::super::strconv;
use super::super::value::{Map, Value, text};
use super::{Args, Func, Outcome, Ty, lossy};

pub(super) const TABLE: &[Func] = &[
    Func::new("urlParse", &[Ty::Str], |_, a| parse(&lossy(a.str(0)))),
    Func::new("urlJoin", &[Ty::Map], |_, a| join(a)),
];

fn unescape(part: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(part.len());
    let bytes = part.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let hex = part.get(at + 1..at + 3).unwrap_or_else(|| part.get(at + 1..).unwrap_or(""));
            let Ok(byte) = u8::from_str_radix(hex, 16) else {
                return Err(format!("invalid URL escape \"%{hex}\""));
            };
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn parse(url: &str) -> Outcome {
    let failed = |shown: &str, why: &str| -> super::Fail {
        let quoted = strconv::quote(shown.as_bytes());
        format!("unable to parse url: parse {quoted}: {why}").into()
    };
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    // Go parses the fragment last, and does not show it before.
    let fail = |why: &str| failed(rest, why);
    if rest.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(fail("net/url: invalid control character in URL"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = match rest.find(':') {
        Some(0) => return Err(fail("missing protocol scheme")),
        Some(at) if is_scheme(&rest[..at]) => (rest[..at].to_ascii_lowercase(), &rest[at + 1..]),
        Some(at) if !rest[..at].contains('/') => {
            return Err(fail("first path segment in URL cannot contain colon"));
        }
        _ => (String::new(), rest),
    };
    let mut parts = Parts { scheme, query: query.to_owned(), ..Parts::default() };
    if !rest.starts_with('/') && !parts.scheme.is_empty() {
        parts.opaque = rest.to_owned();
    } else if let Some(authority) = rest.strip_prefix("//") {
        let end = authority.find('/').unwrap_or(authority.len());
        let (authority, path) = authority.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if !user.chars().all(is_of_userinfo) {
            return Err(fail("net/url: invalid userinfo"));
        }
        parts.userinfo = if user.is_empty() { String::new() } else { userinfo(user) };
        check_host(host).map_err(|why| fail(&why))?;
        parts.host = unescape(host).map_err(|why| fail(&why))?;
        if let Some((_, port)) = parts.host.rsplit_once(':')
            && !parts.host.ends_with(']')
            && !port.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(fail(&format!("invalid port \":{port}\" after host")));
        }
        parts.path = unescape(path).map_err(|why| fail(&why))?;
    } else {
        parts.path = unescape(rest).map_err(|why| fail(&why))?;
    }
    parts.fragment = unescape(fragment).map_err(|why| failed(url, &why))?;
    Ok(parts.into_value())
}

/// Source: go net/url/url.go (validUserinfo).
fn is_of_userinfo(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)
}

/// Name and password as Go writes them back.
fn userinfo(text: &str) -> String {
    let again = |part: &str| {
        let plain = unescape(part).unwrap_or_else(|_| part.to_owned());
        escape_but(&plain, b"-_.~$&+,;=")
    };
    match text.split_once(':') {
        Some((name, password)) => format!("{}:{}", again(name), again(password)),
        None => again(text),
    }
}

/// Source: go net/url/url.go (parseHost, unescape).
fn check_host(host: &str) -> Result<(), String> {
    if host.starts_with('[') && !host.contains(']') {
        return Err("missing ']' in host".to_owned());
    }
    let is_fine = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    match host.chars().find(|c| !is_fine(*c)) {
        Some(c) => {
            let quoted = strconv::quote(c.to_string().as_bytes());
            Err(format!("invalid character {quoted} in host name"))
        }
        None => Ok(()),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

#[derive(Default)]
struct Parts {
    scheme: String,
    host: String,
    path: String,
    query: String,
    opaque: String,
    fragment: String,
    userinfo: String,
}

impl Parts {
    fn into_value(self) -> Value {
        let hostname = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &self.host,
        };
        let hostname = hostname.trim_start_matches('[').trim_end_matches(']').to_owned();
        let map = Map::default();
        for (key, value) in [
            ("fragment", self.fragment),
            ("host", self.host),
            ("hostname", hostname),
            ("opaque", self.opaque),
            ("path", self.path),
            ("query", self.query),
            ("scheme", self.scheme),
            ("userinfo", self.userinfo),
        ] {
            map.set(text(key), Value::str(value));
        }
        Value::map(map)
    }
}

fn join(args: Args<'_>) -> Outcome {
    let map = args.map(0);
    let member = |key: &str| match map.get(key.as_bytes()) {
        None => Ok(String::new()),
        Some(Value::Str(text)) => Ok(lossy(&text).into_owned()),
        Some(other) => {
            let name = other.type_name();
            Err(format!("unable to parse {key} key, must be of type string, but {name} found"))
        }
    };
    let (scheme, host, path) = (member("scheme")?, member("host")?, member("path")?);
    let (query, opaque, fragment) = (member("query")?, member("opaque")?, member("fragment")?);
    let userinfo = member("userinfo")?;
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        if !scheme.is_empty() || !host.is_empty() || !userinfo.is_empty() {
            if !host.is_empty() || !path.is_empty() || !userinfo.is_empty() {
                out.push_str("//");
            }
            if !userinfo.is_empty() {
                out.push_str(&self::userinfo(&userinfo));
                out.push('@');
            }
            out.push_str(&host);
        }
        let path = escape(&path);
        // The first segment must not look like a scheme.
        let first = path.split('/').next().unwrap_or_default();
        if out.is_empty() && first.contains(':') {
            out.push_str("./");
        }
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        out.push_str(&path);
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(&escape(&fragment));
    }
    Ok(Value::str(out))
}

fn escape(path: &str) -> String {
    escape_but(path, b"-_.~$&+,/:;=@!*'()")
}

/// Escapes all but letters, digits and these.
fn escape_but(text: &str, plain: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Escapes a text for a query, as `url.QueryEscape`.
pub(super) fn query_escape(value: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else if byte == b' ' {
            out.push('+');
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
