//! What can go wrong between here and an API server.

use std::time::Duration;

use serde_json::Value;

use crate::base::class::Class;

/// One entry of an API error's `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCause {
    /// Machine-readable word, such as `FieldManagerConflict`.
    pub reason: String,
    /// Text for people.
    pub message: String,
    /// The field it is about.
    pub field: String,
}

/// A request that did not bring what was asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The API server answered with an error; its message is printed as it is.
    #[error("{message}")]
    Api {
        /// HTTP code.
        code: u16,
        /// Machine-readable reason, such as `NotFound`; may be empty.
        reason: String,
        /// Text of the server.
        message: String,
        /// The server said when to come back.
        retry_after: Option<Duration>,
        /// Details.
        causes: Vec<StatusCause>,
    },
    /// No connection could be made.
    #[error("cannot reach the Kubernetes API: {detail}")]
    Unreachable {
        /// What the operating system or TLS said.
        detail: String,
    },
    /// The connection broke after the request was sent: it may have been carried out.
    #[error("connection to the Kubernetes API broke: {detail}")]
    Broken {
        /// What the operating system said.
        detail: String,
    },
    /// No answer in time.
    #[error("no answer from the Kubernetes API within {seconds} s to {method} {path}")]
    Timeout {
        /// HTTP method.
        method: String,
        /// Path of the URL.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The answer is not what the API promises.
    #[error("unexpected answer of the Kubernetes API to {path}: {detail}")]
    Answer {
        /// Path of the URL.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The API server does not serve this kind.
    #[error(
        "resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"\": \
         no matches for kind \"{kind}\" in version \"{api_version}\"\nensure CRDs are installed first"
    )]
    NoKind {
        /// `apiVersion` of the object.
        api_version: String,
        /// Kind of the object.
        kind: String,
        /// Namespace of the object, as written.
        namespace: String,
        /// Name of the object.
        name: String,
    },
    /// A request that cannot be built: a part of the object is missing or malformed.
    #[error("{0}")]
    Request(String),
}

impl Error {
    /// Reads the body of an answer with an error code.
    pub(crate) fn from_body(code: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let status: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |pointer: &str| {
            status.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut message = text("/message");
        if status["kind"] != "Status" || message.is_empty() {
            let body = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_owned();
            message = if body.is_empty() {
                format!("HTTP {code}")
            } else {
                format!("HTTP {code}: {body}")
            };
        }
        let seconds = status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
        let causes = status.pointer("/details/causes").and_then(Value::as_array);
        let field = |cause: &Value, name: &str| {
            cause.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self::Api {
            code,
            reason: text("/reason"),
            message,
            retry_after: retry_after.or(seconds.filter(|s| *s > 0).map(Duration::from_secs)),
            causes: causes
                .into_iter()
                .flatten()
                .map(|cause| StatusCause {
                    reason: field(cause, "reason"),
                    message: field(cause, "message"),
                    field: field(cause, "field"),
                })
                .collect(),
        }
    }

    /// Returns the HTTP code, if the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Returns the machine-readable reason; empty if there is none.
    pub fn reason(&self) -> &str {
        match self {
            Self::Api { reason, .. } => reason,
            _ => "",
        }
    }

    /// Returns whether the object or resource does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Returns whether something of that name exists already.
    pub fn is_already_exists(&self) -> bool {
        self.code() == Some(409) && self.reason() == "AlreadyExists"
    }

    /// Returns whether a field manager or resource version stood in the way.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409) && self.reason() != "AlreadyExists"
    }

    /// Returns whether trying again soon may help without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api { code, .. } => {
                *code == 429 || (*code >= 500 && *code != 501 && !self.is_schema())
            }
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Answer { .. } | Self::NoKind { .. } | Self::Request(_) => false,
        }
    }

    /// Returns whether the API server itself is away or overloaded: that is no verdict on what
    /// was asked of it. (A webhook that fails is one: it may be the release's own.)
    pub fn is_outage(&self) -> bool {
        let webhook = matches!(self, Self::Api { message, .. } if message.contains("webhook"));
        self.is_transient() && !webhook
    }

    /// Server-side apply answers 500 without a reason when a body does not fit the schema.
    fn is_schema(&self) -> bool {
        let Self::Api { reason, message, .. } = self else { return false };
        reason.is_empty() && message.contains("failed to create typed patch object")
    }

    /// Returns what to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Api { retry_after: Some(after), .. } => Class::Wait(*after),
            Self::Api { code: 400 | 403 | 405 | 415 | 422, .. } => Class::Stalled,
            Self::Api { .. } if self.is_schema() => Class::Stalled,
            Self::Api { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::Answer { .. } => Class::Retry,
            Self::NoKind { .. } | Self::Request(_) => Class::Stalled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_errors_become_what_the_server_said() {
        let body = br#"{"kind":"Status","status":"Failure","message":"Too many","reason":"TooManyRequests","details":{"retryAfterSeconds":3,"causes":[{"reason":"x","message":"m","field":".f"}]},"code":429}"#;
        let error = Error::from_body(429, body, None);
        assert_eq!(error.to_string(), "Too many");
        assert_eq!(error.class(), Class::Wait(Duration::from_secs(3)));
        assert!(error.is_transient());
        let rows: [(u16, &[u8], &str, bool, Class); 5] = [
            (502, b"<html>", "HTTP 502: <html>", true, Class::Retry),
            (404, b"", "HTTP 404", false, Class::Retry),
            (403, br#"{"kind":"Status","message":"no"}"#, "no", false, Class::Stalled),
            (501, b"", "HTTP 501", false, Class::Retry),
            (
                500,
                br#"{"kind":"Status","message":"failed to create typed patch object (x)"}"#,
                "failed to create typed patch object (x)",
                false,
                Class::Stalled,
            ),
        ];
        for (code, body, message, transient, class) in rows {
            let error = Error::from_body(code, body, None);
            assert_eq!(error.to_string(), message);
            assert_eq!(error.is_transient(), transient, "{code}");
            assert_eq!(error.class(), class, "{code}");
        }
    }

    #[test]
    fn an_outage_is_no_verdict_and_a_failing_webhook_is_one() {
        let api = |code, message: &str| {
            let body = serde_json::json!({"kind": "Status", "message": message}).to_string();
            Error::from_body(code, body.as_bytes(), None)
        };
        let webhook = "Internal error occurred: failed calling webhook \"x\": connection refused";
        let rows = [
            (Error::Unreachable { detail: String::new() }, true),
            (Error::Broken { detail: String::new() }, true),
            (Error::Timeout { method: "GET".into(), path: "/".into(), seconds: 1 }, true),
            (api(503, "apiserver is shutting down"), true),
            (api(429, "too many requests"), true),
            (api(500, "etcdserver: request timed out"), true),
            (api(500, webhook), false),
            (api(422, "is invalid"), false),
            (api(403, "is forbidden"), false),
        ];
        for (error, outage) in rows {
            assert_eq!(error.is_outage(), outage, "{error}");
        }
    }
}
