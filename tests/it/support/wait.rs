//! Waiting for what is seen, with a deadline.

use std::time::{Duration, Instant};

/// For what takes a moment: a reconcile, a start, a rollout.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// For what takes many moments: a whole upgrade with rollback of a large chart.
pub(crate) const LATER: Duration = Duration::from_secs(240);

const PAUSE: Duration = Duration::from_millis(50);

/// What a probe may answer: seen, or what was seen instead.
pub(crate) trait Sight {
    /// What was waited for.
    type Seen;
    /// Returns it, or what was seen instead.
    fn seen(self) -> Result<Self::Seen, String>;
}

impl<T> Sight for Option<T> {
    type Seen = T;
    fn seen(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T> Sight for Result<T, String> {
    type Seen = T;
    fn seen(self) -> Self {
        self
    }
}

impl Sight for bool {
    type Seen = ();
    fn seen(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("not yet".to_owned()) }
    }
}

/// Asks again and again until the probe answers, and panics at the deadline with what it saw last.
pub(crate) async fn until<S: Sight>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> S,
) -> S::Seen {
    let deadline = Instant::now() + within;
    loop {
        match probe().await.seen() {
            Ok(seen) => return seen,
            Err(instead) if Instant::now() >= deadline => {
                panic!("waited {within:?} in vain for: {what}\nlast seen: {instead}")
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Asks again and again for the whole time, and panics as soon as the probe answers no: for what
/// must stay as it is. `during` is a span that the thing under test has intervals in.
pub(crate) async fn throughout<S: Sight>(
    what: &str,
    during: Duration,
    mut probe: impl AsyncFnMut() -> S,
) {
    let deadline = Instant::now() + during;
    while Instant::now() < deadline {
        if let Err(instead) = probe().await.seen() {
            panic!("did not hold for {during:?}: {what}\nseen: {instead}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits like [`until`], in a test without a runtime.
pub(crate) fn until_blocking<S: Sight>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> S,
) -> S::Seen {
    let deadline = Instant::now() + within;
    loop {
        match probe().seen() {
            Ok(seen) => return seen,
            Err(instead) if Instant::now() >= deadline => {
                panic!("waited {within:?} in vain for: {what}\nlast seen: {instead}")
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
