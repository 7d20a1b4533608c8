//! Finds charts and their entries in JSON, byte by byte.
//!
//! Only the structure down to the entries is read here; each entry is one value, left to the JSON
//! reader. What is not as an index should be is strange, and left to those who read the text whole.

use super::sheet::Sheet;

/// A text with longer values or names is strange, those aside that hold all charts.
const LONGEST: usize = 8 << 20;

/// A reader of JSON; it holds no more than the value that has begun.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pending: Vec<u8>,
    /// Place of the pending bytes in the text.
    base: u64,
    /// Bytes before this place of the pending bytes were read.
    read: usize,
    state: State,
    level: Level,
    /// The last key of the index itself.
    key: String,
    seen_entries: bool,
    has_version: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Level {
    #[default]
    Index,
    Charts,
    Chart,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// Before the text.
    #[default]
    Start,
    /// Before a key, or the end of what holds no key yet.
    First,
    /// Before a key.
    Key,
    /// Behind a key.
    Colon,
    /// Before a value, or (`true`) the end of a list that holds none yet.
    Value(bool),
    /// In a value or a key.
    Inside(Inside),
    /// Behind a value.
    After,
    /// Behind the text.
    End,
}

/// A value that has begun, in the pending bytes.
#[derive(Debug, Clone, Copy)]
struct Inside {
    start: usize,
    depth: usize,
    quoted: bool,
    is_key: bool,
}

impl Tokens {
    /// Reads more of the text; none if it is strange.
    pub(super) fn take(&mut self, part: &[u8], sheet: &mut Sheet) -> Option<()> {
        self.pending.extend_from_slice(part);
        let pending = std::mem::take(&mut self.pending);
        while self.read < pending.len() {
            if let State::Inside(inside) = self.state {
                match self.inside(inside, &pending) {
                    Some(end) => self.ended(inside, &pending[inside.start..end], sheet)?,
                    None => break,
                }
            } else {
                self.step(pending[self.read], sheet)?;
            }
        }
        self.pending = pending;
        let done = match &mut self.state {
            State::Inside(inside) => std::mem::take(&mut inside.start),
            _ => self.read,
        };
        self.pending.drain(..done);
        self.base += done as u64;
        self.read -= done;
        (self.pending.len() < LONGEST).then_some(())
    }

    /// Ends the text; none if it is strange, such as one that was cut off.
    pub(super) fn finish(self) -> Option<()> {
        (matches!(self.state, State::End) && self.has_version).then_some(())
    }

    /// Reads a byte between values.
    fn step(&mut self, byte: u8, sheet: &mut Sheet) -> Option<()> {
        let at = self.read;
        self.read += 1;
        let begins = |is_key| {
            let (depth, quoted) = (0, false);
            State::Inside(Inside { start: at, depth, quoted, is_key })
        };
        self.state = match (self.state, byte) {
            (state, b' ' | b'\n' | b'\r' | b'\t') => state,
            (State::Start, b'{') => State::First,
            (State::First | State::Key, b'"') => {
                self.read = at;
                begins(true)
            }
            (State::First, b'}') => self.up(sheet)?,
            (State::Colon, b':') => State::Value(false),
            (State::Value(_), b'{') if self.level == Level::Index && self.key == "entries" => {
                self.down(Level::Charts)?;
                State::First
            }
            (State::Value(_), b'[') if self.level == Level::Charts => {
                sheet.chart(&std::mem::take(&mut self.key), self.base + at as u64)?;
                self.level = Level::Chart;
                State::Value(true)
            }
            (State::Value(true), b']') => self.up(sheet)?,
            (State::Value(_), _) if self.level != Level::Charts => {
                self.read = at;
                begins(false)
            }
            (State::After, b',') if self.level == Level::Chart => State::Value(false),
            (State::After, b',') => State::Key,
            (State::After, b'}') if self.level != Level::Chart => self.up(sheet)?,
            (State::After, b']') if self.level == Level::Chart => self.up(sheet)?,
            _ => return None,
        };
        Some(())
    }

    fn down(&mut self, level: Level) -> Option<()> {
        if self.seen_entries {
            return None;
        }
        self.seen_entries = true;
        self.level = level;
        Some(())
    }

    /// Ends what the level is.
    fn up(&mut self, sheet: &mut Sheet) -> Option<State> {
        let state = match self.level {
            Level::Index => return Some(State::End),
            Level::Charts => {
                self.level = Level::Index;
                State::After
            }
            Level::Chart => {
                sheet.close(self.base + self.read as u64);
                self.level = Level::Charts;
                State::After
            }
        };
        Some(state)
    }

    /// Reads on in a value; returns where it ends, if it does.
    fn inside(&mut self, mut inside: Inside, pending: &[u8]) -> Option<usize> {
        let mut at = self.read;
        let end = loop {
            if at >= pending.len() {
                break None;
            }
            if inside.quoted {
                let Some(found) = memchr::memchr2(b'"', b'\\', &pending[at..]) else {
                    at = pending.len();
                    continue;
                };
                at += found;
                if pending[at] == b'\\' {
                    // What is escaped may not be there yet: then this is read again.
                    if at + 1 >= pending.len() {
                        break None;
                    }
                    at += 2;
                    continue;
                }
                inside.quoted = false;
                at += 1;
                if inside.depth == 0 {
                    break Some(at);
                }
                continue;
            }
            match pending[at] {
                b'"' => inside.quoted = true,
                b'{' | b'[' => inside.depth += 1,
                b'}' | b']' if inside.depth > 1 => inside.depth -= 1,
                b'}' | b']' if inside.depth == 1 => break Some(at + 1),
                b'}' | b']' | b',' | b' ' | b'\n' | b'\r' | b'\t' if inside.depth == 0 => {
                    break Some(at);
                }
                _ => {}
            }
            at += 1;
        };
        self.read = at;
        match end {
            Some(end) => self.read = end,
            None => self.state = State::Inside(inside),
        }
        end
    }

    /// Uses a value or key that was read.
    fn ended(&mut self, inside: Inside, text: &[u8], sheet: &mut Sheet) -> Option<()> {
        let text = std::str::from_utf8(text).ok()?;
        if inside.is_key {
            self.key = serde_json::from_str(text).ok()?;
            self.state = State::Colon;
            return Some(());
        }
        self.state = State::After;
        match self.level {
            Level::Chart => sheet.json_entry(text),
            Level::Charts => return None,
            Level::Index => match self.key.as_str() {
                "apiVersion" => {
                    let version: String = serde_json::from_str(text).ok()?;
                    self.has_version = !version.is_empty();
                }
                "entries" if text != "null" || self.seen_entries => return None,
                "entries" => self.seen_entries = true,
                _ => {
                    let _: serde::de::IgnoredAny = serde_json::from_str(text).ok()?;
                }
            },
        }
        Some(())
    }
}
