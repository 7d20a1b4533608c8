//! What people ask for by annotations: reconcile, force, reset. Pure.
//!
//! Source: fluxcd/helm-controller api/v2/annotations.go (ShouldHandleForceRequest and friends).

use crate::api::annotation::{FORCE_AT, REQUESTED_AT, RESET_AT};
use crate::api::{HelmReleaseStatus, Meta};

/// Requests that count in this reconciliation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Upgrade even when in sync, and try again after retries were used up.
    pub force: bool,
    /// Failure counters start anew.
    pub reset: bool,
}

/// Takes the requests out of the annotations and notes in the status that they were seen.
///
/// A request counts when its value equals that of the reconcile request, and that one is new.
pub fn take(meta: &Meta, status: &mut HelmReleaseStatus) -> Requests {
    let requested = meta.annotation(REQUESTED_AT).unwrap_or_default().to_owned();
    let fresh = !requested.is_empty() && status.last_handled_reconcile_at != requested;
    let one = |key: &str, handled: &mut String| {
        let Some(value) = meta.annotation(key) else {
            return false;
        };
        let counts = fresh && value == requested && handled != value;
        value.clone_into(handled);
        counts
    };
    let force = one(FORCE_AT, &mut status.last_handled_force_at);
    let reset = one(RESET_AT, &mut status.last_handled_reset_at);
    Requests { force, reset }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_once_and_only_with_a_reconcile_request() {
        let mut meta = Meta::default();
        let mut status = HelmReleaseStatus::default();
        meta.annotations.insert(FORCE_AT.into(), "t1".into());
        assert_eq!(take(&meta, &mut status), Requests::default());
        assert_eq!(status.last_handled_force_at, "t1");
        meta.annotations.insert(REQUESTED_AT.into(), "t2".into());
        meta.annotations.insert(FORCE_AT.into(), "t2".into());
        assert_eq!(take(&meta, &mut status), Requests { force: true, reset: false });
        assert_eq!(take(&meta, &mut status), Requests::default());
        status.last_handled_reconcile_at = "t2".into();
        meta.annotations.insert(RESET_AT.into(), "t2".into());
        assert_eq!(take(&meta, &mut status), Requests::default());
    }
}
