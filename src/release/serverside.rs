//! Server-side apply: one object, and what becomes of fields that others manage.
//!
//! Where a rule may be other than `force`, an object is applied politely first. What is left to
//! others is taken out of it; what is taken over is forced only at the version of the object at
//! which nothing else was in the way, for force spares nobody.
//!
//! Source: helm v4.3.1 pkg/kube/client.go (`patchResourceServerSide`).

use std::time::Duration;

use super::conflict::{self, Conflict, Meeting, Policy, Rules};
use super::{Env, Error, manager};
use crate::api::annotation::HELM_MANAGER;
use crate::cluster::{self, ApplyOptions, Cluster, Object, ObjectId};

/// Tries to take fields over while controllers write the object.
const TAKE_OVER_ATTEMPTS: usize = 5;
/// Tries to agree with others while they write the object.
const ROUNDS: u64 = 10;
/// Pause before the second round; later ones are longer.
const PAUSE: Duration = Duration::from_millis(10);
/// Tries to be the quickest where the server lost a race against others.
const RACES: u64 = 5;

/// For what an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To change it.
    Change,
    /// To know whether it could be changed; nothing is written.
    Try,
    /// To know what it would become where nothing failed; nothing is written, and Secrets are shown.
    Tell,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    /// The object as the server has it, or would have it.
    pub(super) object: Object,
    /// Fields of others that were met, and what was done about them.
    pub(super) conflicts: Vec<Conflict>,
}

/// Why nothing came of it.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// What the server said.
    pub(super) source: cluster::Error,
    /// Fields of others that were in the way.
    pub(super) conflicts: Vec<Conflict>,
}

impl From<cluster::Error> for Refusal {
    fn from(source: cluster::Error) -> Self {
        Self { source, conflicts: Vec::new() }
    }
}

/// Applies one object, takes over what Helm's own command line owned of it (a field that the chart
/// dropped would else stay behind as its), and tells what is left to others.
pub(super) async fn apply(env: &Env<'_>, object: &Object, rules: &Rules) -> Result<Object, Error> {
    let cluster = &env.cluster;
    let applied = whole(cluster, object, rules).await?;
    let left = applied.conflicts.into_iter().filter(|one| one.policy == Policy::Leave);
    let left: Vec<Conflict> = left.collect();
    if !left.is_empty() {
        (env.left)(&object.id(), &left);
    }
    Ok(applied.object)
}

async fn whole(cluster: &Cluster, object: &Object, rules: &Rules) -> Result<Applied, Error> {
    let put = async |live| {
        let put = put(cluster, object, (rules, Purpose::Change), live).await;
        put.map_err(|refusal| refused(object, refusal))
    };
    let forces = rules.strictest(&object.id()) == Policy::Force;
    let is_helm = cluster.manager() == HELM_MANAGER;
    let mut known = None;
    if !forces || is_helm {
        // First, as Helm does: else what we own ourselves, by the older method, would be in our way.
        if !object.name().is_empty()
            && let Some(live) = cluster.get(&object.id()).await?
        {
            known = match take_over(cluster, live).await {
                Ok(Takeover::Done) => None,
                Ok(Takeover::Needless(live)) => Some(live),
                Err(error) => return Err(refused(object, error)),
            };
        }
    }
    let first = put(known).await?;
    if is_helm {
        return Ok(first);
    }
    match take_over(cluster, first.object.clone()).await {
        Ok(Takeover::Done) => {
            let again = put(None).await?;
            Ok(Applied { conflicts: joined(first.conflicts, again.conflicts), ..again })
        }
        Ok(Takeover::Needless(live)) => Ok(Applied { object: live, ..first }),
        Err(error) if error.is_conflict() => {
            tracing::warn!(id = %object.id(), "fields of Helm are not taken over: others write the object again and again");
            Ok(first)
        }
        Err(error) => Err(refused(object, error)),
    }
}

/// What came of taking fields over.
enum Takeover {
    /// There were some.
    Done,
    /// There was none in the object as it is now, or as it was before it went.
    Needless(Object),
}

/// Makes ours what Helm's command line owns of an object, and what we owned by client-side apply.
async fn take_over(cluster: &Cluster, mut live: Object) -> Result<Takeover, cluster::Error> {
    let mut attempt = 1;
    loop {
        let Some(fields) = manager::handed_over(&live, cluster.manager()) else {
            return Ok(Takeover::Needless(live));
        };
        let patch = serde_json::json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()},
        ]);
        match cluster.patch_json(&live.id(), &patch, "").await {
            Ok(_) => return Ok(Takeover::Done),
            // A controller wrote the object meanwhile: who owns what is read again.
            Err(error) if error.is_conflict() && attempt < TAKE_OVER_ATTEMPTS => {
                attempt += 1;
                match cluster.get(&live.id()).await? {
                    Some(now) => live = now,
                    None => return Ok(Takeover::Needless(live)),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Applies an object once, as far as the rules allow; `live` is what is known to be there.
pub(super) async fn put(
    cluster: &Cluster,
    object: &Object,
    (rules, purpose): (&Rules, Purpose),
    live: Option<Object>,
) -> Result<Applied, Refusal> {
    if rules.strictest(&object.id()) == Policy::Force && purpose != Purpose::Tell {
        let object = send(cluster, object, (Manners::Force, purpose)).await?;
        return Ok(Applied { object, conflicts: Vec::new() });
    }
    let talk = Talk { cluster, rules, purpose };
    let mut state = Round { body: object.clone(), live, met: Vec::new() };
    let mut round = 0;
    loop {
        let error = match talk.round(state).await? {
            Step::Done(applied) => return Ok(applied),
            Step::Again(next, error) => {
                state = next;
                error
            }
        };
        round += 1;
        if round == ROUNDS {
            return Err(Refusal { source: error, conflicts: Vec::new() });
        }
        tokio::time::sleep(PAUSE * u32::try_from(round).unwrap_or(1)).await;
    }
}

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Polite,
    Force,
}

/// What does not change from round to round.
struct Talk<'a> {
    cluster: &'a Cluster,
    rules: &'a Rules,
    purpose: Purpose,
}

/// Where a round begins.
struct Round {
    /// What is applied, without what is left to others.
    body: Object,
    /// The object as it was read before.
    live: Option<Object>,
    /// Fields of others that were met so far.
    met: Vec<Conflict>,
}

enum Step {
    Done(Applied),
    /// The object is another now, or less of ours is applied.
    Again(Round, cluster::Error),
}

impl Talk<'_> {
    async fn round(&self, round: Round) -> Result<Step, Refusal> {
        let Round { mut body, live, met } = round;
        let error = match send(self.cluster, &body, (Manners::Polite, self.purpose)).await {
            Ok(object) => return Ok(Step::Done(Applied { object, conflicts: met })),
            Err(error) => error,
        };
        let causes = conflict::causes(&error);
        if causes.is_empty() {
            return Err(error.into());
        }
        // Nothing is written by the others: one look is enough.
        let now = match (&live, self.purpose) {
            (Some(live), Purpose::Tell) => Some(live.clone()),
            // What cannot be read is not told; the conflict is.
            _ => self.cluster.get(&body.id()).await.unwrap_or_default(),
        };
        let applier = self.cluster.manager();
        let meeting = Meeting { rules: self.rules, applier, object: &body, live: now.as_ref() };
        let found = meeting.conflicts(&causes);
        let shown = found.iter().cloned().map(|one| self.shown(&body.id(), one)).collect();
        let has = |policy: Policy| found.iter().any(|one| one.policy == policy);
        if has(Policy::Fail) && self.purpose != Purpose::Tell {
            return Err(Refusal { source: error, conflicts: shown });
        }
        let met = joined(met, shown);
        conflict::leave(&mut body, &found);
        let takes = has(Policy::Force) || has(Policy::Fail);
        match (self.purpose, takes) {
            (Purpose::Try | Purpose::Tell, true) => {
                let object = send(self.cluster, &body, (Manners::Force, self.purpose)).await?;
                Ok(Step::Done(Applied { object, conflicts: met }))
            }
            // All that was in the way of this version of the object is to be taken.
            (Purpose::Change, true) if !has(Policy::Leave) && live.is_some() => {
                let version = live.as_ref().map(Object::resource_version).unwrap_or_default();
                match send(self.cluster, &at(&body, version), (Manners::Force, self.purpose)).await
                {
                    Ok(object) => Ok(Step::Done(Applied { object, conflicts: met })),
                    Err(error) if error.is_conflict() => {
                        Ok(Step::Again(Round { body, live: now, met }, error))
                    }
                    Err(error) => Err(error.into()),
                }
            }
            _ => Ok(Step::Again(Round { body, live: now, met }, error.clone())),
        }
    }

    fn shown(&self, id: &ObjectId, conflict: Conflict) -> Conflict {
        match self.purpose {
            Purpose::Change | Purpose::Try => conflict.masked(&id.api_version(), &id.kind),
            Purpose::Tell => conflict,
        }
    }
}

/// Returns an object that is applied only to this version of it.
fn at(object: &Object, version: &str) -> Object {
    let mut object = object.clone();
    if let Some(metadata) = object.0.get_mut("metadata").and_then(|value| value.as_object_mut()) {
        metadata.insert("resourceVersion".to_owned(), version.into());
    }
    object
}

/// Returns all that was met, each once, as it was met last.
fn joined(mut known: Vec<Conflict>, new: Vec<Conflict>) -> Vec<Conflict> {
    known.retain(|one| {
        !new.iter().any(|other| (&other.field, &other.manager) == (&one.field, &one.manager))
    });
    known.extend(new);
    known
}

async fn send(
    cluster: &Cluster,
    object: &Object,
    (manners, purpose): (Manners, Purpose),
) -> Result<Object, cluster::Error> {
    let options = match manners {
        Manners::Polite => ApplyOptions::polite(),
        Manners::Force => ApplyOptions::forced(),
    };
    let options = ApplyOptions { dry_run: purpose != Purpose::Change, ..options };
    let mut attempt = 0;
    loop {
        match cluster.apply(object, &options).await {
            Ok(live) => return Ok(live),
            Err(error) if attempt < RACES && is_lost_race(object, &error) => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(20 * attempt)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether others were quicker, which says nothing about what is applied: the server tries an apply
/// five times against an object that is written meanwhile, a definition by three controllers when it
/// is new, and many objects at once trip over the bookkeeping of a quota.
fn is_lost_race(object: &Object, error: &cluster::Error) -> bool {
    // What is applied to one version of an object is refused for good when there is another.
    error.is_conflict()
        && conflict::causes(error).is_empty()
        && object.resource_version().is_empty()
}

/// Returns Helm's error about an object that could not be applied.
pub(super) fn refused(object: &Object, refusal: impl Into<Refusal>) -> Error {
    let id = object.id();
    let Refusal { source, conflicts } = refusal.into();
    let doing = if source.is_conflict() {
        "conflict occurred while applying object"
    } else {
        "server-side apply failed for object"
    };
    let doing = format!("{doing} {}/{} {}", id.namespace, id.name, id.go_kind());
    if conflicts.is_empty() {
        return Error::Doing { doing, source };
    }
    Error::Conflict(Box::new(InTheWay { object: id, doing, source, conflicts }))
}

/// Fields of others that were in the way of an object.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct InTheWay {
    /// Whose.
    pub object: ObjectId,
    /// What was being done, in Helm's words.
    pub doing: String,
    /// What the server said.
    pub source: cluster::Error,
    /// Those.
    pub conflicts: Vec<Conflict>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::StatusCause;

    #[test]
    fn only_a_race_is_run_again() {
        let refusal = |code: u16, reason: &str, cause: Option<&str>| cluster::Error::Api {
            code,
            reason: reason.to_owned(),
            message: String::new(),
            retry_after: None,
            causes: cause
                .map(|reason| StatusCause {
                    reason: reason.to_owned(),
                    message: String::new(),
                    field: ".data.a".to_owned(),
                })
                .into_iter()
                .collect(),
        };
        let any = Object(json!({"metadata": {"name": "a"}}));
        for (want, object, error) in [
            (true, any.clone(), refusal(409, "Conflict", None)),
            (true, any.clone(), refusal(409, "Conflict", Some("FieldValueInvalid"))),
            // A field of somebody else is as much in the way the next time.
            (false, any.clone(), refusal(409, "Conflict", Some("FieldManagerConflict"))),
            // As is another version of the object.
            (false, at(&any, "7"), refusal(409, "Conflict", None)),
            (false, any.clone(), refusal(409, "AlreadyExists", None)),
            (false, any.clone(), refusal(403, "Forbidden", None)),
        ] {
            assert_eq!(is_lost_race(&object, &error), want, "{object:?} {error:?}");
        }
    }
}
