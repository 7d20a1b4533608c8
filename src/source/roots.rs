//! The authorities that the system trusts, read when a server first shows its certificate: to read
//! them takes half as long as to find a version in a cached index, and many addresses need none.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// The authorities of the system.
#[derive(Debug)]
struct Roots {
    provider: Arc<CryptoProvider>,
    read: OnceLock<Result<Verifier, Error>>,
}

/// Returns how servers are met whose certificates the system is to vouch for, as the HTTP client
/// would meet them.
pub(super) fn of_system(provider: CryptoProvider) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider);
    let roots = Roots { provider: Arc::clone(&provider), read: OnceLock::new() };
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config?.dangerous().with_custom_certificate_verifier(Arc::new(roots));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Roots {
    fn read(&self) -> Result<&Verifier, Error> {
        let read = self.read.get_or_init(|| Verifier::new(Arc::clone(&self.provider)));
        read.as_ref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Roots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = self.read()?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.read()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.read()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
