//! Version constraints by Helm's rules: `61.x`, `>=1.2, <2 || ^3`, `1.2 - 1.4`.
//!
//! Source: Masterminds/semver v3.5.0 constraints.go, which Helm and Flux use. Its grammar is a set
//! of regular expressions with surprises (`|` counts as a digit, `>1` means `>=2.0.0`); the same
//! expressions are used here so that the surprises are the same.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::version::{Version, compare_pre};

/// Longest text of a constraint, in bytes.
const LONGEST: usize = 512;
/// Most parts between `||`.
const MOST_GROUPS: usize = 32;

/// A constraint on versions: groups joined by `||`, each of terms that must all hold.
///
/// A prerelease matches only a group in which some term names a prerelease (`>=1.0.0-0`).
#[derive(Clone, PartialEq, Eq)]
pub struct Constraint {
    groups: Vec<Group>,
}

/// A text that is not a constraint. The messages are Masterminds'.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is too long.
    #[error("constraint string is too long (max {LONGEST} bytes)")]
    TooLong,
    /// There are too many parts between `||`.
    #[error("too many constraint groups (max {MOST_GROUPS})")]
    TooManyGroups,
    /// A group has the wrong shape.
    #[error("improper constraint: {}", quote(.0))]
    Improper(Vec<u8>),
    /// A term has the right shape, but its version is not one.
    #[error("constraint parser error")]
    Version,
}

#[derive(Clone, PartialEq, Eq)]
struct Group {
    terms: Vec<Term>,
    takes_prereleases: bool,
}

/// Which parts of a term's version were left open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Major,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

#[derive(Clone, PartialEq, Eq)]
struct Term {
    operator: Operator,
    version: Version,
    open: Open,
    operator_text: String,
    version_text: String,
}

impl Constraint {
    /// Returns whether a version satisfies the constraint.
    pub fn matches(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            (version.pre().is_empty() || group.takes_prereleases)
                && group.terms.iter().all(|term| term.matches(version))
        })
    }

    /// Returns whether some group lets prereleases in.
    pub fn takes_prereleases(&self) -> bool {
        self.groups.iter().any(|group| group.takes_prereleases)
    }

    /// Returns the constraint without the rule about prereleases: they are compared like any other
    /// version.
    #[must_use]
    pub fn with_prereleases(mut self) -> Self {
        for group in &mut self.groups {
            group.takes_prereleases = true;
        }
        self
    }
}

impl Term {
    fn matches(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => *version == self.version,
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.not_equal(version),
            Operator::Greater => self.greater(version),
            Operator::Less => *version < self.version,
            Operator::GreaterEqual => *version >= self.version,
            Operator::LessEqual => self.less_equal(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn not_equal(&self, version: &Version) -> bool {
        let own = &self.version;
        if self.open == Open::Nothing {
            return version != own;
        }
        if own.major() != version.major() {
            return true;
        }
        match self.open {
            Open::Minor => false,
            _ if own.minor() != version.minor() => true,
            Open::Patch => compare_pre(version.pre(), own.pre()).is_ne(),
            Open::Nothing | Open::Major => own.patch() != version.patch() || version != own,
        }
    }

    fn greater(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.open {
            Open::Nothing | Open::Major => version > own,
            _ if version.major() != own.major() => version.major() > own.major(),
            Open::Minor => false,
            Open::Patch => version.minor() > own.minor(),
        }
    }

    fn less_equal(&self, version: &Version) -> bool {
        let own = &self.version;
        if self.open == Open::Nothing {
            return version <= own;
        }
        version.major() < own.major()
            || version.major() == own.major()
                && (version.minor() <= own.minor() || self.open == Open::Minor)
    }

    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if version < own {
            return false;
        }
        let zero = own.major() == 0 && own.minor() == 0 && own.patch() == 0;
        if zero && matches!(self.open, Open::Nothing | Open::Major) {
            return true;
        }
        version.major() == own.major()
            && (version.minor() == own.minor() || self.open == Open::Minor)
    }

    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version < own {
            return false;
        }
        if own.major() > 0 || self.open == Open::Minor {
            return version.major() == own.major();
        }
        if version.major() > 0 || version.minor() != own.minor() {
            return false;
        }
        own.minor() > 0 || self.open == Open::Patch || version.patch() == own.patch()
    }
}

const VERSION: &str = r"v?([0-9|xX*]+)(\.[0-9|xX*]+)?(\.[0-9|xX*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

/// Go's `\s` is ASCII without the vertical tab.
fn expression(template: &str) -> Regex {
    let text =
        template.replace("OPS", OPERATORS).replace("VER", VERSION).replace(r"\s", r"[\t\n\f\r ]");
    Regex::new(&text).expect("the expressions are constants, and each is used by a test")
}

static TERM: LazyLock<Regex> = LazyLock::new(|| expression(r"^\s*(OPS)\s*(VER)\s*$"));
static RANGE: LazyLock<Regex> = LazyLock::new(|| expression(r"\s*(VER)\s+-\s+(VER)\s*"));
static FIND: LazyLock<Regex> = LazyLock::new(|| expression(r"(OPS)\s*(VER)"));
static GROUP: LazyLock<Regex> =
    LazyLock::new(|| expression(r"^(\s*(OPS)\s*(VER)\s*)((?:\s+|,\s*)(OPS)\s*(VER)\s*)*$"));

impl FromStr for Constraint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse_bytes(text.as_bytes())
    }
}

impl Constraint {
    /// Reads a text that need not be UTF-8: what is wrong with it is told byte by byte.
    ///
    /// # Errors
    /// The text is not a constraint.
    pub fn parse_bytes(text: &[u8]) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::TooLong);
        }
        match std::str::from_utf8(text).ok().and_then(single) {
            Some(parts) => Ok(Self { groups: vec![group(vec![term(&parts)?])] }),
            None => Self::general(text),
        }
    }

    /// Reads every form.
    fn general(text: &[u8]) -> Result<Self, Error> {
        let text = rewrite_ranges(text);
        let parts = split_groups(&text);
        if parts.len() > MOST_GROUPS {
            return Err(Error::TooManyGroups);
        }
        let groups = parts.into_iter().map(parse_group).collect::<Result<_, _>>()?;
        Ok(Self { groups })
    }
}

fn split_groups(mut text: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(2).position(|pair| pair == b"||") {
        parts.push(&text[..at]);
        text = &text[at + 2..];
    }
    parts.push(text);
    parts
}

/// Writes `1.2 - 1.4` as `>= 1.2, <= 1.4 `.
fn rewrite_ranges(text: &[u8]) -> Vec<u8> {
    let mut output = text.to_owned();
    for found in RANGE.captures_iter(text) {
        let replacement = [b">= ", &found[1], b", <= ", &found[11], b" "].concat();
        let whole = &found[0];
        // The first such text, as upstream does, which may be another one.
        if let Some(at) = output.windows(whole.len()).position(|part| part == whole) {
            output.splice(at..at + whole.len(), replacement);
        }
    }
    output
}

fn parse_group(text: &[u8]) -> Result<Group, Error> {
    if !GROUP.is_match(text) {
        return Err(Error::Improper(text.to_owned()));
    }
    let terms = FIND.find_iter(text).map(|found| parse_term(found.as_bytes()));
    Ok(group(terms.collect::<Result<_, _>>()?))
}

fn group(terms: Vec<Term>) -> Group {
    let takes_prereleases = terms.iter().any(|term| !term.version.pre().is_empty());
    Group { terms, takes_prereleases }
}

/// The texts of a term's parts. A minor version or a patch has its dot, a prerelease its hyphen.
struct Parts<'t> {
    operator: &'t str,
    version: &'t str,
    major: &'t str,
    minor: &'t str,
    patch: &'t str,
    pre: &'t str,
}

/// Takes a text apart that is one plain term, such as `>= 1.19-0` or `61.x`: nearly every
/// constraint is, and the expressions for all others take long to compile.
fn single(text: &str) -> Option<Parts<'_>> {
    let space = ['\t', '\n', '\x0c', '\r', ' '];
    let text = text.trim_matches(space);
    let rest = text.trim_start_matches(['=', '!', '<', '>', '~', '^']);
    let operator = &text[..text.len() - rest.len()];
    let known = ["", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^"];
    let version = rest.trim_start_matches(space);
    let rest = version.strip_prefix('v').unwrap_or(version);
    let (numbers, pre) = rest.split_at(rest.find('-').unwrap_or(rest.len()));
    let minor = numbers.find('.').unwrap_or(numbers.len());
    let (major, rest) = numbers.split_at(minor);
    let (minor, patch) = rest.split_at(rest.rfind('.').filter(|at| *at > 0).unwrap_or(rest.len()));
    let number = |part: &str| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        !part.is_empty() && digits || matches!(part, "x" | "X" | "*")
    };
    let dotted = |part: &str| part.is_empty() || part.strip_prefix('.').is_some_and(number);
    let word = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !part.is_empty() && part.bytes().all(fits)
    };
    let fits = known.contains(&operator)
        && number(major)
        && dotted(minor)
        && dotted(patch)
        && (pre.is_empty() || pre[1..].split('.').all(word));
    fits.then_some(Parts { operator, version, major, minor, patch, pre })
}

fn parse_term(text: &[u8]) -> Result<Term, Error> {
    let parts = TERM.captures(text).ok_or_else(|| Error::Improper(text.to_owned()))?;
    // The expression takes ASCII alone.
    let part = |index| {
        parts.get(index).map_or("", |part| std::str::from_utf8(part.as_bytes()).unwrap_or_default())
    };
    term(&Parts {
        operator: part(1),
        version: part(2),
        major: part(3),
        minor: part(4),
        patch: part(5),
        pre: part(6),
    })
}

fn term(parts: &Parts<'_>) -> Result<Term, Error> {
    let Parts { operator, version, major, minor, patch, pre } = parts;
    let is_open = |text: &str| matches!(text, "" | "x" | "X" | "*" | ".x" | ".X" | ".*");
    let (open, number) = if is_open(major) {
        (Open::Major, format!("0.0.0{pre}"))
    } else if is_open(minor) {
        (Open::Minor, format!("{major}.0.0{pre}"))
    } else if is_open(patch) {
        (Open::Patch, format!("{major}{minor}.0{pre}"))
    } else {
        (Open::Nothing, (*version).to_owned())
    };
    let known = match *operator {
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        "<" => Operator::Less,
        ">=" | "=>" => Operator::GreaterEqual,
        "<=" | "=<" => Operator::LessEqual,
        "~" | "~>" => Operator::Tilde,
        "^" => Operator::Caret,
        _ => Operator::Equal,
    };
    Ok(Term {
        operator: known,
        version: number.parse().map_err(|_| Error::Version)?,
        open,
        operator_text: (*operator).to_owned(),
        version_text: (*version).to_owned(),
    })
}

/// Quotes a text as Go's `%q` does.
fn quote(text: &[u8]) -> String {
    use fmt::Write as _;
    let mut quoted = String::from("\"");
    for chunk in text.utf8_chunks() {
        push_quoted(&mut quoted, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

fn push_quoted(quoted: &mut String, text: &str) {
    use fmt::Write as _;
    for letter in text.chars() {
        let code = u32::from(letter);
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\x0b' => quoted.push_str("\\v"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(quoted, "\\x{code:02x}");
            }
            '\u{80}'.. if letter.escape_debug().len() > 1 && code > 0xffff => {
                let _ = write!(quoted, "\\U{code:08x}");
            }
            '\u{80}'.. if letter.escape_debug().len() > 1 => {
                let _ = write!(quoted, "\\u{code:04x}");
            }
            _ => quoted.push(letter),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str(" || ")?;
            }
            for (index, term) in group.terms.iter().enumerate() {
                let space = if index > 0 { " " } else { "" };
                write!(f, "{space}{}{}", term.operator_text, term.version_text)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Constraint>().map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn refuses_with_the_messages_of_masterminds() {
        let rows = [
            ("", "improper constraint: \"\""),
            ("latest", "improper constraint: \"latest\""),
            ("1 ||", "improper constraint: \"\""),
            ("a\"\u{1}", "improper constraint: \"a\\\"\\x01\""),
            ("1|2", "constraint parser error"),
        ];
        for (text, expected) in rows {
            assert_eq!(error(text), expected, "{text}");
        }
        let bytes = Constraint::parse_bytes(b"1 - 2 || \xe6\x97x").unwrap_err().to_string();
        assert_eq!(bytes, "improper constraint: \" \\xe6\\x97x\"");
        assert_eq!(error(&"1".repeat(513)), "constraint string is too long (max 512 bytes)");
        assert_eq!(error(&["1"; 33].join("||")), "too many constraint groups (max 32)");
    }

    #[test]
    fn prints_its_terms() {
        let rows =
            [("61.x", "61.x"), (">=1, <2||^3", ">=1 <2 || ^3"), ("1.2 - 1.4", ">=1.2 <=1.4")];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Constraint>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn one_plain_term_is_read_as_by_the_expressions() {
        let operators =
            ["", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^", "==", "!"];
        let spaces = ["", " ", "\t ", "\u{b}"];
        let versions = [
            "1",
            "v1",
            "1.2",
            "1.2.3",
            "x",
            "1.x",
            "1.2.*",
            "1.X.3",
            "1.2.3-0",
            "1.2-rc.1",
            "1-a-b",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3.4",
            "1.",
            ".1",
            "1..2",
            "01.2",
            "1.2.3+b",
            "1x",
            "1|2",
            "99999999999999999999",
            "*",
            "",
            "v",
            "a",
            "1.2.3-01",
            "1.2.3 ",
            "1 2",
            "1 - 2",
            "1,2",
        ];
        let mut plain = 0;
        for operator in operators {
            for space in spaces {
                for version in versions {
                    let text = format!("{space}{operator}{space}{version}");
                    plain += usize::from(single(&text).is_some());
                    assert_eq!(text.parse(), Constraint::general(text.as_bytes()), "{text:?}");
                }
            }
        }
        assert!(plain > 500, "{plain}");
    }

    #[test]
    fn agrees_with_helm_on_every_vector() {
        #[derive(serde::Deserialize)]
        struct Row {
            constraint: String,
            version: String,
            r#match: Option<bool>,
            error: Option<String>,
        }
        let Some(corpus) = crate::base::testing::corpus() else { return };
        let path = corpus.join("vectors/constraints.jsonl");
        let text = crate::base::file::read_text(&path, 1 << 20).unwrap();
        let (mut rows, mut failed) = (0, Vec::new());
        for line in text.lines() {
            let row: Row = serde_json::from_str(line).unwrap();
            let parsed = row.constraint.parse::<Constraint>().map_err(|error| error.to_string());
            // Helm reads the constraint first, then the version.
            let found = parsed.and_then(|constraint| {
                let version = row.version.parse::<Version>().map_err(|error| error.to_string())?;
                Ok(constraint.matches(&version))
            });
            let expected = row.r#match.ok_or_else(|| {
                let error = row.error.as_deref().unwrap_or_default();
                error.rsplit("semverCompare: ").next().unwrap_or_default().to_owned()
            });
            rows += 1;
            if found != expected {
                failed.push(format!("{line}\n    found {found:?}"));
            }
        }
        assert!(rows > 2000, "{rows} rows");
        assert!(
            failed.is_empty(),
            "{} of {rows} rows differ:\n{}",
            failed.len(),
            failed.join("\n")
        );
    }
}
