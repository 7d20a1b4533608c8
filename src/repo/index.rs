//! `index.yaml`: found by lines, parsed a chart at a time.
//!
//! Indexes are large (37 MB for some repositories) and written by machines in one style: the names
//! of the charts stand alone on lines indented by two spaces. One pass over the lines finds where
//! each chart begins; only the chart that is asked for is parsed. Any other style is parsed whole
//! and written anew, a chart a line.
//!
//! Source: helm v4.3.1 pkg/repo/v1/index.go.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Warning, entries_of};
use crate::yaml::{self, Map, Numbers, Value};

/// Where the charts of an index are in its text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Index {
    charts: BTreeMap<String, Block>,
}

/// Where the text of a chart is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) range: Range<usize>,
    /// CRC-32 of the text: damage of the file is noticed.
    check: u32,
}

impl Block {
    fn new(text: &str, range: Range<usize>) -> Self {
        let check = check(&text[range.clone()]);
        Self { range, check }
    }

    /// Returns whether this is the text.
    pub(super) fn fits(&self, text: &str) -> bool {
        check(text) == self.check
    }
}

fn check(text: &str) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    crc.sum()
}

impl Index {
    /// Finds the charts of an index. When its style is unusual, the second part of the result is
    /// the text to use instead.
    ///
    /// # Errors
    /// A text for people: it is no index.
    pub fn find(text: &str) -> Result<(Self, Option<String>), String> {
        let start = text.trim_start_matches('\u{feff}').trim_start();
        if start.is_empty() {
            return Err("it is empty".to_owned());
        }
        if start.starts_with('<') {
            return Err("it is a web page, not an index: check the address".to_owned());
        }
        if let Some(ranges) = scan(text) {
            let block = |(name, range)| (name, Block::new(text, range));
            return Ok((Self { charts: ranges.into_iter().map(block).collect() }, None));
        }
        let (index, text) = Self::rewrite(&parse_whole(start)?);
        Ok((index, Some(text)))
    }

    /// Writes entries a chart a line.
    fn rewrite(entries: &Map) -> (Self, String) {
        let mut text = String::new();
        let mut charts = BTreeMap::new();
        for (name, versions) in entries {
            let start = text.len();
            let line = serde_json::json!({ name.as_str(): versions });
            text.push_str(&line.to_string());
            text.push('\n');
            charts.insert(name.clone(), Block::new(&text, start..text.len()));
        }
        (Self { charts }, text)
    }

    /// Returns the names of the charts, sorted.
    pub fn charts(&self) -> impl Iterator<Item = &str> {
        self.charts.keys().map(String::as_str)
    }

    /// Returns where the text of a chart is.
    pub(super) fn block(&self, chart: &str) -> Option<&Block> {
        self.charts.get(chart)
    }

    /// Returns the list of a chart as the whole text of the index has it.
    ///
    /// # Errors
    /// A text for people: the chart's part is not YAML.
    pub(super) fn list(&self, chart: &str, text: &str) -> Result<Value, String> {
        let Some(block) = self.charts.get(chart) else { return Ok(Value::Null) };
        let text = text.get(block.range.clone()).ok_or("it is another text")?;
        parse_list(chart, text)
    }

    /// Returns the versions of a chart, newest first, from the whole text of the index.
    ///
    /// # Errors
    /// A text for people: the chart's part is not YAML.
    pub fn entries(&self, chart: &str, text: &str) -> Result<(Vec<Entry>, Vec<Warning>), String> {
        let Some(block) = self.charts.get(chart) else { return Ok((Vec::new(), Vec::new())) };
        let text = text.get(block.range.clone()).ok_or("it is another text")?;
        parse_block(chart, text)
    }
}

/// Parses the part of an index that is about one chart.
pub(super) fn parse_block(chart: &str, block: &str) -> Result<(Vec<Entry>, Vec<Warning>), String> {
    Ok(entries_of(&parse_list(chart, block)?))
}

/// Parses the part of an index that is about one chart, as it is.
fn parse_list(chart: &str, block: &str) -> Result<Value, String> {
    let value = if block.starts_with('{') {
        yaml::json::parse(block, Numbers::Exact)
    } else {
        yaml::parse(block, Numbers::Exact)
    };
    let mut value = value.map_err(|error| format!("chart `{chart}`: {error}"))?;
    Ok(value.get_mut(chart).map(Value::take).unwrap_or_default())
}

fn parse_whole(text: &str) -> Result<Map, String> {
    let value = if text.starts_with('{') {
        yaml::json::parse(text, Numbers::Exact)
    } else {
        yaml::parse_strict(text, Numbers::Exact)
    };
    let Value::Object(mut index) = value.map_err(|error| error.to_string())? else {
        return Err("it is not a map".to_owned());
    };
    if index.get("apiVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("no API version specified".to_owned());
    }
    match index.remove("entries") {
        Some(Value::Object(entries)) => Ok(entries),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err("its entries are not a map".to_owned()),
    }
}

/// Finds the charts by lines; none when the text is of another style.
fn scan(text: &str) -> Option<BTreeMap<String, Range<usize>>> {
    // A text that was cut off is left to the parser, which says so.
    if !text.ends_with('\n') {
        return None;
    }
    let mut ranges = BTreeMap::new();
    let mut open: Option<(String, usize)> = None;
    let (mut in_entries, mut has_version, mut seen_entries) = (false, false, false);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match line.as_bytes() {
            [] | [b'\n' | b'\r' | b'#', ..] => continue,
            [b' ', b' ', b' ' | b'-' | b'\n' | b'\r', ..] if open.is_some() => continue,
            [b'-', b'-', b'-', b'\n' | b'\r', ..] if start == 0 => continue,
            [b' ', b' ', third, ..] if in_entries && !b" -\t".contains(third) => {
                close(&mut ranges, open.take(), start)?;
                open = Some((chart_name(&line[2..])?.to_owned(), start));
            }
            [b' ' | b'-', ..] if seen_entries == in_entries && !in_entries => continue,
            [b' ' | b'-', ..] if !in_entries => continue,
            [b' ' | b'-' | b'\t', ..] => return None,
            _ => {
                close(&mut ranges, open.take(), start)?;
                let (key, value) = line.trim_end().split_once(':')?;
                in_entries = key == "entries";
                if in_entries && (seen_entries || !value.trim().is_empty()) {
                    return None;
                }
                seen_entries |= in_entries;
                has_version |= key == "apiVersion" && !value.trim().is_empty();
            }
        }
    }
    close(&mut ranges, open, at)?;
    (seen_entries && has_version).then_some(ranges)
}

/// Ends the block of a chart; none when the chart was there before.
fn close(
    ranges: &mut BTreeMap<String, Range<usize>>,
    open: Option<(String, usize)>,
    end: usize,
) -> Option<()> {
    let Some((name, start)) = open else { return Some(()) };
    ranges.insert(name, start..end).is_none().then_some(())
}

/// Reads `name:`; none when there is more on the line, or the name is more than a plain text.
fn chart_name(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_suffix(':')?;
    let inside = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    let name = inside('"').or_else(|| inside('\'')).unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let letter = name.bytes().any(|byte| byte.is_ascii_alphabetic());
    (letter && !is_word(name) && name.bytes().all(plain)).then_some(name)
}

/// Returns whether YAML may read a name as something else than a text.
fn is_word(name: &str) -> bool {
    let first = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    !first && !name.contains('-') || words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
