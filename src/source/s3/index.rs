//! Which objects of a bucket are taken, and what tells one state of it from another.

use std::collections::BTreeMap;

use super::error::Cause;
use crate::base::digest::Digest;
use crate::source::ignore::{FILE, Ignore};

/// An object, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// What tells its content from another, without quotes.
    pub etag: String,
    /// How many bytes it has.
    pub size: u64,
}

/// The objects that are taken: what tells the content of each, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index(BTreeMap<String, String>);

impl Index {
    /// Takes the objects that are files, and that no rule leaves out.
    pub(super) fn of(objects: &[Object], rules: &Ignore) -> Self {
        let is_taken = |object: &&Object| {
            let key = object.key.as_str();
            !key.ends_with('/') && key != FILE && !rules.drops_object(key)
        };
        let taken = objects.iter().filter(is_taken);
        Self(taken.map(|object| (object.key.clone(), object.etag.clone())).collect())
    }

    /// Returns what tells this state of the bucket from others.
    ///
    /// Source: fluxcd/source-controller internal/index/digest.go (`Digest`).
    #[must_use]
    pub fn revision(&self) -> Digest {
        let lines = self.0.iter().map(|(key, etag)| format!("{key} {etag}\n"));
        Digest::of(lines.collect::<String>())
    }

    /// Returns how many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object is taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Returns what tells the content of an object from another; empty: nothing does.
    pub(super) fn etag(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Notes what an object was when it was fetched; none: it was not there any more.
    pub(super) fn note(&mut self, key: &str, etag: Option<String>) {
        match etag {
            Some(etag) => self.0.insert(key.to_owned(), etag),
            None => self.0.remove(key),
        };
    }

    /// Returns the path of each object in a folder, with its key.
    ///
    /// # Errors
    /// A key is no path, or two have the same place: then with the key.
    pub(super) fn paths(&self) -> Result<Vec<(String, String)>, (String, Cause)> {
        let mut places: BTreeMap<String, &str> = BTreeMap::new();
        for key in self.0.keys() {
            let path = path(key).ok_or_else(|| (key.clone(), Cause::Key))?;
            if let Some(one) = places.insert(path, key) {
                return Err((key.clone(), same(one, key)));
            }
        }
        for (path, key) in &places {
            let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(one) = folders.filter_map(|folder| places.get(folder)).next() {
                return Err(((*key).to_owned(), same(one, key)));
            }
        }
        Ok(places.into_iter().map(|(path, key)| (path, key.to_owned())).collect())
    }
}

fn same(one: &str, other: &str) -> Cause {
    Cause::Same { one: one.to_owned(), other: other.to_owned() }
}

/// Returns the path that a key means, relative to a folder; none if there is none, or if it would
/// lead out of it. What is between slashes that follow each other is nothing.
fn path(key: &str) -> Option<String> {
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    // An address cannot name these either: each client would ask for another object.
    let is_plain = |part: &&str| !matches!(*part, "." | "..") && !part.contains('\0');
    let is_path = !parts.is_empty() && parts.iter().all(is_plain);
    is_path.then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(keys: &[&str]) -> Index {
        let objects: Vec<_> = keys
            .iter()
            .map(|key| Object { key: (*key).to_owned(), etag: "e".to_owned(), size: 1 })
            .collect();
        Index::of(&objects, &Ignore::bare(None, None))
    }

    /// The digests are those of Flux's own tests (bucket_controller_test.go).
    #[test]
    fn a_revision_is_that_of_flux() {
        let md5 = "098f6bcd4621d373cade4e832627b4f6";
        let mut one = Index::default();
        assert_eq!(
            one.revision().to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        one.note("test.txt", Some(md5.to_owned()));
        assert_eq!(
            one.revision().to_string(),
            "sha256:b4c2a60ce44b67f5b659a95ce4e4cc9e2a86baf13afb72bd397c5384cbc0e479"
        );
        let mut other = one.clone();
        other.note("test.txt", Some("x".to_owned()));
        assert_ne!(other.revision(), one.revision());
        other.note("test.txt", None);
        assert!(other.is_empty());
    }

    #[test]
    fn files_are_taken_that_no_rule_leaves_out() {
        let keys = ["a.yaml", "a.png", "docs/", "docs/b.md", ".sourceignore", "d/.sourceignore"];
        let taken = |of_bucket, of_object| {
            let objects =
                keys.map(|key| Object { key: key.to_owned(), etag: String::new(), size: 0 });
            let index = Index::of(&objects, &Ignore::bare(of_bucket, of_object));
            index.0.into_keys().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(taken(None, None), "a.png a.yaml d/.sourceignore docs/b.md");
        assert_eq!(taken(Some("*.md\n"), None), "a.png a.yaml d/.sourceignore");
        assert_eq!(
            taken(Some("*.md\n*.png"), Some("!docs/b.md")),
            "a.yaml d/.sourceignore docs/b.md"
        );
        assert_eq!(taken(None, Some("/*\n!/docs")), "docs/b.md");
    }

    #[test]
    fn keys_stay_in_the_folder_and_have_a_place_each() {
        let rows: &[(&[&str], Result<&str, &str>)] = &[
            (&["a/b", "c"], Ok("a/b=a/b c=c")),
            (&["/etc/passwd"], Ok("etc/passwd=/etc/passwd")),
            (&["a//b"], Ok("a/b=a//b")),
            (&["../x"], Err("../x")),
            (&["a/../../x"], Err("a/../../x")),
            (&["a/./x"], Err("a/./x")),
            (&["..x", "a..b/c"], Ok("..x=..x a..b/c=a..b/c")),
            (&["a\0b"], Err("a\0b")),
            (&["a/b", "a//b"], Err("a/b")),
            (&["a", "a/b"], Err("a/b")),
            (&["a", "a-b", "a/b/c"], Err("a/b/c")),
            (&["a", "ab/c"], Ok("a=a ab/c=ab/c")),
            (&["/"], Ok("")),
        ];
        for (keys, want) in rows {
            let got = index(keys).paths().map_err(|(key, _)| key);
            let got = got.map(|paths| {
                let paths = paths.iter().map(|(path, key)| format!("{path}={key}"));
                paths.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(got.as_deref().map_err(String::as_str), *want, "{keys:?}");
        }
    }
}
