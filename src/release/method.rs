//! Who computes what changes: the API server, or we.
//!
//! Source: helm v4.3.2 pkg/action/{install,upgrade,rollback}.go, pkg/kube/client.go (`Update`).

use serde::{Deserialize, Serialize};

use super::Error;
use super::conflict::{Policy, Rules};

/// Who computes what changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Who did for the revision that is upgraded, or returned to; the server for a first one.
    #[default]
    Auto,
    /// The server: server-side apply.
    Server,
    /// We: client-side apply.
    Client,
}

impl Method {
    /// Returns the method of a revision, as its record names it; Helm 3 knew only one.
    pub fn of(apply_method: &str) -> Self {
        if apply_method == "ssa" { Self::Server } else { Self::Client }
    }

    /// Returns this method, or another one where it leaves that open.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Auto => other,
            Self::Server | Self::Client => self,
        }
    }

    /// Returns what becomes of fields that others own, where nobody is asked: only the server can
    /// take them over.
    pub fn taking(self) -> Rules {
        Rules::just(match self {
            Self::Auto | Self::Server => Policy::Force,
            Self::Client => Policy::Fail,
        })
    }

    /// Returns the word for it in records.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Auto | Self::Server => "ssa",
            Self::Client => "csa",
        }
    }
}

/// How objects are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How<'a> {
    /// By server-side apply.
    Server(&'a Rules),
    /// By patches of our own making.
    Client(Baseline, Verb),
    /// By putting the new object in the place of the old one.
    Replace,
}

/// What an object that the release did not have before is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Baseline {
    /// The new one itself: nothing is taken away.
    New,
    /// The same, also for kinds of which nothing is known.
    NewOfAnyKind,
    /// The live one: all that is not in the new one is taken away.
    Live,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    pub(super) rules: &'a Rules,
    pub(super) replace: bool,
    pub(super) baseline: Baseline,
}

/// Whether there is anything to update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// All objects are new.
    Create,
    /// Some may be there.
    Update,
}

impl<'a> Asked<'a> {
    /// Returns how objects are changed.
    ///
    /// # Errors
    /// Helm's text about options that exclude each other.
    pub(super) fn how(self, verb: Verb) -> Result<How<'a>, Error> {
        let refused = |text: &str| Err(Error::Refused(text.to_owned()));
        let word = match verb {
            Verb::Create => "create",
            Verb::Update => "update",
        };
        match (self.method, self.replace && verb == Verb::Update) {
            (Method::Auto | Method::Server, true) => refused(
                "invalid operation: cannot use server-side apply and force replace together",
            ),
            (Method::Auto | Method::Server, false) => Ok(How::Server(self.rules)),
            (Method::Client, _) if self.rules.is_just(Policy::Force) => refused(&format!(
                "invalid client {word} option(s): forceConflicts enabled when serverSideApply disabled"
            )),
            (Method::Client, _) if !self.rules.is_just(Policy::Fail) => refused(&format!(
                "invalid client {word} option(s): {}",
                self.rules.without_owners()
            )),
            (Method::Client, true) => Ok(How::Replace),
            (Method::Client, false) => Ok(How::Client(self.baseline, verb)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_go_on_unless_another_one_is_asked_for() {
        let rows = [
            (Method::Auto, "ssa", "ssa"),
            (Method::Auto, "csa", "csa"),
            (Method::Auto, "", "csa"),
            (Method::Server, "csa", "ssa"),
            (Method::Client, "ssa", "csa"),
        ];
        for (asked, recorded, want) in rows {
            assert_eq!(asked.or(Method::of(recorded)).word(), want, "{asked:?} {recorded}");
        }
        assert_eq!(Method::Auto.word(), "ssa");
    }

    /// What Helm 4.3.2 said to each pair of flags.
    #[test]
    fn options_that_exclude_each_other_are_refused() {
        let both = "invalid operation: cannot use server-side apply and force replace together";
        let conflicts =
            "invalid client update option(s): forceConflicts enabled when serverSideApply disabled";
        let new =
            "invalid client create option(s): forceConflicts enabled when serverSideApply disabled";
        let needs = "invalid client update option(s): the rules of conflicts `fail,spec=leave` need \
                     server-side apply: client-side apply knows no managers of fields";
        let [taken, left, ruled] =
            ["force", "fail", "spec=leave"].map(|text| Rules::parse(text, Policy::Fail).unwrap());
        let (taken, left, ruled) = (&taken, &left, &ruled);
        let client = |verb| How::Client(Baseline::New, verb);
        let rows = [
            (Method::Server, taken, false, Verb::Update, Ok(How::Server(taken))),
            (Method::Server, left, false, Verb::Create, Ok(How::Server(left))),
            (Method::Server, left, true, Verb::Update, Err(both)),
            (Method::Server, left, true, Verb::Create, Ok(How::Server(left))),
            (Method::Client, left, false, Verb::Update, Ok(client(Verb::Update))),
            (Method::Client, left, true, Verb::Update, Ok(How::Replace)),
            (Method::Client, left, true, Verb::Create, Ok(client(Verb::Create))),
            (Method::Client, taken, false, Verb::Update, Err(conflicts)),
            (Method::Client, taken, false, Verb::Create, Err(new)),
            (Method::Client, ruled, false, Verb::Update, Err(needs)),
            (Method::Server, ruled, false, Verb::Update, Ok(How::Server(ruled))),
        ];
        for (method, rules, replace, verb, want) in rows {
            let asked = Asked { method, rules, replace, baseline: Baseline::New };
            let seen = asked.how(verb).map_err(|error| error.to_string());
            assert_eq!(seen, want.map_err(str::to_owned), "{asked:?} {verb:?}");
        }
    }
}
