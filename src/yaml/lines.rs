//! Where the parts of a text stand: for messages, which may take their time.

use std::collections::HashMap;

use libyaml_safer::{Event, EventData, Parser};

use super::MAX_DEPTH;
use super::guard::guarded;

/// The lines of the keys and items of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(HashMap<Vec<String>, usize>);

impl Lines {
    /// Looks at all documents of a text; of keys that several have, the last counts. A text that
    /// is no YAML gives what comes before the mistake.
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut bytes = text.as_bytes();
        let mut parser = Parser::new();
        parser.set_input_string(&mut bytes);
        let mut next = || parser.parse().ok();
        guarded(|| {
            while let Some(event) = next() {
                match event.data {
                    EventData::StreamEnd => return,
                    EventData::StreamStart { .. }
                    | EventData::DocumentStart { .. }
                    | EventData::DocumentEnd { .. } => {}
                    _ if found.walk(&mut Vec::new(), event, &mut next).is_none() => return,
                    _ => {}
                }
            }
        });
        found
    }

    /// Returns the line (from 1) of the key or item at a path (items are numbers, from 0), or of
    /// the nearest thing above it: what an alias stands for has no place of its own.
    pub fn find(&self, path: &[String]) -> Option<usize> {
        (1..=path.len()).rev().find_map(|end| self.0.get(&path[..end])).copied()
    }

    fn walk(
        &mut self,
        path: &mut Vec<String>,
        event: Event,
        next: &mut dyn FnMut() -> Option<Event>,
    ) -> Option<()> {
        if path.len() > MAX_DEPTH {
            return None;
        }
        match event.data {
            EventData::SequenceStart { .. } => {
                for index in 0_usize.. {
                    let event = next()?;
                    if event.data == EventData::SequenceEnd {
                        break;
                    }
                    self.part(path, index.to_string(), event, next)?;
                }
            }
            EventData::MappingStart { .. } => loop {
                let key = next()?;
                match key.data {
                    EventData::MappingEnd => break,
                    EventData::Scalar { value, .. } => {
                        let line = usize::try_from(key.start_mark.line).unwrap_or_default() + 1;
                        let event = next()?;
                        path.push(value);
                        self.0.insert(path.clone(), line);
                        self.walk(path, event, next)?;
                        path.pop();
                    }
                    // A key that is no text is refused elsewhere.
                    _ => return None,
                }
            },
            _ => {}
        }
        Some(())
    }

    fn part(
        &mut self,
        path: &mut Vec<String>,
        name: String,
        event: Event,
        next: &mut dyn FnMut() -> Option<Event>,
    ) -> Option<()> {
        path.push(name);
        let line = usize::try_from(event.start_mark.line).unwrap_or_default() + 1;
        self.0.insert(path.clone(), line);
        self.walk(path, event, next)?;
        path.pop();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_items_have_lines() {
        let text =
            "# c\na:\n  b: 1\n  l:\n  - x\n  - {y: 2}\nz: &z {q: 1}\nw: *z\n---\na:\n  c: 3\n";
        let lines = Lines::of(text);
        let rows: &[(&str, Option<usize>)] = &[
            ("a", Some(10)),
            ("a b", Some(3)),
            ("a l 0", Some(5)),
            ("a l 1 y", Some(6)),
            ("z q", Some(7)),
            ("w q", Some(8)),
            ("a c", Some(11)),
            ("no", None),
        ];
        for (path, line) in rows {
            let path: Vec<String> = path.split(' ').map(str::to_owned).collect();
            assert_eq!(lines.find(&path), *line, "{path:?}");
        }
        let broken = Lines::of("a: 1\nb: [\nc: {");
        assert_eq!(broken.find(&["a".to_owned()]), Some(1));
        assert_eq!(Lines::of("[!a,"), Lines::of("[!a,"));
    }
}
