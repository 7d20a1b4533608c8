//! Glob patterns of `.Files.Glob`.
//!
//! Source: gobwas/glob v0.2.3 with separator `/`.

use regex::bytes::Regex;

/// A pattern, made ready for many paths.
pub(super) enum Glob {
    /// Texts with stars between them, as most patterns are: an expression takes longer to make than
    /// all that is done with it.
    Stars(Vec<Part>),
    Expression(Regex),
    /// An invalid pattern matches everything, as upstream.
    Invalid,
}

/// A part of a pattern.
pub(super) enum Part {
    Byte(u8),
    /// Whatever is in one folder.
    Star,
    /// Whatever there is.
    Stars,
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        if let Some(parts) = stars(pattern) {
            return Self::Stars(parts);
        }
        translate(pattern).map_or(Self::Invalid, Self::Expression)
    }

    /// Returns whether a path matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Stars(parts) => starred(parts, path.as_bytes()),
            Self::Expression(regex) => regex.is_match(path.as_bytes()),
            Self::Invalid => true,
        }
    }
}

/// Returns the parts of a pattern that has nothing but stars in it.
fn stars(pattern: &str) -> Option<Vec<Part>> {
    if pattern.contains(['?', '[', '{', '}', ',', '\\']) {
        return None;
    }
    let mut bytes = pattern.bytes().peekable();
    let mut parts = Vec::with_capacity(pattern.len());
    while let Some(byte) = bytes.next() {
        parts.push(match byte {
            b'*' if bytes.next_if_eq(&b'*').is_some() => Part::Stars,
            b'*' => Part::Star,
            byte => Part::Byte(byte),
        });
    }
    Some(parts)
}

/// Whether a path matches: for each of its bytes, at which parts of the pattern one may be.
fn starred(parts: &[Part], path: &[u8]) -> bool {
    let mut at = vec![false; parts.len() + 1];
    at[0] = true;
    pass_stars(parts, &mut at);
    for byte in path {
        let mut next = vec![false; parts.len() + 1];
        for (index, part) in parts.iter().enumerate().filter(|(index, _)| at[*index]) {
            match part {
                Part::Byte(wanted) => next[index + 1] |= wanted == byte,
                Part::Star => next[index] |= *byte != b'/',
                Part::Stars => next[index] = true,
            }
        }
        at = next;
        pass_stars(parts, &mut at);
    }
    at[parts.len()]
}

/// A star may stand for nothing.
fn pass_stars(parts: &[Part], at: &mut [bool]) {
    for (index, part) in parts.iter().enumerate() {
        if at[index] && !matches!(part, Part::Byte(_)) {
            at[index + 1] = true;
        }
    }
}

/// Wherever a path is cut between its bytes, no character begins in the middle of another: what
/// stars stand for is told apart by bytes. Characters would need tables that are large to make.
///
/// Source: gobwas/glob v0.2.3 syntax/lexer/lexer.go: braces need not be closed, nor need a
/// backslash have something behind it.
fn translate(pattern: &str) -> Option<Regex> {
    let mut out = String::from("(?s)^");
    let mut rest = pattern;
    let mut braces = 0;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                out.push_str("(?-u:.*)");
            }
            '*' => out.push_str("(?-u:[^/]*)"),
            '?' => out.push_str("[^/]"),
            '[' => rest = range(rest, &mut out)?,
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '\\' => {
                let escaped = rest.chars().next();
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
                out.extend(escaped.map(|c| regex::escape(&c.to_string())));
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.extend(std::iter::repeat_n(')', braces));
    out.push('$');
    Regex::new(&out).ok()
}

/// Writes what stands between brackets, which is one range or a list of characters, and returns
/// what follows; none where it is neither.
fn range<'a>(inside: &'a str, out: &mut String) -> Option<&'a str> {
    let (not, inside) = match inside.strip_prefix('!') {
        Some(inside) => ("^", inside),
        None => ("", inside),
    };
    let mut chars = inside.chars();
    let (low, between) = (chars.next()?, chars.next());
    if between == Some('-') {
        let high = chars.next()?;
        let rest = chars.as_str().strip_prefix(']')?;
        if high < low {
            return None;
        }
        out.push_str(&format!("[{not}\\x{{{:x}}}-\\x{{{:x}}}]", u32::from(low), u32::from(high)));
        return Some(rest);
    }
    let mut chars = inside.chars();
    let mut list = String::new();
    loop {
        let c = match chars.next()? {
            ']' => break,
            '\\' => chars.next()?,
            c => c,
        };
        list.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
    }
    if list.is_empty() {
        return None;
    }
    out.push_str(&format!("[{not}{list}]"));
    Some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_upstream() {
        for (pattern, path, want) in [
            ("*", "a.txt", true),
            ("*", "d/a.txt", false),
            ("**.txt", "d/a.txt", true),
            ("**/b.txt", "b.txt", false),
            ("**/b.txt", "d/b.txt", true),
            ("conf/*", "conf/a", true),
            ("/conf/*", "conf/a", false),
            ("", "a", false),
            ("{a,b}.txt", "b.txt", true),
            ("[!a].txt", "b.txt", true),
            ("[a", "anything/at/all", true),
            ("[a-cx]", "anything", true),
            ("[c-a]", "anything", true),
            ("[]a]", "anything", true),
            ("[!]", "anything", true),
            ("[^a]", "b", false),
            ("[ab-c]", "-", true),
            ("[\\]]", "]", true),
            ("{a,b", "b", true),
            ("{a,b", "c", false),
            ("a\\", "a", true),
            ("a\\", "b", false),
            ("ä*?", "äöü", true),
            ("?", "ö", true),
            ("??", "ö", false),
            ("*[!a]", "dir/ö", false),
            ("**[ö]", "dir/ö", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(path), want, "{pattern} {path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn stars_match_as_expressions_do(pattern in "[ab/*ö]{0,8}", path in "[ab/ö]{0,10}") {
            let parts = stars(&pattern).expect("there is nothing but stars");
            let regex = translate(&pattern).expect("every such pattern is valid");
            let wanted = regex.is_match(path.as_bytes());
            assert_eq!(starred(&parts, path.as_bytes()), wanted, "{pattern} {path}");
        }
    }
}
