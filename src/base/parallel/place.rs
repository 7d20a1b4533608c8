//! On which processor a thread begins.
//!
//! Linux often leaves a thread that was just started, or woken, for some milliseconds on the
//! processor of the thread that did so, though another one is idle: longer than a chart takes to
//! render. A thread of a process that ends soon is told to keep away from there. A process that goes
//! on leaves that to the system, which sees what else is running.

use super::{heap, processors};

/// Where a thread runs.
#[derive(Debug)]
pub(super) struct Place(Option<allowed::Set>);

impl Place {
    /// Where the system likes.
    pub(super) const ANY: Self = Self(None);

    /// Not on the processor that the caller is on, if there is another one.
    pub(super) fn beside() -> Self {
        if heap::is_left() { Self(allowed::others()) } else { Self::ANY }
    }

    /// Lets the calling thread, and those that it starts, run here.
    pub(super) fn take(self) {
        let Some(set) = self.0 else { return };
        // They are counted by whoever asks first, who would count these alone.
        let _ = processors();
        allowed::keep_to(&set);
    }
}

#[cfg(target_os = "linux")]
mod allowed {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    pub(super) type Set = CpuSet;

    /// Returns the processors that the calling thread may be on, without the one that it is on.
    pub(super) fn others() -> Option<Set> {
        let mut set = sched_getaffinity(None).ok()?;
        let here = sched_getcpu();
        // A number that the set has no room for is none of its processors.
        if here < CpuSet::MAX_CPU {
            set.unset(here);
        }
        (set.count() > 0).then_some(set)
    }

    pub(super) fn keep_to(set: &Set) {
        // A processor may be gone by now: where the system likes, then.
        let _ = sched_setaffinity(None, set);
    }
}

#[cfg(not(target_os = "linux"))]
mod allowed {
    pub(super) type Set = std::convert::Infallible;

    pub(super) fn others() -> Option<Set> {
        None
    }

    pub(super) fn keep_to(set: &Set) {
        match *set {}
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rustix::thread::{sched_getaffinity, sched_getcpu};

    use super::*;

    #[test]
    fn a_thread_is_beside_the_one_that_started_it() {
        let before = sched_getaffinity(None).unwrap();
        let Some(others) = allowed::others() else {
            assert_eq!(before.count(), 1, "there is no other processor");
            return;
        };
        assert_eq!(others.count() + 1, before.count());
        let counted = processors();
        let seen = std::thread::spawn(move || {
            Place(Some(others)).take();
            (sched_getcpu(), sched_getaffinity(None).unwrap(), processors())
        });
        let (at, kept, still) = seen.join().unwrap();
        assert!(others.is_set(at) && kept == others, "{at} of {others:?}, {kept:?}");
        assert_eq!(still, counted, "all are counted still");
        assert_eq!(sched_getaffinity(None).unwrap(), before, "the caller is where it was");
    }

    #[test]
    fn a_process_that_goes_on_leaves_it_to_the_system() {
        // Tests are such a process.
        assert!(Place::beside().0.is_none());
    }
}
