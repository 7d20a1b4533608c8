//! Why a text is not plain data, in Go's words.

use super::Value;
use crate::base::class::Class;

/// A text that cannot be read. `Display` is exactly what Helm prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not YAML, or what it says has no JSON form.
    #[error("error converting YAML to JSON: {text}")]
    Yaml {
        /// Go's words, such as `yaml: line 2: mapping values are not allowed in this context`.
        text: String,
        /// The line (from 1) where it was noticed. Go's own figure is often one less.
        line: Option<usize>,
    },
    /// The text is fine, but holds another kind of thing than asked for.
    #[error(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type {wanted}"
    )]
    Shape {
        /// Go's word for what was found: `array`, `string`, `number`, `bool`.
        found: &'static str,
        /// Go's name of the type that was asked for.
        wanted: &'static str,
    },
    /// The text is not JSON.
    #[error("{text}")]
    Json {
        /// Go's words, such as `invalid character 'x' looking for beginning of value`.
        text: String,
        /// The line (from 1) where it was noticed.
        line: Option<usize>,
    },
    /// A value cannot be printed.
    #[error("{text}")]
    Print {
        /// Go's words, such as `yaml: control characters are not allowed`.
        text: &'static str,
    },
}

impl Error {
    /// Returns the same where another type of Go's was asked for.
    #[must_use]
    pub fn asked_for(self, wanted: &'static str) -> Self {
        match self {
            Self::Shape { found, .. } => Self::Shape { found, wanted },
            other => other,
        }
    }

    /// Returns an error of the YAML reader.
    pub(crate) fn syntax(text: impl Into<String>, line: Option<usize>) -> Self {
        Self::Yaml { text: text.into(), line }
    }

    /// Returns the error of a value that is not of the wanted kind.
    pub(crate) fn shape(found: &Value, wanted: &'static str) -> Self {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        Self::Shape { found, wanted }
    }

    /// Returns the line (from 1) where the error was noticed, if it has one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Yaml { line, .. } | Self::Json { line, .. } => *line,
            Self::Shape { .. } | Self::Print { .. } => None,
        }
    }

    /// Returns what to do about it: a text heals only when a person changes it.
    pub fn class(&self) -> Class {
        Class::Stalled
    }
}
