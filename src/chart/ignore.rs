//! `.helmignore`: which files of a chart folder are not part of the chart.
//!
//! It looks like `.gitignore` and is not: `!pattern` drops whatever does *not* match, and the first
//! rule that drops a path is final.

use super::Error;

/// The rules of one chart folder.
///
/// ```
/// let rules = leadsman::chart::ignore::Rules::parse("*.bak\n/docs/\n")?;
/// assert!(rules.drops("templates/x.bak"));
/// assert!(rules.drops("docs/deep/readme.md"));
/// assert!(!rules.drops("templates/x.yaml"));
/// # Ok::<(), leadsman::chart::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks of a line, as Helm keeps them"
)]
struct Rule {
    pattern: Vec<char>,
    /// Drops what does not match.
    negated: bool,
    /// Speaks of folders only.
    folder: bool,
    /// Compared with the base name, not with the whole path.
    base_name: bool,
}

impl Rules {
    /// Reads the rules and appends the built-in one, `templates/.?*`.
    ///
    /// Source: helm v4.3.1 pkg/ignore/rules.go (`Parse`, `parseRule`).
    ///
    /// # Errors
    /// A rule holds `**` or is not a pattern.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for line in text.lines().chain(["templates/.?*"]) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains("**") {
                return Err(Error::Ignore("double-star (**) syntax is not supported".to_owned()));
            }
            let whole: Vec<char> = line.chars().collect();
            if matches(&whole, &['a', 'b', 'c']).is_none() {
                return Err(Error::Ignore("syntax error in pattern".to_owned()));
            }
            let negated = line.starts_with('!');
            let line = line.strip_prefix('!').unwrap_or(line);
            let folder = line.ends_with('/');
            let line = line.strip_suffix('/').unwrap_or(line);
            let (pattern, base_name) = match line.strip_prefix('/') {
                Some(anchored) => (anchored, false),
                None => (line, !line.contains('/')),
            };
            rules.push(Rule { pattern: pattern.chars().collect(), negated, folder, base_name });
        }
        Ok(Self(rules))
    }

    /// Returns whether a file (path relative to the chart, separator `/`) is dropped, by itself or
    /// with one of its folders.
    pub fn drops(&self, file: &str) -> bool {
        let folders = file.match_indices('/').map(|(at, _)| &file[..at]);
        folders.into_iter().any(|folder| self.drops_one(folder, true))
            || self.drops_one(file, false)
    }

    /// Source: helm v4.3.1 pkg/ignore/rules.go (`Ignore`).
    fn drops_one(&self, path: &str, is_folder: bool) -> bool {
        if matches!(path, "" | "." | "./") {
            return false;
        }
        for rule in &self.0 {
            let name = if rule.base_name { path.rsplit('/').next().unwrap_or(path) } else { path };
            let name: Vec<char> = name.chars().collect();
            let wrong_kind = rule.folder && !is_folder;
            let matched = || matches(&rule.pattern, &name) == Some(true);
            let dropped =
                if rule.negated { wrong_kind || !matched() } else { !wrong_kind && matched() };
            if dropped {
                return true;
            }
        }
        false
    }
}

/// Go's `filepath.Match`; `None` is a malformed pattern.
fn matches(pattern: &[char], name: &[char]) -> Option<bool> {
    let mut pattern = pattern;
    let mut name = name;
    while !pattern.is_empty() {
        let stars = pattern.iter().take_while(|c| **c == '*').count();
        let chunk_end = chunk_len(&pattern[stars..]) + stars;
        let chunk = &pattern[stars..chunk_end];
        pattern = &pattern[chunk_end..];
        if stars > 0 && chunk.is_empty() {
            return Some(!name.contains(&'/'));
        }
        if let Some(rest) = chunk_matches(chunk, name)?
            && (rest.is_empty() || !pattern.is_empty())
        {
            name = rest;
            continue;
        }
        let mut found = None;
        if stars > 0 {
            for skip in 0..name.len() {
                if name[skip] == '/' {
                    break;
                }
                if let Some(rest) = chunk_matches(chunk, &name[skip + 1..])?
                    && (!pattern.is_empty() || rest.is_empty())
                {
                    found = Some(rest);
                    break;
                }
            }
        }
        let Some(rest) = found else {
            // The rest of the pattern is still checked for its form.
            while !pattern.is_empty() {
                let stars = pattern.iter().take_while(|c| **c == '*').count();
                let end = chunk_len(&pattern[stars..]) + stars;
                chunk_matches(&pattern[stars..end], &[])?;
                pattern = &pattern[end..];
            }
            return Some(false);
        };
        name = rest;
    }
    Some(name.is_empty())
}

/// Length of the part of a pattern before its next `*`.
fn chunk_len(pattern: &[char]) -> usize {
    let mut in_range = false;
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            '\\' => at += 1,
            '[' => in_range = true,
            ']' => in_range = false,
            '*' if !in_range => return at,
            _ => {}
        }
        at += 1;
    }
    pattern.len()
}

/// Matches a part without stars at the start of the name and returns what is left of the name.
/// The outer `None` is a malformed pattern.
fn chunk_matches<'n>(mut chunk: &[char], mut name: &'n [char]) -> Option<Option<&'n [char]>> {
    let mut failed = false;
    while let Some((first, rest)) = chunk.split_first() {
        failed = failed || name.is_empty();
        let c = name.first().copied().filter(|_| !failed);
        match first {
            '[' => {
                let (matched, after) = range_matches(rest, c)?;
                chunk = after;
                failed = failed || !matched;
            }
            '?' => {
                failed = failed || c == Some('/');
                chunk = rest;
            }
            '\\' => {
                let (literal, after) = rest.split_first()?;
                failed = failed || c != Some(*literal);
                chunk = after;
            }
            literal => {
                failed = failed || c != Some(*literal);
                chunk = rest;
            }
        }
        if !failed {
            name = &name[1..];
        }
    }
    Some((!failed).then_some(name))
}

/// Reads `^a-c]` and tells whether the character is (not) in it; `None` is a malformed range.
fn range_matches(mut rest: &[char], c: Option<char>) -> Option<(bool, &[char])> {
    let negated = rest.first() == Some(&'^');
    if negated {
        rest = &rest[1..];
    }
    let mut matched = false;
    let mut count = 0;
    loop {
        if let Some((']', after)) = rest.split_first()
            && count > 0
        {
            return Some((c.is_some() && matched != negated, after));
        }
        let (low, after) = range_end(rest)?;
        let (high, after) = match after.split_first() {
            Some(('-', after)) => range_end(after)?,
            _ => (low, after),
        };
        rest = after;
        matched = matched || c.is_some_and(|c| low <= c && c <= high);
        count += 1;
    }
}

/// Reads one end of a range; something must follow it.
fn range_end(rest: &[char]) -> Option<(char, &[char])> {
    let (first, after) = rest.split_first()?;
    let (c, after) = match first {
        '-' | ']' => return None,
        '\\' => after.split_first().map(|(c, after)| (*c, after))?,
        c => (*c, after),
    };
    (!after.is_empty()).then_some((c, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_drop_what_helm_drops() {
        let rows: &[(&str, &str, &str, bool)] = &[
            ("base name at any depth", "*.bak", "a/b/c.bak", true),
            ("base name, other", "*.bak", "a/b/c.yaml", false),
            ("star stays in a folder", "a/*.txt", "a/b/c.txt", false),
            ("anchored", "/x.txt", "x.txt", true),
            ("anchored, deeper", "/x.txt", "a/x.txt", false),
            ("structural", "a/x.txt", "b/a/x.txt", false),
            ("folder only, file", "docs/", "docs", false),
            ("folder drops its tree", "docs/", "docs/a/b", true),
            ("folder at any depth", "docs/", "x/docs/b", true),
            ("class", "[a-c].txt", "b.txt", true),
            ("negated class", "[^a-c].txt", "b.txt", false),
            ("question mark", "?.txt", "x.txt", true),
            ("escape", "\\*.txt", "*.txt", true),
            ("escape, other", "\\*.txt", "x.txt", false),
            ("comment", "#x", "#x", false),
            ("blanks around", "  x.txt  ", "x.txt", true),
            ("negation drops the others", "!conf/a.yaml", "Chart.yaml", true),
            ("negation keeps its own", "!a.yaml", "a.yaml", false),
            ("built in", "", "templates/.x", true),
            ("built in, shallow only", "", "templates/a/.x", false),
            ("built in, root", "", ".x", false),
            ("byte order mark", "\u{feff}x.txt", "x.txt", true),
            ("two stars apart", "a*b*c", "axxbyyc", true),
            ("two stars apart, other", "a*b*c", "axxbyyd", false),
            ("star eats nothing", "a*", "a", true),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, rules, path, want)| Rules::parse(rules).unwrap().drops(path) != *want)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn malformed_rules_are_refused() {
        let rows = [
            ("a/**", "double-star (**) syntax is not supported"),
            ("a[", "syntax error in pattern"),
            ("[a-]", "syntax error in pattern"),
            ("\\", "syntax error in pattern"),
            ("x*[", "syntax error in pattern"),
        ];
        for (rule, want) in rows {
            assert_eq!(Rules::parse(rule).unwrap_err().to_string(), want, "{rule}");
        }
    }
}
