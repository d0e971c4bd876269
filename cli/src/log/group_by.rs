//! The key by which requests are grouped.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use tidegate::Ipv6Prefix;

use super::address::is_missing;
use super::clf::{method_of, path_of};

/// The kind of key by which requests are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// One key for all requests.
    None,
    /// The client's address. IPv6 addresses are written in their shortest form, and mapped ones
    /// such as `::ffff:1.2.3.4` as IPv4.
    Ip,
    /// The IPv4 address, or the network of an IPv6 address, as in [`tidegate::IpKey`].
    IpPrefix,
    /// The path without its query.
    Path,
    /// The user.
    User,
    /// The agent.
    Agent,
    /// A field of the log.
    Field(String),
}

impl FromStr for GroupBy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "" => return Err("the field name is empty"),
            "none" => Self::None,
            "ip" => Self::Ip,
            "ip-prefix" => Self::IpPrefix,
            "path" => Self::Path,
            "user" => Self::User,
            "agent" => Self::Agent,
            field => Self::Field(field.to_owned()),
        })
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Ip => "ip",
            Self::IpPrefix => "ip-prefix",
            Self::Path => "path",
            Self::User => "user",
            Self::Agent => "agent",
            Self::Field(field) => field,
        })
    }
}

/// Parses keys. Any field is a key, and the common ones are completed by shells.
#[derive(Clone, Copy, Debug)]
pub struct GroupByParser;

impl TypedValueParser for GroupByParser {
    type Value = GroupBy;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<GroupBy, clap::Error> {
        StringValueParser::new()
            .try_map(|text| text.parse::<GroupBy>())
            .parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let kinds = [
            ("ip", "The client's address"),
            ("ip-prefix", "The network of an IPv6 address"),
            ("path", "The path without its query"),
            ("user", "The user"),
            ("agent", "The agent"),
            ("none", "One limit of all requests"),
            ("host", "The virtual host"),
            ("method", "The method of the request"),
            ("status", "The status of the response"),
        ];
        let values = kinds.map(|(name, help)| PossibleValue::new(name).help(help));
        Some(Box::new(values.into_iter()))
    }
}

/// Brings keys into one form, so that equal keys have equal bytes.
#[derive(Debug)]
pub struct KeyNormalizer {
    by: GroupBy,
    prefix: Ipv6Prefix,
    scratch: Vec<u8>,
}

impl KeyNormalizer {
    /// Normalizes keys of this kind. `prefix` is the length of IPv6 networks.
    pub const fn new(by: GroupBy, prefix: Ipv6Prefix) -> Self {
        Self {
            by,
            prefix,
            scratch: Vec::new(),
        }
    }

    /// The key of an address.
    pub fn address(&mut self, ip: IpAddr) -> &[u8] {
        self.scratch.clear();
        // Writing to a vector does not fail.
        let _ = match ip {
            IpAddr::V6(ip) if self.by == GroupBy::IpPrefix => {
                let network = self.prefix.key(IpAddr::V6(ip)).addr();
                write!(self.scratch, "{network}/{}", self.prefix.bits())
            }
            ip => write!(self.scratch, "{ip}"),
        };
        &self.scratch
    }

    /// The key of any other text, or `None` for an empty one or `-`, which logs write for a missing
    /// one.
    pub fn text<'a>(&self, raw: &'a [u8]) -> Option<&'a [u8]> {
        match &self.by {
            _ if is_missing(raw) => None,
            // The field may hold the whole request line.
            GroupBy::Path => Some(path_of(raw)),
            GroupBy::Field(name) if name == "method" => Some(method_of(raw)),
            _ => Some(raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalizer(by: GroupBy, bits: u8) -> KeyNormalizer {
        KeyNormalizer::new(by, Ipv6Prefix::new(bits).unwrap())
    }

    #[test]
    fn addresses() {
        for (by, bits, raw, expected) in [
            (GroupBy::Ip, 64, "2001:DB8:0::1", "2001:db8::1"),
            (GroupBy::Ip, 64, "1.2.3.4", "1.2.3.4"),
            (
                GroupBy::IpPrefix,
                64,
                "2001:db8:1:2::7",
                "2001:db8:1:2::/64",
            ),
            (GroupBy::IpPrefix, 48, "2001:db8:1:2::7", "2001:db8:1::/48"),
            (GroupBy::IpPrefix, 64, "1.2.3.4", "1.2.3.4"),
        ] {
            let mut normalizer = normalizer(by, bits);
            let key = normalizer.address(raw.parse().unwrap());
            assert_eq!(key, expected.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn texts() {
        for (by, raw, expected) in [
            (GroupBy::Path, "GET /a?b HTTP/2", Some("/a")),
            (GroupBy::User, "-", None),
            (GroupBy::Agent, "", None),
            (GroupBy::Field("a".to_owned()), "x", Some("x")),
            (GroupBy::Field("method".to_owned()), "GET", Some("GET")),
            (
                GroupBy::Field("method".to_owned()),
                "GET /a HTTP/2",
                Some("GET"),
            ),
        ] {
            let normalizer = normalizer(by, 64);
            assert_eq!(normalizer.text(raw.as_bytes()), expected.map(str::as_bytes));
        }
    }
}
