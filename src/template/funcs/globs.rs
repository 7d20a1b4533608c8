//! Glob patterns of `.Files.Glob`.
//!
//! Source: gobwas/glob v0.2.3 with separator `/`.

use regex::bytes::Regex;

/// A pattern, made ready for many paths.
pub(super) struct Glob(Option<Regex>);

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        Self(translate(pattern))
    }

    /// Returns whether a path matches; an invalid pattern matches everything, as upstream.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(path.as_bytes()))
    }
}

/// Wherever a path is cut between its bytes, no character begins in the middle of another: what
/// stars stand for is told apart by bytes. Characters would need tables that are large to make.
fn translate(pattern: &str) -> Option<Regex> {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars().peekable();
    let mut braces = 0;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                out.push_str("(?-u:.*)");
            }
            '*' => out.push_str("(?-u:[^/]*)"),
            '?' => out.push_str("[^/]"),
            '[' => {
                let mut class = String::from("[");
                if chars.peek() == Some(&'!') {
                    chars.next();
                    class.push('^');
                }
                loop {
                    match chars.next()? {
                        ']' => break,
                        c @ ('[' | '&' | '~' | '^' | '\\') => {
                            class.push('\\');
                            class.push(c);
                        }
                        c => class.push(c),
                    }
                }
                class.push(']');
                out.push_str(&class);
            }
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '\\' => out.push_str(&regex::escape(&chars.next()?.to_string())),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    if braces > 0 {
        return None;
    }
    out.push('$');
    Regex::new(&out).ok()
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
            ("ä*?", "äöü", true),
            ("?", "ö", true),
            ("??", "ö", false),
            ("*[!a]", "dir/ö", false),
            ("**[ö]", "dir/ö", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(path), want, "{pattern} {path}");
        }
    }
}
