//! A loopback relay of bytes in front of an API server: cut, nobody listens there any more and
//! every open connection ends; healed, all is as before, on the same port.

use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::port;
use super::wait::{SOON, until_blocking};

/// A running relay; it ends when dropped.
#[derive(Debug, Clone)]
pub(crate) struct Relay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    port: u16,
    upstream: String,
    folder: tempfile::TempDir,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    listening: Option<JoinHandle<()>>,
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Relay {
    /// Starts one in front of the server at `address` (`127.0.0.1:4711`).
    pub(crate) fn start(address: &str) -> Self {
        let listener = port::hold();
        let port = listener.local_addr().unwrap().port();
        let relay = Self(Arc::new(Inner {
            port,
            upstream: address.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            state: Mutex::default(),
        }));
        relay.listen(listener);
        relay
    }

    /// Starts one in front of the API server of a kubeconfig.
    pub(crate) fn of_cluster(kubeconfig: &Path) -> Self {
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        let mut config: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
        let (scheme, address) = server.split_once("://").unwrap();
        let relay = Self::start(address.trim_end_matches('/'));
        let url = format!("{scheme}://{}", relay.address());
        config["clusters"][0]["cluster"]["server"] = url.into();
        std::fs::write(relay.kubeconfig(), serde_yaml::to_string(&config).unwrap()).unwrap();
        relay
    }

    /// Returns the kubeconfig of clients that are to go through the relay.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.folder.path().join("kubeconfig")
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// Ends all connections and refuses new ones.
    pub(crate) fn cut(&self) {
        let mut state = self.0.state.lock().unwrap();
        let Some(listening) = state.listening.take() else { return };
        let open = state.open.lock().unwrap().take();
        // Wakes the listener, which then sees that it is to end.
        drop(TcpStream::connect(self.address()));
        listening.join().unwrap();
        for stream in open.into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again.
    pub(crate) fn heal(&self) {
        let bind = || TcpListener::bind(self.address()).map_err(|error| error.to_string());
        self.listen(until_blocking("the port is free again", SOON, bind));
    }

    fn listen(&self, listener: TcpListener) {
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let (upstream, streams) = (self.0.upstream.clone(), Arc::clone(&open));
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut streams = streams.lock().unwrap();
                let Some(streams) = streams.as_mut() else { return };
                let Ok(server) = TcpStream::connect(&upstream) else { continue };
                streams.push(stream.try_clone().unwrap());
                streams.push(server.try_clone().unwrap());
                join(stream, server);
            }
        });
        *self.0.state.lock().unwrap() = State { listening: Some(listening), open };
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap();
        drop(state.open.lock().unwrap().take());
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listening) = state.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Copies both ways until one side ends.
fn join(client: TcpStream, server: TcpStream) {
    let ways = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
    for (mut from, mut to) in ways {
        std::thread::spawn(move || {
            let _ = to.set_nodelay(true);
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.flush();
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}
