//! Ports for programs that have to be told theirs.

use std::net::TcpListener;
use std::ops::Range;

// Below those that kernels give to outgoing connections and to port 0 (Linux: from 32768): between
// our look and the program's bind, and while a part is stopped, no connection of another test takes
// it by chance.
const PORTS: Range<u16> = 15_000..32_000;
const TRIES: usize = 1_000;

/// Returns a listener on loopback whose port stays free for who binds it next.
///
/// # Panics
/// If no such port is found.
pub(crate) fn hold() -> TcpListener {
    let mut error = None;
    for _ in 0..TRIES {
        match TcpListener::bind(("127.0.0.1", rand::random_range(PORTS))) {
            Ok(listener) => return listener,
            Err(why) => error = Some(why),
        }
    }
    panic!("no free port of {TRIES} in {PORTS:?}: {error:?}");
}
