//! JSONPath as kubectl and Helm have it: a text in which `{…}` stands for what it finds.
//!
//! Invariants: does no I/O; what is found comes in the order of the data, of maps in that of their
//! keys, which upstream walks at random; texts are bytes, because `"\xff"` is one.
//!
//! Mirrors k8s.io/client-go v0.37.2 util/jsonpath, mistakes included, where a missing key is an
//! error (kubectl and Helm). A crate would not do: those that there are have RFC 9535, or the
//! dialects before it, which answer with JSON and know no `range`.
//!
//! ```
//! use leadsman::jsonpath::Template;
//! let data = serde_json::json!({"ports": [{"name": "web", "port": 80.0}, {"name": "db"}]});
//! let template = Template::parse(r#"{range .ports[*]}{.name}{"\n"}{end}{.ports[0].port}"#)?;
//! assert_eq!(template.render(&data)?, b"web\ndb\n80");
//! # Ok::<(), leadsman::jsonpath::Error>(())
//! ```

mod eval;
mod parser;

use crate::yaml::Value;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The template cannot be read; upstream's text.
    #[error("{0}")]
    Syntax(String),
    /// The data does not hold what the template asks for.
    #[error("{0}")]
    Data(String),
}

/// A template that was read.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Vec<parser::Node>>,
}

impl Template {
    /// Reads a template, such as `name: {.metadata.name}`.
    ///
    /// # Errors
    /// [`Error::Syntax`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { parts: parser::parse(text)? })
    }

    /// Returns what the template makes of the data: texts and numbers as Go prints them, lists and
    /// maps as JSON, several results of one `{…}` with blanks between them.
    ///
    /// # Errors
    /// [`Error::Data`]; then nothing at all is printed.
    pub fn render(&self, data: &Value) -> Result<Vec<u8>, Error> {
        eval::render(&self.parts, data)
    }
}

#[cfg(test)]
mod tests;
