//! URLs, byte by byte: what is no text passes through.
//!
//! Source: sprig v3.3.0 url.go; go1.26 net/url/url.go.

use super::super::strconv;
use super::super::value::{Map, Value, text};
use super::addresses::{self, Address};
use super::{Args, Func, Outcome, Ty};

pub(super) const TABLE: &[Func] = &[
    Func::new("urlParse", &[Ty::Str], |_, a| {
        Ok(Url::parse(a.str(0)).map_err(|why| format!("unable to parse url: {why}"))?.into_value())
    }),
    Func::new("urlJoin", &[Ty::Map], |_, a| join(a)),
];

/// A part of a URL: each has its own characters that need no escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Query,
    Fragment,
}

impl Part {
    fn is_plain(self, byte: u8) -> bool {
        let others: &[u8] = match self {
            Self::Path => b"$&+,-./:;=@_~",
            Self::Host | Self::Zone => b"!\"$&'()*+,-.:;<=>[]_~",
            Self::User => b"$&+,-.;=_~",
            Self::Query => b"-._~",
            Self::Fragment => b"!$&()*+,-./:;=?@_~",
        };
        byte.is_ascii_alphanumeric() || others.contains(&byte)
    }

    /// Whether an escape may stand for a byte.
    fn takes(self, escape: &[u8], byte: u8) -> bool {
        match self {
            // Only bytes that are no ASCII, but for the sign itself.
            Self::Host => byte >= 0x80 || escape == b"%25",
            Self::Zone => byte == b' ' || escape == b"%25" || self.is_plain(byte),
            _ => true,
        }
    }

    fn unescape(self, part: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::with_capacity(part.len());
        let mut rest = part;
        while let Some((&first, behind)) = rest.split_first() {
            if first == b'%' {
                let escape = &rest[..rest.len().min(3)];
                let byte = value_of(escape).filter(|byte| self.takes(escape, *byte));
                let quoted = || format!("invalid URL escape {}", strconv::quote(escape));
                out.push(byte.ok_or_else(quoted)?);
                rest = &rest[3..];
                continue;
            }
            let strict = matches!(self, Self::Host | Self::Zone) && first.is_ascii();
            if strict && !self.is_plain(first) {
                let quoted = strconv::quote(&[first]);
                return Err(format!("invalid character {quoted} in host name"));
            }
            out.push(first);
            rest = behind;
        }
        Ok(out)
    }

    fn escape(self, out: &mut Vec<u8>, part: &[u8]) {
        for &byte in part {
            if self.is_plain(byte) {
                out.push(byte);
            } else {
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
    }
}

/// The byte of `%41`.
fn value_of(escape: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*escape.get(at)?).to_digit(16);
    u8::try_from(digit(1)? << 4 | digit(2)?).ok()
}

/// Splits at the first of these bytes.
fn cut(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, bytes) {
        Some(index) => (&bytes[..index], Some(&bytes[index + 1..])),
        None => (bytes, None),
    }
}

#[derive(Debug, Default)]
struct Url {
    scheme: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    opaque: Vec<u8>,
    fragment: Vec<u8>,
}

#[derive(Debug)]
struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl Url {
    fn parse(url: &[u8]) -> Result<Self, String> {
        let wrong = |shown: &[u8], why: String| format!("parse {}: {why}", strconv::quote(shown));
        // The fragment is read last, and not shown before.
        let (before, fragment) = cut(url, b'#');
        let mut parsed = Self::parse_plain(before).map_err(|why| wrong(before, why))?;
        let fragment = Part::Fragment.unescape(fragment.unwrap_or_default());
        parsed.fragment = fragment.map_err(|why| wrong(url, why))?;
        Ok(parsed)
    }

    /// Parses a URL without a fragment.
    fn parse_plain(url: &[u8]) -> Result<Self, String> {
        if url.iter().any(u8::is_ascii_control) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (scheme, rest) = scheme(url)?;
        let (rest, query) = cut(rest, b'?');
        let mut parsed = Self {
            scheme: scheme.to_ascii_lowercase(),
            query: query.unwrap_or_default().to_vec(),
            ..Self::default()
        };
        if !rest.starts_with(b"/") {
            if !scheme.is_empty() {
                parsed.opaque = rest.to_vec();
                return Ok(parsed);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let mut path = rest;
        let has_host = !scheme.is_empty() || !rest.starts_with(b"///");
        if let Some(authority) = rest.strip_prefix(b"//").filter(|_| has_host) {
            let end = memchr::memchr(b'/', authority).unwrap_or(authority.len());
            path = &authority[end..];
            (parsed.user, parsed.host) = parse_authority(&parsed.scheme, &authority[..end])?;
        }
        parsed.path = Part::Path.unescape(path)?;
        Ok(parsed)
    }

    fn into_value(self) -> Value {
        let map = Map::default();
        let hostname = hostname(&self.host).to_vec();
        let mut userinfo = Vec::new();
        self.user.iter().for_each(|user| user.write(&mut userinfo));
        for (key, value) in [
            ("fragment", self.fragment),
            ("host", self.host),
            ("hostname", hostname),
            ("opaque", self.opaque),
            ("path", self.path),
            ("query", self.query),
            ("scheme", self.scheme),
            ("userinfo", userinfo),
        ] {
            map.set(text(key), Value::str(value));
        }
        Value::map(map)
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            Part::Fragment.escape(&mut out, &self.fragment);
        }
        out
    }

    fn write_hierarchy(&self, out: &mut Vec<u8>) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || !self.scheme.is_empty() && !self.path.is_empty() {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            user.write(out);
            out.push(b'@');
        }
        Part::Host.escape(out, &self.host);
        if !self.host.is_empty() && !self.path.is_empty() && self.path[0] != b'/' {
            out.push(b'/');
        }
        // The first segment must not look like a scheme.
        if out.is_empty() && cut(&self.path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        match self.path.as_slice() {
            b"*" => out.push(b'*'),
            path => Part::Path.escape(out, path),
        }
    }
}

impl User {
    fn write(&self, out: &mut Vec<u8>) {
        Part::User.escape(out, &self.name);
        if let Some(password) = &self.password {
            out.push(b':');
            Part::User.escape(out, password);
        }
    }
}

/// Splits off the scheme, which may be empty.
fn scheme(url: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let end = url.iter().position(|byte| !is_of_scheme(byte)).unwrap_or(url.len());
    match url.get(end) {
        Some(b':') if end == 0 => Err("missing protocol scheme".to_owned()),
        Some(b':') if url[0].is_ascii_alphabetic() => Ok((&url[..end], &url[end + 1..])),
        _ => Ok((b"", url)),
    }
}

fn parse_authority(scheme: &[u8], authority: &[u8]) -> Result<(Option<User>, Vec<u8>), String> {
    let Some(at) = memchr::memrchr(b'@', authority) else {
        return Ok((None, parse_host(scheme, authority)?));
    };
    let host = parse_host(scheme, &authority[at + 1..])?;
    let userinfo = &authority[..at];
    let is_valid = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
    if !userinfo.iter().all(is_valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(userinfo, b':');
    let user = User {
        name: Part::User.unescape(name)?,
        password: password.map(|password| Part::User.unescape(password)).transpose()?,
    };
    Ok((Some(user), host))
}

fn parse_host(scheme: &[u8], host: &[u8]) -> Result<Vec<u8>, String> {
    let check_port = |port: &[u8]| {
        let quoted = || format!("invalid port {} after host", strconv::quote(port));
        if is_optional_port(port) { Ok(()) } else { Err(quoted()) }
    };
    match memchr::memrchr(b'[', host) {
        Some(0) => {}
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {
            // Lists of hosts, each with a port, are let through but for the web.
            let colon = match scheme {
                b"http" | b"https" => memchr::memchr(b':', host),
                _ => memchr::memrchr(b':', host),
            };
            colon.map_or(Ok(()), |at| check_port(&host[at..]))?;
            return Part::Host.unescape(host);
        }
    }
    let close = memchr::memrchr(b']', host).ok_or("missing ']' in host")?;
    check_port(&host[close + 1..])?;
    let port = Part::Host.unescape(&host[close + 1..])?;
    let name = &host[1..close];
    let zone = memchr::memmem::find(name, b"%25").unwrap_or(name.len());
    let mut address = Part::Host.unescape(&name[..zone])?;
    address.extend(Part::Zone.unescape(&name[zone..])?);
    match addresses::parse(&address) {
        Ok(Address::V6) => {}
        Ok(Address::V4) => return Err("invalid IP-literal".to_owned()),
        Err(why) => return Err(format!("invalid host: {why}")),
    }
    Ok([b"[", address.as_slice(), b"]", &port].concat())
}

fn is_optional_port(port: &[u8]) -> bool {
    match port.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

fn hostname(host: &[u8]) -> &[u8] {
    let colon = memchr::memrchr(b':', host).filter(|at| is_optional_port(&host[*at..]));
    let name = &host[..colon.unwrap_or(host.len())];
    let inner = name.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]"));
    inner.unwrap_or(name)
}

fn join(args: Args<'_>) -> Outcome {
    let map = args.map(0);
    let member = |key: &str| match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::Str(text)) => Ok(text.to_vec()),
        Some(other) => {
            let kind = other.kind_name();
            Err(format!("unable to parse {key} key, must be of type string, but {kind} found"))
        }
    };
    let mut url = Url {
        scheme: member("scheme")?,
        host: member("host")?,
        path: member("path")?,
        query: member("query")?,
        opaque: member("opaque")?,
        fragment: member("fragment")?,
        user: None,
    };
    let userinfo = member("userinfo")?;
    if !userinfo.is_empty() {
        let around = [b"proto://", userinfo.as_slice(), b"@host"].concat();
        let parsed = Url::parse(&around);
        url.user = parsed.map_err(|why| format!("unable to parse userinfo in dict: {why}"))?.user;
    }
    Ok(Value::str(url.write()))
}

/// Escapes a text for a query, as `url.QueryEscape`.
pub(super) fn query_escape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (index, word) in value.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.push(b'+');
        }
        Part::Query.escape(&mut out, word);
    }
    out
}
