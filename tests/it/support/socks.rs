//! A SOCKS5 proxy on loopback (RFC 1928) that notes who asked for what.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::port;

/// A running proxy; it takes no more connections when the test ends.
#[derive(Debug)]
pub(crate) struct Socks {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    /// Starts one that everybody may use; who says a name and password is noted.
    pub(crate) fn start() -> Self {
        let listener: TcpListener = port::hold();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || serve(client, &noted));
            }
        });
        Self { port, asked }
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> String {
        format!("socks5://127.0.0.1:{}", self.port)
    }

    /// Returns what was asked for, such as `me:pw example.com:443`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn take(from: &mut TcpStream, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    from.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn text(from: &mut TcpStream) -> Option<String> {
    let size = take(from, 1)?[0];
    String::from_utf8(take(from, usize::from(size))?).ok()
}

/// Greets, and returns who asks.
fn greet(client: &mut TcpStream) -> Option<String> {
    let head = take(client, 2)?;
    let manners = take(client, usize::from(head[1]))?;
    if !manners.contains(&2) {
        client.write_all(&[5, 0]).ok()?;
        return Some(String::new());
    }
    client.write_all(&[5, 2]).ok()?;
    take(client, 1)?;
    let (user, password) = (text(client)?, text(client)?);
    client.write_all(&[1, 0]).ok()?;
    Some(format!("{user}:{password} "))
}

fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> Option<()> {
    let who = greet(&mut client)?;
    let kind = take(&mut client, 4)?[3];
    let host = match kind {
        1 => take(&mut client, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        3 => text(&mut client)?,
        _ => return None,
    };
    let port = take(&mut client, 2)?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    asked.lock().unwrap().push(format!("{who}{host}:{port}"));
    let mut server = TcpStream::connect((host.as_str(), port)).ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut back, &mut to));
    std::io::copy(&mut client, &mut server).ok()?;
    server.shutdown(std::net::Shutdown::Write).ok()
}
