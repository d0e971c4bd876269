//! The client's address behind proxies.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use http::header::HeaderName;
use ipnet::IpNet;

use super::head::RequestHead;
use super::key::{KeyExtractor, NoKey};
use crate::keyed::{IpKey, Ipv6Prefix};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address from `X-Forwarded-For`, for servers behind proxies that are known.
///
/// Only what your own proxies wrote can be trusted, and they append: so entries are counted **from the right**, over all lines of
/// the header in order. What a client makes up stands to the left of what they wrote.
///
/// | | which address |
/// |---|---|
/// | [`hops`](Self::hops)`(n)` | the `n`-th from the right: `n` proxies stand between the client and you, and each appends one. Where there are fewer, the peer's |
/// | [`proxies`](Self::proxies)`(networks)` | the first from the right, the peer before them all, that is not in these networks. If all are, the leftmost |
///
/// Where that entry is not an address (an empty one is not), it is the peer's with `hops`, and with `proxies` the one that was read
/// before it. `ip:port`, `[v6]` and `[v6]:port` are read without the port.
///
/// Who reaches the server around the proxies can make up anything with `hops`, and with `proxies` whoever has an address in these
/// networks: so name the proxies' own, and not all of a cluster.
///
/// IPv6 addresses count by network, /64 if not said otherwise ([`ipv6_prefix`](Self::ipv6_prefix)): see [`IpKey`].
///
/// ```
/// use std::net::{IpAddr, SocketAddr};
/// use http::Request;
/// use tidegate::IpKey;
/// use tidegate::tower::{ForwardedFor, KeyExtractor, RequestHead};
///
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
/// let peer = |request: &RequestHead<'_>| Some(request.extension::<Peer>()?.0.ip());
/// let behind_two = ForwardedFor::hops(2, peer);
/// let behind_ours = ForwardedFor::proxies(["10.0.0.0/8", "2001:db8:ff::/48"], peer)?;
///
/// let request = Request::builder()
///     .extension(Peer("10.0.0.1:1234".parse()?))
///     .header("x-forwarded-for", "192.0.2.99") // made up by the client
///     .header("x-forwarded-for", "203.0.113.7, 10.0.0.2")
///     .body(())?;
/// let client = Some(IpKey::new("203.0.113.7".parse()?));
/// assert_eq!(behind_two.extract(&RequestHead::of(&request)).ok(), client);
/// assert_eq!(behind_ours.extract(&RequestHead::of(&request)).ok(), client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ForwardedFor<P> {
    trust: Trust,
    peer: P,
    prefix: Ipv6Prefix,
}

#[derive(Clone, Debug)]
enum Trust {
    Hops(usize),
    Proxies(Box<[IpNet]>),
}

impl<P: Fn(&RequestHead<'_>) -> Option<IpAddr>> ForwardedFor<P> {
    /// Behind so many proxies, each of which appends the address that it was called from. `peer` gives the address of the
    /// connection. With 0 hops the header is not read.
    pub const fn hops(hops: usize, peer: P) -> Self {
        Self::trusting(Trust::Hops(hops), peer)
    }

    /// Behind proxies in these networks: addresses, or networks such as `10.0.0.0/8`. `peer` gives the address of the connection.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for a text that is neither an address nor a network.
    pub fn proxies<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
        peer: P,
    ) -> Result<Self, NetworkError> {
        let networks = networks.into_iter().map(|text| network(text.as_ref()));
        let networks: Vec<IpNet> = networks.collect::<Result<_, _>>()?;
        Ok(Self::trusting(Trust::Proxies(networks.into()), peer))
    }

    const fn trusting(trust: Trust, peer: P) -> Self {
        Self {
            trust,
            peer,
            prefix: Ipv6Prefix::DEFAULT,
        }
    }

    /// The same with another length of networks.
    #[must_use]
    pub fn ipv6_prefix(self, prefix: Ipv6Prefix) -> Self {
        Self { prefix, ..self }
    }

    /// The client's address, as it was read.
    pub fn client(&self, request: &RequestHead<'_>) -> Option<IpAddr> {
        let peer = (self.peer)(request)?;
        let mut entries = Self::entries(request);
        match &self.trust {
            Trust::Hops(0) => Some(peer),
            Trust::Hops(hops) => Some(entries.nth(hops - 1).flatten().unwrap_or(peer)),
            Trust::Proxies(networks) => {
                let mut client = peer;
                while is_in(networks, client) {
                    match entries.next() {
                        Some(Some(next)) => client = next,
                        Some(None) | None => break,
                    }
                }
                Some(client)
            }
        }
    }

    /// What proxies wrote, the latest first; `None` for what is no address.
    fn entries(request: &RequestHead<'_>) -> impl Iterator<Item = Option<IpAddr>> {
        let lines = request.headers().get_all(X_FORWARDED_FOR).iter().rev();
        lines
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
            .map(|entry| address(entry.trim_ascii()))
    }
}

impl<P: Fn(&RequestHead<'_>) -> Option<IpAddr>> KeyExtractor for ForwardedFor<P> {
    type Key = IpKey;

    fn extract(&self, request: &RequestHead<'_>) -> Result<IpKey, NoKey> {
        let client = self.client(request).ok_or(NoKey::NotAttached)?;
        Ok(self.prefix.key(client))
    }
}

/// Not derived, which would ask for a closure that can be shown.
impl<P> fmt::Debug for ForwardedFor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardedFor")
            .field("trust", &self.trust)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// An address, with or without a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(entry).ok()?;
    let bare = || {
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        inner.and_then(|inner| inner.parse().ok().map(IpAddr::V6))
    };
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare)
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    // As IPv4, also where the socket gives it in its IPv6-mapped form: networks are written that way.
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

fn network(text: &str) -> Result<IpNet, NetworkError> {
    let network = text.parse::<IpNet>().ok();
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = network.or_else(address).ok_or_else(|| NetworkError {
        text: text.to_string(),
    })?;
    // As addresses are compared.
    let ipv4 = network.addr().to_canonical();
    let bits = network.prefix_len().checked_sub(96);
    match (network, ipv4, bits) {
        (IpNet::V6(_), IpAddr::V4(_), Some(bits)) => Ok(IpNet::new_assert(ipv4, bits)),
        _ => Ok(network),
    }
}

/// A text that is neither an address nor a network in the form `address/bits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError {
    text: String,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address and no network", self.text)
    }
}

impl core::error::Error for NetworkError {}
