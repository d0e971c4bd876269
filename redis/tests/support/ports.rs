//! Free TCP ports for servers.

use core::net::Ipv4Addr;
use std::net::TcpListener;

/// Distance between a cluster node's port and the port of its cluster bus, by default.
const BUS: u16 = 10_000;

/// Returns a port that is free, and whose bus port is free as well.
///
/// Both lie below the ports that systems give to outgoing connections. Otherwise such a connection
/// could take the port of a killed server before the server starts again.
pub(crate) fn free_port() -> u16 {
    (0..1_000)
        .map(|_| fastrand::u16(10_000..22_000))
        .find(|&port| is_free(port) && is_free(port + BUS))
        .expect("one of many ports is free")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
