//! How a release wants its objects to be changed, and when it takes them for ready.

use std::sync::Arc;

use crate::api::annotation::{CONFLICTS, STALL_AFTER};
use crate::api::{HealthCheckExpr, HelmRelease, ServerSideApply};
use crate::base::duration::GoDuration;
use crate::cluster::wait::Rules;
use crate::cluster::{Health, HealthCheck};
use crate::release::conflict::{self, Policy};
use crate::release::{Error, Method, Options};

/// Returns how objects are changed. What others manage is taken over where the server computes
/// changes, unless the release says otherwise; objects are replaced only where it does not.
///
/// # Errors
/// What the release says about fields of others cannot be kept.
pub fn options(release: &HelmRelease, method: Method, force: bool) -> Result<Options, Error> {
    let replace = force && method == Method::Client;
    let said = release.metadata.annotation(CONFLICTS);
    let conflicts = conflicts(method, said).map_err(Error::Refused)?;
    Ok(Options { method, conflicts, replace, ..Options::default() })
}

/// Returns what is done about fields that others manage, by an annotation, if there is one.
///
/// # Errors
/// It cannot be read, or not be kept by the method. To go on without it would overwrite what somebody
/// asked to be left alone.
pub fn conflicts(method: Method, said: Option<&str>) -> Result<conflict::Rules, String> {
    let Some(text) = said else { return Ok(method.taking()) };
    let rules = conflict::Rules::parse(text, Policy::Force)
        .map_err(|error| format!("annotation {CONFLICTS}: {error}"))?;
    match method {
        Method::Auto | Method::Server => Ok(rules),
        Method::Client if rules.is_just(Policy::Force) => Ok(method.taking()),
        Method::Client => Err(format!(
            "annotation {CONFLICTS}: {}; set serverSideApply to true (of install) or enabled (of \
             upgrade and rollback), or remove the annotation",
            rules.without_owners()
        )),
    }
}

/// Returns who computes what changes of a first revision.
pub fn of_install(applied: Option<bool>) -> Method {
    if applied == Some(false) { Method::Client } else { Method::Server }
}

/// Returns who computes what changes of a later one.
pub fn of_mode(mode: ServerSideApply) -> Method {
    match mode {
        ServerSideApply::Enabled => Method::Server,
        ServerSideApply::Disabled => Method::Client,
        ServerSideApply::Auto => Method::Auto,
    }
}

/// Reads what a release says about when its objects work; what it says amiss is told beside.
pub fn rules(release: &HelmRelease) -> (Rules, Option<String>) {
    // Expressions that are wrong ended the reconciliation before.
    let health = health(&release.spec.health_check_exprs).unwrap_or_default();
    let legacy = release.spec.waits_as_helm_3();
    let mut rules = Rules { stall: None, health: Arc::new(health), legacy };
    let given = release.metadata.annotation(STALL_AFTER).map(str::parse::<GoDuration>);
    match given {
        Some(Ok(GoDuration(stall))) if !stall.is_zero() => rules.stall = Some(stall),
        None | Some(Ok(_)) => {}
        Some(Err(error)) => {
            return (rules, Some(format!("annotation {STALL_AFTER} is left out: {error}")));
        }
    }
    (rules, None)
}

/// Parses what a release says about the health of its objects.
pub(super) fn health(given: &[HealthCheckExpr]) -> Result<Health, String> {
    let checks = given.iter().map(|one| HealthCheck {
        api_version: &one.api_version,
        kind: &one.kind,
        current: &one.current,
        failed: &one.failed,
        in_progress: &one.in_progress,
    });
    Health::parse(&checks.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_release_are_kept_or_refused_and_never_left_out() {
        let owners = "annotation leadsman.dev/conflicts: the rules of conflicts \
                      `force,spec.replicas=leave` need server-side apply: client-side apply knows no \
                      managers of fields; set serverSideApply to true (of install) or enabled (of \
                      upgrade and rollback), or remove the annotation";
        let wrong = "annotation leadsman.dev/conflicts: rule of conflicts `live`: it is neither \
                     force, fail or leave nor PATH=force, PATH=fail or PATH=leave";
        let rows = [
            (Method::Server, None, Ok("force")),
            (Method::Auto, None, Ok("force")),
            // It overwrites what is there, and asks nobody.
            (Method::Client, None, Ok("fail")),
            (Method::Client, Some("force"), Ok("fail")),
            (Method::Server, Some("spec.replicas=leave"), Ok("force,spec.replicas=leave")),
            (Method::Server, Some("fail"), Ok("fail")),
            (Method::Client, Some("spec.replicas=leave"), Err(owners)),
            (Method::Server, Some("live"), Err(wrong)),
            (Method::Client, Some("live"), Err(wrong)),
        ];
        for (method, said, want) in rows {
            let seen = conflicts(method, said).map(|rules| rules.to_string());
            let want = want.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(seen, want, "{method:?} {said:?}");
        }
        let fail = conflicts(Method::Client, Some("fail")).unwrap_err();
        assert!(fail.contains("the rules of conflicts `fail` need server-side apply"), "{fail}");
    }
}
