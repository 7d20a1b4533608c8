//! Work on many items at once, with results in order.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Scope, ScopedJoinHandle};

use super::heap;
use place::{Place, Tenant};

/// More threads than this do not pay for what is done here: milliseconds.
const MOST_THREADS: usize = 8;
/// Fewer items than this for each thread do not pay for starting it.
const LEAST_ITEMS: usize = 2;

/// Returns what `work` makes of each item, in the order of the items. Items are taken one by one by
/// as many threads as the machine has processors, each with `stack_bytes` of stack: a single item,
/// too, gets a thread, because it may need the stack.
///
/// # Panics
/// `work` panics, or the system refuses to start a thread.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    stack_bytes: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = processors().min(items.len() / LEAST_ITEMS).max(1);
    if items.is_empty() {
        return Vec::new();
    }
    let next = AtomicUsize::new(0);
    let (next, work) = (&next, &work);
    let take = move || {
        let mut done = Vec::with_capacity(items.len() / threads + 1);
        while let Some((index, item)) = claim(items, next) {
            done.push((index, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> =
        crew(threads, stack_bytes, take).into_iter().flatten().collect();
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Returns how many threads pay.
#[must_use]
pub fn processors() -> usize {
    *PROCESSORS
}

/// The system reads a dozen files for the answer.
static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS));

/// Returns what each of some threads makes, all doing the same `work` with `stack_bytes` of stack.
///
/// # Panics
/// `work` panics, or the system refuses to start a thread.
pub fn crew<R: Send>(
    threads: usize,
    stack_bytes: usize,
    work: impl Fn() -> R + Send + Sync,
) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        // The first takes the place of this thread, which waits.
        let place = |index: usize| if index == 0 { Place::ANY } else { Place::beside() };
        let begin = |index| start(scope, (stack_bytes, place(index)), work);
        let started: Vec<_> = (0..threads).map(begin).collect();
        started.into_iter().map(Scoped::join).collect()
    })
}

/// Returns what two pieces of work make, done at the same time: the first on a thread with
/// `stack_bytes` of stack, the second here.
///
/// # Panics
/// One of them panics, or the system refuses to start a thread.
pub fn both<A: Send, B>(
    stack_bytes: usize,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    thread::scope(|scope| {
        let started = start(scope, (stack_bytes, Place::beside()), first);
        let second = second();
        (started.join(), second)
    })
}

/// Returns what `work` makes on a thread with `stack_bytes` of stack.
///
/// # Panics
/// `work` panics, or the system refuses to start a thread.
pub fn with_stack<T: Send>(stack_bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| start(scope, (stack_bytes, Place::ANY), work).join())
}

/// Work that goes on in the background while its items are still being found.
///
/// Whoever asks for the results helps to make those that are left.
#[derive(Debug)]
pub struct Background<T, R> {
    give: Sender<Vec<T>>,
    /// Items that are not given yet: waking a thread for each would take longer than some of them.
    waiting: Vec<T>,
    batch: usize,
    rest: Arc<Mutex<Receiver<Vec<T>>>>,
    work: fn(T) -> R,
    stack_bytes: usize,
    started: JoinHandle<Vec<R>>,
    tenant: Option<Tenant>,
}

impl<T: Send + 'static, R: Send + 'static> Background<T, R> {
    /// Starts threads with `stack_bytes` of stack each, one processor being left to the caller.
    /// They get items in batches of this size.
    ///
    /// # Panics
    /// The system refuses to start a thread.
    pub fn start(stack_bytes: usize, batch: usize, work: fn(T) -> R) -> Self {
        let (give, rest) = std::sync::mpsc::channel();
        let rest = Arc::new(Mutex::new(rest));
        let others = Arc::clone(&rest);
        let place = Place::beside();
        let tenant = place.tenant();
        let started = spawn(stack_bytes, move || {
            // To find out how many processors there are takes as long as to start a thread.
            let _stay = place.take();
            let more: Vec<_> = (1..(processors() - 1).max(1))
                .map(|_| {
                    let rest = Arc::clone(&others);
                    spawn(stack_bytes, move || do_rest(&rest, work))
                })
                .collect();
            let mut done = do_rest(&others, work);
            more.into_iter().for_each(|thread| done.extend(joined(thread)));
            done
        });
        Self { give, waiting: Vec::new(), batch, rest, work, stack_bytes, started, tenant }
    }

    /// Adds an item.
    pub fn give(&mut self, item: T) {
        self.waiting.push(item);
        if self.waiting.len() >= self.batch {
            self.hand_out();
        }
    }

    /// Lets the threads have all that was given.
    pub fn hand_out(&mut self) {
        // Nobody takes only when all have panicked, which `finish` passes on.
        self.give.send(std::mem::take(&mut self.waiting)).unwrap_or_default();
    }

    /// Returns what was made of all items, in no order.
    ///
    /// # Panics
    /// `work` panics.
    pub fn finish(self) -> Vec<R> {
        let Self { give, waiting, rest, work, stack_bytes, started, tenant, .. } = self;
        give.send(waiting).unwrap_or_default();
        drop(give);
        let mut done = Vec::new();
        // A thread of its own has the stack; it does not pay when nothing is left.
        if let Some(items) = wait(&rest).filter(|items| !items.is_empty()) {
            done = with_stack(stack_bytes, || {
                let mut done: Vec<R> = items.into_iter().map(work).collect();
                done.extend(do_rest(&rest, work));
                done
            });
        }
        tenant.iter().for_each(Tenant::lend);
        done.extend(joined(started));
        done
    }
}

fn spawn<R: Send + 'static>(
    stack_bytes: usize,
    work: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    let builder = thread::Builder::new().stack_size(stack_bytes);
    let begin = || {
        heap::begin_thread();
        work()
    };
    builder.spawn(begin).expect("a thread can be started")
}

fn joined<R>(started: JoinHandle<R>) -> R {
    started.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn do_rest<T, R>(rest: &Mutex<Receiver<Vec<T>>>, work: fn(T) -> R) -> Vec<R> {
    std::iter::from_fn(|| wait(rest)).flatten().map(work).collect()
}

/// Takes the next items; waits while there are none, but more may come.
fn wait<T>(rest: &Mutex<Receiver<Vec<T>>>) -> Option<Vec<T>> {
    rest.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    (stack_bytes, place): (usize, Place),
    work: impl FnOnce() -> T + Send + 'scope,
) -> Scoped<'scope, T> {
    let builder = thread::Builder::new().stack_size(stack_bytes);
    let tenant = place.tenant();
    let begin = move || {
        let _stay = place.take();
        heap::begin_thread();
        work()
    };
    let thread = builder.spawn_scoped(scope, begin).expect("a thread can be started");
    Scoped { thread, tenant }
}

/// A thread that ends before its scope does.
struct Scoped<'scope, T> {
    thread: ScopedJoinHandle<'scope, T>,
    tenant: Option<Tenant>,
}

impl<T> Scoped<'_, T> {
    fn join(self) -> T {
        self.tenant.iter().for_each(Tenant::lend);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn claim<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

mod place;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whoever_makes_them() {
        for count in [0, 1, 2, 3, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = map(&items, 1 << 20, |item| item * 2);
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn work_in_the_background_is_all_done() {
        for count in [0, 1, 1000] {
            let mut doubled = Background::start(1 << 20, 8, |item: usize| item * 2);
            (0..count).for_each(|item| doubled.give(item));
            let mut doubled = doubled.finish();
            doubled.sort_unstable();
            assert_eq!(doubled, (0..count).map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "seven")]
    fn a_panic_in_the_background_is_passed_on() {
        let mut failing = Background::start(1 << 20, 1, |item: usize| assert_ne!(item, 7, "seven"));
        (0..100).for_each(|item| failing.give(item));
        failing.finish();
    }

    #[test]
    #[should_panic(expected = "seven")]
    fn a_panic_is_passed_on() {
        let items: Vec<usize> = (0..100).collect();
        map(&items, 1 << 20, |item| assert_ne!(*item, 7, "seven"));
    }
}
