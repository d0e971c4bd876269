//! Connections by TLS, to servers with certificates of a certificate authority of their own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

mod support;

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tidegate_redis::{LeaseOptions, StoreBuilder};

use support::limiters::{bucket, patient_store, slow};
use support::ports::free_port;
use support::server::{Server, ServerOptions};
use support::wait::eventually;

/// A certificate authority.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than those it signs for, which would otherwise look self-signed.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Self {
            issuer: issuer.unwrap(),
        }
    }

    /// A certificate for loopback addresses, and its key.
    fn sign(&self) -> (String, String) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }
}

/// Starts a server that listens by TLS. Returns its address.
fn start(
    options: ServerOptions,
    authority: &Authority,
    folder: &Path,
    asks_clients: bool,
) -> (Server, String) {
    let (certificate, key) = authority.sign();
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let port = free_port();
    let server = options
        .set("tls-port", &port.to_string())
        .set("tls-cert-file", &file("server.pem", &certificate))
        .set("tls-key-file", &file("server.key", &key))
        .set("tls-ca-cert-file", &file("ca.pem", &authority.pem()))
        .set("tls-auth-clients", if asks_clients { "yes" } else { "no" })
        .start();
    (server, format!("rediss://localhost:{port}/"))
}

async fn admits(store: StoreBuilder, url: &str) -> Result<(), tidegate_redis::AcquireError> {
    let store = store.connect(url).unwrap();
    bucket(&store, "bucket", slow(100))
        .try_acquire(1)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_ones_own_is_trusted() {
    for options in ServerOptions::each_kind() {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let (server, url) = start(options, &authority, folder.path(), false);
        let trusting = || patient_store().root_certificate(authority.pem());
        admits(trusting(), &url).await.unwrap();
        let store = trusting().connect(&*url).unwrap();
        let leased = bucket(&store, "leased", slow(100))
            .lease(LeaseOptions::new())
            .await;
        leased.try_acquire(1).unwrap();
        // The connection is made anew.
        let _: u64 = server.query(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let bucket = bucket(&store, "bucket", slow(100));
        eventually("a new connection", async || {
            bucket.try_acquire(1).await.is_ok()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_not_trusted_and_the_error_says_so() {
    for options in ServerOptions::each_kind() {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let (_server, url) = start(options, &authority, folder.path(), false);
        for store in [
            patient_store(),
            patient_store().root_certificate(Authority::new().pem()),
        ] {
            let error = admits(store, &url).await.unwrap_err();
            assert!(error.is_unavailable(), "{error}");
            let text = error.to_string();
            assert!(text.contains("certificate"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_may_ask_for_a_certificate() {
    for options in ServerOptions::each_kind() {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let (_server, url) = start(options, &authority, folder.path(), true);
        let trusting = || patient_store().root_certificate(authority.pem());
        assert!(admits(trusting(), &url).await.is_err());
        let (certificate, key) = authority.sign();
        let shown = format!("{:?}", trusting().client_certificate(&*certificate, &*key));
        assert!(!shown.contains(&key[40..60]), "{shown}");
        let known = trusting().client_certificate(certificate, key);
        admits(known, &url).await.unwrap();
    }
}

/// Sentinels and master listen by TLS alone.
#[cfg(feature = "sentinel")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_their_master_may_use_it() {
    use support::sentinels::{SERVICE, Sentinel};

    for options in ServerOptions::each_kind() {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let (server, url) = start(options.clone(), &authority, folder.path(), false);
        let (_, port) = url.trim_end_matches('/').rsplit_once(':').unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let settings = format!(
            "tls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients no\n\
             tls-replication yes\nsentinel monitor {SERVICE} 127.0.0.1 {port} 1\n",
            file("server.pem"),
            file("server.key"),
            file("ca.pem"),
        );
        let sentinel = Sentinel::start(&options, "rediss", &settings);
        let connect = |builder: StoreBuilder| {
            let store = builder.connect_sentinel([sentinel.url()], SERVICE, "rediss://master/2");
            bucket(&store.unwrap(), "bucket", slow(100))
        };
        let trusting = connect(patient_store().root_certificate(authority.pem()));
        trusting.try_acquire(1).await.unwrap();
        assert!(server.info("db2").is_some(), "a key in the database");
        let error = connect(patient_store()).try_acquire(1).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
