//! The client's address behind proxies.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use http::header::HeaderName;
use ipnet::IpNet;

use super::key_extractor::{KeyExtractor, NoKey};
use super::request_head::RequestHead;
use crate::keyed::{IpKey, Ipv6Prefix};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Extracts the client's address from `X-Forwarded-For`, for servers behind known proxies.
///
/// Only entries from your own proxies can be trusted, and proxies append. So entries are counted
/// **from the right**, over all lines of the header in order. What a client forges is to the left
/// of them.
///
/// | constructor | address |
/// |---|---|
/// | [`hops`](Self::hops)`(n)` | the `n`-th entry from the right, because each of `n` proxies appends one; the peer's if there are fewer |
/// | [`proxies`](Self::proxies)`(networks)` | the first, of the peer and then the entries from the right, that is not in these networks; the leftmost if all are |
///
/// An entry may be invalid or empty. `hops` then returns the peer's address, and `proxies` the one
/// before that entry. The forms `ip:port`, `[v6]` and `[v6]:port` are read without the port.
///
/// A client that bypasses the proxies can forge any address with `hops`. With `proxies`, so can a
/// client whose own address is in these networks. So list only the proxies, not a whole cluster.
///
/// An IPv6 address counts by its network, by default /64: see
/// [`ipv6_prefix`](Self::ipv6_prefix) and [`IpKey`].
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
///     .header("x-forwarded-for", "192.0.2.99") // forged by the client
///     .header("x-forwarded-for", "203.0.113.7, 10.0.0.2")
///     .body(())?;
/// let client = Some(IpKey::new("203.0.113.7".parse()?));
/// assert_eq!(behind_two.extract(&RequestHead::new(&request)).ok(), client);
/// assert_eq!(behind_ours.extract(&RequestHead::new(&request)).ok(), client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ForwardedFor<P> {
    proxies: TrustedProxies,
    peer: P,
    prefix: Ipv6Prefix,
}

#[derive(Clone, Debug)]
enum TrustedProxies {
    Count(usize),
    Networks(Box<[IpNet]>),
}

impl<P: Fn(&RequestHead<'_>) -> Option<IpAddr>> ForwardedFor<P> {
    /// Trusts this number of proxies, each of which appends the address of its own peer. With 0 the
    /// header is not read. `peer` returns the address of the connection.
    pub const fn hops(hops: usize, peer: P) -> Self {
        Self::new(TrustedProxies::Count(hops), peer)
    }

    /// Trusts proxies in these networks: addresses, or networks such as `10.0.0.0/8`. `peer`
    /// returns the address of the connection.
    ///
    /// # Errors
    ///
    /// [`ParseNetworkError`] for a text that is neither an address nor a network.
    pub fn proxies<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
        peer: P,
    ) -> Result<Self, ParseNetworkError> {
        let networks = networks.into_iter();
        let networks = networks.map(|text| parse_network(text.as_ref()));
        let networks = networks.collect::<Result<_, _>>()?;
        Ok(Self::new(TrustedProxies::Networks(networks), peer))
    }

    const fn new(proxies: TrustedProxies, peer: P) -> Self {
        Self {
            proxies,
            peer,
            prefix: Ipv6Prefix::DEFAULT,
        }
    }

    /// Sets the length of IPv6 networks that count as one client.
    #[must_use]
    pub fn ipv6_prefix(self, prefix: Ipv6Prefix) -> Self {
        Self { prefix, ..self }
    }

    /// Returns the client's address itself, not its network.
    pub fn client(&self, request: &RequestHead<'_>) -> Option<IpAddr> {
        let peer = (self.peer)(request)?;
        let mut entries = Self::entries(request);
        match &self.proxies {
            TrustedProxies::Count(0) => Some(peer),
            TrustedProxies::Count(hops) => Some(entries.nth(hops - 1).flatten().unwrap_or(peer)),
            TrustedProxies::Networks(networks) => {
                let mut client = peer;
                while is_in(networks, client) {
                    let Some(Some(next)) = entries.next() else {
                        break;
                    };
                    client = next;
                }
                Some(client)
            }
        }
    }

    /// Returns the entries from the right; `None` for an entry that is not an address.
    fn entries(request: &RequestHead<'_>) -> impl Iterator<Item = Option<IpAddr>> {
        let lines = request.headers().get_all(X_FORWARDED_FOR).iter().rev();
        lines
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
            .map(|entry| parse_address(entry.trim_ascii()))
    }
}

impl<P: Fn(&RequestHead<'_>) -> Option<IpAddr>> KeyExtractor for ForwardedFor<P> {
    type Key = IpKey;

    fn extract(&self, request: &RequestHead<'_>) -> Result<IpKey, NoKey> {
        let client = self.client(request).ok_or(NoKey::NotAttached)?;
        Ok(self.prefix.key(client))
    }
}

/// Omits the closure, which does not implement `Debug`.
impl<P> fmt::Debug for ForwardedFor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardedFor")
            .field("proxies", &self.proxies)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Reads an address with or without a port.
fn parse_address(entry: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(entry).ok()?;
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse().ok().map(IpAddr::V6)
    };
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    // A socket may give an IPv4 address in its IPv6-mapped form. Networks are kept as IPv4.
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

fn parse_network(text: &str) -> Result<IpNet, ParseNetworkError> {
    let network = text.parse::<IpNet>().ok();
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = network.or_else(address).ok_or_else(|| ParseNetworkError {
        text: text.to_string(),
    })?;
    // An IPv4 network in its IPv6-mapped form becomes one of IPv4, as addresses do.
    let ipv4 = network.addr().to_canonical();
    let bits = network.prefix_len().checked_sub(96);
    match (network, ipv4, bits) {
        (IpNet::V6(_), IpAddr::V4(_), Some(bits)) => Ok(IpNet::new_assert(ipv4, bits)),
        _ => Ok(network),
    }
}

/// A text is neither an address nor a network in the form `address/bits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetworkError {
    text: String,
}

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is neither an address nor a network", self.text)
    }
}

impl core::error::Error for ParseNetworkError {}
