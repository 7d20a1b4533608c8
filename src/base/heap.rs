//! The memory of a process that does one thing and ends.
//!
//! The C library of most Linux systems lets the heap of a thread grow page by page. Each time is a
//! call that stops the other threads where they ask for memory, too: hundreds of them while a chart
//! is rendered. A process that ends soon takes for each thread at the start what it will need (pages
//! that are not written to cost nothing), and takes nothing apart at the end.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes for each thread; 0: as the C library does it.
static AT_ONCE: AtomicUsize = AtomicUsize::new(0);

/// Blocks above the largest that was ever given back come straight from the system and go straight
/// back to it (glibc's dynamic threshold, at most 32 MiB).
const LARGEST: usize = 2;

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
