//! `url('https://example.com:80/path?k=v').getHostname()`.

use std::collections::HashMap;
use std::net::IpAddr;

use cel::common::types::{CelBool, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::Val;
use cel::{DeclarationError, Env, ExecutionError, add_member_overload, add_overload};

use super::value;

/// An address of the web, or an absolute path, in its parts as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

value!(Url, URL, "kubernetes.URL");

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(URL.to_owned())?;
    add_overload!(env, fn url: (CelString) -> Result<Url>)?;
    add_overload!(env, fn is_url: (CelString) -> CelBool, name = "isURL")?;
    add_member_overload!(env, fn get_scheme: (Url) -> CelString)?;
    add_member_overload!(env, fn get_host: (Url) -> CelString)?;
    add_member_overload!(env, fn get_hostname: (Url) -> CelString)?;
    add_member_overload!(env, fn get_port: (Url) -> CelString)?;
    add_member_overload!(env, fn get_escaped_path: (Url) -> CelString)?;
    add_member_overload!(env, fn get_query: (Url) -> CelMap)?;
    Ok(())
}

/// Reads an address as Go's `url.ParseRequestURI` does, or `url.Parse`.
fn parse(text: &str, request: bool) -> Result<Url, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() && request {
        return Err("empty url".to_owned());
    }
    if text == "*" {
        return Ok(Url { path: text.to_owned(), ..Url::default() });
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            // Nothing is told of what is opaque but its scheme and query.
            return Ok(Url { scheme, query: query.to_owned(), ..Url::default() });
        }
        if request {
            return Err("invalid URI for request".to_owned());
        }
    }
    let is_relative = !request && !rest.starts_with("///");
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() || is_relative => {
            rest.split_at(rest.find('/').unwrap_or(rest.len()))
        }
        _ => ("", rest),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    check_host(&scheme, host)?;
    check_escapes(path)?;
    Ok(Url { scheme, host: host.to_owned(), path: path.to_owned(), query: query.to_owned() })
}

fn scheme(text: &str) -> Result<(String, &str), String> {
    for (at, sign) in text.char_indices() {
        match sign {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((text[..at].to_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn check_host(scheme: &str, host: &str) -> Result<(), String> {
    let port = match host.rfind('[') {
        Some(0) => {
            let end = host.rfind(']').ok_or("missing ']' in host")?;
            let address = &host[1..end];
            match address.split('%').next().unwrap_or_default().parse::<IpAddr>() {
                Ok(IpAddr::V6(_)) => {}
                Ok(IpAddr::V4(_)) => return Err("invalid IP-literal".to_owned()),
                Err(_) => {
                    let why = format!("ParseAddr({address:?}): unable to parse IP");
                    return Err(format!("invalid host: {why}"));
                }
            }
            &host[end + 1..]
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None if ["http", "https"].contains(&scheme) => host.find(':').map_or("", |at| &host[at..]),
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let good = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if !good {
        return Err(format!("invalid port {port:?} after host"));
    }
    match host.chars().find(|sign| " <>\"\\^`{|}".contains(*sign)) {
        Some(sign) => Err(format!("invalid character {:?} in host name", sign.to_string())),
        None => Ok(()),
    }
}

fn check_escapes(path: &str) -> Result<(), String> {
    for (at, _) in path.match_indices('%') {
        let hex = path.as_bytes().get(at + 1..at + 3);
        if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            let shown: String = path[at..].chars().take(3).collect();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}

/// Returns what is wrong with an address.
pub(super) fn wrong(text: &str) -> Option<String> {
    parse(text, true).err().map(|why| format!("parse {text:?}: {why}"))
}

fn url(text: &CelString<'_>) -> Result<Url, ExecutionError> {
    let text = text.inner();
    let failed = |why: String| {
        let why = format!("URL parse error during conversion from string: {why}");
        ExecutionError::function_error("url", why)
    };
    if let Some(why) = wrong(text) {
        return Err(failed(why));
    }
    let whole = text.split_once('#').map_or(text, |(whole, _)| whole);
    parse(whole, false).map_err(|why| failed(format!("parse {text:?}: {why}")))
}

fn is_url(text: &CelString<'_>) -> CelBool {
    wrong(text.inner()).is_none().into()
}

fn get_scheme(url: &Url) -> CelString<'static> {
    url.scheme.clone().into()
}

fn get_host(url: &Url) -> CelString<'static> {
    url.host.clone().into()
}

/// Returns host and port.
fn parts(url: &Url) -> (&str, &str) {
    if let Some((name, port)) = url.host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return (name, port.trim_start_matches(':'));
    }
    url.host.rsplit_once(':').unwrap_or((&url.host, ""))
}

fn get_hostname(url: &Url) -> CelString<'static> {
    parts(url).0.to_owned().into()
}

fn get_port(url: &Url) -> CelString<'static> {
    parts(url).1.to_owned().into()
}

fn get_escaped_path(url: &Url) -> CelString<'static> {
    // What may not stand in a path is escaped.
    let mut escaped = String::new();
    for byte in url.path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*%[]".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped.into()
}

fn get_query(url: &Url) -> CelMap<'static> {
    let mut found: HashMap<String, Vec<Box<dyn Val>>> = HashMap::new();
    for (name, value) in ::url::form_urlencoded::parse(url.query.as_bytes()) {
        let value: Box<dyn Val> = Box::new(CelString::from(value.into_owned()));
        found.entry(name.into_owned()).or_default().push(value);
    }
    let entries = found.into_iter().map(|(name, values)| {
        let values: Box<dyn Val> = Box::new(CelList::from(values));
        (CelMapKey::from(name), values)
    });
    entries.collect::<HashMap<_, _>>().into()
}
