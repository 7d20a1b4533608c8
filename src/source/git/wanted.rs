//! Which commit is meant: by branch, tag, range of versions, name or hash.
//!
//! Source: fluxcd/pkg git/gogit/clone.go; fluxcd/source-controller docs/spec/v1/gitrepositories.md.

use super::error::Error;
use super::object::Id;
use super::refs::Ref;
use crate::base::constraint::Constraint;
use crate::base::version::Version;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The newest commit of a branch.
    Branch(String),
    /// The commit of a tag.
    Tag(String),
    /// The commit of the highest tag in a range.
    Semver(Constraint, String),
    /// What a whole name, such as `refs/pull/1/head`, means.
    Name(String),
    /// A commit, which is in this branch if one is named.
    Commit(Id, Option<String>),
}

/// The commit that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As `status.artifact.revision` says it.
    pub revision: String,
    /// The commit.
    pub commit: Id,
    /// Where it is also found by its history, if the server gives nothing by hash.
    pub(super) history: Option<Id>,
    /// The tag by which it was found, with the object that the name means.
    pub(super) tag: Option<(String, Id)>,
}

impl Found {
    /// Returns the commit that a revision such as `main@sha1:4b82…` names.
    #[must_use]
    pub fn of_revision(revision: &str) -> Option<Self> {
        let (_, hash) = revision.rsplit_once("sha1:")?;
        let commit = hash.parse().ok()?;
        Some(Self { revision: revision.to_owned(), commit, history: None, tag: None })
    }
}

impl Found {
    /// Returns what is asked for: the commit, or the tag that is of it and comes with it.
    pub(super) fn object(&self) -> Id {
        self.tag.as_ref().map_or(self.commit, |(_, id)| *id)
    }

    /// Whether it was found by a tag.
    #[must_use]
    pub fn is_of_tag(&self) -> bool {
        self.tag.is_some()
    }
}

impl Wanted {
    /// How the names of refs begin that can be meant; none are needed for a commit.
    pub(super) fn prefixes(&self) -> Vec<String> {
        match self {
            Self::Branch(name) => vec![format!("refs/heads/{name}")],
            Self::Tag(name) => vec![format!("refs/tags/{name}")],
            Self::Semver(..) => vec!["refs/tags/".to_owned()],
            Self::Name(name) => vec![name.trim_end_matches("^{}").to_owned()],
            Self::Commit(..) => Vec::new(),
        }
    }

    /// Where the commit, or one that came of it, is found.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Branch(name) | Self::Commit(_, Some(name)) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Name(name) => name.trim_end_matches("^{}").to_owned(),
            Self::Semver(..) | Self::Commit(_, None) => "HEAD".to_owned(),
        }
    }

    /// Returns the commit without asking the server: known already where it is named by its hash.
    #[must_use]
    pub fn known(&self) -> Option<Found> {
        let Self::Commit(commit, branch) = self else { return None };
        let branch = branch.as_ref().map_or(String::new(), |branch| format!("{branch}@"));
        let revision = format!("{branch}sha1:{commit}");
        Some(Found { revision, commit: *commit, history: None, tag: None })
    }

    /// Chooses among what the server has.
    ///
    /// # Errors
    /// It has not what is meant.
    pub(super) fn choose(&self, refs: &[Ref]) -> Result<Found, Error> {
        let exact = |name: &str| refs.iter().find(|one| one.name == name);
        let found = |shown: &str, at: &Ref| Found {
            revision: format!("{shown}@sha1:{}", at.commit()),
            commit: at.commit(),
            history: Some(at.id),
            tag: at.name.strip_prefix("refs/tags/").map(|name| (name.to_owned(), at.id)),
        };
        let named = |shown: &str, name: String| match exact(&name) {
            Some(at) => Ok(found(shown, at)),
            None => Err(Error::NoRef(name)),
        };
        match self {
            Self::Branch(name) => named(name, format!("refs/heads/{name}")),
            Self::Tag(name) => named(name, format!("refs/tags/{name}")),
            Self::Name(name) => named(name, name.trim_end_matches("^{}").to_owned()),
            Self::Semver(range, text) => {
                let highest = highest(range, refs).ok_or_else(|| Error::NoTag(text.clone()))?;
                Ok(found(highest.name.trim_start_matches("refs/tags/"), highest))
            }
            Self::Commit(..) => self.known().ok_or(Error::Empty),
        }
    }
}

/// Of tags whose versions differ only in their builds, the last by its name counts.
fn highest<'a>(range: &Constraint, refs: &'a [Ref]) -> Option<&'a Ref> {
    let version = |one: &'a Ref| {
        let text = one.name.strip_prefix("refs/tags/")?;
        // Three parts are needed, a leading `v` is fine.
        let version: Version = (text.matches('.').count() >= 2).then(|| text.parse().ok())??;
        range.matches(&version).then_some((version, one))
    };
    let versions = refs.iter().filter_map(version);
    let later = |a: &(Version, &Ref), b: &(Version, &Ref)| {
        a.0.cmp(&b.0).then_with(|| a.1.name.cmp(&b.1.name))
    };
    versions.max_by(later).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(digit: char) -> Id {
        digit.to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn what_is_meant_is_found() {
        let plain = |name: &str, digit| Ref { name: name.to_owned(), id: at(digit), peeled: None };
        let tag = |name: &str, digit, of| Ref { peeled: Some(at(of)), ..plain(name, digit) };
        let refs = [
            plain("refs/heads/main", '1'),
            plain("refs/heads/main2", '2'),
            plain("refs/pull/7/head", '3'),
            tag("refs/tags/v1.0.0", '4', '5'),
            plain("refs/tags/1.10.0", '6'),
            plain("refs/tags/1.9.0", '7'),
            plain("refs/tags/2.0.0-rc.1", '8'),
            plain("refs/tags/3", '9'),
            plain("refs/tags/1.10.0+b", 'a'),
            plain("refs/tags/chart-1.11.0", 'b'),
        ];
        let branch = |name: &str| Wanted::Branch(name.to_owned());
        let tag = |name: &str| Wanted::Tag(name.to_owned());
        let name = |name: &str| Wanted::Name(name.to_owned());
        let semver = |text: &str| Wanted::Semver(text.parse().unwrap(), text.to_owned());
        let rows = [
            (branch("main"), Ok(("main@sha1:", '1'))),
            (branch("mai"), Err("couldn't find remote ref \"refs/heads/mai\"")),
            (tag("v1.0.0"), Ok(("v1.0.0@sha1:", '5'))),
            (tag("main"), Err("couldn't find remote ref \"refs/tags/main\"")),
            (name("refs/pull/7/head"), Ok(("refs/pull/7/head@sha1:", '3'))),
            (name("refs/tags/v1.0.0^{}"), Ok(("refs/tags/v1.0.0^{}@sha1:", '5'))),
            (name("main"), Err("couldn't find remote ref \"main\"")),
            (semver("*"), Ok(("1.10.0+b@sha1:", 'a'))),
            (semver("<=1.9.x"), Ok(("1.9.0@sha1:", '7'))),
            (semver("1.0.x"), Ok(("v1.0.0@sha1:", '5'))),
            (semver(">=1.0.0-0"), Ok(("2.0.0-rc.1@sha1:", '8'))),
            (semver("3.x"), Err("no match found for semver: 3.x")),
            (Wanted::Commit(at('c'), None), Ok(("sha1:", 'c'))),
            (Wanted::Commit(at('c'), Some("dev".to_owned())), Ok(("dev@sha1:", 'c'))),
        ];
        for (wanted, want) in rows {
            let got = wanted.choose(&refs).map(|found| (found.revision, found.commit));
            let want = want.map(|(before, digit)| (format!("{before}{}", at(digit)), at(digit)));
            let got = got.map_err(|error| error.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{wanted:?}");
        }
    }
}
