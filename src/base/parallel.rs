//! Work on many items at once, with results in order.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};

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
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let threads = threads.min(items.len() / LEAST_ITEMS).max(1);
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
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| start(scope, stack_bytes, take)).collect();
        started.into_iter().flat_map(join).collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
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
        let started = start(scope, stack_bytes, first);
        let second = second();
        (join(started), second)
    })
}

/// Returns what `work` makes on a thread with `stack_bytes` of stack.
///
/// # Panics
/// `work` panics, or the system refuses to start a thread.
pub fn with_stack<T: Send>(stack_bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| join(start(scope, stack_bytes, work)))
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    stack_bytes: usize,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let builder = thread::Builder::new().stack_size(stack_bytes);
    builder.spawn_scoped(scope, work).expect("a thread can be started")
}

fn join<T>(started: ScopedJoinHandle<'_, T>) -> T {
    started.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn claim<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

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
    #[should_panic(expected = "seven")]
    fn a_panic_is_passed_on() {
        let items: Vec<usize> = (0..100).collect();
        map(&items, 1 << 20, |item| assert_ne!(*item, 7, "seven"));
    }
}
