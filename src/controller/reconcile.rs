//! One reconciliation of a `HelmRelease`: observe, decide, act, until nothing is left to do.
//!
//! Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go,
//! internal/reconcile/atomic_release.go.

use serde_json::json;

use super::context::Context;
use super::determine::{Last, Seen, State, Wanted, determine};
use super::execute::Work;
use super::lease::{Hold, Holder, Life, may_take_over};
use super::memory::{self, Memory};
use super::next::{Next, Question, Step, StepKind, budget, next, retry_interval};
use super::notice::{Severity, Subject};
use super::prerequisite::{Prerequisites, Problem, TERMINAL, gather};
use super::queue::{Phase, Report, Requeue, jittered};
use super::removal;
use super::suite::{self, Tests};
use super::target::Target;
use super::version::{adopt_rollback, keep_evidence, note_origin, quarantine, say_held};
use super::{drift, history, lease, offer, postrender, request, retry, status, unreadable, values};
use crate::api::annotation::{FINALIZER, REQUESTED_AT};
use crate::api::condition::{self, READY, RECONCILING, STALLED, Truth};
use crate::api::crd::HELM_RELEASE_API;
use crate::api::{HelmRelease, Snapshot};
use crate::base::class::{Class, chain};
use crate::base::name::NamespacedName;
use crate::cluster::ObjectId;
use crate::release::{self, Storage};

/// Kind of the objects.
pub(super) const KIND: &str = "HelmRelease";

/// Reason of a release whose site cannot be reached.
const NO_SITE: &str = "RESTClientError";

type Failure = crate::cluster::Error;

/// Looks at a release and does what is to be done.
pub(super) async fn reconcile(context: &Context, key: &NamespacedName) -> Report {
    match look(context, key).await {
        Ok(report) => report,
        Err(error) => {
            tracing::warn!(release = %key, error = chain(&error), "trying again");
            Report::new(Requeue::Backoff, Phase::Working)
        }
    }
}

fn id_of(key: &NamespacedName) -> ObjectId {
    ObjectId::new(HELM_RELEASE_API, KIND, &key.namespace, &key.name)
}

async fn look(context: &Context, key: &NamespacedName) -> Result<Report, Failure> {
    let id = id_of(key);
    let release: HelmRelease =
        match unreadable::read(context, &id, (HELM_RELEASE_API, KIND)).await? {
            Ok(release) => release,
            Err(report) => return Ok(report),
        };
    if release.metadata.deletion_timestamp.is_some() {
        return removal::delete(context, &release, &id).await;
    }
    if !release.metadata.finalizers.iter().any(|one| one == FINALIZER) {
        let mut finalizers = release.metadata.finalizers.clone();
        finalizers.push(FINALIZER.to_owned());
        let patch = json!({"metadata": {"finalizers": finalizers}});
        context.cluster.patch_merge(&id, &patch, "").await?;
    }
    if release.spec.suspend {
        return suspended(context, &release, &id).await;
    }
    let target = Target::of(&release);
    let subject = Subject::new(HELM_RELEASE_API, KIND, &release.metadata);
    let found = context.sites.of(&release).await;
    let site = found.as_ref().unwrap_or_else(|_| context.sites.watched());
    let mut work = Work {
        context,
        site,
        release: &release,
        target: &target,
        subject: &subject,
        storage: Storage::new(&site.cluster, &target.storage_namespace),
        status: release.status.clone(),
        seen: 0,
        told: history::newest(&release.status.history),
    };
    let problem = found.as_ref().err();
    let problem = problem.map(|error| Problem::new(NO_SITE, chain(error), Class::Retry));
    let report = go(&mut work, &id, problem).await?;
    finish(&mut work, &id, report).await
}

/// A suspended release is left alone; its status says that this was seen.
async fn suspended(
    context: &Context,
    release: &HelmRelease,
    id: &ObjectId,
) -> Result<Report, Failure> {
    let mut status = release.status.clone();
    status.observed_generation = release.metadata.generation;
    if status != release.status {
        // Only what changed: another Leadsman may tell of a revision meanwhile.
        status::write(&context.cluster, id, &release.status, &status).await?;
    }
    Ok(Report::new(Requeue::OnChange, Phase::Ready))
}

/// Writes what is left to be written, and says when to look again.
async fn finish(work: &mut Work<'_>, id: &ObjectId, report: Report) -> Result<Report, Failure> {
    let meta = &work.release.metadata;
    if let Some(requested) = meta.annotation(REQUESTED_AT) {
        requested.clone_into(&mut work.status.last_handled_reconcile_at);
    }
    let settled = matches!(report.requeue, Requeue::After(_) | Requeue::OnChange);
    if settled
        && report.observed
        && report.phase != Phase::Waiting
        && report.phase != Phase::Working
    {
        work.status.observed_generation = meta.generation;
    }
    if save(work, id).await? { Ok(report) } else { Ok(overtaken(work).await) }
}

/// Writes the status, unless another Leadsman told of a revision meanwhile; returns whether it did.
async fn save(work: &mut Work<'_>, id: &ObjectId) -> Result<bool, Failure> {
    let mine = history::newest(&work.status.history);
    let known = mine.max(work.told);
    // Another write of this reconciliation may have come before: compare with what is there.
    let done = status::replace(&work.context.cluster, id, |old| {
        (history::told(old) <= known).then(|| status::to_value(&work.status))
    });
    let done = done.await?;
    work.told = if done { mine } else { work.told };
    Ok(done)
}

/// `no_site` says why the release's site cannot be reached, which counts once all else is there.
async fn go(
    work: &mut Work<'_>,
    id: &ObjectId,
    no_site: Option<Problem>,
) -> Result<Report, Failure> {
    let meta = &work.release.metadata;
    let mut remembered = memory::read(&work.context.cluster, &meta.namespace, &meta.name).await?;
    let before = remembered.clone();
    let needs = match gather(work.context, work.release, &mut remembered).await {
        Ok(needs) => needs,
        Err(problem) => return Ok(stopped(work, problem).await),
    };
    if let Some(problem) = no_site {
        return Ok(stopped(work, problem).await);
    }
    work.status.helm_chart.clear();
    if let Some(report) = removal::moved(work, &needs.pulled.chart.metadata.name).await? {
        return Ok(report);
    }
    let handled = work.status.last_handled_reconcile_at.as_str();
    let asked = meta.annotation(REQUESTED_AT).is_some_and(|requested| requested != handled);
    let requests = request::take(meta, &mut work.status);
    let fresh = attempt(work, &needs, requests.reset) || asked;
    let next_attempt = match (requests.force, fresh) {
        (true, _) => Attempt::Forced,
        (false, true) => Attempt::Fresh,
        (false, false) => Attempt::Repeated,
    };
    if adopt_rollback(work, &mut remembered, &needs).await {
        memory::write(&work.context.cluster, work.release, &remembered).await?;
        return Ok(Report::new(Requeue::Now, Phase::Working));
    }
    say_held(work, &needs).await;
    note_origin(work, &mut remembered, &needs);
    if remembered.automatic != before.automatic || remembered.origins != before.origins {
        memory::write(&work.context.cluster, work.release, &remembered).await?;
    }
    let result = run(work, id, (&needs, &mut remembered), next_attempt).await;
    let good = matches!(&result, Ok(report) if report.phase == Phase::Ready);
    let mut news = Vec::new();
    if good {
        remembered.constraint.clone_from(&needs.constraint);
        news = offer::note(work, &needs, &mut remembered);
    }
    if remembered != before {
        memory::write(&work.context.cluster, work.release, &remembered).await?;
    }
    offer::tell(work, news).await;
    result
}

/// A prerequisite is missing: the condition says which.
async fn stopped(work: &mut Work<'_>, problem: Problem) -> Report {
    let Problem { reason, message, class, stalled, waits } = problem;
    let known = condition::find(&work.status.conditions, READY)
        .is_some_and(|ready| ready.reason == reason && ready.message == message);
    work.conditions(|conditions| {
        if stalled {
            conditions.delete(RECONCILING);
            conditions.set(STALLED, Truth::True, reason, &message);
        } else {
            conditions.delete(STALLED);
            conditions.set(RECONCILING, Truth::True, "Progressing", "Fulfilling prerequisites");
        }
        conditions.set(READY, Truth::False, reason, &message);
    });
    // Of what is being fetched, and about to pass, there is no event; nor is there one of Flux's about
    // a source or a site that is not there.
    let passes = reason == "SourceNotReady" && class == Class::Retry || reason == "ArtifactFailed";
    if waits && passes || reason == NO_SITE {
        if !known {
            work.context.recorder.progress(work.subject, reason, message);
        }
    } else if !known {
        // What only a person can put right is said aloud; a dependency may come any moment.
        let passes = waits && (class != Class::Stalled || reason == "DependencyNotReady");
        let severity = if passes { Severity::Normal } else { Severity::Warning };
        let message = message.strip_prefix(TERMINAL).unwrap_or(&message).to_owned();
        work.context
            .recorder
            .record(work.subject, severity, reason, message, &Default::default())
            .await;
    }
    let pause = work.context.options.requeue_dependency;
    match (stalled, waits, class) {
        (true, ..) => Report::new(Requeue::OnChange, Phase::Failed),
        (_, true, Class::Stalled) => Report::new(Requeue::After(pause), Phase::Failed).unobserved(),
        (_, true, _) => Report::new(Requeue::After(pause), Phase::Waiting),
        (_, _, Class::Wait(pause)) => Report::new(Requeue::After(pause), Phase::Failed),
        _ => Report::new(Requeue::Backoff, Phase::Failed),
    }
}

/// Notes what is attempted now; a new attempt starts with fresh counters. Returns whether it is one.
fn attempt(work: &mut Work<'_>, needs: &Prerequisites, reset: bool) -> bool {
    let version = &needs.pulled.chart.metadata.version;
    let generation = work.release.metadata.generation;
    let status = &mut work.status;
    let other_values = !status.last_attempted_config_digest.is_empty()
        && status.last_attempted_config_digest != needs.config_digest;
    let fresh = reset
        || status.last_attempted_generation != generation
        || status.last_attempted_revision != *version
        || other_values;
    if fresh {
        (status.failures, status.install_failures, status.upgrade_failures) = (0, 0, 0);
    }
    status.last_attempted_generation = generation;
    status.last_attempted_revision.clone_from(version);
    status.last_attempted_revision_digest.clone_from(&needs.oci_digest);
    status.last_attempted_config_digest.clone_from(&needs.config_digest);
    fresh
}

/// The loop: determine, decide, act.
async fn run(
    work: &mut Work<'_>,
    id: &ObjectId,
    (needs, remembered): (&Prerequisites, &mut Memory),
    attempt: Attempt,
) -> Result<Report, Failure> {
    let mut ran: Vec<StepKind> = Vec::new();
    let automatic = remembered.automatic == needs.pulled.chart.metadata.version;
    let mut standing = Standing { automatic, attempt };
    loop {
        let due = match due(work, needs, remembered, standing).await {
            Ok(due) => due,
            Err(report) => return Ok(report),
        };
        // What fails from here on has only just been tried.
        standing = Standing { attempt: Attempt::Fresh, ..standing };
        if ran.contains(&due.step.kind()) {
            return Ok(retry::again(work));
        }
        let remediation = due.step.kind() == StepKind::Remediate;
        if remediation && due.step != Step::FinishUninstall && due.ours {
            quarantine(work, needs, remembered).await?;
        }
        let claim = claim(work, id, due.step).await?;
        let Claim::Taken(hold) = claim else {
            return Ok(overtaken(work).await);
        };
        let done = step(work, (id, needs, remembered), &due, hold.as_ref()).await;
        if let Some(hold) = hold {
            hold.end().await;
        }
        if let Some(report) = done? {
            return Ok(report);
        }
        ran.push(due.step.kind());
    }
}

/// Whether a step may begin.
enum Claim<'a> {
    /// It may; others see the Lease.
    Taken(Option<Hold<'a>>),
    /// Somebody else is at work, or has been since.
    Contested,
}

/// Says that this process is at work, before a step that writes a pending record, and makes sure
/// that nobody else is, or was after this reconciliation looked.
async fn claim<'a>(work: &Work<'a>, id: &ObjectId, step: Step) -> Result<Claim<'a>, Failure> {
    if matches!(step, Step::UninstallRemediation | Step::FinishUninstall | Step::Unlock) {
        return Ok(Claim::Taken(None));
    }
    let (leases, target) = (&work.site.leases, work.target);
    let (namespace, name) = (&target.storage_namespace, &target.name);
    let Some(hold) = leases.hold(namespace, name).await else {
        return Ok(Claim::Contested);
    };
    let checked = async {
        // In this order: who ended before the Leases were listed wrote its status before that.
        if leases.is_contested(namespace, name).await {
            return Ok::<_, Failure>(true);
        }
        let live = work.context.cluster.get(id).await?;
        let told = live.and_then(|live| history::told(live.0.get("status")?));
        Ok(told > history::newest(&work.status.history))
    };
    match checked.await {
        Ok(false) => return Ok(Claim::Taken(Some(hold))),
        Ok(true) => hold.end().await,
        Err(error) => {
            hold.end().await;
            return Err(error);
        }
    }
    Ok(Claim::Contested)
}

/// Somebody else is at work on the release: looks again when that may be over.
async fn overtaken(work: &mut Work<'_>) -> Report {
    let pause = std::time::Duration::from_millis(rand::random_range(200..2000));
    let soon = Report::new(Requeue::After(pause), Phase::Working);
    locked(work).await.unwrap_or(soon)
}

/// Runs one step and writes down how it went; says what to do where the loop ends with it.
async fn step(
    work: &mut Work<'_>,
    (id, needs, remembered): (&ObjectId, &Prerequisites, &mut Memory),
    due: &Due,
    hold: Option<&Hold<'_>>,
) -> Result<Option<Report>, Failure> {
    begin(work, id, due.step).await?;
    let done = work.run(due.step, needs, hold.map_or("", |hold| &hold.holder)).await;
    if done.overtaken {
        return Ok(Some(overtaken(work).await));
    }
    if done.error.as_ref().is_some_and(release::Error::is_outage) {
        return Ok(Some(Report::new(Requeue::Backoff, Phase::Working)));
    }
    if due.automatic && !done.evidence.is_empty() {
        keep_evidence(work, remembered, &done.evidence);
    }
    let pause = retry_interval(&work.release.spec, &work.status);
    if let Some(error) = &done.error
        && !done.persisted
    {
        // The notice about it was a line already.
        tracing::info!(release = %work.release.metadata.key(), step = due.step.name(), error = chain(error), "step failed");
        let when = pause.map_or(Requeue::Backoff, |pause| Requeue::After(jittered(pause.0)));
        return Ok(Some(Report::new(when, Phase::Failed)));
    }
    if !save(work, id).await? {
        return Ok(Some(overtaken(work).await));
    }
    if due.step.kind() == StepKind::Remediate {
        return Ok(Some(remediated(work, due.ours)));
    }
    Ok((done.error.is_some() && pause.is_some()).then(|| retry::again(work)))
}

/// How the loop stands.
#[derive(Clone, Copy)]
struct Standing {
    /// Whether Leadsman chose the wanted version by itself.
    automatic: bool,
    attempt: Attempt,
}

/// What the next attempt is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// The same as the last one.
    Repeated,
    /// Something changed since the last one, or a person asked for another.
    Fresh,
    /// A person asked to upgrade regardless.
    Forced,
}

/// What is to be done, whether nobody but Leadsman itself asked for what led here, and whether it
/// chose the version by itself.
struct Due {
    step: Step,
    ours: bool,
    automatic: bool,
}

/// Determines and decides; `Err` where nothing is left to be done now.
async fn due(
    work: &mut Work<'_>,
    needs: &Prerequisites,
    remembered: &Memory,
    Standing { automatic, attempt }: Standing,
) -> Result<Due, Report> {
    let state = match observe(work, needs).await {
        Ok(state) => state,
        Err(error) => return Err(retry::undetermined(work, &error)),
    };
    if let State::Locked { .. } = &state
        && let Some(report) = locked(work).await
    {
        return Err(report);
    }
    let tests = Tests::of(&work.release.spec, &work.status);
    let failed = history::latest(&work.status.history).filter(|entry| tests.has_failed(entry));
    let quarantined =
        failed.is_some_and(|entry| remembered.quarantine.find(&entry.chart_version).is_some());
    let ours = automatic || quarantined;
    let force = attempt == Attempt::Forced;
    let question =
        Question { spec: &work.release.spec, status: &work.status, force, automatic: ours };
    let todo = next(&state, &question);
    let retried = retry_interval(&work.release.spec, &work.status).is_some();
    let action = &work.status.last_attempted_release_action;
    let ignore = work.release.spec.ignores_failed_tests(action);
    tidy_history(&mut work.status.history, (&state, todo), (retried, ignore));
    if todo == Next::Do(Step::Test)
        && let Some(latest) = history::latest(&work.status.history).cloned()
    {
        work.conditions(|conditions| suite::forget_remediation(conditions, &latest));
    }
    let again = matches!(todo, Next::Do(Step::Install | Step::Upgrade)) && state == State::Failed;
    if again
        && attempt == Attempt::Repeated
        && let Some(report) = retry::rest(work)
    {
        return Err(report);
    }
    match todo {
        Next::Do(step) => Ok(Due { step, ours, automatic }),
        Next::Exhausted => Err(exhausted(work)),
        Next::NoRollbackTarget => Err(without_target(work)),
        Next::Nothing => {
            drift::settle(work).await;
            work.conditions(|conditions| conditions.delete(RECONCILING));
            let interval = work.release.spec.interval;
            let interval = interval.map_or(std::time::Duration::from_secs(300), |i| i.0);
            let interval = jittered(work.context.options.interval.unwrap_or(interval));
            Err(Report::new(Requeue::After(interval), Phase::Ready))
        }
    }
}

fn without_target(work: &mut Work<'_>) -> Report {
    let text = "Failed to perform remediation: missing target release for rollback: cannot remediate failed release";
    work.conditions(|conditions| {
        conditions.delete(RECONCILING);
        conditions.set(STALLED, Truth::True, "MissingRollbackTarget", text);
    });
    Report::new(Requeue::OnChange, Phase::Failed)
}

/// Cuts the history where Flux does: in sync, and before a remediation or a retry. Nothing is left
/// of it where somebody else wrote the newest revision: it is relied on no longer.
fn tidy_history(
    entries: &mut Vec<Snapshot>,
    (state, todo): (&State, Next),
    (retried, ignore_tests): (bool, bool),
) {
    let remediates = matches!(
        todo,
        Next::NoRollbackTarget | Next::Do(Step::Rollback { .. } | Step::UninstallRemediation)
    );
    match state {
        State::InSync | State::Failed if retried => history::truncate_retried(entries),
        State::InSync => history::truncate(entries, ignore_tests),
        State::Failed if remediates => history::truncate(entries, ignore_tests),
        State::Unmanaged => entries.clear(),
        _ => {}
    }
}

/// A pending record: of somebody at work, who is waited for, or of somebody dead.
async fn locked(work: &mut Work<'_>) -> Option<Report> {
    let (head, record) = work.storage.last_outline(&work.target.name).await.ok()??;
    if !record.is_pending() {
        return None;
    }
    let timeout = work.release.spec.action_timeout(None).0;
    let began: Option<crate::base::clock::Timestamp> = record.info.last_deployed.parse().ok();
    let age =
        began.and_then(|began| work.context.clock.now().duration_since(began).try_into().ok());
    let holder = Holder::read(&head.holder);
    let (leases, target) = (&work.site.leases, work.target);
    let life = match leases.life(&target.storage_namespace, &target.name, holder).await {
        Ok(life) => life,
        Err(error) => {
            tracing::info!(release = %work.release.metadata.key(), error = chain(&error), "nobody can tell yet who is at work");
            return Some(Report::new(Requeue::Backoff, Phase::Working));
        }
    };
    if may_take_over(&life, age, timeout) {
        return None;
    }
    let who = match (&life, holder) {
        (Life::Alive(who), _) => who,
        (Life::Dead | Life::Unknown, Holder::Helm) => "helm",
        (Life::Dead | Life::Unknown, Holder::Leased(who) | Holder::Other(who)) => who,
    };
    let text = format!(
        "waiting for another operation: revision {} is {} ({who}, since {})",
        record.version, record.info.status, record.info.last_deployed
    );
    let known = condition::find(&work.status.conditions, RECONCILING)
        .is_some_and(|reconciling| reconciling.message == text);
    if !known {
        let recorder = &work.context.recorder;
        let (subject, none) = (work.subject, Default::default());
        recorder.record(subject, Severity::Normal, "Waiting", text.as_str(), &none).await;
    }
    work.conditions(|conditions| conditions.set(RECONCILING, Truth::True, "Progressing", text));
    let pause = work.context.options.requeue_dependency.min(lease::RENEWED);
    Some(Report::new(Requeue::After(pause), Phase::Working))
}

async fn observe(work: &mut Work<'_>, needs: &Prerequisites) -> Result<State, release::Error> {
    let record = work.storage.last_outline(&work.target.name).await?.map(|(_, record)| record);
    let preserved = record.as_ref().filter(|_| work.release.spec.upgrade.preserve_values);
    let preserved = preserved.map(|last| values::digest_over(&needs.values, &last.values()));
    let last = record.as_ref().map(|record| Last::of(record, &work.status.history));
    work.seen = last.as_ref().map_or(0, |last| last.version);
    let metadata = &needs.pulled.chart.metadata;
    let wanted = Wanted {
        chart_name: &metadata.name,
        chart_version: &metadata.version,
        config_digest: preserved.as_ref().unwrap_or(&needs.config_digest),
        changed: postrender::changed(work.release, &work.status),
        tests: Tests::of(&work.release.spec, &work.status),
    };
    Ok(determine(wanted, Seen { last: last.as_ref(), history: &work.status.history }))
}

/// Says that a step begins.
async fn begin(work: &mut Work<'_>, id: &ObjectId, step: Step) -> Result<(), Failure> {
    let limit = step.timeout(&work.release.spec);
    let text = format!("Running '{}' action with timeout of {limit}", step.name());
    work.conditions(|conditions| {
        conditions.delete(STALLED);
        conditions.set(RECONCILING, Truth::True, "Progressing", &text);
        if step.kind() == StepKind::Release {
            conditions.set(READY, Truth::Unknown, "Progressing", &text);
        }
    });
    work.context.recorder.progress(work.subject, "Progressing", text);
    save(work, id).await.map(drop)
}

fn exhausted(work: &mut Work<'_>) -> Report {
    let status = &work.status;
    let action = status.last_attempted_release_action.clone();
    let count = if action == "install" { status.install_failures } else { status.upgrade_failures };
    let text = format!("Failed to {action} after {count} attempt(s)");
    work.conditions(|conditions| {
        conditions.delete(RECONCILING);
        conditions.set(STALLED, Truth::True, "RetriesExceeded", text);
    });
    Report::new(Requeue::OnChange, Phase::Failed)
}

/// After a rollback or uninstall: another try, or the end.
fn remediated(work: &mut Work<'_>, own_step: bool) -> Report {
    let question = Question {
        spec: &work.release.spec,
        status: &work.status,
        force: false,
        automatic: own_step,
    };
    let more = budget(&question).is_none_or(|budget| {
        !budget.is_exhausted()
            || budget.strategy == crate::api::RemediationStrategy::Uninstall
                && work.status.last_attempted_release_action == "upgrade"
    });
    if own_step && condition::is_true(&work.status.conditions, condition::REMEDIATED) {
        // The version is quarantined: what is decided next is the version that runs again.
        return Report::new(Requeue::Now, Phase::Working);
    }
    if more { retry::again(work) } else { exhausted(work) }
}
