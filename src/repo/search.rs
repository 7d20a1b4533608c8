//! Searches indexes for charts, in Helm's order.
//!
//! Source: helm v4.3.1 pkg/cmd/search/search.go, pkg/cmd/search_repo.go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::entry::Entry;
use super::index::{Index, Row, Versions};
use crate::base::constraint::Constraint;
use crate::template::go_regex;

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

/// Charts of several repositories that can be searched.
#[derive(Debug, Default)]
pub struct Searchable {
    indexes: Vec<(String, Arc<Index>)>,
}

/// A search that can be done.
pub struct Found<'s> {
    charts: &'s Searchable,
    find: Find,
}

impl Searchable {
    /// Adds the index of a repository; one without a name is searched by the charts' names alone.
    pub fn add(&mut self, repository: &str, index: Arc<Index>) {
        self.indexes.push((repository.to_owned(), index));
    }

    /// Whether damage was met in an index: then it is to be opened again, and searched again.
    pub fn is_damaged(&self) -> bool {
        self.indexes.iter().any(|(_, index)| index.is_damaged())
    }

    /// Prepares a search.
    ///
    /// # Errors
    /// Go's text about a regular expression.
    pub fn search(&self, query: &Query) -> Result<Found<'_>, String> {
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
        Ok(Found { charts: self, find })
    }
}

impl Found<'_> {
    /// Returns what satisfies a constraint, the best first: of each chart the first, or `all`.
    /// Charts that cannot be read are left out.
    pub fn keep(&self, constraint: &Constraint, all: bool) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (repository, index) in &self.charts.indexes {
            for chart in index.charts() {
                let look = |versions: &Versions<'_>| {
                    let name = below(repository, chart);
                    self.of_chart((repository, &name), versions, constraint, all)
                };
                match index.look(chart, look) {
                    Ok(found) => hits.extend(found),
                    Err(error) => {
                        tracing::warn!(repository, %error, "chart is left out");
                    }
                }
            }
        }
        // Of one chart, they are in order already.
        hits.sort_by(|a, b| a.score.cmp(&b.score).then_with(|| a.name.cmp(&b.name)));
        hits
    }

    fn of_chart(
        &self,
        (repository, name): (&str, &str),
        versions: &Versions<'_>,
        constraint: &Constraint,
        all: bool,
    ) -> Vec<Hit> {
        let mut scores = HashMap::new();
        let mut scored = Vec::new();
        for version in &versions.list {
            let line = || (self.find)(&line(repository, version, versions.texts[version.text]));
            let score = *scores.entry((version.name, version.text)).or_insert_with(line);
            scored.push((score, version));
        }
        // Newest first among equals: as they are.
        scored.retain(|(score, _)| score.is_some());
        scored.sort_by_key(|(score, _)| *score);
        let mut hits: Vec<Hit> = Vec::new();
        let mut seen = HashSet::new();
        for (score, version) in scored {
            let newer = hits.last().filter(|last| !all && Some(last.score) == score);
            if !all && !hits.is_empty() && newer.is_none() {
                break;
            }
            let Some(entry) = version.entry().filter(|e| constraint.matches(&e.version)) else {
                continue;
            };
            if newer.is_some_and(|newer| newer.entry.version != entry.version) {
                break;
            }
            // A version that is there twice counts once.
            if !seen.insert(version.version) {
                continue;
            }
            let (description, score) = (versions.texts[version.text].0, score.unwrap_or_default());
            let (name, description) = (name.to_owned(), description.to_owned());
            hits.push(Hit { name, entry, description, score });
        }
        // Of equal precedence, by the text.
        hits.sort_by(|a, b| {
            let newest_first = || b.entry.version.cmp(&a.entry.version);
            a.score
                .cmp(&b.score)
                .then_with(newest_first)
                .then_with(|| a.entry.text.cmp(&b.entry.text))
        });
        hits.truncate(if all { hits.len() } else { 1 });
        hits
    }
}

/// Source: helm v4.3.1 pkg/cmd/search/search.go (`indstr`).
fn line(repository: &str, version: &Row<'_>, (description, keywords): (&str, &str)) -> String {
    let (name, s) = (version.name, SEPARATOR);
    format!("{name}{s}{}{s}{description}{s}{keywords}", below(repository, name))
}

fn below(repository: &str, chart: &str) -> String {
    if repository.is_empty() { chart.to_owned() } else { format!("{repository}/{chart}") }
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
        charts.add("one", Arc::new(Index::of(INDEX).unwrap()));
        let hits = charts.search(query).unwrap().keep(&constraint.parse().unwrap(), all);
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
        let charts = Searchable::default();
        let error = charts.search(&Query::Regex("(".to_owned())).err().unwrap();
        assert_eq!(error, "error parsing regexp: missing closing ): `(`");
    }
}
