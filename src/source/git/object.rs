//! Git's objects: their names, and what commits, tags and trees say.

use std::fmt;
use std::str::FromStr;

use sha1_checked::{Digest as _, Sha1};

/// Name of an object: the SHA-1 of what it is. `Display` is 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 20]);

/// A text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the hash of a commit (40 hex digits)")]
pub struct IdError(String);

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its files.
    pub(super) tree: Id,
    /// First line of its message.
    pub subject: String,
}

/// An entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) form: Form,
    pub(super) name: &'a str,
    pub(super) id: Id,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Folder,
    File,
    Program,
    Link,
    Submodule,
}

impl Id {
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = || IdError(text.to_owned());
        if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fail());
        }
        let mut bytes = [0; 20];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| fail())?;
        }
        Ok(Self(bytes))
    }
}

/// Names an object while its bytes come. Bytes that were made to collide with others get a name that
/// nobody asked for, as in git: the crate looks for the traces of the known attacks.
pub(super) struct Naming(Sha1);

impl Naming {
    pub(super) fn new(kind: Kind, size: u64) -> Self {
        let word = match kind {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        };
        let mut hash = Sha1::new();
        hash.update(format!("{word} {size}\0"));
        Self(hash)
    }

    pub(super) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    pub(super) fn finish(self) -> Id {
        Id(self.0.finalize().into())
    }
}

/// Returns the name of an object.
pub(super) fn name(kind: Kind, data: &[u8]) -> Id {
    let mut naming = Naming::new(kind, data.len() as u64);
    naming.update(data);
    naming.finish()
}

/// Reads a header line of a commit or a tag, such as `tree 4b82…`.
pub(super) fn header<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == key).map(|(_, v)| v)
}

/// Reads a commit; none if it is broken.
pub(super) fn commit(data: &[u8]) -> Option<Commit> {
    let text = String::from_utf8_lossy(data);
    let tree = header(&text, "tree")?.parse().ok()?;
    let message = text.split_once("\n\n").map_or("", |(_, message)| message);
    let subject = message.trim_start().lines().next().unwrap_or_default().trim_end().to_owned();
    Some(Commit { tree, subject })
}

/// Reads a tree.
///
/// # Errors
/// It is broken, or has a name that no folder could take.
pub(super) fn tree(data: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let broken = || "a tree is broken".to_owned();
    let mut entries = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(broken)?;
        let head = std::str::from_utf8(&rest[..end])
            .map_err(|_| "the name of a file is not UTF-8".to_owned())?;
        let (mode, name) = head.split_once(' ').ok_or_else(broken)?;
        let id = rest.get(end + 1..end + 21).and_then(Id::from_bytes).ok_or_else(broken)?;
        rest = &rest[end + 21..];
        let form = match mode {
            "40000" => Form::Folder,
            "100755" => Form::Program,
            "120000" => Form::Link,
            "160000" => Form::Submodule,
            _ if mode.starts_with("100") => Form::File,
            _ => return Err(broken()),
        };
        let confined = !matches!(name, "" | "." | "..")
            && !name.eq_ignore_ascii_case(".git")
            && !name.contains(['/', '\\']);
        if !confined {
            return Err(format!("a file is called {name:?}"));
        }
        entries.push(Entry { form, name, id });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_git_names_them() {
        assert_eq!(name(Kind::Blob, b"").to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(name(Kind::Tree, b"").to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        for bad in ["", "4b82", "4b825dc642cb6eb9a060e54bf8d69288fbee490g"] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }

    #[test]
    fn commits_are_read() {
        let id = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let text = format!("tree {id}\nauthor a <a> 1 +0000\n\n one \ntree x\n");
        let commit = commit(text.as_bytes()).unwrap();
        assert_eq!((commit.tree.to_string().as_str(), commit.subject.as_str()), (id, "one"));
        assert_eq!(super::commit(b"author a\n\ntree x"), None);
    }

    #[test]
    fn names_stay_in_their_folder() {
        let entry =
            |mode: &str, name: &str| [format!("{mode} {name}\0").as_bytes(), &[7; 20]].concat();
        let good = [entry("40000", "a"), entry("100755", "b"), entry("100664", "c")].concat();
        let forms: Vec<_> = tree(&good).unwrap().iter().map(|entry| entry.form).collect();
        assert_eq!(forms, [Form::Folder, Form::Program, Form::File]);
        for name in ["..", ".", "", ".GIT", "a/b", "a\\b"] {
            assert!(tree(&entry("100644", name)).is_err(), "{name}");
        }
        assert!(tree(&good[..good.len() - 1]).is_err());
        assert!(tree(b"100644 \xff\0").is_err());
    }
}
