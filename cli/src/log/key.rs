//! What requests are told apart by.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;

use tidegate::Ipv6Prefix;

use super::clf::{Head, path_of};

/// What each key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// One key for all requests.
    None,
    /// The address. An IPv6 address is written in its shortest form, and as IPv4 where it carries one (`::ffff:1.2.3.4`).
    Ip,
    /// The IPv4 address, or the network of an IPv6 address: see [`tidegate::IpKey`].
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

impl FromStr for By {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "" => return Err("the name of the field is empty"),
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

impl fmt::Display for By {
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

impl By {
    /// Where JSON logs keep it, the most usual name first.
    pub fn fields(&self) -> Vec<&str> {
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

    /// The key in a line of a common or combined log, before it is [put into form](Form::key).
    ///
    /// # Errors
    ///
    /// What the line lacks.
    pub fn of_head<'a>(&self, head: &Head<'a>) -> Result<&'a [u8], &'static str> {
        match self {
            Self::None => Ok(b"all"),
            Self::Ip | Self::IpPrefix => Ok(head.host),
            Self::Path => head.path(),
            Self::User => Ok(head.user),
            Self::Agent => head.agent(),
            Self::Field(_) => Err("only a JSON log has such a field"),
        }
    }
}

/// Puts keys into one form.
#[derive(Debug)]
pub struct Form {
    prefix: Option<Ipv6Prefix>,
    ip: bool,
    path: bool,
    scratch: Vec<u8>,
}

impl Form {
    /// The form of `by`, with that prefix for networks.
    pub const fn new(by: &By, prefix: Ipv6Prefix) -> Self {
        Self {
            prefix: if matches!(by, By::IpPrefix) {
                Some(prefix)
            } else {
                None
            },
            ip: matches!(by, By::Ip | By::IpPrefix),
            path: matches!(by, By::Path),
            scratch: Vec::new(),
        }
    }

    /// The key as it is counted; nothing if it is empty or `-`, as logs write what is absent.
    pub fn key<'a>(&'a mut self, raw: &'a [u8]) -> Option<&'a [u8]> {
        if raw.is_empty() || raw == b"-" {
            return None;
        }
        if self.path {
            // In a JSON log it may be a whole request.
            return Some(path_of(raw));
        }
        // An IPv4 address has only one form.
        if !self.ip || memchr::memchr(b':', raw).is_none() {
            return Some(raw);
        }
        let Some(ip) = str::from_utf8(raw)
            .ok()
            .and_then(|text| text.parse::<IpAddr>().ok())
        else {
            return Some(raw);
        };
        self.scratch.clear();
        let ip = match self.prefix {
            Some(prefix) => prefix.key(ip).addr(),
            None => ip.to_canonical(),
        };
        // Writing to a vector does not fail.
        let _ = match self.prefix {
            Some(prefix) if ip.is_ipv6() => write!(self.scratch, "{ip}/{}", prefix.bits()),
            _ => write!(self.scratch, "{ip}"),
        };
        Some(&self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let key = |by: By, bits, raw: &str| {
            let mut form = Form::new(&by, Ipv6Prefix::new(bits).unwrap());
            let key = form.key(raw.as_bytes());
            key.map(|key| String::from_utf8(key.to_vec()).unwrap())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(key(By::Ip, 64, "2001:DB8:0::1"), some("2001:db8::1"));
        assert_eq!(key(By::Ip, 64, "::ffff:1.2.3.4"), some("1.2.3.4"));
        assert_eq!(key(By::Ip, 64, "a.example"), some("a.example"));
        assert_eq!(key(By::Ip, 64, "no:ip"), some("no:ip"));
        assert_eq!(
            key(By::IpPrefix, 64, "2001:db8:1:2::7"),
            some("2001:db8:1:2::/64")
        );
        assert_eq!(
            key(By::IpPrefix, 48, "2001:db8:1:2::7"),
            some("2001:db8:1::/48")
        );
        assert_eq!(key(By::IpPrefix, 64, "::ffff:1.2.3.4"), some("1.2.3.4"));
        assert_eq!(key(By::Path, 64, "GET /a?b HTTP/2"), some("/a"));
        assert_eq!(key(By::User, 64, "-"), None);
        assert_eq!(key(By::Agent, 64, ""), None);
    }
}
