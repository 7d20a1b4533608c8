//! Downloads that failed. Many releases may want the same archive, each with a pause of its own:
//! whoever comes soon after a failure is told the same, and the server is not asked.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::{RepositorySpec, locked};
use crate::base::class::Class;
use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::secret::SafeUrl;
use crate::repo::entry::Entry;
use crate::repo::error::Error;
use crate::source::Tls;
use crate::source::oci::Access;

/// Pause after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause, unless the server asks for a longer one: a person who put it right waits so long.
const LONGEST: Duration = Duration::from_secs(60);
/// Failures that are kept.
const KEPT: usize = 256;

/// What was wanted, and how it was asked for: who puts a password right need not wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    url: SafeUrl,
    /// The digest that the index promises, or what of the address is wanted.
    promised: String,
    /// Digest of credentials and certificates.
    manner: Digest,
}

impl Wanted {
    pub(super) fn of(spec: &RepositorySpec, entry: &Entry, url: &SafeUrl) -> Self {
        let login = spec.credentials.as_ref().map(|known| {
            format!("{}\0{}\0{}", known.user, known.password.expose(), known.everywhere)
        });
        let tls = spec.tls.as_ref().map(Tls::manner);
        let manner = [login, tls].map(Option::unwrap_or_default).join("\0\0");
        Self { url: url.clone(), promised: entry.digest.clone(), manner: Digest::of(manner) }
    }

    /// An artifact that is served to everybody, by its digest.
    pub(super) fn of_artifact(url: &SafeUrl, promised: &str) -> Self {
        Self { url: url.clone(), promised: promised.to_owned(), manner: Digest::of("") }
    }

    /// Something of a registry: `what` of an address.
    pub(super) fn of_registry(access: &Access, url: &SafeUrl, what: &str) -> Self {
        Self { url: url.clone(), promised: what.to_owned(), manner: access.manner() }
    }
}

/// The failures of a process.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Wanted, Failure>>);

#[derive(Debug)]
struct Failure {
    at: Timestamp,
    times: u32,
    pause: Duration,
    text: String,
    class: Class,
}

impl Failures {
    /// Returns why it failed, as long as it is not to be tried again.
    pub(super) fn recent(&self, wanted: &Wanted, now: Timestamp) -> Option<Error> {
        let failures = locked(&self.0);
        let failure = failures.get(wanted)?;
        // Not if the clock was put back.
        let passed = Duration::try_from(now.duration_since(failure.at)).ok()?;
        let left = failure.pause.checked_sub(passed).filter(|left| !left.is_zero())?;
        let class = match failure.class {
            Class::Wait(_) => Class::Wait(left),
            class @ (Class::Retry | Class::Stalled | Class::Bug) => class,
        };
        Some(Error::Again { text: failure.text.clone(), class })
    }

    /// Remembers how a download went: why it failed, if it did, and what to do about it.
    pub(super) fn note(&self, wanted: &Wanted, now: Timestamp, failed: Option<(String, Class)>) {
        let mut failures = locked(&self.0);
        let Some((text, class)) = failed else {
            failures.remove(wanted);
            return;
        };
        let times = failures.get(wanted).map_or(0, |failure| failure.times);
        let pause = match class {
            Class::Wait(pause) => pause,
            Class::Retry | Class::Stalled | Class::Bug => {
                FIRST.saturating_mul(2_u32.saturating_pow(times.min(20))).min(LONGEST)
            }
        };
        if failures.len() >= KEPT {
            failures.clear();
        }
        failures.insert(wanted.clone(), Failure { at: now, times: times + 1, pause, text, class });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::class::chain;

    #[test]
    fn pauses_grow_and_end_and_a_server_may_say_how_long() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds: u64| start.saturating_add(Duration::from_secs(seconds)).unwrap();
        let url: SafeUrl = "https://charts.example/a.tgz".parse().unwrap();
        let manner = Digest::of("");
        let wanted = Wanted { url: url.clone(), promised: "d".to_owned(), manner };
        let failures = Failures::default();
        let fails = |seconds: u64, error: Error| {
            failures.note(&wanted, at(seconds), Some((chain(&error), error.class())));
        };
        let class = |seconds: u64| failures.recent(&wanted, at(seconds)).map(|error| error.class());
        assert_eq!(class(0), None);
        let mut now = 0;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            fails(now, Error::NoUrl("a".to_owned()));
            assert_eq!(class(now + pause - 1), Some(Class::Stalled), "{pause}");
            now += pause;
            assert_eq!(class(now), None, "{pause}");
        }
        let text = failures.recent(&wanted, at(now - 1)).unwrap().to_string();
        assert_eq!(text, Error::NoUrl("a".to_owned()).to_string());
        let after = Duration::from_secs(500);
        fails(
            now,
            Error::Fetch(crate::source::Error::TooMany {
                url,
                status: "429 Too Many Requests".to_owned(),
                after,
            }),
        );
        assert_eq!(class(now + 400), Some(Class::Wait(Duration::from_secs(100))));
        assert!(failures.recent(&wanted, start).is_none(), "the clock was put back");
        let other = Wanted { promised: "e".to_owned(), ..wanted.clone() };
        assert!(failures.recent(&other, at(now + 1)).is_none(), "the index means another archive");
        failures.note(&wanted, at(now), None);
        assert_eq!(class(now), None);
    }
}
