//! What can go wrong with a registry.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::base::class::Class;
use crate::base::digest::Digest;
use crate::base::file;
use crate::source;

/// What can go wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that cannot be one.
    #[error("invalid reference: {0}")]
    Reference(String),
    /// It is not there.
    #[error("{0}: not found")]
    NotFound(String),
    /// Another status than success.
    #[error("{method} \"{url}\": response status code {status}: {reason}")]
    Status {
        /// Method of the request.
        method: String,
        /// What was asked for.
        url: String,
        /// Status code.
        status: u16,
        /// What the registry says about it.
        reason: String,
        /// When to come back, if it says so.
        after: Option<Duration>,
    },
    /// Nobody knows how to log in, or the registry asks for it in a way that is not to be trusted.
    #[error("{method} \"{url}\": {reason}")]
    Login {
        /// Method of the request.
        method: String,
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The token service gave none.
    #[error("{method} \"{url}\"")]
    Token {
        /// Method of the request.
        method: String,
        /// What was asked for.
        url: String,
        /// Why not.
        source: Box<Self>,
    },
    /// One step of several.
    #[error("failed to perform {step:?} on {side}")]
    Perform {
        /// Name of the step.
        step: &'static str,
        /// `source` or `destination`.
        side: &'static str,
        /// Why it failed.
        source: Box<Self>,
    },
    /// The user's credentials cannot be read or written.
    #[error("{0}")]
    Credentials(String),
    /// The bytes are not those that were named.
    #[error("fetch `{url}`: digest {have}, not {wanted}: the registry is inconsistent")]
    Digest {
        /// What was asked for.
        url: String,
        /// What came.
        have: String,
        /// What was promised.
        wanted: Digest,
    },
    /// There are more, or fewer, bytes than were named.
    #[error("fetch `{url}`: {have} bytes, not {wanted}: the registry is inconsistent")]
    Size {
        /// What was asked for.
        url: String,
        /// What came.
        have: u64,
        /// What was promised.
        wanted: u64,
    },
    /// The answer says nothing that can be used.
    #[error("{method} \"{url}\": {reason}")]
    Answer {
        /// Method of the request.
        method: String,
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The list of tags has no end.
    #[error("list the tags of `{repository}`: {reason}: check the registry")]
    Endless {
        /// The repository.
        repository: String,
        /// What is too much.
        reason: String,
    },
    /// The registry cannot be reached.
    #[error(transparent)]
    Transport(#[from] source::Error),
    /// A file of credentials.
    #[error(transparent)]
    File(#[from] file::Error),
}

impl Error {
    /// Names the step that failed.
    #[must_use]
    pub fn at(self, step: &'static str, side: &'static str) -> Self {
        Self::Perform { step, side, source: Box::new(self) }
    }

    /// Returns whether it is only that the thing is not there.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NotFound(_) => true,
            Self::Status { status, .. } => *status == 404,
            Self::Perform { source, .. } | Self::Token { source, .. } => source.is_missing(),
            Self::Reference(_)
            | Self::Login { .. }
            | Self::Credentials(_)
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Answer { .. }
            | Self::Endless { .. }
            | Self::Transport(_)
            | Self::File(_) => false,
        }
    }

    /// Returns whether it is about who asks.
    pub fn is_about_login(&self) -> bool {
        match self {
            Self::Login { .. } | Self::Credentials(_) | Self::Token { .. } => true,
            Self::Status { status, .. } => matches!(status, 401 | 403),
            Self::Perform { source, .. } => source.is_about_login(),
            Self::NotFound(_)
            | Self::Reference(_)
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Answer { .. }
            | Self::Endless { .. }
            | Self::Transport(_)
            | Self::File(_) => false,
        }
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Status { after: Some(after), .. } => Class::Wait(*after),
            Self::Token { source, .. } | Self::Perform { source, .. } => source.class(),
            Self::Transport(error) => error.class(),
            Self::Reference(_) => Class::Stalled,
            Self::Status { .. }
            | Self::NotFound(_)
            | Self::Login { .. }
            | Self::Credentials(_)
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Answer { .. }
            | Self::Endless { .. }
            | Self::File(_) => Class::Retry,
        }
    }
}

/// Returns what the body of a refusal says, in the words of Helm's library; none if it is not of
/// the form that registries use.
///
/// Source: oras-go v2.6.2 registry/remote/errcode/errors.go.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let errors = body.get("errors")?.as_array()?;
    let texts: Vec<String> = errors.iter().map(one).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn one(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let code = text("code").replace('_', " ").to_lowercase();
    match (text("message"), error.get("detail")) {
        ("", _) => code,
        (message, None | Some(Value::Null)) => format!("{code}: {message}"),
        (message, Some(detail)) => {
            let mut shown = String::new();
            go(&mut shown, detail);
            format!("{code}: {message}: {shown}")
        }
    }
}

/// Writes data as Go's `%v` does.
fn go(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::String(text) => out.push_str(text),
        Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                go(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                let _ = write!(out, "{key}:");
                go(out, &map[key]);
            }
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_as_helm_tells_them() {
        let rows: &[(&str, Option<&str>)] = &[
            ("", None),
            ("<html>", None),
            (r#"{"errors":[]}"#, None),
            (r#"{"errors":[{"code":"DENIED"}]}"#, Some("denied")),
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no","detail":{"name":"a/b","x":[1,null]}}]}"#,
                Some("name unknown: no: map[name:a/b x:[1 <nil>]]"),
            ),
            (
                r#"{"errors":[{"code":"A","message":"b"},{"code":"C","message":"d","detail":"e"}]}"#,
                Some("a: b; c: d: e"),
            ),
        ];
        for (body, want) in rows {
            assert_eq!(refusal(body.as_bytes()).as_deref(), *want, "{body}");
        }
    }
}
