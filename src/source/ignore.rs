//! `.sourceignore`: which files are left out, by the rules of `.gitignore`.
//!
//! Source: fluxcd/pkg sourceignore; gitignore(5).

/// What is never a part of an artifact.
const ALWAYS: &str = ".git/\n.gitignore\n.gitmodules\n.gitattributes\n";
/// What is left out where the user says nothing of it.
const DEFAULT: &str = "*.jpg\n*.jpeg\n*.gif\n*.png\n*.wmv\n*.flv\n*.tar.gz\n*.zip\n\
    .github/\n.circleci/\n.travis.yml\n.gitlab-ci.yml\nappveyor.yml\n.drone.yml\ncloudbuild.yaml\n\
    codeship-services.yml\ncodeship-steps.yml\n\
    **/.goreleaser.yml\n**/.sops.yaml\n**/.flux.yaml\n";
/// Name of the files with rules.
pub(crate) const FILE: &str = ".sourceignore";

/// Rules, the last that fits decides.
///
/// ```
/// use leadsman::source::Ignore;
/// let rules = Ignore::new(&[("", "/*\n!/charts\n"), ("charts", "*.md\n")], None);
/// assert!(rules.drops("README.md", false));
/// assert!(!rules.drops("charts/web/Chart.yaml", false));
/// assert!(rules.drops("charts/web/README.md", false));
/// ```
#[derive(Debug, Clone)]
pub struct Ignore(Vec<Rule>);

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks of a line, as Git keeps them")]
struct Rule {
    /// The folder that it is about, and all below.
    folder: String,
    pattern: Vec<Part>,
    /// Takes in what others leave out.
    negated: bool,
    /// Speaks of folders only.
    only_folders: bool,
    /// Compared with the path below its folder, not with the last name.
    anchored: bool,
}

impl Ignore {
    /// Reads rules: those of folders (outer ones first), then the object's, which count most.
    #[must_use]
    pub fn new(files: &[(&str, &str)], of_object: Option<&str>) -> Self {
        let read = |folder: &str, text: &str| -> Vec<Rule> {
            text.lines().filter_map(|line| rule(folder, line)).collect()
        };
        let mut own: Vec<Rule> =
            files.iter().flat_map(|(folder, text)| read(folder, text)).collect();
        own.extend(of_object.map(|text| read("", text)).unwrap_or_default());
        let mut rules = read("", ALWAYS);
        if own.is_empty() {
            rules.extend(read("", DEFAULT));
        }
        rules.extend(own);
        Self(rules)
    }

    /// Reads the rules of a bucket, then the object's, which count more: nothing else is left out.
    #[must_use]
    pub fn bare(of_bucket: Option<&str>, of_object: Option<&str>) -> Self {
        let texts = [of_bucket, of_object].into_iter().flatten();
        Self(texts.flat_map(|text| text.lines().filter_map(|line| rule("", line))).collect())
    }

    /// Returns whether a path is left out, by itself or with one of its folders.
    #[must_use]
    pub fn drops(&self, path: &str, is_folder: bool) -> bool {
        let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        folders.any(|folder| self.drops_one(folder, true)) || self.drops_one(path, is_folder)
    }

    /// Returns whether an object is left out: the last rule decides that fits its path or one of the
    /// folders in it. A bucket has no folders, so one that is left out takes nothing along that a
    /// later rule takes back.
    #[must_use]
    pub fn drops_object(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        let parts: Vec<_> = folders.chain([(path, false)]).collect();
        let fits = |rule: &&Rule| parts.iter().any(|(part, is_folder)| rule.fits(part, *is_folder));
        self.0.iter().rev().find(fits).is_some_and(|rule| !rule.negated)
    }

    /// Returns whether a path is left out whose folders are not.
    pub(super) fn drops_one(&self, path: &str, is_folder: bool) -> bool {
        let fits = |rule: &&Rule| rule.fits(path, is_folder);
        self.0.iter().rev().find(fits).is_some_and(|rule| !rule.negated)
    }
}

impl Rule {
    fn fits(&self, path: &str, is_folder: bool) -> bool {
        let below = match self.folder.as_str() {
            "" => Some(path),
            folder => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(below) = below.filter(|_| is_folder || !self.only_folders) else { return false };
        let text = if self.anchored { below } else { below.rsplit('/').next().unwrap_or(below) };
        let text: Vec<char> = text.chars().collect();
        matches(&self.pattern, &text)
    }
}

fn rule(folder: &str, line: &str) -> Option<Rule> {
    let line = line.trim_end_matches('\r');
    if line.starts_with('#') {
        return None;
    }
    let trimmed = line.trim_end_matches(' ');
    // A blank at the end stays if it is escaped.
    let line = match trimmed.ends_with('\\') && trimmed.len() < line.len() {
        true => &line[..=trimmed.len()],
        false => trimmed,
    };
    let (negated, line) = line.strip_prefix('!').map_or((false, line), |line| (true, line));
    let (only_folders, line) = line.strip_suffix('/').map_or((false, line), |line| (true, line));
    let anchored = line.contains('/');
    let pattern: Vec<char> = line.strip_prefix('/').unwrap_or(line).chars().collect();
    let folder = folder.to_owned();
    // One that is malformed fits nothing.
    let pattern = parts(&pattern).filter(|pattern| !pattern.is_empty())?;
    Some(Rule { folder, pattern, negated, only_folders, anchored })
}

/// Whether a pattern fits a whole text: `*` and `?` stay in a folder, `**/`, `/**` and `/**/` do
/// not.
fn matches(parts: &[Part], text: &[char]) -> bool {
    // Row by row: which ends of the text fit which ends of the pattern.
    let mut fits = vec![false; text.len() + 1];
    fits[text.len()] = true;
    for part in parts.iter().rev() {
        fits = (0..=text.len()).map(|at| part.fits(text, at, &fits)).collect::<Vec<_>>();
        if let Part::Any | Part::Folders = part {
            spread(part, text, &mut fits);
        }
    }
    fits[0]
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    One(char),
    /// `?`
    Anything,
    /// `[…]`: whether negated, and from where to where.
    Class(bool, Vec<(char, char)>),
    /// `*`
    Any,
    /// `**/`: no folder or any number of them.
    Folders,
    /// `/**` at the end: all that is inside.
    Inside,
}

impl Part {
    /// Whether this part and what follows it fit the text from `at` on; `after` says where what
    /// follows fits.
    fn fits(&self, text: &[char], at: usize, after: &[bool]) -> bool {
        let next = text.get(at).copied();
        let follows = || after.get(at + 1).copied().unwrap_or(false);
        match self {
            Self::One(wanted) => next == Some(*wanted) && follows(),
            Self::Anything => next.is_some_and(|c| c != '/') && follows(),
            Self::Class(negated, ranges) => {
                let inside = |c: char| ranges.iter().any(|(low, high)| *low <= c && c <= *high);
                next.is_some_and(|c| c != '/' && inside(c) != *negated) && follows()
            }
            Self::Any | Self::Folders => after[at],
            Self::Inside => next == Some('/') && at + 1 < text.len(),
        }
    }
}

/// Where a part fits that may take in any number of characters.
fn spread(part: &Part, text: &[char], fits: &mut [bool]) {
    let after = fits.to_vec();
    // Whether what follows fits behind some later `/`.
    let mut later = false;
    for at in (0..text.len()).rev() {
        if *part == Part::Any {
            fits[at] = fits[at] || (text[at] != '/' && fits[at + 1]);
        } else {
            later = later || (text[at] == '/' && after[at + 1]);
            fits[at] = fits[at] || later;
        }
    }
}

fn parts(pattern: &[char]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let rest = &pattern[at..];
        let begins = at == 0 || pattern[at - 1] == '/';
        let stars = |from: usize| rest[from..].iter().take_while(|c| **c == '*').count();
        let (part, size) = match rest {
            ['*', '*', ..] if begins && rest.get(stars(0)) == Some(&'/') => {
                (Part::Folders, stars(0) + 1)
            }
            ['/', '*', '*', ..] if stars(1) + 1 == rest.len() => (Part::Inside, rest.len()),
            ['*', ..] => (Part::Any, stars(0)),
            ['?', ..] => (Part::Anything, 1),
            ['[', ..] => class(rest)?,
            ['\\'] => return None,
            ['\\', c, ..] => (Part::One(*c), 2),
            [c, ..] => (Part::One(*c), 1),
            [] => break,
        };
        parts.push(part);
        at += size;
    }
    Some(parts)
}

/// Reads `[a-z]`; none if it has no end.
fn class(rest: &[char]) -> Option<(Part, usize)> {
    let negated = matches!(rest.get(1), Some('!' | '^'));
    let start = 1 + usize::from(negated);
    let (mut at, mut ranges) = (start, Vec::new());
    loop {
        let mut next = || {
            let c = *rest.get(at)?;
            at += 1;
            if c != '\\' {
                return Some((c, false));
            }
            let c = *rest.get(at)?;
            at += 1;
            Some((c, true))
        };
        let (low, escaped) = next()?;
        if low == ']' && !escaped && !ranges.is_empty() {
            return Some((Part::Class(negated, ranges), at));
        }
        let is_range = rest.get(at) == Some(&'-') && rest.get(at + 1).is_some_and(|c| *c != ']');
        if is_range {
            at += 1;
            let mut next = || {
                let c = *rest.get(at)?;
                at += 1;
                if c == '\\' {
                    at += 1;
                    return rest.get(at - 1).copied();
                }
                Some(c)
            };
            ranges.push((low, next()?));
        } else {
            ranges.push((low, low));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        let rows: &[(&str, &str, bool)] = &[
            ("*.bak", "a/b/c.bak", true),
            ("*.bak", "a/b/c.yaml", false),
            ("/x.txt", "x.txt", true),
            ("/x.txt", "a/x.txt", false),
            ("a/x.txt", "b/a/x.txt", false),
            ("docs/", "docs/a", true),
            ("docs/", "x/docs/a", true),
            ("docs/", "docs", false),
            ("a/*.txt", "a/b/c.txt", false),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/b/b/c", true),
            ("**/c", "c", true),
            ("**/c", "a/b/c", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a**c", "a/c", false),
            ("a**c", "abbc", true),
            ("**", "a/b", true),
            ("*\n!a.yaml", "a.yaml", false),
            ("*\n!a.yaml", "b.yaml", true),
            ("/*\n!/charts", "charts/web/a", false),
            ("d/\n!d/a", "d/a", true),
            ("#x", "#x", false),
            ("\\#x", "#x", true),
            ("\\!x", "!x", true),
            ("x  ", "x", true),
            ("x\\ ", "x ", true),
            ("[a-c].txt", "b.txt", true),
            ("[!a-c].txt", "b.txt", false),
            ("[^a-c].txt", "d.txt", true),
            ("[]].txt", "].txt", true),
            ("[a", "[a", false),
            ("?.txt", "x.txt", true),
            ("a?b", "a/b", false),
            ("", "x", false),
            ("/", "x", false),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(text, path, want)| {
                Ignore::new(&[("", text)], None).drops(path, false) != *want
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn an_object_is_taken_back_out_of_a_folder() {
        let rows = [
            ("d/\n!d/a", "d/a", false),
            ("d/\n!d/a", "d/b", true),
            ("!d/a\nd/", "d/a", true),
            ("/*\n!/charts", "charts/web/a", false),
            ("/*\n!/charts\n*.md", "charts/web/a.md", true),
            ("d/", "d", false),
        ];
        for (text, path, want) in rows {
            assert_eq!(Ignore::bare(Some(text), None).drops_object(path), want, "{text} {path}");
        }
    }

    #[test]
    fn the_rules_of_flux_hold_until_others_are_given() {
        let none = Ignore::new(&[], None);
        for path in [".gitignore", ".git/config", "a/b.png", ".github/x", "deep/.sops.yaml"] {
            assert!(none.drops(path, false), "{path}");
        }
        let endings = ["jpg", "jpeg", "gif", "png", "wmv", "flv", "tar.gz", "zip"];
        let files = [
            ".github/x",
            "a/.circleci/x",
            ".travis.yml",
            "a/.gitlab-ci.yml",
            "appveyor.yml",
            ".drone.yml",
            "cloudbuild.yaml",
            "codeship-services.yml",
            "a/codeship-steps.yml",
            "a/b/.goreleaser.yml",
            ".sops.yaml",
            "a/.flux.yaml",
        ];
        let defaults = endings.map(|ending| format!("a/b.{ending}"));
        let defaults = defaults.into_iter().chain(files.map(str::to_owned));
        let defaults: Vec<String> = defaults.collect();
        let always = [".git/config", "a/.gitignore", ".gitmodules", "a/.gitattributes"];
        let other = Ignore::new(&[], Some("nothing\n"));
        for path in &defaults {
            // What is given takes the place of all that Flux leaves out by itself.
            assert!(none.drops(path, false) && !other.drops(path, false), "{path}");
        }
        for path in always {
            assert!(none.drops(path, false) && other.drops(path, false), "{path}");
        }
        // Nothing of it counts for a bucket.
        let bare = Ignore::bare(None, None);
        assert!(defaults.iter().all(|path| !bare.drops_object(path)));
        assert!(!none.drops("charts/web/Chart.yaml", false));
        let own = Ignore::new(&[("a", "x\n!y\n")], Some("y\n"));
        assert!(own.drops("a/x", false) && !own.drops("x", false));
        assert!(own.drops("a/y", false) && own.drops("a/.gitmodules", false));
        assert!(!own.drops("b.png", false));
    }
}
