//! Refusals as the API server words them: `Status` objects.

use serde_json::json;

use super::resource::Resource;
use crate::yaml::Value;

/// A refused request: the HTTP code and the `Status` that is its body.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) body: Box<Value>,
}

/// The kinds of invalid fields, in the server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Invalid,
    Required,
    Forbidden,
    NotSupported,
    TooLong,
    Duplicate,
    TypeInvalid,
    NotFound,
    TooMany,
}

/// One invalid field.
#[derive(Debug, Clone)]
pub(crate) struct FieldError {
    cause: Cause,
    field: String,
    message: String,
}

impl FieldError {
    fn new(cause: Cause, field: impl Into<String>, message: String) -> Self {
        Self { cause, field: field.into(), message }
    }

    /// `field: Invalid value: <value>: detail`, the value as Go's `%#v` or JSON prints it.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(Cause::Invalid, field, format!("Invalid value: {value}: {detail}"))
    }

    /// As [`FieldError::invalid`], with the value as Go prints it.
    pub(crate) fn invalid_text(field: impl Into<String>, value: &str, detail: &str) -> Self {
        Self::new(Cause::Invalid, field, format!("Invalid value: {value}: {detail}"))
    }

    /// What a rule of a definition says, as the reason that it names.
    pub(crate) fn of_rule(reason: &str, field: String, value: &Value, why: &str) -> Self {
        match reason {
            "FieldValueForbidden" => Self::forbidden(field, why),
            "FieldValueRequired" => Self::required(field, why),
            "FieldValueDuplicate" => Self::duplicate(field, value),
            _ => Self::invalid(field, value, why),
        }
    }

    /// `field: Invalid value: "string": detail`, for values of a wrong type.
    pub(crate) fn wrong_type(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(Cause::TypeInvalid, field, format!("Invalid value: {value}: {detail}"))
    }

    /// `field: Required value: detail`.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let tail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        Self::new(Cause::Required, field, format!("Required value{tail}"))
    }

    /// `field: Forbidden: detail`.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(Cause::Forbidden, field, format!("Forbidden: {detail}"))
    }

    /// `field: Unsupported value: "x": supported values: "a", "b"`.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|one| format!("\"{one}\"")).collect();
        let known = known.join(", ");
        let message = format!("Unsupported value: {value}: supported values: {known}");
        Self::new(Cause::NotSupported, field, message)
    }

    /// `field: Too long: may not be more than N bytes`.
    pub(crate) fn too_long(field: impl Into<String>, limit_bytes: usize) -> Self {
        let message = format!("Too long: may not be more than {limit_bytes} bytes");
        Self::new(Cause::TooLong, field, message)
    }

    /// `field: Duplicate value: <value>`.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(Cause::Duplicate, field, format!("Duplicate value: {value}"))
    }

    /// `field: Not found: <value>`.
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new(Cause::NotFound, field, format!("Not found: {value}"))
    }

    /// `field: Too many: N: must have at most M items`.
    pub(crate) fn too_many(field: impl Into<String>, count: usize, most: u64) -> Self {
        let message = format!("Too many: {count}: must have at most {most} items");
        Self::new(Cause::TooMany, field, message)
    }

    /// Whether rules are not asked of an object with such an error.
    pub(crate) fn blocks_rules(&self) -> bool {
        match self.cause {
            Cause::Required
            | Cause::NotSupported
            | Cause::TooLong
            | Cause::TooMany
            | Cause::TypeInvalid => true,
            Cause::Invalid | Cause::Forbidden | Cause::Duplicate | Cause::NotFound => false,
        }
    }

    fn cause_name(&self) -> &'static str {
        match self.cause {
            Cause::Invalid => "FieldValueInvalid",
            Cause::Required => "FieldValueRequired",
            Cause::Forbidden => "FieldValueForbidden",
            Cause::NotSupported => "FieldValueNotSupported",
            Cause::TooLong => "FieldValueTooLong",
            Cause::Duplicate => "FieldValueDuplicate",
            Cause::NotFound => "FieldValueNotFound",
            Cause::TooMany => "FieldValueTooMany",
            Cause::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// Returns a `Status` of a failure; empty parts are left out.
fn failure(code: u16, reason: &str, message: &str, details: Option<Value>) -> ApiError {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code,
    });
    if !reason.is_empty() {
        body["reason"] = reason.into();
    }
    if let Some(details) = details {
        body["details"] = details;
    }
    ApiError { code, body: Box::new(body) }
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut details = serde_json::Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    Value::Object(details)
}

impl ApiError {
    /// Returns the message of the `Status`.
    pub(crate) fn message(&self) -> &str {
        self.body.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        let details = details(name, &resource.group, &resource.plural);
        failure(404, "NotFound", &message, Some(details))
    }

    pub(crate) fn namespace_not_found(name: &str) -> Self {
        let message = format!("namespaces \"{name}\" not found");
        failure(404, "NotFound", &message, Some(details(name, "", "namespaces")))
    }

    pub(crate) fn no_resource() -> Self {
        let message = "the server could not find the requested resource";
        failure(404, "NotFound", message, Some(json!({})))
    }

    pub(crate) fn no_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        failure(405, "MethodNotAllowed", message, Some(json!({})))
    }

    pub(crate) fn exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        let details = details(name, &resource.group, &resource.plural);
        failure(409, "AlreadyExists", &message, Some(details))
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        let details = details(name, &resource.group, &resource.plural);
        failure(409, "Conflict", &message, Some(details))
    }

    pub(crate) fn stale(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(resource, name, why)
    }

    /// A precondition of a deletion does not hold; `what` is `UID` or `ResourceVersion`.
    pub(crate) fn precondition(
        resource: &Resource,
        name: &str,
        what: &str,
        (wanted, found): (&str, &str),
    ) -> Self {
        let kind = &resource.kind;
        let message = format!(
            "Operation cannot be fulfilled on {kind} \"{name}\": the {what} in the precondition \
             ({wanted}) does not match the {what} in record ({found}). The object might have been \
             {}",
            if what == "UID" { "deleted and then recreated" } else { "modified" }
        );
        failure(409, "Conflict", &message, Some(details(name, &resource.group, kind)))
    }

    pub(crate) fn apply_conflict(message: &str, causes: Vec<(String, String)>) -> Self {
        let causes: Vec<_> = causes
            .into_iter()
            .map(|(message, field)| {
                json!({"reason": "FieldManagerConflict", "message": message, "field": field})
            })
            .collect();
        failure(409, "Conflict", message, Some(json!({ "causes": causes })))
    }

    pub(crate) fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        Self::invalid_as(
            &resource.qualified_kind(),
            (&resource.group, &resource.kind),
            name,
            errors,
        )
    }

    /// As [`ApiError::invalid`], for a subject that is no stored resource.
    pub(crate) fn invalid_as(
        subject: &str,
        (group, kind): (&str, &str),
        name: &str,
        errors: &[FieldError],
    ) -> Self {
        let texts: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        // Go's aggregate tells each text once.
        let mut once: Vec<String> = Vec::new();
        for text in texts {
            if !once.contains(&text) {
                once.push(text);
            }
        }
        let list = match once.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<_> = errors
            .iter()
            .map(|error| {
                json!({"reason": error.cause_name(), "message": error.message, "field": error.field})
            })
            .collect();
        let mut details = details(name, group, kind);
        details["causes"] = causes.into();
        let message = format!("{subject} \"{name}\" is invalid: {list}");
        failure(422, "Invalid", &message, Some(details))
    }

    /// Options of a write (`PatchOptions`, `CreateOptions`, …) that are invalid.
    pub(crate) fn invalid_options(kind: &str, errors: &[FieldError]) -> Self {
        let subject = format!("{kind}.meta.k8s.io");
        Self::invalid_as(&subject, ("meta.k8s.io", kind), "", errors)
    }

    pub(crate) fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        failure(422, "Invalid", message, Some(json!({})))
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        failure(400, "BadRequest", message, None)
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", resource.qualified())
        } else {
            format!("{} \"{name}\" is forbidden: {why}", resource.qualified())
        };
        let details = details(name, &resource.group, &resource.plural);
        failure(403, "Forbidden", &message, Some(details))
    }

    /// As [`ApiError::forbidden`], for a path that may name no resource at all.
    pub(crate) fn forbidden_at((group, plural): (&str, &str), name: &str, why: &str) -> Self {
        let dot = if group.is_empty() { "" } else { "." };
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{plural}{dot}{group}{named} is forbidden: {why}");
        failure(403, "Forbidden", &message, Some(details(name, group, plural)))
    }

    pub(crate) fn terminating_namespace(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut error = Self::forbidden(resource, name, &why);
        error.body["details"]["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        error
    }

    /// An error that the server words without reason and details.
    pub(crate) fn internal(message: &str) -> Self {
        failure(500, "", message, None)
    }

    pub(crate) fn unsupported_media(message: &str) -> Self {
        failure(415, "UnsupportedMediaType", message, None)
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json, \
                       application/yaml, application/vnd.kubernetes.protobuf";
        failure(406, "NotAcceptable", message, Some(json!({})))
    }

    pub(crate) fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728";
        failure(413, "RequestEntityTooLarge", message, None)
    }

    pub(crate) fn expired(message: &str) -> Self {
        failure(410, "Expired", message, None)
    }

    pub(crate) fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause =
            json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        let details = json!({"causes": [cause], "retryAfterSeconds": 1});
        failure(504, "Timeout", &message, Some(details))
    }

    /// A failure on demand (fault rules).
    pub(crate) fn fault(code: u16, message: &str, retry_after: Option<u64>) -> Self {
        let reason = match code {
            403 => "Forbidden",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        let details = retry_after.map(|seconds| json!({ "retryAfterSeconds": seconds }));
        failure(code, reason, message, details)
    }
}

/// Returns the `Status` of a deletion that is complete.
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = details(name, &resource.group, &resource.plural);
    details["uid"] = uid.into();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
