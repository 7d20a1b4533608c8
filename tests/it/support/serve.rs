//! A loopback HTTP or HTTPS server on a thread of its own, so that it serves tests with and without
//! a runtime and keeps answering while a test blocks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A running server; it ends, with every open connection, when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    tls: Option<Secure>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Serves plain HTTP on a free port.
    pub(crate) fn http(app: Router) -> Self {
        Self::start(app, None)
    }

    /// Serves HTTPS with a certificate for `127.0.0.1` and `localhost` of an authority made for
    /// this server alone.
    pub(crate) fn https(app: Router) -> Self {
        Self::start(app, Some((Authority::new(), false)))
    }

    /// Serves HTTPS to those alone who show a certificate of the same authority; returns one, and its
    /// key, in PEM.
    pub(crate) fn mutual(app: Router) -> (Self, [String; 2]) {
        let authority = Authority::new();
        let shown = authority.identity(None);
        (Self::start(app, Some((authority, true))), [shown.certificate, shown.key])
    }

    /// Shows a certificate with a flaw to who comes from now on, or one without.
    pub(crate) fn show(&self, flaw: Option<Flaw>) {
        let Secure { authority, shown } = self.tls.as_ref().expect("it speaks TLS");
        *shown.lock().unwrap() = authority.identity(flaw).acceptor();
    }

    /// Returns the address without a path, such as `http://127.0.0.1:4711`.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate of the authority in PEM, of an HTTPS server.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.authority.certificate.as_str())
    }

    /// `tls`: by whose certificate, and whether who comes must show one, too.
    fn start(app: Router, tls: Option<(Authority, bool)>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let tls = tls.map(|(authority, asks_who)| {
            let identity = Identity { asks_who, ..authority.identity(None) };
            Secure { authority, shown: Arc::new(Mutex::new(identity.acceptor())) }
        });
        let shown = tls.as_ref().map(|tls| Arc::clone(&tls.shown));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let serve = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let serving = async {
                match shown {
                    Some(shown) => {
                        let listener = Tls { listener, shown };
                        axum::serve(listener, app).await
                    }
                    None => axum::serve(listener, app).await,
                }
            };
            tokio::select! {
                served = serving => served.unwrap(),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(serve);
        });
        Self { address, tls, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A server in the runtime of the test, whose clock may be paused: both ends of a connection are on
/// one thread then, and time moves on only while neither has anything to do.
#[derive(Debug)]
pub(crate) struct Beside {
    app: Router,
    address: SocketAddr,
    serving: Option<(tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
}

impl Beside {
    /// Serves plain HTTP on a free port.
    pub(crate) async fn http(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Some(serve_beside(listener, app.clone()));
        Self { app, address, serving }
    }

    /// Returns the address without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes away: connections end, and others are refused.
    pub(crate) async fn leave(&mut self) {
        let (stop, serving) = self.serving.take().expect("it is there");
        stop.send(()).unwrap();
        serving.await.unwrap();
    }

    /// Comes back at the same address.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = Some(serve_beside(listener, self.app.clone()));
    }
}

fn serve_beside(
    listener: TcpListener,
    app: Router,
) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    (stop, tokio::spawn(async move { serving.await.unwrap() }))
}

/// A key with a certificate for loopback, and the authority that signed it; all in PEM.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The authority's certificate.
    pub(crate) authority: String,
    /// The server's certificate.
    pub(crate) certificate: String,
    /// The server's private key.
    pub(crate) key: String,
    der: (Vec<u8>, Vec<u8>),
    /// Whether whoever comes must show a certificate of the authority.
    asks_who: bool,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is for somebody else.
    OtherName,
    /// Its time is over.
    Over,
    /// Its time is still to come.
    NotYet,
}

/// What a server shows to who comes.
type Shown = Arc<Mutex<TlsAcceptor>>;

/// An authority of its own.
struct Authority {
    certificate: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// How a server speaks TLS.
struct Secure {
    authority: Authority,
    shown: Shown,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secure")
    }
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "leadsman tests");
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: rcgen::Issuer::new(parameters, key) }
    }

    /// Signs a certificate for loopback, or one with a flaw.
    fn identity(&self, flaw: Option<Flaw>) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = match flaw {
            Some(Flaw::OtherName) => vec!["elsewhere.example".to_owned()],
            _ => ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned).to_vec(),
        };
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "loopback");
        match flaw {
            Some(Flaw::Over) => parameters.not_after = rcgen::date_time_ymd(2020, 1, 1),
            Some(Flaw::NotYet) => parameters.not_before = rcgen::date_time_ymd(4000, 1, 1),
            Some(Flaw::OtherName) | None => {}
        }
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity {
            authority: self.certificate.clone(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: (certificate.der().to_vec(), key.serialize_der()),
            asks_who: false,
        }
    }
}

impl Identity {
    /// Makes both anew.
    pub(crate) fn new() -> Self {
        Authority::new().identity(None)
    }

    fn acceptor(self) -> TlsAcceptor {
        let (certificate, key) = self.der;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let who = if self.asks_who {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
            let (roots, provider) = (Arc::new(roots), Arc::clone(&provider));
            WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap()
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(who)
            .with_single_cert(
                vec![certificate.into()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

struct Tls {
    listener: TcpListener,
    shown: Shown,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A client that refuses the certificate is no reason to stop.
            let Ok((stream, peer)) = self.listener.accept().await else { continue };
            let acceptor = self.shown.lock().unwrap().clone();
            if let Ok(stream) = acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
