//! One task per object: it reconciles, sleeps until its time or until it is woken, and so on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::base::class::Class;

/// How often a source is looked at that does not say.
pub(super) const USUAL: Duration = Duration::from_secs(60);

/// When an object is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// After this long (the caller adds jitter).
    After(Duration),
    /// At once.
    Now,
    /// After a pause that doubles with each failure in a row.
    Backoff,
    /// Only when something changes.
    OnChange,
    /// Only when it comes back: the object is gone.
    Gone,
}

/// Where a release stands, for `--once` and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// On its way.
    Working,
    /// Waiting for something else.
    Waiting,
    /// As it should be.
    Ready,
    /// Failed; perhaps tried again later.
    Failed,
}

/// How a reconciliation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// When to look again.
    pub requeue: Requeue,
    /// Where the object stands.
    pub phase: Phase,
    /// Whether the object as it is now was dealt with; waiting for its source is not dealing.
    pub observed: bool,
}

impl Report {
    /// Returns a report.
    pub fn new(requeue: Requeue, phase: Phase) -> Self {
        Self { requeue, phase, observed: true }
    }

    /// Returns the report of a source whose artifact was looked for: how that failed, if it did, and
    /// how often it is looked for.
    pub fn of_artifact(failed: Option<Class>, interval: Option<Duration>) -> Self {
        match failed {
            None => Self::new(Requeue::After(jittered(interval.unwrap_or(USUAL))), Phase::Ready),
            Some(Class::Wait(pause)) => Self::new(Requeue::After(pause), Phase::Failed),
            Some(Class::Stalled) => Self::new(Requeue::OnChange, Phase::Failed),
            Some(_) => Self::new(Requeue::Backoff, Phase::Failed),
        }
    }

    /// Returns the report of an object that was not dealt with yet.
    pub fn unobserved(self) -> Self {
        Self { observed: false, ..self }
    }
}

/// Bounds of the pauses after failures.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Backoff {
    /// Returns the pause after so many failures in a row (from 1).
    pub fn pause(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// Wakes the task of an object.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Has the object looked at now, or right after the present reconciliation.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Runs reconciliations of one object, for ever: an object that is gone may come back.
pub async fn attend<F>(waker: Waker, backoff: Backoff, mut reconcile: impl FnMut() -> F)
where
    F: Future<Output = Report>,
{
    let mut failures = 0;
    loop {
        let report = reconcile().await;
        failures = if report.requeue == Requeue::Backoff { failures + 1 } else { 0 };
        let pause = match report.requeue {
            Requeue::After(pause) => Some(pause),
            Requeue::Now => Some(Duration::ZERO),
            Requeue::Backoff => Some(backoff.pause(failures)),
            Requeue::OnChange | Requeue::Gone => None,
        };
        match pause {
            Some(pause) => {
                let _ = tokio::time::timeout(pause, waker.0.notified()).await;
            }
            None => waker.0.notified().await,
        }
    }
}

/// Returns an interval moved by up to ±5 %, so that many objects do not all come at once.
pub fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.95..=1.05))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff =
            Backoff { first: Duration::from_millis(750), longest: Duration::from_secs(900) };
        assert_eq!(backoff.pause(1), Duration::from_millis(750));
        assert_eq!(backoff.pause(3), Duration::from_secs(3));
        assert_eq!(backoff.pause(60), Duration::from_secs(900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_sleeps_its_time_and_wakes_when_asked() {
        let waker = Waker::default();
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) };
        let start = tokio::time::Instant::now();
        let mut seen = Vec::new();
        let plan = [
            Requeue::After(Duration::from_secs(10)),
            Requeue::Backoff,
            Requeue::Backoff,
            Requeue::Now,
            Requeue::OnChange,
            Requeue::Gone,
        ];
        let other = waker.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            other.wake();
        });
        let attending = attend(waker, backoff, || {
            seen.push(start.elapsed().as_secs());
            let requeue = plan[seen.len() - 1];
            async move { Report::new(requeue, Phase::Working) }
        });
        let _ = tokio::time::timeout(Duration::from_secs(1000), attending).await;
        assert_eq!(seen, [0, 10, 11, 13, 13, 100]);
    }
}
