//! Names that are valid by construction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that breaks the rule of its name type.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: {rule}")]
pub struct NameError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $check:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if text.len() <= $max && $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a Helm release.
    ReleaseName, "release name", 53, is_subdomain,
    "at most 53 characters: lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit"
);
name!(
    /// The name of a Kubernetes namespace.
    Namespace, "namespace", 63, is_label,
    "at most 63 characters: lower-case letters, digits and `-`, starting and ending with a letter or digit"
);

/// Returns whether a text is an RFC 1123 label (without the length rule).
fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// Returns whether a text is labels joined by dots.
fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// The name of an object inside its namespace. `Display` is `namespace/name`, or `name` alone for
/// an empty namespace (cluster-scoped objects).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NamespacedName {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl NamespacedName {
    /// Returns the name of an object in a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_where_they_enter() {
        for good in ["a", "kube-prometheus-stack", "a.b-c.d1", "0"] {
            assert!(good.parse::<ReleaseName>().is_ok(), "{good}");
        }
        let long = "x".repeat(54);
        for bad in ["", "-a", "a-", "A", "a_b", "a..b", ".a", long.as_str()] {
            assert!(bad.parse::<ReleaseName>().is_err(), "{bad}");
        }
        assert!("a.b".parse::<Namespace>().is_err());
        assert_eq!(NamespacedName::new("", "x").to_string(), "x");
        assert_eq!(NamespacedName::new("ns", "x").to_string(), "ns/x");
    }
}
