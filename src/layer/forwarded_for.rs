//! The client's address behind proxies.

use core::fmt;
use core::net::IpAddr;

use http::header::{FORWARDED, HeaderName};

use super::forwarded_field::{self, parse_address};
use super::key_extractor::{KeyExtractor, NoKey};
use super::networks::{Networks, ParseNetworkError};
use super::request_head::RequestHead;
use crate::keyed::{IpKey, Ipv6Prefix};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Extracts the client's address from `X-Forwarded-For`, for servers behind known proxies. It reads
/// [`Forwarded`](Self::forwarded) of RFC 7239 instead, or [one field](Self::field) such as
/// `X-Real-IP`, if told so.
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
/// use tidegate::layer::{ForwardedFor, KeyExtractor, RequestHead};
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
    source: Source,
    peer: P,
    prefix: Ipv6Prefix,
}

/// Where the addresses are.
#[derive(Clone, Debug)]
enum Source {
    XForwardedFor,
    Forwarded,
    /// One address in one line.
    Field(HeaderName),
}

#[derive(Clone, Debug)]
enum TrustedProxies {
    Count(usize),
    Networks(Networks),
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
        let networks = Networks::parse(networks)?;
        Ok(Self::new(TrustedProxies::Networks(networks), peer))
    }

    const fn new(proxies: TrustedProxies, peer: P) -> Self {
        Self {
            proxies,
            source: Source::XForwardedFor,
            peer,
            prefix: Ipv6Prefix::DEFAULT,
        }
    }

    /// Reads the field `Forwarded` of RFC 7239 instead of `X-Forwarded-For`: the parameter `for` of
    /// each element. An element without an address (`unknown`, an obfuscated name) counts as an
    /// invalid entry.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use http::Request;
    /// use tidegate::layer::{ForwardedFor, RequestHead};
    ///
    /// let peer = |_: &RequestHead<'_>| "10.0.0.1".parse::<IpAddr>().ok();
    /// let client = ForwardedFor::hops(1, peer).forwarded();
    /// let request = Request::builder()
    ///     .header("forwarded", r#"for=192.0.2.43, for="[2001:db8::17]:4711";proto=https"#);
    /// let request = request.body(())?;
    /// assert_eq!(client.client(&RequestHead::new(&request)), "2001:db8::17".parse().ok());
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn forwarded(self) -> Self {
        Self {
            source: Source::Forwarded,
            ..self
        }
    }

    /// Reads a field that has one address instead of `X-Forwarded-For`: `X-Real-IP`,
    /// `CF-Connecting-IP`, `Fly-Client-IP`, `True-Client-IP`.
    ///
    /// The last proxy must **set** the field, not only pass it on. It is read with one hop or more,
    /// or if the peer is one of the proxies, and counts as the only entry. If it is repeated, or is
    /// no address, the client is the peer.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use http::{HeaderName, Request};
    /// use tidegate::layer::{ForwardedFor, RequestHead};
    ///
    /// let peer = |_: &RequestHead<'_>| "10.0.0.1".parse::<IpAddr>().ok();
    /// let field = HeaderName::from_static("x-real-ip");
    /// let client = ForwardedFor::proxies(["10.0.0.1"], peer)?.field(field);
    /// let request = Request::builder().header("x-real-ip", "203.0.113.7").body(())?;
    /// assert_eq!(client.client(&RequestHead::new(&request)), "203.0.113.7".parse().ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn field(self, name: HeaderName) -> Self {
        Self {
            source: Source::Field(name),
            ..self
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
        Some(match &self.source {
            Source::XForwardedFor => self.client_of(peer, x_forwarded_for(request)),
            Source::Forwarded => self.client_of(peer, forwarded(request)),
            Source::Field(name) => self.client_of(peer, single(request, name)),
        })
    }

    /// The client of a connection, with the entries from the right; `None` for one that is not an
    /// address.
    fn client_of(&self, peer: IpAddr, mut entries: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        match &self.proxies {
            TrustedProxies::Count(0) => peer,
            TrustedProxies::Count(hops) => {
                // One field is that of the last proxy, whatever its number.
                let is_field = matches!(self.source, Source::Field(_));
                let entry = if is_field { 0 } else { hops - 1 };
                entries.nth(entry).flatten().unwrap_or(peer)
            }
            TrustedProxies::Networks(networks) => {
                let mut client = peer;
                while networks.contain(client) {
                    let Some(Some(next)) = entries.next() else {
                        break;
                    };
                    client = next;
                }
                client
            }
        }
    }
}

/// The entries of `X-Forwarded-For` from the right.
fn x_forwarded_for(request: &RequestHead<'_>) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = request.headers().get_all(X_FORWARDED_FOR).iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(|entry| parse_address(entry.trim_ascii()))
}

/// The elements of `Forwarded` from the right.
fn forwarded(request: &RequestHead<'_>) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = request.headers().get_all(FORWARDED).iter().rev();
    lines.flat_map(|line| forwarded_field::addresses(line.as_bytes()))
}

/// The only entry of a field that has one line.
fn single(request: &RequestHead<'_>, name: &HeaderName) -> impl Iterator<Item = Option<IpAddr>> {
    let mut lines = request.headers().get_all(name).iter();
    let only = match (lines.next(), lines.next()) {
        (Some(line), None) => Some(parse_address(line.as_bytes().trim_ascii())),
        (_, None) => None,
        (_, Some(_)) => Some(None),
    };
    only.into_iter()
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
            .field("source", &self.source)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
