//! Networks that a program trusts, as texts.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::IpAddr;

use ipnet::IpNet;

/// Networks of addresses.
#[derive(Clone, Debug)]
pub(super) struct Networks(Box<[IpNet]>);

impl Networks {
    /// Reads addresses, and networks such as `10.0.0.0/8`.
    pub(super) fn parse<N: AsRef<str>>(
        texts: impl IntoIterator<Item = N>,
    ) -> Result<Self, ParseNetworkError> {
        let texts = texts.into_iter();
        let networks = texts.map(|text| parse_network(text.as_ref()));
        networks.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        // A socket may give an IPv4 address in its IPv6-mapped form. Networks are kept as IPv4.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
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
