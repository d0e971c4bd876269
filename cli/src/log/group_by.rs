//! The key by which requests are grouped.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;

use tidegate::Ipv6Prefix;

use super::clf::{Head, path_of};

/// The kind of key by which requests are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// One key for all requests.
    None,
    /// The address. IPv6 addresses are written in their shortest form, and mapped ones such as
    /// `::ffff:1.2.3.4` as IPv4.
    Ip,
    /// The IPv4 address, or the network of an IPv6 address, as in [`tidegate::IpKey`].
    IpPrefix,
    /// The path without its query.
    Path,
    /// The user.
    User,
    /// The agent.
    Agent,
    /// A field of a JSON log.
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

impl GroupBy {
    /// The field names under which JSON logs store the key, the most common first.
    pub fn json_fields(&self) -> Vec<&str> {
        match self {
            Self::None => vec![],
            Self::Ip | Self::IpPrefix => vec![
                "remote_addr",
                "remote_ip",
                "client_ip",
                "clientip",
                "clientIp",
                "ip",
                "client.ip",
                "source.ip",
                "client",
                "remote_host",
                "host",
            ],
            Self::Path => vec!["path", "uri", "request_uri", "url.path", "url", "request"],
            Self::User => vec!["user", "remote_user", "username", "user.name", "user_id"],
            Self::Agent => vec![
                "user_agent",
                "http_user_agent",
                "agent",
                "userAgent",
                "user_agent.original",
            ],
            Self::Field(field) => vec![field],
        }
    }

    /// Returns the raw key of a line in the common or combined format.
    ///
    /// # Errors
    ///
    /// Names what the line lacks.
    pub fn clf_key<'a>(&self, head: &Head<'a>) -> Result<&'a [u8], &'static str> {
        match self {
            Self::None => Ok(b"all"),
            Self::Ip | Self::IpPrefix => Ok(head.host),
            Self::Path => head.path(),
            Self::User => Ok(head.user),
            Self::Agent => head.agent(),
            Self::Field(_) => Err("only JSON logs have such a field"),
        }
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

    /// The kind of the keys.
    pub const fn by(&self) -> &GroupBy {
        &self.by
    }

    /// Returns the normal form, or `None` for an empty key or `-`, which logs write for a missing
    /// one.
    pub fn normalize<'a>(&'a mut self, raw: &'a [u8]) -> Option<&'a [u8]> {
        if raw.is_empty() || raw == b"-" {
            return None;
        }
        let has_prefix = match self.by {
            // The field of a JSON log may hold the whole request line.
            GroupBy::Path => return Some(path_of(raw)),
            // Only IPv6 addresses have several forms.
            GroupBy::Ip | GroupBy::IpPrefix if memchr::memchr(b':', raw).is_some() => {
                self.by == GroupBy::IpPrefix
            }
            _ => return Some(raw),
        };
        let text = str::from_utf8(raw).ok();
        let Some(ip) = text.and_then(|text| text.parse::<IpAddr>().ok()) else {
            return Some(raw);
        };
        self.scratch.clear();
        // Writing to a vector does not fail.
        let _ = match ip.to_canonical() {
            IpAddr::V6(ip) if has_prefix => {
                let network = self.prefix.key(IpAddr::V6(ip)).addr();
                write!(self.scratch, "{network}/{}", self.prefix.bits())
            }
            ip => write!(self.scratch, "{ip}"),
        };
        Some(&self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (by, bits, raw, expected) in [
            (GroupBy::Ip, 64, "2001:DB8:0::1", Some("2001:db8::1")),
            (GroupBy::Ip, 64, "::ffff:1.2.3.4", Some("1.2.3.4")),
            (GroupBy::Ip, 64, "a.example", Some("a.example")),
            (GroupBy::Ip, 64, "no:ip", Some("no:ip")),
            (
                GroupBy::IpPrefix,
                64,
                "2001:db8:1:2::7",
                Some("2001:db8:1:2::/64"),
            ),
            (
                GroupBy::IpPrefix,
                48,
                "2001:db8:1:2::7",
                Some("2001:db8:1::/48"),
            ),
            (GroupBy::IpPrefix, 64, "::ffff:1.2.3.4", Some("1.2.3.4")),
            (GroupBy::Path, 64, "GET /a?b HTTP/2", Some("/a")),
            (GroupBy::User, 64, "-", None),
            (GroupBy::Agent, 64, "", None),
        ] {
            let mut normalizer = KeyNormalizer::new(by, Ipv6Prefix::new(bits).unwrap());
            let key = normalizer.normalize(raw.as_bytes());
            assert_eq!(key, expected.map(str::as_bytes), "{raw}");
        }
    }
}
