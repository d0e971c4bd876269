//! Finds the client of a request among the addresses in its line.
//!
//! A line has the address of the **peer**, which opened the connection, and may have a list of
//! addresses that proxies **forwarded**. Each proxy adds the address of its own peer on the right.
//! So the list and the peer are one chain, and the client is the right-most address in it that is
//! not a trusted proxy. Everything left of it was written by the client, and may be forged.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::address::{hops, is_missing, is_own, parse};

/// Which address of a list is the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListRule {
    /// The right-most that is no trusted proxy
    #[default]
    Last,
    /// The first, which a client can forge
    First,
}

/// Where the address of the client is.
#[derive(Args, Clone, Debug, Default)]
pub struct ClientArgs {
    /// Field with the client's address: a path into JSON such as `request.headers.X-Real-Ip.0`, a
    /// field of a W3C log, or a variable of --log-format. By default, the usual names are tried
    #[arg(long, value_name = "FIELD")]
    pub client: Option<String>,
    /// Which address of a list such as `203.0.113.5, 10.0.0.1` is the client. By default, the
    /// last; the program stops if others stand before it in many lines, because it may be a proxy
    #[arg(long, value_name = "WHICH")]
    pub forwarded: Option<ListRule>,
    /// Network of a proxy whose peer is the client, such as `198.51.100.0/24`, beside the private
    /// networks. May be repeated
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
}

/// Parses a network, or a single address.
///
/// # Errors
///
/// If the text is neither.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let parsed = address.or_else(|_| text.parse::<IpNet>());
    parsed.map_err(|_| "expected a network such as `198.51.100.0/24`, or an address".to_owned())
}

/// The client of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Its address.
    Address(IpAddr),
    /// The line has no client, or `-`.
    Missing,
    /// What stands for the client is not an address.
    NotAnAddress,
}

/// Why another address may be the client. If many requests are like this, the address that was
/// taken is a proxy that is not among the trusted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The peer was taken although it forwarded requests of others.
    Peer,
    /// Other addresses that are no trusted proxies stand before it in its list.
    List,
}

/// The client, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The client.
    pub client: Client,
    /// Why it may be another.
    pub doubt: Option<Doubt>,
}

impl From<Client> for Resolved {
    fn from(client: Client) -> Self {
        let doubt = None;
        Self { client, doubt }
    }
}

/// Finds clients.
#[derive(Clone, Debug, Default)]
pub struct ClientRule {
    /// `None` if the last address is taken because no option says otherwise.
    list: Option<ListRule>,
    trusted: Vec<IpNet>,
}

impl ClientRule {
    /// The rule that the arguments describe.
    pub fn new(args: &ClientArgs) -> Self {
        Self {
            list: args.forwarded,
            trusted: args.trusted_proxy.clone(),
        }
    }

    /// Whether an address is a proxy of one's own: private, local, or listed.
    pub fn is_trusted(&self, ip: IpAddr) -> bool {
        is_own(ip) || self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Finds the client. The peer may be a list, too.
    pub fn resolve(&self, forwarded: &[u8], peer: &[u8]) -> Resolved {
        match self.list {
            Some(ListRule::First) => first(forwarded, peer).into(),
            None | Some(ListRule::Last) => self.last(forwarded, peer),
        }
    }

    fn last(&self, forwarded: &[u8], peer: &[u8]) -> Resolved {
        let mut farthest = Client::Missing;
        let mut chain = hops(peer).rev().chain(hops(forwarded).rev());
        while let Some(hop) = chain.next() {
            if is_missing(hop) {
                continue;
            }
            match parse(hop) {
                Some(ip) if self.is_trusted(ip) => farthest = Client::Address(ip),
                Some(ip) => {
                    // A private one may be that of a client behind a proxy of its own.
                    let is_other =
                        |hop| parse(hop).is_some_and(|hop| hop != ip && !self.is_trusted(hop));
                    let is_doubted = self.list.is_none() && chain.any(is_other);
                    let doubt = is_doubted.then(|| doubt(ip, forwarded, peer));
                    let client = Client::Address(ip);
                    return Resolved { client, doubt };
                }
                // A peer may be a socket file or a name. A name among forwarded addresses hides
                // what is left of it.
                None if farthest == Client::Missing => farthest = Client::NotAnAddress,
                None if matches!(farthest, Client::Address(_)) => break,
                None => {}
            }
        }
        farthest.into()
    }
}

/// Why an address may not be the client, if other public ones stand before it.
fn doubt(ip: IpAddr, forwarded: &[u8], peer: &[u8]) -> Doubt {
    let is_peer = parse(peer) == Some(ip);
    let is_listed = hops(forwarded).any(|hop| parse(hop) == Some(ip));
    if is_peer && !is_listed {
        Doubt::Peer
    } else {
        Doubt::List
    }
}

fn first(forwarded: &[u8], peer: &[u8]) -> Client {
    let mut nothing = Client::Missing;
    for hop in hops(forwarded).chain(hops(peer)) {
        match parse(hop) {
            Some(ip) => return Client::Address(ip),
            None if is_missing(hop) => {}
            None => nothing = Client::NotAnAddress,
        }
    }
    nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(client: Client) -> String {
        match client {
            Client::Address(ip) => ip.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn chain_is_followed_through_trusted_proxies() {
        for (forwarded, peer, last, first) in [
            ("", "203.0.113.5", "203.0.113.5", "203.0.113.5"),
            ("-", "[::1]:443", "::1", "::1"),
            ("203.0.113.5", "10.0.0.1", "203.0.113.5", "203.0.113.5"),
            (
                "6.6.6.6, 203.0.113.5, 10.0.0.2",
                "10.0.0.1:99",
                "203.0.113.5",
                "6.6.6.6",
            ),
            ("6.6.6.6", "203.0.113.5", "203.0.113.5", "6.6.6.6"),
            ("10.7.7.7, 10.0.0.2", "10.0.0.1", "10.7.7.7", "10.7.7.7"),
            (
                "",
                "65.215.163.8, ::ffff:10.0.0.1",
                "65.215.163.8",
                "65.215.163.8",
            ),
            ("203.0.113.5", "unix:", "203.0.113.5", "203.0.113.5"),
            (
                "203.0.113.5, 198.51.100.9",
                "10.0.0.1",
                "203.0.113.5",
                "203.0.113.5",
            ),
            ("unknown, 10.0.0.2", "10.0.0.1", "10.0.0.2", "10.0.0.2"),
            ("", "www.example.com", "NotAnAddress", "NotAnAddress"),
            ("", "-", "Missing", "Missing"),
            ("-", "", "Missing", "Missing"),
        ] {
            let mut args = ClientArgs {
                trusted_proxy: vec![network("198.51.100.0/24").unwrap()],
                ..ClientArgs::default()
            };
            for (list, expected) in [(ListRule::Last, last), (ListRule::First, first)] {
                args.forwarded = Some(list);
                let rule = ClientRule::new(&args);
                let resolved = rule.resolve(forwarded.as_bytes(), peer.as_bytes());
                assert_eq!(text(resolved.client), expected, "{forwarded} {peer}");
            }
        }
    }

    #[test]
    fn clients_are_doubted_if_others_stand_before_them() {
        let mut args = ClientArgs::default();
        for (forwarded, peer, expected) in [
            ("203.0.113.5", "198.51.100.9", Some(Doubt::Peer)),
            (
                "203.0.113.5, 198.51.100.9",
                "198.51.100.9",
                Some(Doubt::List),
            ),
            ("203.0.113.5, 198.51.100.9", "10.0.0.1", Some(Doubt::List)),
            ("", "203.0.113.5, 198.51.100.9, 10.0.0.1", Some(Doubt::List)),
            (
                "for=203.0.113.5, for=198.51.100.9",
                "10.0.0.1",
                Some(Doubt::List),
            ),
            ("198.51.100.9, 198.51.100.9", "10.0.0.1", None),
            ("10.0.0.50, 198.51.100.9", "10.0.0.1", None),
            ("unknown, 198.51.100.9", "10.0.0.1", None),
            ("10.0.0.50", "198.51.100.9", None),
            ("203.0.113.5", "10.0.0.1", None),
            ("-", "198.51.100.9", None),
        ] {
            args.forwarded = None;
            let resolve = |args: &ClientArgs| {
                ClientRule::new(args).resolve(forwarded.as_bytes(), peer.as_bytes())
            };
            assert_eq!(resolve(&args).doubt, expected, "{forwarded} {peer}");
            args.forwarded = Some(ListRule::Last);
            assert_eq!(resolve(&args).doubt, None, "{forwarded} {peer}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(network("10.0.0.1/33").is_err());
        assert!(network("proxy").is_err());
    }
}
