//! A proxy before a server, which can lead new connections to another one.

use core::sync::atomic::AtomicU16;
use core::sync::atomic::Ordering::SeqCst;
use core::time::Duration;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Ends with the runtime of its test.
pub(crate) struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    /// Connections that lose the answer which they carry next.
    loses: Arc<Notify>,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        Self::slow(target, Duration::ZERO).await
    }

    /// Each part of a request or a reply is passed on after a delay.
    pub(crate) async fn slow(target: u16, delay: Duration) -> Self {
        Self::with(target, delay, usize::MAX).await
    }

    /// Of each connection, the reply with this number is lost, and the connection with it.
    pub(crate) async fn losing(target: u16, reply: usize) -> Self {
        Self::with(target, Duration::ZERO, reply).await
    }

    async fn with(target: u16, delay: Duration, lost_reply: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(target));
        let current = Arc::clone(&target);
        let loses = Arc::new(Notify::new());
        let losing = Arc::clone(&loses);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = current.load(SeqCst);
                let loses = Arc::clone(&losing);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // The end of one direction is that of both.
                    tokio::select! {
                        () = pass_on(from_client, to_server, delay / 2, usize::MAX) => {}
                        () = pass_on(from_server, to_client, delay / 2, lost_reply) => {}
                        () = loses.notified() => {}
                    }
                });
            }
        });
        Self {
            port,
            target,
            loses,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections, with the requests and the answers that they carry.
    pub(crate) fn lose_answers(&self) {
        self.loses.notify_waiters();
    }

    /// Leads new connections to this port.
    pub(crate) fn lead_to(&self, port: u16) {
        self.target.store(port, SeqCst);
    }
}

/// Ends with the part whose number is `lost`, which is not passed on.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, lost: usize) {
    let mut part = vec![0; 65_536];
    for _ in 1..lost {
        let Ok(length @ 1..) = from.read(&mut part).await else {
            return;
        };
        tokio::time::sleep(delay).await;
        if to.write_all(&part[..length]).await.is_err() {
            return;
        }
    }
    // The server has done what it answers.
    let _ = from.read(&mut part).await;
}
