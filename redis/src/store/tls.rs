//! Connections by TLS: certificates, and the cryptography that is used.

use core::fmt;

use redis::{Client, ClientTlsConfig, IntoConnectionInfo, RedisResult, TlsCertificates};

/// Certificates in PEM format.
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) root: Option<Vec<u8>>,
    /// The certificate and its key.
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    pub(super) fn client(&self, server: impl IntoConnectionInfo) -> RedisResult<Client> {
        install_cryptography();
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(server, certificates),
            None => Client::open(server),
        }
    }

    /// `None` if those of the system serve.
    pub(super) fn certificates(&self) -> Option<TlsCertificates> {
        if self.root.is_none() && self.client.is_none() {
            return None;
        }
        let client = self.client.clone();
        Some(TlsCertificates {
            client_tls: client.map(|(client_cert, client_key)| ClientTlsConfig {
                client_cert,
                client_key,
            }),
            root_cert: self.root.clone(),
        })
    }
}

/// Chooses the one that this crate comes with, unless the program has chosen: without a choice, a
/// connection panics in programs that have several.
pub(super) fn install_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may choose at this moment.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Shows no key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("has_root", &self.root.is_some())
            .field("has_client", &self.client.is_some())
            .finish()
    }
}
