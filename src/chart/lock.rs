//! `Chart.lock`: which versions were chosen for the dependencies, and a digest over both lists.

use serde::{Deserialize, Serialize};

use super::{Chart, Dependency, Error};
use crate::base::digest::Digest;
use crate::yaml;

/// `Chart.lock`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// When it was made.
    pub generated: String,
    /// See [`lock_digest`].
    pub digest: String,
    /// Dependencies with exact versions.
    pub dependencies: Vec<Dependency>,
}

impl Lock {
    /// Returns the lock of a chart, if it has one.
    pub fn of(chart: &Chart) -> Option<Self> {
        serde_json::from_value(chart.lock.clone()?).ok()
    }

    /// Returns the text of the file.
    ///
    /// # Errors
    /// A text cannot be written as YAML.
    pub fn print(&self) -> Result<String, Error> {
        let value = serde_json::to_value(self).map_err(|error| Error::Save(error.to_string()))?;
        yaml::print(&value).map_err(|error| Error::Save(error.to_string()))
    }
}

/// Returns the digest over what is declared and what was chosen: of Go's JSON of the two lists.
///
/// Source: helm v4.3.1 internal/resolver/resolver.go (`HashReq`).
pub fn lock_digest(declared: &[Dependency], locked: &[Dependency]) -> String {
    digest(&(declared, locked))
}

/// Returns the digest that Helm 2 wrote for the same purpose.
///
/// Source: helm v4.3.1 internal/resolver/resolver.go (`HashV2Req`).
pub fn old_lock_digest(declared: &[Dependency]) -> String {
    #[derive(Serialize)]
    struct Declared<'a> {
        dependencies: &'a [Dependency],
    }
    digest(&Declared { dependencies: declared })
}

fn digest(value: &impl Serialize) -> String {
    // Plain data always has a JSON form.
    let json = serde_json::to_string(value).unwrap_or_default();
    Digest::of(yaml::json::escape_html(&json)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_over_json_as_go_writes_it() {
        let dependency = |version: &str| Dependency {
            name: "db".to_owned(),
            version: version.to_owned(),
            ..Dependency::default()
        };
        let text = "[[{\"name\":\"db\",\"version\":\"\\u003e1\",\"repository\":\"\"}],\
            [{\"name\":\"db\",\"version\":\"1.1.0\",\"repository\":\"\"}]]";
        let found = lock_digest(&[dependency(">1")], &[dependency("1.1.0")]);
        assert_eq!(found, Digest::of(text).to_string());
    }
}
