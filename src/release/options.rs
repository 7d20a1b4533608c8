//! What a command may ask for, and a `HelmRelease` cannot.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::conflict::Rules;
use super::method::{Asked, Baseline};
use super::{Error, Method, Record};

/// What a command may ask for, and a `HelmRelease` cannot.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who computes what changes.
    pub method: Method,
    /// Whether objects are put in the place of those that are there.
    pub replace: bool,
    /// What is done about fields that somebody else manages.
    pub conflicts: Rules,
    /// How a success is described; empty: in Helm's words.
    pub description: String,
    /// Labels of the record; none: those of the revision that is upgraded.
    pub labels: Option<BTreeMap<String, String>>,
    /// The last record, if a first revision takes the place of one that is gone.
    pub replaced: Option<Box<Record>>,
    /// Becomes true when the action is to end: it has failed then.
    pub stop: Option<watch::Receiver<bool>>,
}

impl Options {
    /// Returns the description of a success.
    pub(super) fn described(&self, usual: &str) -> String {
        if self.description.is_empty() { usual } else { &self.description }.to_owned()
    }

    /// Returns how objects are to be changed by a method that is decided.
    pub(super) fn asked(&self, method: Method, baseline: Baseline) -> Asked<'_> {
        Asked { method, rules: &self.conflicts, replace: self.replace, baseline }
    }

    /// Whether the action is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Runs something until it ends or the action is to end.
    pub(super) async fn until_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(mut stop) = self.stop.clone() else { return work.await };
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                // Who could have said so is gone: nobody will.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            result = work => result,
            () = stopped => Err(Error::Refused("context canceled".to_owned())),
        }
    }
}

/// Returns the labels of a release that had some already; the value `null` removes one.
///
/// Source: helm v4.3.2 pkg/action/upgrade.go (`mergeCustomLabels`).
pub fn merge_labels(
    known: &BTreeMap<String, String>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut labels = known.clone();
    labels.extend(given.clone());
    labels.retain(|_, value| value != "null");
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn labels_are_added_replaced_and_removed() {
        let rows = [
            ("", "a=1", "a=1"),
            ("a=1,b=2", "", "a=1,b=2"),
            ("a=1,b=2", "b=3", "a=1,b=3"),
            ("a=1,b=2", "a=null", "b=2"),
            ("a=null", "", ""),
        ];
        for (known, given, want) in rows {
            let merged = merge_labels(&labels(known), &labels(given));
            assert_eq!(merged, labels(want), "{known} + {given}");
        }
    }

    #[tokio::test]
    async fn an_action_ends_when_it_is_to_end() {
        let (say, stop) = watch::channel(false);
        let options = Options { stop: Some(stop), ..Options::default() };
        assert!(options.until_stopped(async { Ok(1) }).await.is_ok());
        let _ = say.send(true);
        let endless = std::future::pending::<Result<(), Error>>();
        let ended = options.until_stopped(endless).await.unwrap_err().to_string();
        assert_eq!(ended, "context canceled");
    }
}
