//! Searches indexes for charts, in Helm's order.
//!
//! Source: helm v4.3.1 pkg/cmd/search/search.go, pkg/cmd/search_repo.go.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use super::entry::{Entry, entry};
use super::index::Index;
use crate::base::constraint::Constraint;
use crate::chart::sanitize;
use crate::template::go_regex;
use crate::yaml::Value;

/// Stands between the parts of a line that is searched.
const SEPARATOR: char = '\u{b}';

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Everything.
    All,
    /// A text, in any case.
    Text(String),
    /// A regular expression of Go's syntax.
    Regex(String),
}

/// A version of a chart that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// `REPOSITORY/CHART`.
    pub name: String,
    /// The version.
    pub entry: Entry,
    /// One sentence about the chart.
    pub description: String,
    /// How far from the start of the line it was found, in parts.
    score: usize,
}

/// Looks for something in a line and returns its score.
type Find = Box<dyn Fn(&str) -> Option<usize>>;

#[derive(Debug, Clone, PartialEq)]
struct Line {
    text: String,
    entry: Entry,
    description: String,
}

/// Charts of several repositories that can be searched.
#[derive(Debug, Clone, Default)]
pub struct Searchable {
    /// By the charts' names and the versions' texts: a version that is there twice counts once.
    lines: BTreeMap<(String, String), Line>,
}

impl Searchable {
    /// Adds the index of a repository. Charts and entries that cannot be read are left out.
    ///
    /// # Errors
    /// A text for people: it is no index.
    pub fn add(&mut self, repository: &str, text: &str) -> Result<(), String> {
        let (index, rewritten) = Index::find(text)?;
        let text = rewritten.as_deref().unwrap_or(text);
        for chart in index.charts() {
            let list = match index.list(chart, text) {
                Ok(list) => list,
                Err(error) => {
                    tracing::warn!(repository, error, "chart is left out");
                    continue;
                }
            };
            for item in list.as_array().into_iter().flatten() {
                let Ok(entry) = entry(item) else { continue };
                let key = (format!("{repository}/{chart}"), entry.text.clone());
                self.lines.insert(key, line(repository, item, entry));
            }
        }
        Ok(())
    }

    /// Searches; the best is first.
    ///
    /// # Errors
    /// Go's text about a regular expression.
    pub fn search(&self, query: &Query) -> Result<Vec<Hit>, String> {
        let find: Find = match query {
            Query::All => Box::new(|_| Some(0)),
            Query::Text(text) => {
                let text = text.to_lowercase();
                Box::new(move |line| {
                    let line = line.to_lowercase();
                    line.find(&text).map(|at| score(at, &line))
                })
            }
            Query::Regex(text) => {
                let regex = go_regex(text)?;
                Box::new(move |line| {
                    regex.find(line.as_bytes()).map(|found| score(found.start(), line))
                })
            }
        };
        let hit = |(name, line): (&String, &Line)| {
            let score = find(&line.text)?;
            let (name, description) = (name.clone(), line.description.clone());
            Some(Hit { name, entry: line.entry.clone(), description, score })
        };
        let lines = self.lines.iter().map(|((name, _), line)| (name, line));
        let mut hits: Vec<Hit> = lines.filter_map(hit).collect();
        hits.sort_by(order);
        Ok(hits)
    }
}

/// Keeps what satisfies a constraint: of each chart the first, or `all`.
pub fn keep(hits: Vec<Hit>, constraint: &Constraint, all: bool) -> Vec<Hit> {
    let mut seen = HashSet::new();
    let mut wanted = |hit: &Hit| {
        constraint.matches(&hit.entry.version) && (seen.insert(hit.name.clone()) || all)
    };
    hits.into_iter().filter(|hit| wanted(hit)).collect()
}

fn order(a: &Hit, b: &Hit) -> Ordering {
    let newest_first = || b.entry.version.cmp(&a.entry.version);
    a.score.cmp(&b.score).then_with(|| a.name.cmp(&b.name)).then_with(newest_first)
}

/// Source: helm v4.3.1 pkg/cmd/search/search.go (`indstr`).
fn line(repository: &str, item: &Value, entry: Entry) -> Line {
    let clean = |value: &Value| {
        let mut text = value.as_str().unwrap_or_default().to_owned();
        sanitize(&mut text);
        text
    };
    let description = item.get("description").map(clean).unwrap_or_default();
    let keywords = item.get("keywords").and_then(Value::as_array).into_iter().flatten();
    let keywords: Vec<String> = keywords.map(clean).collect();
    let (name, keywords, s) = (&entry.name, keywords.join(" "), SEPARATOR);
    let text = format!("{name}{s}{repository}/{name}{s}{description}{s}{keywords}");
    Line { text, entry, description }
}

/// Returns in which part of a line a place is.
fn score(at: usize, line: &str) -> usize {
    line.match_indices(SEPARATOR).take_while(|(separator, _)| at > *separator).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n\
        \x20 alpine:\n  - name: alpine\n    version: 0.1.0\n    description: small things\n    \
        keywords: [web, Tiny]\n\
        \x20 web:\n  - name: web\n    version: 1.0.0\n    description: serves <pages>\n  \
        - name: web\n    version: 1.10.0\n  - name: web\n    version: 2.0.0-rc.1\n  - name: web\n";

    fn search(query: &Query, constraint: &str, all: bool) -> String {
        let mut charts = Searchable::default();
        charts.add("one", INDEX).unwrap();
        let hits = keep(charts.search(query).unwrap(), &constraint.parse().unwrap(), all);
        let shown: Vec<_> = hits
            .iter()
            .map(|hit| format!("{} {} {}", hit.name, hit.entry.text, hit.score))
            .collect();
        shown.join(", ")
    }

    #[test]
    fn the_best_stands_first() {
        let text = |text: &str| Query::Text(text.to_owned());
        let rows = [
            (text("WEB"), ">0.0.0", false, "one/web 1.10.0 0, one/alpine 0.1.0 3"),
            (text("web"), ">0.0.0-0", false, "one/web 2.0.0-rc.1 0, one/alpine 0.1.0 3"),
            (text("web"), "1.x", true, "one/web 1.10.0 0, one/web 1.0.0 0"),
            (text("one/w"), "*", false, "one/web 1.10.0 1"),
            (text("things"), "*", false, "one/alpine 0.1.0 2"),
            (text("nothing"), "*", false, ""),
            (Query::All, "*", false, "one/alpine 0.1.0 0, one/web 1.10.0 0"),
            (Query::Regex("^al|Ti.y".to_owned()), "*", false, "one/alpine 0.1.0 0"),
        ];
        for (query, constraint, all, expected) in rows {
            assert_eq!(search(&query, constraint, all), expected, "{query:?}");
        }
        let error = Searchable::default().search(&Query::Regex("(".to_owned())).unwrap_err();
        assert_eq!(error, "error parsing regexp: missing closing ): `(`");
    }
}
