//! On which processor a thread begins.
//!
//! Linux often leaves a thread that was just started, or woken, for some milliseconds on the
//! processor of the thread that did so, though another one is idle: longer than a chart takes to
//! render. A thread of a process that ends soon is told to keep away from there. A process that goes
//! on leaves that to the system, which sees what else is running.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::{heap, processors};

/// So many threads keep away from the processor of the one that started them.
static AWAY: AtomicUsize = AtomicUsize::new(0);

/// Where a thread runs.
#[derive(Debug)]
pub(super) struct Place(Option<(allowed::Set, Tenant)>);

/// A thread with a place, for the one that started it.
#[derive(Debug, Clone)]
pub(super) struct Tenant(Arc<AtomicI32>);

/// What a [`Tenant`] is that has not begun.
const TO_COME: i32 = 0;
/// What it is when it needs no place any more, or has none.
const FREE: i32 = -1;

/// A thread that keeps away, until it ends.
#[derive(Debug)]
pub(super) struct Stay(Option<Tenant>);

impl Place {
    /// Where the system likes.
    pub(super) const ANY: Self = Self(None);

    /// Not on the processor that the caller is on, if there is another one.
    pub(super) fn beside() -> Self {
        let others = if heap::is_left() { allowed::others() } else { None };
        Self(others.map(|others| (others, Tenant(Arc::new(AtomicI32::new(TO_COME))))))
    }

    /// Returns the thread that is going to have this place.
    pub(super) fn tenant(&self) -> Option<Tenant> {
        self.0.as_ref().map(|(_, tenant)| tenant.clone())
    }

    /// Lets the calling thread, and those that it starts, run here as long as it stays.
    pub(super) fn take(self) -> Stay {
        let Some((set, tenant)) = self.0 else { return Stay(None) };
        // They are counted by whoever asks first, who would count these alone.
        let _ = processors();
        let is_wanted = tenant.begin(allowed::this_thread());
        if is_wanted {
            AWAY.fetch_add(1, Ordering::Relaxed);
            allowed::keep_to(&set);
        }
        Stay(is_wanted.then_some(tenant))
    }
}

impl Tenant {
    /// Returns whether it still needs a place.
    fn begin(&self, thread: i32) -> bool {
        self.0.compare_exchange(TO_COME, thread, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Lends it the processor of the caller, who is going to wait for it, where it shares its own.
    pub(super) fn lend(&self) {
        let is_shared = AWAY.load(Ordering::Relaxed) >= processors();
        if is_shared && let Some(thread) = self.leave() {
            allowed::bring_here(thread);
        }
    }

    /// Returns the thread, if it was keeping away until now.
    fn leave(&self) -> Option<i32> {
        let thread = self.0.swap(FREE, Ordering::AcqRel);
        let was_away = thread != TO_COME && thread != FREE;
        was_away.then(|| {
            AWAY.fetch_sub(1, Ordering::Relaxed);
            thread
        })
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.as_ref().and_then(Tenant::leave);
    }
}

#[cfg(target_os = "linux")]
mod allowed {
    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

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

    pub(super) fn this_thread() -> i32 {
        gettid().as_raw_nonzero().get()
    }

    // A processor may be gone by now: where the system likes, then.
    pub(super) fn keep_to(set: &Set) {
        let _ = sched_setaffinity(None, set);
    }

    /// Moves a thread to the processor of the caller.
    pub(super) fn bring_here(thread: i32) {
        let (mut here, at) = (CpuSet::new(), sched_getcpu());
        if at < CpuSet::MAX_CPU {
            here.set(at);
            // It may have ended.
            let _ = sched_setaffinity(Pid::from_raw(thread), &here);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod allowed {
    pub(super) type Set = std::convert::Infallible;

    pub(super) fn others() -> Option<Set> {
        None
    }

    pub(super) fn this_thread() -> i32 {
        1
    }

    pub(super) fn keep_to(set: &Set) {
        match *set {}
    }

    pub(super) fn bring_here(_thread: i32) {}
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rustix::thread::{sched_getaffinity, sched_getcpu};

    use super::*;

    #[test]
    fn a_thread_is_beside_the_one_that_started_it_until_that_one_waits() {
        let before = sched_getaffinity(None).unwrap();
        let Some(others) = allowed::others() else {
            assert_eq!(before.count(), 1, "there is no other processor");
            return;
        };
        assert_eq!(others.count() + 1, before.count());
        let counted = processors();
        let tenant = Tenant(Arc::new(AtomicI32::new(TO_COME)));
        let place = Place(Some((others, tenant.clone())));
        let (told, (go_on, wait)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let _stay = place.take();
            let began = (sched_getcpu(), sched_getaffinity(None).unwrap(), processors());
            told.0.send(began).unwrap();
            wait.recv().unwrap_or_default();
            sched_getaffinity(None).unwrap()
        });
        let (at, kept, still) = told.1.recv().unwrap();
        assert!(others.is_set(at) && kept == others, "{at} of {others:?}, {kept:?}");
        assert_eq!(still, counted, "all are counted still");
        assert_eq!(sched_getaffinity(None).unwrap(), before, "the caller is where it was");
        // It has its processor for itself.
        assert_eq!(AWAY.load(Ordering::Relaxed), 1);
        AWAY.fetch_add(counted - 1, Ordering::Relaxed);
        tenant.lend();
        go_on.send(()).unwrap();
        let lent = thread.join().unwrap();
        assert!(lent.count() == 1 && before.count() > 1, "{lent:?}");
        assert_eq!(
            AWAY.fetch_sub(counted - 1, Ordering::Relaxed),
            counted - 1,
            "it is away no more"
        );
        tenant.lend();
    }

    #[test]
    fn a_thread_that_is_waited_for_before_it_begins_begins_anywhere() {
        let before = sched_getaffinity(None).unwrap();
        let Some(others) = allowed::others() else { return };
        let tenant = Tenant(Arc::new(AtomicI32::new(TO_COME)));
        tenant.leave();
        let place = Place(Some((others, tenant)));
        let begun = std::thread::spawn(move || {
            let _stay = place.take();
            sched_getaffinity(None).unwrap()
        });
        assert_eq!(begun.join().unwrap(), before);
    }

    #[test]
    fn a_process_that_goes_on_leaves_it_to_the_system() {
        // Tests are such a process.
        assert!(Place::beside().0.is_none());
    }
}
