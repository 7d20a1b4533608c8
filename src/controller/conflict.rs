//! What is told of fields that others manage.

use std::sync::{Mutex, PoisonError};

use super::execute::Work;
use super::notice::Severity;
use crate::base::class::chain;
use crate::cluster::ObjectId;
use crate::release;
use crate::release::conflict::{self, Conflict};

/// Fields that an action left to others: a line each.
#[derive(Debug, Default)]
pub(super) struct Left(Mutex<Vec<String>>);

impl Left {
    /// Hears of some.
    pub(super) fn hear(&self, object: &ObjectId, conflicts: &[Conflict]) {
        let lines = conflicts.iter().map(|one| conflict::line(object, one));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }

    /// Says, once for an action, which they were.
    pub(super) async fn tell(&self, work: &Work<'_>) {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            return;
        }
        let (namespace, name) = (&work.target.namespace, &work.target.full_name);
        let lines = lines.join("\n");
        let text = format!("Fields of release {namespace}/{name} are left to others:\n{lines}");
        let (recorder, none) = (&work.context.recorder, Default::default());
        recorder.record(work.subject, Severity::Normal, "FieldsLeft", text, &none).await;
    }
}

/// Returns why a step failed, and below that whose fields were in the way.
pub(super) fn told(error: &release::Error) -> String {
    let text = chain(error).trim().to_owned();
    match error.in_the_way() {
        Some(one) => format!("{text}\n{}", conflict::details(&one.object, &one.conflicts)),
        None => text,
    }
}
