//! Text for people and for programs.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use serde::Serialize;

use super::args::Output;
use super::diagnose::Detailed;
use crate::base::limit::{self, Limit};
use crate::release::{Error, InTheWay, conflict};
use crate::template::quote;
use crate::yaml;

/// As much is written to stdout at once.
const PIECE_BYTES: usize = 64 << 10;

/// Writes to stdout. A reader that went away ends the output, not the program.
pub(super) fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Writes to stdout what need not be text, as [`print`].
pub(super) fn print_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Writes to stdout piece by piece, as [`print`].
pub(super) fn print_through(write: impl FnOnce(&mut BufWriter<StdoutLock<'_>>) -> io::Result<()>) {
    let _ = write(&mut BufWriter::with_capacity(PIECE_BYTES, io::stdout().lock()));
}

/// Writes a line to stderr.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes what a hook said to stderr, as a line of Helm's log.
pub(super) fn say_log(text: &str) {
    say(&log_line(text));
}

/// Source: Go's log/slog (handlerWriter.Write, needsQuoting).
fn log_line(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let is_plain = |c: char| !matches!(c, ' ' | '=' | '"') && !c.is_control() && !c.is_whitespace();
    if !text.is_empty() && text.chars().all(is_plain) {
        return format!("level=INFO msg={text}");
    }
    format!("level=INFO msg={}", quote(text.as_bytes()))
}

/// Writes an error and its causes as one line; texts that repeat their cause are not doubled.
pub(super) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let next = cause.to_string();
        if text.is_empty() {
            text = next;
        } else if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
    }
    say(&format!("Error: {text}"));
    // Texts of Helm, which tell no way out.
    if text.contains("decompressed chart is larger than the maximum size")
        || text.contains("chart exceeds maximum decompressed size")
    {
        say(&format!("hint: {}", limit::current().hint(Limit::Unpacked)));
    }
    let in_the_way = error.chain().find_map(|cause| cause.downcast_ref::<Error>()?.in_the_way());
    if let Some(InTheWay { object, conflicts, .. }) = in_the_way {
        say(&conflict::details(object, conflicts));
    }
    if let Some(detailed) = error.downcast_ref::<Detailed>()
        && !detailed.details.is_empty()
    {
        say(&format!("\n{}", detailed.details.trim_end()));
    }
}

/// How much is said below an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Details {
    /// Whether `--debug` was given.
    pub(super) debug: bool,
}

impl Details {
    /// Whether anybody is there to read it, or it was asked for.
    pub(super) fn wanted(self) -> bool {
        self.debug || std::io::stderr().is_terminal()
    }
}

/// Writes rows as helm does: columns padded, a tab between them.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("\t").trim_end())
    };
    let mut out = line(header.to_vec());
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    out
}

/// Writes rows as Helm 4 does: every cell is padded, also the last, and cut beyond `most`
/// characters (0 is no bound). There is no final newline.
///
/// Source: github.com/gosuri/uitable table.go (`String`), util/strutil/strutil.go (`Resize`).
pub(super) fn helm_rows<T: AsRef<str>>(rows: &[Vec<T>], most: usize) -> String {
    let width = |cell: &T| {
        // A cell of several lines is as wide as its widest, and cut as if it were one.
        let width = cell.as_ref().lines().map(text_width).max().unwrap_or(0);
        if most > 0 { width.min(most) } else { width }
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column| rows.iter().filter_map(|row| row.get(column)).map(width).max();
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    let line = |row: &Vec<T>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| resized(cell.as_ref(), *width));
        cells.collect::<Vec<_>>().join("\t")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Pads a cell, or cuts it and says so by dots.
fn resized(cell: &str, width: usize) -> String {
    let have = text_width(cell);
    if have <= width {
        return format!("{cell}{}", " ".repeat(width - have));
    }
    let mut kept = String::new();
    let mut used = 0;
    for letter in cell.chars() {
        kept.push(letter);
        used += letter_width(letter);
        // The first letter stays even where the dots alone are too many.
        if used + 3 >= width {
            break;
        }
    }
    kept + "..."
}

fn text_width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// Returns how many columns of a terminal a letter takes: the wide ranges of East Asia and the
/// pictures take two, marks upon other letters none.
fn letter_width(letter: char) -> usize {
    match u32::from(letter) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f | 0..=0x1f | 0x7f..=0x9f => 0,
        0x1100..=0x115f
        | 0x231a..=0x231b
        | 0x23e9..=0x23ec
        | 0x2614..=0x2615
        | 0x26a1
        | 0x2705
        | 0x2728
        | 0x274c
        | 0x2b50
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Writes a table as [`helm_rows`], with a final newline.
pub(super) fn helm_table(rows: Vec<Vec<&str>>, most: usize) -> String {
    format!("{}\n", helm_rows(&rows, most))
}

/// Writes a result as Helm does: JSON on one line, in the order of the fields.
pub(super) fn show_as_helm<T: Serialize>(
    output: Output,
    data: &T,
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(),
        Output::Json => format!("{}\n", yaml::json::escape_html(&serde_json::to_string(data)?)),
        Output::Yaml => yaml::print(&serde_json::to_value(data)?)?,
    };
    print(&text);
    Ok(())
}

/// Writes a result as asked.
pub(super) fn show<T: Serialize>(
    output: Output,
    data: &T,
    table: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(data)?),
        Output::Yaml => yaml::print(&serde_json::to_value(data)?)?,
    };
    print(&text);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_padded() {
        let rows =
            [vec!["a".to_owned(), "long name".to_owned()], vec!["bbb".to_owned(), "x".to_owned()]];
        let text = super::table(&["ID", "NAME"], &rows);
        assert_eq!(text, "ID \tNAME\na  \tlong name\nbbb\tx\n");
    }

    #[test]
    fn lines_of_the_log_are_written_as_by_go() {
        let rows = [
            ("a b\nc\n", r#""a b\nc""#),
            ("plain", "plain"),
            ("a=b", r#""a=b""#),
            ("\"", r#""\"""#),
            ("", r#""""#),
            ("\n\n", r#""\n""#),
            (r"a\b", r"a\b"),
            ("é", "é"),
        ];
        for (text, want) in rows {
            assert_eq!(super::log_line(text), format!("level=INFO msg={want}"), "{text:?}");
        }
    }
}
