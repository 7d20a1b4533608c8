//! What is said and remembered about versions: held back, failed, rolled back by hand.

use super::execute::Work;
use super::history;
use super::memory::{self, Memory};
use super::notice::Severity;
use super::prerequisite::Prerequisites;
use super::suite::Tests;
use crate::api::annotation::PIN;
use crate::api::condition::{self, HELD, RELEASED, TEST_SUCCESS, Truth};
use crate::base::clock::rfc3339_seconds;
use crate::policy::{Evidence, Quarantined};

type Failure = crate::cluster::Error;

/// Says which newer versions are held back, once for each change.
pub(super) async fn say_held(work: &mut Work<'_>, needs: &Prerequisites) {
    let held = &needs.decision.held;
    let Some(first) = held.first() else {
        work.conditions(|conditions| conditions.delete(HELD));
        return;
    };
    let lines: Vec<_> = held
        .iter()
        .map(|held| format!("{}: {}: {}", held.version, held.rule.as_str(), held.reason))
        .collect();
    let message = lines.join("\n");
    let known =
        condition::find(&work.status.conditions, HELD).is_some_and(|old| old.message == message);
    let mut word = first.rule.as_str().to_owned();
    word[..1].make_ascii_uppercase();
    work.conditions(|conditions| conditions.set(HELD, Truth::True, &word, &message));
    if !known {
        let recorder = &work.context.recorder;
        recorder
            .record(work.subject, Severity::Normal, "VersionHeld", message, &Default::default())
            .await;
    }
}

/// Somebody rolled the release back by hand: that is respected. The version that was left is not
/// taken again by itself. Returns whether that was so: then the version is chosen anew.
pub(super) async fn adopt_rollback(
    work: &mut Work<'_>,
    remembered: &mut Memory,
    needs: &Prerequisites,
) -> bool {
    let Some(latest) = history::latest(&work.status.history).cloned() else { return false };
    let Ok(Some((_, record))) = work.storage.last_outline(&work.target.name).await else {
        return false;
    };
    let by_hand = record.version > latest.version
        && record.info.status == "deployed"
        && (record.info.rollback_revision > 0
            || record.info.description.starts_with("Rollback to "));
    if !by_hand {
        return false;
    }
    let mut adopted = history::snapshot(&record, "");
    let left = latest.chart_version.clone();
    if left != adopted.chart_version {
        remembered.quarantine.constraint.clone_from(&needs.constraint);
        remembered.quarantine.config_digest.clone_from(&needs.config_digest);
        remembered.quarantine.add(Quarantined {
            version: left.clone(),
            message: format!("rolled back by hand to {}", adopted.chart_version),
            since: rfc3339_seconds(work.context.clock.now()),
            evidence: Vec::new(),
            revision: latest.version,
            by_hand: true,
        });
    }
    adopted.action = Some(crate::api::Action::Rollback);
    for entry in &mut work.status.history {
        if entry.status == "deployed" {
            // Its record was superseded from outside; what it says now is read again.
            if let Ok(Some(old)) = work.storage.outline(&entry.name, entry.version).await {
                let action = entry.action;
                *entry = history::snapshot(&old, &entry.oci_digest);
                entry.action = action;
            }
        }
    }
    work.status.history.push(adopted.clone());
    history::sort(&mut work.status.history);
    let text = format!(
        "{} was rolled back by hand to {}; {left} is not taken again by itself",
        super::summary::release_text(&adopted),
        adopted.chart_version
    );
    let recorder = &work.context.recorder;
    recorder
        .record(work.subject, Severity::Normal, "RollbackRespected", text, &Default::default())
        .await;
    true
}

/// Whether the step to the wanted version is Leadsman's own: the user's wish is the one that was
/// attempted before, and only the version moved. Remembered, so that a killed step stays its own.
pub(super) fn note_origin(work: &Work<'_>, remembered: &mut Memory, needs: &Prerequisites) {
    let (meta, status) = (&work.release.metadata, &work.release.status);
    let wanted = &needs.pulled.chart.metadata.version;
    let same_wish = status.last_attempted_generation == meta.generation
        && status.last_attempted_config_digest == needs.config_digest
        && meta.annotation(PIN).is_none();
    if !same_wish {
        remembered.automatic.clear();
    } else if status.last_attempted_revision != *wanted
        && history::newest_good(&status.history).is_some_and(|good| good.chart_version != *wanted)
    {
        remembered.automatic.clone_from(wanted);
    }
}

/// Remembers the version that failed, with the evidence, before it is rolled back.
pub(super) async fn quarantine(
    work: &mut Work<'_>,
    needs: &Prerequisites,
    remembered: &mut Memory,
) -> Result<(), Failure> {
    let Some(latest) = history::latest(&work.status.history).cloned() else { return Ok(()) };
    let tests = Tests::of(&work.release.spec, &work.status);
    if !tests.has_failed(&latest) {
        return Ok(());
    }
    let kind = if latest.status == "failed" { RELEASED } else { TEST_SUCCESS };
    let released = condition::find(&work.status.conditions, kind);
    let message = released.map(|released| released.message.clone()).unwrap_or_default();
    let known = remembered.quarantine.find(&latest.chart_version).cloned();
    remembered.quarantine.constraint.clone_from(&needs.constraint);
    remembered.quarantine.config_digest.clone_from(&needs.config_digest);
    let entry = Quarantined {
        version: latest.chart_version.clone(),
        message,
        since: rfc3339_seconds(work.context.clock.now()),
        evidence: known.map(|known| known.evidence).unwrap_or_default(),
        revision: latest.version,
        by_hand: false,
    };
    let text = format!("{} is quarantined: {}", entry.version, entry.reason());
    remembered.quarantine.add(entry);
    memory::write(&work.context.cluster, work.release, remembered).await?;
    let recorder = &work.context.recorder;
    recorder
        .record(work.subject, Severity::Warning, "VersionQuarantined", text, &Default::default())
        .await;
    Ok(())
}

/// Keeps why objects were not ready until it is known whether the version is quarantined.
pub(super) fn keep_evidence(work: &Work<'_>, remembered: &mut Memory, evidence: &[Evidence]) {
    let Some(latest) = history::latest(&work.status.history) else { return };
    if Tests::of(&work.release.spec, &work.status).has_failed(latest) {
        remembered.quarantine.add(Quarantined {
            version: latest.chart_version.clone(),
            evidence: evidence.to_vec(),
            revision: latest.version,
            ..Quarantined::default()
        });
    }
}
