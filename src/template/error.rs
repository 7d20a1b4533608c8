//! What went wrong in a template, in Helm's words.

use std::fmt;

use super::ast::{NodeId, Unit};
use super::strconv;
use crate::base::class::Class;

/// Most places of the way to a failure that are shown at each end.
const FRAMES: usize = 8;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a template.
    Parse,
    /// An expression failed.
    Execute,
    /// The chart itself refused: `fail` or `required`.
    Refused,
    /// A bound was reached that can be raised.
    Bounded,
}

/// One level of the stack of templates that were being executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// File that holds the failing expression.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Byte column, from 0; parse errors have none.
    pub column: Option<u32>,
    /// Template being executed; empty for parse errors.
    pub template: String,
    /// The failing expression, printed from its tree.
    pub expression: String,
    /// The line of the source.
    pub source_line: String,
    message: String,
}

/// Why templates could not be compiled or rendered.
///
/// `{}` is Helm's text for it; `{:#}` adds the innermost line of source with a caret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    frames: Vec<Frame>,
}

impl Error {
    /// Returns what kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the templates that were being executed, the rendered file first.
    pub fn frames(&self) -> &[Frame] {
        &self.0.frames
    }

    /// Returns the place with its line, then the templates that led there, the nearest first; of very
    /// many only those at both ends. Nothing of it is a value.
    pub fn way(&self) -> String {
        let mut out = String::new();
        let Some((inner, callers)) = self.0.frames.split_last() else { return out };
        out.push_str(&format!(
            "{}{}\n{}\n",
            inner.place(),
            inner.inside(),
            inner.excerpt().trim_end()
        ));
        let hidden = callers.len().saturating_sub(2 * FRAMES);
        for (index, frame) in callers.iter().rev().enumerate() {
            if hidden > 0 && index == FRAMES {
                out.push_str(&format!("  … {hidden} more …\n"));
            }
            if !(FRAMES..FRAMES + hidden).contains(&index) {
                let (place, inside) = (frame.place(), frame.inside());
                out.push_str(&format!("  called at {place}{inside}: {}\n", frame.expression));
            }
        }
        out
    }

    /// Returns what a controller does about it: only other templates or values help.
    pub fn class(&self) -> Class {
        Class::Stalled
    }

    /// Source: helm v4.3.1 pkg/engine/engine.go (cleanupParseError): only the last part of Go's
    /// text is kept.
    pub(super) fn parse(unit_name: &[u8], text: &[u8], line: u32, message: &str) -> Self {
        let file = strconv::lossy(unit_name).into_owned();
        let last = message.rsplit(": ").next().unwrap_or(message);
        let frame = Frame {
            line,
            column: None,
            template: String::new(),
            expression: String::new(),
            source_line: source_line(text, line),
            message: message.to_owned(),
            file,
        };
        let message = format!("parse error at ({}:{line}): {last}", frame.file);
        Self(Box::new(Inner { kind: ErrorKind::Parse, message, frames: vec![frame] }))
    }

    /// Source: helm v4.3.1 pkg/engine/engine.go (reformatExecErrorMsg).
    pub(super) fn execute(fail: Fail) -> Self {
        let mut frames = Vec::new();
        let refusal = fail.collect_frames(&mut frames).map(str::to_owned);
        let (kind, message) = match (refusal, frames.first()) {
            (Some(text), Some(first)) => {
                let column = first.column.unwrap_or_default();
                let place = format!("{}:{}:{column}", first.file, first.line);
                (ErrorKind::Refused, format!("execution error at ({place}): {text}"))
            }
            (Some(text), None) => (ErrorKind::Refused, text),
            // Thousands of templates may be on the way to it.
            (None, _) if fail.is_bound() => (ErrorKind::Bounded, fail.innermost().to_string()),
            (None, _) => {
                let mut blocks = Vec::new();
                let message = if fail.collect_blocks(&mut blocks) {
                    blocks.join("\n").trim().to_owned()
                } else {
                    fail.to_string()
                };
                (ErrorKind::Execute, message)
            }
        };
        Self(Box::new(Inner { kind, message, frames }))
    }
}

fn source_line(text: &[u8], line: u32) -> String {
    let index = line.saturating_sub(1) as usize;
    let line = text.split(|&byte| byte == b'\n').nth(index).unwrap_or_default();
    strconv::lossy(line).into_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match self.0.frames.last().filter(|_| f.alternate()) {
            Some(frame) => write!(f, "\n{}", frame.excerpt()),
            None => Ok(()),
        }
    }
}

impl Frame {
    fn place(&self) -> String {
        match self.column {
            Some(column) => format!("{}:{}:{column}", self.file, self.line),
            None => format!("{}:{}", self.file, self.line),
        }
    }

    /// Names the template, where it is not the whole file.
    fn inside(&self) -> String {
        match &self.template {
            name if name.is_empty() || *name == self.file => String::new(),
            name => format!(", in template {name:?}"),
        }
    }

    /// Returns the line of the source, with a caret below the place.
    pub fn excerpt(&self) -> String {
        let line = self.line.to_string();
        let margin = " ".repeat(line.len());
        let text = format!("{margin} |\n{line} | {}\n{margin} |", self.source_line);
        let Some(column) = self.column else { return text };
        // Tabs keep their width, so that the caret stands below its character.
        let pad: String = self
            .source_line
            .chars()
            .scan(0, |bytes, c| {
                let start = *bytes;
                *bytes += c.len_utf8();
                (start < column as usize).then_some(if c == '\t' { '\t' } else { ' ' })
            })
            .collect();
        format!("{text} {pad}^")
    }
}

/// A failure on its way out of the evaluation.
#[derive(Debug)]
pub(crate) enum Fail {
    /// What a function says.
    Text(String),
    /// What `fail` or `required` say.
    Refused(String),
    /// A bound was reached: its name and what raises it.
    Bound(String),
    /// `include` of a template that is not there.
    NoTemplate(String),
    /// A failure with its place.
    Located(Box<Located>),
    /// `tpl`: text in front of an inner failure.
    Wrapped(String, Box<Self>),
}

/// A failure with its place.
#[derive(Debug)]
pub(crate) struct Located {
    frame: Frame,
    /// What the called function said.
    cause: Option<Fail>,
}

impl From<String> for Fail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Fail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Fail {
    /// Gives a place to a message, or to what a called function said.
    pub(crate) fn locate(
        unit: &Unit,
        node: NodeId,
        template: &[u8],
        message: String,
        cause: Option<Self>,
    ) -> Self {
        let (line, column) = unit.line_column(unit.node(node).pos);
        let lossy = |text: &[u8]| strconv::lossy(text).into_owned();
        let frame = Frame {
            file: lossy(&unit.name),
            line,
            column: Some(column),
            template: lossy(template),
            expression: lossy(&unit.print(node)),
            source_line: source_line(&unit.text, line),
            message,
        };
        Self::Located(Box::new(Located { frame, cause }))
    }

    /// Whether a bound was reached, and not an error of the chart.
    pub(crate) fn is_bound(&self) -> bool {
        match self {
            Self::Text(_) | Self::Refused(_) | Self::NoTemplate(_) => false,
            Self::Bound(_) => true,
            Self::Wrapped(_, inner) => inner.is_bound(),
            Self::Located(located) => located.cause.as_ref().is_some_and(Self::is_bound),
        }
    }

    /// Returns the failure at the innermost place.
    fn innermost(&self) -> &Self {
        let inner = match self {
            Self::Wrapped(_, inner) => Some(&**inner),
            Self::Located(located) => located.cause.as_ref().filter(|cause| cause.has_place()),
            Self::Text(_) | Self::Refused(_) | Self::Bound(_) | Self::NoTemplate(_) => None,
        };
        inner.map_or(self, Self::innermost)
    }

    fn has_place(&self) -> bool {
        match self {
            Self::Wrapped(_, inner) => inner.has_place(),
            Self::Located(_) => true,
            Self::Text(_) | Self::Refused(_) | Self::Bound(_) | Self::NoTemplate(_) => false,
        }
    }

    /// Collects places from the outermost; returns the chart's own message, if that is the cause.
    fn collect_frames(&self, frames: &mut Vec<Frame>) -> Option<&str> {
        match self {
            Self::Text(_) | Self::Bound(_) | Self::NoTemplate(_) => None,
            Self::Refused(text) => Some(text),
            Self::Wrapped(_, inner) => inner.collect_frames(frames),
            Self::Located(located) => {
                frames.push(located.frame.clone());
                located.cause.as_ref()?.collect_frames(frames)
            }
        }
    }

    /// Collects a block of text a level; false if a level is not in Go's form.
    fn collect_blocks(&self, blocks: &mut Vec<String>) -> bool {
        match self {
            Self::Text(_) | Self::Bound(_) | Self::Refused(_) | Self::Wrapped(..) => false,
            Self::NoTemplate(text) => {
                blocks.push(text.clone());
                true
            }
            Self::Located(located) => {
                let Frame { file, line, template, expression, message, .. } = &located.frame;
                let column = located.frame.column.unwrap_or_default();
                let quoted = super::strconv::quote(template.as_bytes());
                let block = format!(
                    "{file}:{line}:{column}\n  executing {quoted} at <{expression}>:\n    {message}"
                );
                // Helm tells equal levels in a row once.
                if blocks.last() != Some(&block) {
                    blocks.push(block);
                }
                located.cause.as_ref().is_none_or(|cause| cause.collect_blocks(blocks))
            }
        }
    }
}

/// Go's one-line text.
impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Refused(text) | Self::Bound(text) | Self::NoTemplate(text) => {
                f.write_str(text)
            }
            Self::Wrapped(prefix, inner) => write!(f, "{prefix}: {inner}"),
            Self::Located(located) => {
                let Frame { file, line, template, expression, message, .. } = &located.frame;
                let column = located.frame.column.unwrap_or_default();
                let quoted = super::strconv::quote(template.as_bytes());
                write!(
                    f,
                    "template: {file}:{line}:{column}: executing {quoted} at <{expression}>: {message}"
                )?;
                match &located.cause {
                    Some(cause) => write!(f, " {cause}"),
                    None => Ok(()),
                }
            }
        }
    }
}
