//! Chooses among the versions of a chart.

use super::entry::Entry;
use crate::base::constraint::{self, Constraint};
use crate::base::version::Version;

/// Most names or versions that an error proposes.
const PROPOSED: usize = 3;

/// What came of a choice.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Choice {
    /// These satisfy, the best first.
    Found(Vec<Entry>),
    /// None does; these come near.
    Nothing(Vec<String>),
}

/// Chooses the versions that satisfy a constraint, newest first; `entries` are newest first too.
/// A version that is exactly the constraint's text is taken alone. An empty constraint is `*`.
///
/// Source: fluxcd/source-controller v1.9.1 internal/helm/repository (`getChartVersion`).
pub(super) fn choose(entries: &[Entry], wanted: &str) -> Result<Choice, constraint::Error> {
    let allows = allowed(entries, wanted)?;
    let found: Vec<Entry> = entries.iter().filter(|entry| allows(entry)).cloned().collect();
    if !found.is_empty() {
        return Ok(Choice::Found(found));
    }
    // The advice is tried before it is given.
    let loose = format!("{wanted}-0").parse::<Constraint>().ok();
    let only = |entry: &&Entry| loose.as_ref().is_some_and(|loose| loose.matches(&entry.version));
    let prereleases: Vec<String> = entries
        .iter()
        .filter(only)
        .take(PROPOSED)
        .map(|entry| {
            format!("{} (a prerelease; end the constraint in `-0` to take it)", entry.text)
        })
        .collect();
    let near = if prereleases.is_empty() { nearest(entries, wanted) } else { prereleases };
    Ok(Choice::Nothing(near))
}

/// Returns what tells whether a constraint allows a version of these: the one that is exactly its
/// text alone, if there is such a one. An empty constraint is `*`.
///
/// # Errors
/// The constraint is none.
pub fn allowed(
    entries: &[Entry],
    wanted: &str,
) -> Result<impl Fn(&Entry) -> bool, constraint::Error> {
    let constraint = if entries.iter().any(|entry| entry.text == wanted) {
        None
    } else {
        Some(if wanted.is_empty() { "*" } else { wanted }.parse::<Constraint>()?)
    };
    let wanted = wanted.to_owned();
    Ok(move |entry: &Entry| match &constraint {
        None => entry.text == wanted,
        // A version of fewer than three parts is found by its exact text only.
        Some(constraint) => {
            entry.text.matches('.').count() >= 2 && constraint.matches(&entry.version)
        }
    })
}

/// Returns the versions around the first version that a constraint names, newest first.
fn nearest(entries: &[Entry], wanted: &str) -> Vec<String> {
    let pivot = wanted
        .split(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c)))
        .map(|word| word.trim_end_matches(['x', 'X', '*', '.']))
        .find_map(|word| word.parse::<Version>().ok());
    let stable: Vec<&Entry> = entries.iter().filter(|e| e.version.pre().is_empty()).collect();
    let pool = if stable.is_empty() { entries.iter().collect() } else { stable };
    let Some(pivot) = pivot else {
        return pool.iter().take(PROPOSED).map(|entry| entry.text.clone()).collect();
    };
    // Newest first: those above the pivot stand before `at`.
    let at = pool.partition_point(|entry| entry.version > pivot);
    let above = at.min(if at < pool.len() { 1 } else { PROPOSED });
    let near = pool[at - above..].iter().take(PROPOSED);
    near.map(|entry| entry.text.clone()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::entry::entries_of;
    use super::*;

    fn entries(versions: &[(&str, &str)]) -> Vec<Entry> {
        let list: Vec<_> = versions
            .iter()
            .map(|(version, created)| json!({"name": "chart", "version": version, "created": created}))
            .collect();
        entries_of(&json!(list)).0
    }

    fn flux() -> Vec<Entry> {
        let (now, minute, hour) =
            ("2026-01-01T12:00:00Z", "2026-01-01T11:59:00Z", "2026-01-01T11:00:00Z");
        entries(&[
            ("0.0.1", now),
            ("0.1.0", now),
            ("0.1.1", now),
            ("0.1.5+b.min.minute", minute),
            ("0.1.5+a.min.hour", hour),
            ("0.1.5+c.now", now),
            ("0.2.0", now),
            ("1.0.0", now),
            ("1.1.0-rc.1", now),
        ])
    }

    #[test]
    fn chooses_as_flux_does() {
        let rows = [
            ("exact", "0.0.1", "0.0.1"),
            ("empty is the newest release", "", "1.0.0"),
            ("star", "*", "1.0.0"),
            ("range", "<1.0.0", "0.2.0"),
            ("equal precedence: newest created", "0.1.5", "0.1.5+c.now"),
            ("exact with build metadata", "0.1.5+a.min.hour", "0.1.5+a.min.hour"),
            ("prerelease by its text", "1.1.0-rc.1", "1.1.0-rc.1"),
            ("prereleases on request", ">=1.0.0-0", "1.1.0-rc.1"),
            ("leading v", "v1.0.0", "1.0.0"),
            ("any of two", "<0.0.2 || ~0.1.0", "0.1.5+c.now"),
        ];
        for (name, wanted, expected) in rows {
            let Choice::Found(found) = choose(&flux(), wanted).unwrap() else {
                panic!("{name}: nothing found")
            };
            assert_eq!(found[0].text, expected, "{name}");
        }
        assert_eq!(
            choose(&flux(), "latest").unwrap_err().to_string(),
            "improper constraint: \"latest\""
        );
    }

    /// What ranges mean, by the words of Flux's documentation of them; empty: nothing is found.
    #[test]
    fn ranges_mean_what_they_mean_in_flux() {
        let versions = [
            "0.1.0",
            "0.1.9",
            "0.2.0",
            "1.0.0",
            "1.2.0",
            "1.2.3",
            "1.2.9",
            "1.3.0",
            "2.0.0",
            "61.0.0",
            "61.2.0",
            "62.0.0-rc.1",
        ];
        let all = entries(&versions.map(|version| (version, "")));
        let rows = [
            ("*", "61.2.0"),
            ("x", "61.2.0"),
            ("61", "61.2.0"),
            ("61.x", "61.2.0"),
            (">=1.0.0", "61.2.0"),
            ("^1.2", "1.3.0"),
            ("~1.2.0", "1.2.9"),
            ("1.2", "1.2.9"),
            ("1.2.x", "1.2.9"),
            ("^0.1", "0.1.9"),
            (">=1.0.0-0", "62.0.0-rc.1"),
            ("*-0", "62.0.0-rc.1"),
            (">0.0.0-0", "62.0.0-rc.1"),
            (">1, <2", ""),
            (">=1 <2", "1.3.0"),
            ("<2 || 61", "61.2.0"),
            ("1.2.3 - 2.0.0", "2.0.0"),
            ("v1.2.3", "1.2.3"),
            ("62.0.0-rc.1", "62.0.0-rc.1"),
            ("62.x", ""),
        ];
        for (wanted, expected) in rows {
            let found = match choose(&all, wanted).unwrap() {
                Choice::Found(found) => found[0].text.clone(),
                Choice::Nothing(_) => String::new(),
            };
            assert_eq!(found, expected, "{wanted}");
        }
    }

    #[test]
    fn what_comes_near_is_said() {
        let rows: [(&str, &[&str]); 5] = [
            (">2.0.0", &["1.0.0", "0.2.0", "0.1.5+c.now"]),
            ("0.1.7", &["0.2.0", "0.1.5+c.now", "0.1.5+b.min.minute"]),
            ("<0.0.1", &["0.1.0", "0.0.1"]),
            ("~1.1.0", &["1.1.0-rc.1 (a prerelease; end the constraint in `-0` to take it)"]),
            ("<x", &["1.0.0", "0.2.0", "0.1.5+c.now"]),
        ];
        for (wanted, expected) in rows {
            let found = choose(&flux(), wanted).unwrap();
            let Choice::Nothing(near) = found else { panic!("{wanted}: {found:?}") };
            assert_eq!(near, expected, "{wanted}");
        }
    }

    #[test]
    fn short_versions_are_found_by_their_text_only() {
        let entries = entries(&[("2", ""), ("1.5", ""), ("1.0.0", "")]);
        let first = |wanted: &str| match choose(&entries, wanted).unwrap() {
            Choice::Found(found) => found[0].text.clone(),
            Choice::Nothing(_) => String::new(),
        };
        assert_eq!((first("2").as_str(), first("*").as_str()), ("2", "1.0.0"));
    }

    #[test]
    fn versions_may_begin_with_a_letter_and_have_leading_zeros() {
        let entries = entries(&[("v1.04.0", ""), ("1.3.0", "")]);
        let Choice::Found(found) = choose(&entries, "1.x").unwrap() else { panic!("nothing") };
        assert_eq!(found[0].text, "v1.04.0");
    }
}
