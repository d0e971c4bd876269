//! TCP ports for servers.

use core::net::Ipv4Addr;
use std::net::TcpListener;

/// How far a cluster's second port is from the first, unless it is told otherwise.
const BUS: u16 = 10_000;

/// A port that nobody listens on, nor on the one that a cluster's node needs besides.
///
/// Both are below those that systems give to outgoing connections: else one of these could take the port of a server that is killed
/// before it is started again.
pub(crate) fn free_port() -> u16 {
    (0..1_000)
        .map(|_| fastrand::u16(10_000..22_000))
        .find(|&port| is_free(port) && is_free(port + BUS))
        .expect("one of many ports is free")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
