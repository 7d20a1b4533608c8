//! What a server says of itself, and of its branches and tags.

use super::object::Id;
use super::packet::{self, DELIMITER, FLUSH, Packet};

/// Most refs that are looked at.
const MOST: usize = 500_000;

/// A branch, a tag, or another name of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// Its whole name, such as `refs/heads/main`.
    pub name: String,
    /// The object.
    pub id: Id,
    /// What a tag is of, if the object is one.
    pub peeled: Option<Id>,
}

impl Ref {
    /// Returns the commit.
    pub fn commit(&self) -> Id {
        self.peeled.unwrap_or(self.id)
    }
}

/// How a server is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether it speaks version 2 of the protocol; the first one otherwise.
    pub(super) second: bool,
    /// What it can do: words of the first version, lines of the second.
    pub(super) abilities: Vec<String>,
}

impl Manner {
    pub(super) fn can(&self, ability: &str) -> bool {
        self.abilities.iter().any(|known| known == ability)
    }

    /// Whether shallow fetches are possible.
    pub(super) fn can_be_shallow(&self) -> bool {
        let words = |line: &String| {
            let words = line.strip_prefix("fetch=").unwrap_or(line);
            words.split(' ').any(|word| word == "shallow")
        };
        self.abilities.iter().any(words)
    }
}

/// Reads how a server begins: what it can do and, in the first version of the protocol, its refs.
///
/// # Errors
/// It does not speak Git's protocol, or says why not.
pub(super) fn greeting(bytes: &[u8]) -> Result<(Manner, Vec<Ref>), String> {
    let mut rest = bytes;
    let (mut manner, mut refs) = (Manner::default(), Vec::new());
    let (mut heard, mut begun) = (false, false);
    while let Some(packet) = packet::take(&mut rest)? {
        let Packet::Data(data) = packet else {
            if begun {
                break;
            }
            continue;
        };
        let line = packet::text(data);
        heard = true;
        if line.starts_with("# service=") {
            continue;
        }
        begun = true;
        refused(&line)?;
        if line == "version 2" {
            manner.second = true;
        } else if manner.second {
            manner.abilities.push(line);
        } else if line != "version 1" {
            let (line, abilities) = line.split_once('\0').unwrap_or((&line, ""));
            manner.abilities.extend(abilities.split(' ').map(str::to_owned));
            add(&mut refs, line)?;
        }
    }
    // Of an empty repository some servers say nothing more.
    if heard { Ok((manner, refs)) } else { Err("the server said nothing".to_owned()) }
}

/// Adds a line such as `4b82… refs/tags/v1^{}` of the first version.
fn add(refs: &mut Vec<Ref>, line: &str) -> Result<(), String> {
    let wrong = || format!("{line:?} is no branch or tag");
    if line.starts_with("shallow ") {
        return Ok(());
    }
    let (id, name) = line.split_once(' ').ok_or_else(wrong)?;
    let id: Id = id.parse().map_err(|_| wrong())?;
    match name.strip_suffix("^{}") {
        // A server without any says what it can do beside a name that is none.
        Some("capabilities") => {}
        Some(name) => {
            let tag = refs.last_mut().filter(|last| last.name == name).ok_or_else(wrong)?;
            tag.peeled = Some(id);
        }
        None => refs.push(Ref { name: name.to_owned(), id, peeled: None }),
    }
    bounded(refs)
}

fn bounded(refs: &[Ref]) -> Result<(), String> {
    if refs.len() > MOST {
        Err(format!("it has more than {MOST} branches and tags"))
    } else {
        Ok(())
    }
}

/// Whether the server says that it will not.
fn refused(line: &str) -> Result<(), String> {
    line.strip_prefix("ERR ").map_or(Ok(()), |why| Err(why.to_owned()))
}

/// Asks for refs whose names begin so, in the second version; for all of them if there is no such
/// beginning.
pub(super) fn question(prefixes: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet::line(&mut bytes, "command=ls-refs");
    packet::line(&mut bytes, AGENT);
    bytes.extend_from_slice(DELIMITER);
    packet::line(&mut bytes, "peel");
    for prefix in prefixes {
        packet::line(&mut bytes, &format!("ref-prefix {prefix}"));
    }
    bytes.extend_from_slice(FLUSH);
    bytes
}

/// Who asks.
pub(super) const AGENT: &str = concat!("agent=leadsman/", env!("CARGO_PKG_VERSION"));

/// Reads the answer.
///
/// # Errors
/// It is none, or says why not.
pub(super) fn answer(bytes: &[u8]) -> Result<Vec<Ref>, String> {
    let (mut rest, mut refs) = (bytes, Vec::new());
    while let Some(packet) = packet::take(&mut rest)? {
        let Packet::Data(data) = packet else { return Ok(refs) };
        let line = packet::text(data);
        refused(&line)?;
        let wrong = || format!("{line:?} is no branch or tag");
        let mut words = line.split(' ');
        let id = words.next().unwrap_or_default();
        // A branch that has no commit yet.
        if id == "unborn" {
            continue;
        }
        let id: Id = id.parse().map_err(|_| wrong())?;
        let name = words.next().ok_or_else(wrong)?.to_owned();
        let peeled = words.find_map(|word| word.strip_prefix("peeled:"));
        let peeled = peeled.map(str::parse).transpose().map_err(|_| wrong())?;
        refs.push(Ref { name, id, peeled });
        bounded(&refs)?;
    }
    Err("the answer broke off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn said(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            match *line {
                "0000" => bytes.extend_from_slice(FLUSH),
                line => packet::line(&mut bytes, line),
            }
        }
        bytes
    }

    fn shown(refs: &[Ref]) -> Vec<String> {
        let short = |id: Id| id.to_string()[..1].to_owned();
        let one = |r: &Ref| {
            format!("{} {} {}", r.name, short(r.id), r.peeled.map_or("-".to_owned(), short))
        };
        refs.iter().map(one).collect()
    }

    #[test]
    fn both_versions_say_the_same() {
        let first = said(&[
            "# service=git-upload-pack",
            "0000",
            &format!("{A} HEAD\0multi_ack shallow allow-tip-sha1-in-want"),
            &format!("{A} refs/heads/main"),
            &format!("{B} refs/tags/v1"),
            &format!("{A} refs/tags/v1^{{}}"),
            "0000",
        ]);
        let (manner, refs) = greeting(&first).unwrap();
        assert!(!manner.second && manner.can_be_shallow() && manner.can("allow-tip-sha1-in-want"));
        let want = ["HEAD a -", "refs/heads/main a -", "refs/tags/v1 b a"];
        assert_eq!(shown(&refs), want);
        let lines = ["version 2", "ls-refs=unborn", "fetch=shallow wait-for-done filter", "0000"];
        let (manner, refs) = greeting(&said(&lines)).unwrap();
        assert!(manner.second && manner.can_be_shallow() && refs.is_empty());
        let second = said(&[
            &format!("{A} HEAD symref-target:refs/heads/main"),
            &format!("{A} refs/heads/main"),
            &format!("{B} refs/tags/v1 peeled:{A}"),
            "0000",
        ]);
        assert_eq!(shown(&answer(&second).unwrap()), want);
        assert!(answer(&second[..second.len() - 4]).is_err());
    }

    #[test]
    fn servers_without_a_commit_or_with_a_reason() {
        let empty = "0000000000000000000000000000000000000000 capabilities^{}\0shallow";
        let (_, refs) = greeting(&said(&[empty, "0000"])).unwrap();
        assert!(refs.is_empty());
        assert_eq!(
            answer(&said(&["unborn HEAD symref-target:refs/heads/main", "0000"])),
            Ok(vec![])
        );
        let why = "access denied".to_owned();
        assert!(
            greeting(&said(&["# service=git-upload-pack", "0000", "0000"])).unwrap().1.is_empty()
        );
        assert_eq!(greeting(&said(&["ERR access denied"])), Err(why.clone()));
        assert_eq!(answer(&said(&["ERR access denied"])), Err(why));
        assert!(greeting(b"<html>").is_err());
        assert!(greeting(b"").is_err());
    }
}
