//! The servers on loopback, and clients that connect to them.

mod http_limits;
mod websocket;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tokio::time::timeout;

/// Far more than any test needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a listener on a free port, as the servers take it.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Fails instead of hanging.
async fn within<T>(future: impl Future<Output = T>) -> T {
    let done = timeout(PATIENCE, future).await;
    done.expect("done in time")
}
