//! The memory of a process that does one thing and ends.
//!
//! The C library of most Linux systems lets the heap of a thread grow page by page. Each time is a
//! call that stops the other threads where they ask for memory, too: hundreds of them while a chart
//! is rendered. A process that ends soon takes for each thread at the start what it will need (pages
//! that are not written to cost nothing), and takes nothing apart at the end.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes for each thread; 0: as the C library does it.
static AT_ONCE: AtomicUsize = AtomicUsize::new(0);

/// Blocks above the largest that was ever given back come straight from the system and go straight
/// back to it (glibc's dynamic threshold, at most 32 MiB).
const LARGEST: usize = 2;

/// Memory that is written to before somebody needs it.
static READY: Mutex<Ready> = Mutex::new(Ready { rooms: Vec::new(), wanted: Vec::new() });

#[derive(Debug)]
struct Ready {
    rooms: Vec<Vec<u8>>,
    /// Sizes of those that are not ready yet.
    wanted: Vec<usize>,
}

fn ready() -> MutexGuard<'static, Ready> {
    READY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes memory of these sizes ready for [`room`], for a process that ends soon. To write to memory
/// for the first time takes as long as what is written takes to be made: a thread that has nothing
/// to do yet can do it for another one.
pub fn make_ready(sizes: impl DoubleEndedIterator<Item = usize>) {
    ready().wanted.extend(sizes.rev());
    loop {
        let Some(bytes) = ready().wanted.pop() else { return };
        let mut room = vec![1; bytes];
        room.clear();
        ready().rooms.push(room);
    }
}

/// Returns an empty text with room for so many bytes: memory that is ready, if there is such. If it
/// comes too early for that, one less is made ready.
#[must_use]
pub fn room(bytes: usize) -> Vec<u8> {
    let fits = |size: usize| (bytes..=2 * bytes).contains(&size);
    let mut ready = ready();
    if let Some(at) = ready.rooms.iter().position(|room| fits(room.capacity())) {
        return ready.rooms.swap_remove(at);
    }
    if let Some(at) = ready.wanted.iter().rposition(|size| fits(*size)) {
        ready.wanted.remove(at);
    }
    Vec::with_capacity(bytes)
}

/// Says that the process ends as soon as one thing is done: this thread, and those that
/// [`super::parallel`] starts from now on, take so many bytes at once. Little of what they take goes
/// back to the system before the process ends.
pub fn end_soon(bytes: usize) {
    give_back(bytes * LARGEST);
    AT_ONCE.store(bytes, Ordering::Relaxed);
    begin_thread();
}

/// Takes what a thread takes at once.
pub(super) fn begin_thread() {
    let bytes = AT_ONCE.load(Ordering::Relaxed);
    if bytes > 0 {
        give_back(bytes);
    }
}

/// Whether what is left need not be taken apart, because the process ends soon.
pub fn is_left() -> bool {
    AT_ONCE.load(Ordering::Relaxed) > 0
}

/// Takes a value apart, unless the process ends soon.
pub fn leave<T>(value: T) {
    if is_left() {
        std::mem::forget(value);
    }
}

fn give_back(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_is_given_once_and_to_who_needs_so_much() {
        // A size that nothing else in this process asks for.
        let size = 12_345_678;
        make_ready([size, size + 1].into_iter());
        let rooms = [2 * size, size / 3, size + 1, size, size].map(room);
        assert!(rooms.iter().all(Vec::is_empty));
        assert_eq!(rooms[2].capacity(), size + 1);
        assert_eq!(rooms[3].capacity(), size);
        assert!(rooms[4].capacity() >= size && ready().rooms.is_empty());
        // Who comes too early has taken what was to be made ready.
        ready().wanted.extend([size; 2]);
        drop(room(size));
        make_ready([].into_iter());
        assert_eq!(ready().rooms.len(), 1);
        drop(room(size));
        assert!(ready().rooms.is_empty());
    }
}
