//! Finds charts and their entries in YAML, by lines.
//!
//! Indexes are written by machines in one style: the names of the charts stand alone on lines
//! indented by two spaces, and each version begins with a dash that is indented as the chart's
//! first. Any other style is strange, and left to those who read the text whole.

use super::sheet::Sheet;

/// A text whose entries or lines are longer is strange.
const LONGEST: usize = 8 << 20;

/// A reader of lines; it holds no more than the entry that has begun.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Place of the pending bytes in the text.
    base: u64,
    /// Lines before this place of the pending bytes were read.
    read: usize,
    /// Where the entry that has begun begins, in the pending bytes.
    entry: Option<usize>,
    /// The indentation of the dashes of the chart that has begun.
    dash: Option<usize>,
    zone: Zone,
    seen_entries: bool,
    has_version: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Zone {
    /// Not among the charts.
    #[default]
    Outside,
    /// Behind `entries:`, before the first chart.
    Entries,
    /// In a chart.
    Chart,
}

impl Lines {
    /// Reads more of the text; none if it is strange.
    pub(super) fn take(&mut self, part: &[u8], sheet: &mut Sheet) -> Option<()> {
        self.pending.extend_from_slice(part);
        if let Some(last) = memchr::memrchr(b'\n', &self.pending[self.read..]) {
            let end = self.read + last + 1;
            let pending = std::mem::take(&mut self.pending);
            let text = std::str::from_utf8(&pending[..end]).ok()?;
            while self.read < end {
                let start = self.read;
                let length = memchr::memchr(b'\n', &pending[start..end])?;
                self.line(text, start..start + length + 1, sheet)?;
                self.read = start + length + 1;
            }
            self.pending = pending;
            let done = self.entry.unwrap_or(self.read);
            self.pending.drain(..done);
            self.base += done as u64;
            self.read -= done;
            self.entry = self.entry.map(|_| 0);
        }
        (self.pending.len() < LONGEST).then_some(())
    }

    /// Ends the text; none if it is strange, such as one that was cut off.
    pub(super) fn finish(mut self, sheet: &mut Sheet) -> Option<()> {
        if self.read < self.pending.len() {
            return None;
        }
        let pending = std::mem::take(&mut self.pending);
        self.close(std::str::from_utf8(&pending).ok()?, self.read, sheet);
        (self.seen_entries && self.has_version).then_some(())
    }

    fn line(&mut self, text: &str, range: std::ops::Range<usize>, sheet: &mut Sheet) -> Option<()> {
        let start = range.start;
        let line = &text.as_bytes()[range.clone()];
        match line {
            [] | [b'\n' | b'\r' | b'#', ..] => {
                if self.zone == Zone::Chart && self.entry.is_none() {
                    sheet.odd();
                }
            }
            [b' ', b' ', b' ' | b'-' | b'\n' | b'\r', ..] if self.zone == Zone::Chart => {
                self.inside(text, start, line, sheet);
            }
            [b'-', b'-', b'-', b'\n' | b'\r', ..] if self.base + start as u64 == 0 => {}
            [b' ', b' ', third, ..] if self.zone != Zone::Outside && !b" -\t".contains(third) => {
                self.close(text, start, sheet);
                sheet.chart(chart_name(&text[start + 2..range.end])?, self.base + start as u64)?;
                self.zone = Zone::Chart;
            }
            [b' ' | b'-', ..] if self.zone == Zone::Outside => {}
            [b' ' | b'-' | b'\t', ..] => return None,
            _ => {
                self.close(text, start, sheet);
                self.key(text[range].trim_end())?;
            }
        }
        Some(())
    }

    /// Reads a key of the index itself.
    fn key(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once(':')?;
        let (is_entries, is_empty) = (key == "entries", value.trim().is_empty());
        if is_entries && (self.seen_entries || !is_empty) {
            return None;
        }
        self.zone = if is_entries { Zone::Entries } else { Zone::Outside };
        self.seen_entries |= is_entries;
        self.has_version |= key == "apiVersion" && !is_empty;
        Some(())
    }

    /// Reads a line of a chart.
    fn inside(&mut self, text: &str, start: usize, line: &[u8], sheet: &mut Sheet) {
        let dash = match self.dash {
            Some(dash) => dash,
            None => {
                let dash = line.iter().take_while(|byte| **byte == b' ').count();
                if line.get(dash) != Some(&b'-') {
                    return sheet.odd();
                }
                *self.dash.insert(dash)
            }
        };
        let begins = line.get(dash) == Some(&b'-')
            && matches!(line.get(dash + 1), Some(b' ' | b'\n'))
            && line[..dash].iter().all(|byte| *byte == b' ');
        if begins {
            if let Some(before) = self.entry.replace(start) {
                sheet.yaml_entry(&text[before..start], dash);
            }
        } else if self.entry.is_none() {
            sheet.odd();
        }
    }

    /// Ends the entry and the chart that have begun.
    fn close(&mut self, text: &str, end: usize, sheet: &mut Sheet) {
        if let (Some(start), Some(dash)) = (self.entry.take(), self.dash) {
            sheet.yaml_entry(&text[start..end], dash);
        }
        if self.zone == Zone::Chart {
            sheet.close(self.base + end as u64);
        }
        self.zone = if self.zone == Zone::Chart { Zone::Entries } else { self.zone };
        self.dash = None;
    }
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
