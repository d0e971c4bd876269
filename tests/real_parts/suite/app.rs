//! Servers of ours, and the limits on them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use tidegate::layer::{ForwardedFor, RequestHead};
use tidegate::{FixedKeyed, ManualClock, Quota};
use tokio::net::TcpListener;

/// Serves on a free port of the loopback interface, until the test's runtime ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Returns the address of the connection.
pub(crate) fn peer(request: &RequestHead<'_>) -> Option<IpAddr> {
    let peer = request.extension::<ConnectInfo<SocketAddr>>()?;
    Some(peer.0.ip())
}

pub(crate) type Peer = fn(&RequestHead<'_>) -> Option<IpAddr>;

/// Trusts the proxies on 127.0.0.1. The tests' clients have other addresses.
pub(crate) fn behind_nginx() -> ForwardedFor<Peer> {
    ForwardedFor::proxies(["127.0.0.1"], peer as Peer).expect("an address")
}

/// Admits this many requests of each client, and no more: the clock stands still.
pub(crate) fn table(burst: u64) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(quota(burst), 1_000, ManualClock::new())
}

/// A wait of a minute for each request beyond the burst.
pub(crate) const fn quota(burst: u64) -> Quota {
    Quota::per_minute(1).burst(burst)
}
