//! Names of objects, labels and annotations: what they may look like, in the server's words.
//!
//! Source: k8s.io/apimachinery 0.34 pkg/util/validation/validation.go.

use super::status::FieldError;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/// What a DNS label is.
pub(crate) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
    or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
    start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
    'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
/// What a label's value is.
pub(crate) const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
    used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Returns whether a text is a DNS label.
pub(crate) fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inside)
}

/// Returns what is wrong with a name of a resource.
pub(crate) fn wrong_name(storage: &str, name: &str) -> Option<String> {
    let group = storage.split_once('.').map_or("", |(_, group)| group);
    if group == "rbac.authorization.k8s.io" {
        return name.contains(['/', '%']).then(|| "may not contain '/' or '%'".to_owned());
    }
    let (fits, limit, rule) = match storage {
        "services" => {
            let letter = name.starts_with(|c: char| c.is_ascii_lowercase());
            (is_label(name) && letter, 63, DNS_1035)
        }
        "namespaces" => (is_label(name), 63, LABEL),
        _ => (name.split('.').all(is_label), 253, SUBDOMAIN),
    };
    match (fits, name.len() <= limit) {
        (false, _) => Some(rule.to_owned()),
        (true, false) => Some(format!("must be no more than {limit} characters")),
        (true, true) => None,
    }
}

/// Returns whether a text may be a label's value.
pub(crate) fn is_label_value(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(inside)
}

/// Refuses what is no qualified name (`name` or `prefix/name`).
pub(crate) fn qualified(name: &str, path: &str, errors: &mut Vec<FieldError>) {
    let part = name.rsplit('/').next().unwrap_or_default();
    if part.is_empty() || !is_label_value(part) {
        errors.push(FieldError::invalid(path, &name.into(), NAME_PART));
    }
}
