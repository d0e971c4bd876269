//! The key of a network client: an IPv4 address, or the network that an IPv6 address is in.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The key of a network client: its IPv4 address, or the network that its IPv6 address is in.
///
/// A client with IPv6 has a network, and chooses at will among at least 2⁶⁴ addresses. A limit for
/// each address would limit no client, and fill any table. So the key is the /64 around the
/// address. [`Ipv6Prefix`] makes it wider or narrower.
///
/// | address | key |
/// |---|---|
/// | `203.0.113.7` | the whole address |
/// | `::ffff:203.0.113.7` | the same: a dual-stack socket shows IPv4 clients in this form |
/// | `2001:db8:1:2:3:4:5:6` | `2001:db8:1:2::` |
/// | `::1` | `::`, which is not the key of `127.0.0.1` |
/// | 6to4, Teredo, NAT64, `::203.0.113.7` | as any IPv6 address: its IPv4 address is ignored |
/// | `fe80::1` on any interface | `fe80::`, because scope ids, flow labels and ports are ignored |
///
/// Where a translator gives IPv4 clients addresses of one /96 (NAT64, SIIT), translate them back
/// first, or all of them share a key.
///
/// An address from `X-Forwarded-For` is the client's only as far as your own proxies wrote it.
/// Count their entries from the right, and ignore the others, which the client may have made up.
///
/// A key is 16 bytes, aligned to 1, and hashed as one number. Keys are ordered like IPv6 addresses,
/// with IPv4 among them as `::ffff:0:0/96`.
///
/// ```
/// use std::net::IpAddr;
/// use tidegate::IpKey;
///
/// let key = |ip: &str| IpKey::new(ip.parse().unwrap());
/// assert_eq!(key("2001:db8:1:2::7"), key("2001:db8:1:2:ffff::8")); // one network
/// assert_ne!(key("2001:db8:1:2::7"), key("2001:db8:1:3::7"));
/// assert_eq!(key("::ffff:203.0.113.7"), key("203.0.113.7")); // one client
/// assert_ne!(key("203.0.113.8"), key("203.0.113.7"));
///
/// assert_eq!(key("2001:db8:1:2::7").to_string(), "2001:db8:1:2::");
/// assert_eq!(key("::ffff:203.0.113.7").addr(), IpAddr::from([203, 0, 113, 7]));
/// ```
///
/// As a limit:
///
/// ```
/// # #[cfg(feature = "std")] {
/// use std::net::SocketAddr;
/// use tidegate::{FixedKeyed, IpKey, ManualClock, Quota};
///
/// let quota = Quota::per_second(10).burst(1);
/// let limits = FixedKeyed::with_clock(quota, 10_000, ManualClock::new());
/// let admits = |peer: SocketAddr| limits.try_acquire(&IpKey::from(peer), 1).is_ok();
/// assert!(admits("[2001:db8::1]:50000".parse().unwrap()));
/// assert!(!admits("[2001:db8::2]:50001".parse().unwrap())); // the same client
/// assert!(admits("[2001:db8:0:1::1]:50000".parse().unwrap()));
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpKey(
    /// The octets of an IPv6 network, or of an IPv4 address in its mapped form.
    [u8; 16],
);

const _: () = assert!(size_of::<IpKey>() == 16 && align_of::<IpKey>() == 1);

impl IpKey {
    /// Returns the key of `ip` with [`Ipv6Prefix::DEFAULT`].
    #[inline]
    pub const fn new(ip: IpAddr) -> Self {
        Ipv6Prefix::DEFAULT.key(ip)
    }

    /// Returns the IPv4 address, or the first address of the IPv6 network.
    ///
    /// The latter is not the client's address, and the length of the prefix is not kept.
    pub const fn addr(self) -> IpAddr {
        Ipv6Addr::from_bits(u128::from_be_bytes(self.0)).to_canonical()
    }
}

impl From<IpAddr> for IpKey {
    #[inline]
    fn from(ip: IpAddr) -> Self {
        Self::new(ip)
    }
}

impl From<Ipv4Addr> for IpKey {
    #[inline]
    fn from(ip: Ipv4Addr) -> Self {
        Self::new(IpAddr::V4(ip))
    }
}

impl From<Ipv6Addr> for IpKey {
    #[inline]
    fn from(ip: Ipv6Addr) -> Self {
        Self::new(IpAddr::V6(ip))
    }
}

/// Ignores the port, which differs between connections of one client.
impl From<SocketAddr> for IpKey {
    #[inline]
    fn from(peer: SocketAddr) -> Self {
        Self::new(peer.ip())
    }
}

impl Hash for IpKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not derived, which would write a length before the bytes. Native order costs no swap, and
        // hashes stay in the process.
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

/// Shows [`addr`](Self::addr).
impl fmt::Display for IpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr().fmt(f)
    }
}

impl fmt::Debug for IpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpKey({})", self.addr())
    }
}

/// The number of leading bits of an IPv6 address that make one client: 64, or from 32 to 128 of
/// your choice.
///
/// | bits | what shares a key |
/// |---|---|
/// | 128 | one address: only where clients cannot choose their address |
/// | **64** | one network, the smallest that a client gets |
/// | 56, 48 | one customer of most providers, which could multiply a limit by 256 or 65 536 |
/// | 32 | mostly one whole provider, so fewer bits are an error |
///
/// IPv4 addresses stay whole with any prefix. In one table all keys should have the same prefix,
/// because a key does not keep its prefix.
///
/// ```
/// use tidegate::{IpKey, Ipv6Prefix, Ipv6PrefixError};
///
/// let customer = Ipv6Prefix::new(56)?;
/// let one = "2001:db8:0:12::7".parse().unwrap();
/// let other = "2001:db8:0:34::7".parse().unwrap();
/// assert_eq!(customer.key(one), customer.key(other));
/// assert_ne!(IpKey::new(one), IpKey::new(other)); // two /64
///
/// assert_eq!(Ipv6Prefix::new(24), Err(Ipv6PrefixError::TooShort { bits: 24 }));
/// # Ok::<(), Ipv6PrefixError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv6Prefix {
    /// From 32 to 128.
    bits: u8,
}

impl Ipv6Prefix {
    /// 64 bits, the network of a client. The lower 64 bits of an address are the client's own
    /// choice (RFC 8981).
    pub const DEFAULT: Self = Self { bits: 64 };

    /// Creates a prefix of 32 to 128 bits.
    ///
    /// # Errors
    ///
    /// [`Ipv6PrefixError`] below 32, because clients of different providers would share a key, and
    /// above 128, the length of an address.
    pub const fn new(bits: u8) -> Result<Self, Ipv6PrefixError> {
        match bits {
            0..32 => Err(Ipv6PrefixError::TooShort { bits }),
            32..=128 => Ok(Self { bits }),
            129.. => Err(Ipv6PrefixError::TooLong { bits }),
        }
    }

    /// Returns the number of bits.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Returns the key of `ip`. An IPv4 address stays whole, also in its IPv6-mapped form. Of any
    /// other IPv6 address, the key has these leading bits.
    #[inline]
    pub const fn key(self, ip: IpAddr) -> IpKey {
        let bits = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        // As in `to_canonical`; the mask would make one client of all of them. No network looks
        // like one: a prefix below 96 clears the last bit of `ffff`, and one from 96 keeps all 96
        // bits that this compares.
        let is_ipv4 = bits >> 32 == 0xffff;
        let mask = if is_ipv4 {
            u128::MAX
        } else {
            u128::MAX << (128 - self.bits)
        };
        IpKey((bits & mask).to_be_bytes())
    }
}

/// Returns [`DEFAULT`](Self::DEFAULT).
impl Default for Ipv6Prefix {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The length of an [`Ipv6Prefix`] is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ipv6PrefixError {
    /// Fewer than 32 bits, which span more than one provider.
    TooShort {
        /// The requested length.
        bits: u8,
    },
    /// More bits than the 128 of an address.
    TooLong {
        /// The requested length.
        bits: u8,
    },
}

impl fmt::Display for Ipv6PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { bits } => {
                write!(f, "an IPv6 prefix of {bits} bits is too short: at least 32")
            }
            Self::TooLong { bits } => {
                write!(f, "an IPv6 prefix of {bits} bits is too long: at most 128")
            }
        }
    }
}

impl core::error::Error for Ipv6PrefixError {}
