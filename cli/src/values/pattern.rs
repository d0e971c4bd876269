//! Patterns of keys and paths.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A network, an address, or a text in which `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Addresses and networks in this network.
    Network(IpNet),
    /// Texts that have these parts in this order, with anything between them.
    Text(Vec<String>),
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        match text.parse::<IpNet>().or(address) {
            Ok(network) => Ok(Self::Network(network)),
            Err(_) if is_mistaken(text) => Err(
                "this is neither an address nor a network: expected one such as `10.0.0.0/8`, \
                 `192.0.2.7` or `2001:db8::/32`, or a text with `*`",
            ),
            Err(_) => Ok(Self::Text(text.split('*').map(str::to_owned).collect())),
        }
    }
}

/// Whether a text was meant as a network or an address, but is none.
fn is_mistaken(text: &str) -> bool {
    if text.contains('*') {
        return false;
    }
    let trimmed = text.trim();
    let (first, rest) = match trimmed.split_once(['/', '-']) {
        Some((first, rest)) => (first.trim(), Some(rest)),
        None => (trimmed, None),
    };
    let is_address = first.parse::<IpAddr>().is_ok();
    let is_made_of = |others: fn(u8) -> bool| {
        let mut bytes = first.bytes();
        !first.is_empty() && bytes.all(|byte| byte.is_ascii_digit() || others(byte))
    };
    let dots = first.matches('.').count();
    let has_dots = is_made_of(|byte| byte == b'.');
    let has_colons = is_made_of(|byte| byte == b':' || byte.is_ascii_hexdigit());
    let is_broken = has_dots && dots == 3
        || rest.is_some() && (has_dots && dots > 0 || has_colons && first.contains(':'));
    is_address || is_broken
}

impl Pattern {
    /// Whether a text fits.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Network(network) => {
                // With `--by ip-prefix`, keys are networks.
                let address = text.parse::<IpAddr>().map(IpNet::from);
                let key = address.or_else(|_| text.parse::<IpNet>());
                key.is_ok_and(|key| network.contains(&key))
            }
            Self::Text(parts) => fits_text(parts, text),
        }
    }
}

fn fits_text(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|whole| whole == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    // The earliest place for each part leaves the most room for those that follow.
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn mistaken_networks_are_errors() {
        for text in [
            "66.0.0.0/33",
            "66.0.0/8",
            "66.0.0.0/",
            "66.0.0.0/8 x",
            " 192.0.2.7",
            "300.0.0.1",
            "192.0.2.1-192.0.2.9",
            "2001:db8::/129",
            "2001:db8:/32",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        for text in [
            "404",
            "1.2",
            "/1.2.3.4/8",
            "66.*",
            "a/8",
            "10:05:03",
            "v1.2-rc",
            "-",
        ] {
            assert!(matches!(text.parse(), Ok(Pattern::Text(_))), "{text}");
        }
    }

    #[test]
    fn patterns_are_networks_or_texts() {
        for (pattern, key, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "2001:db8::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("2001:db8::/32", "2001:db8:1:2::/64", true),
            ("2001:db8::/96", "2001:db8::/64", false),
            ("*bot*", "Googlebot/2.1", true),
            ("*bot*", "Mozilla", false),
            ("/api/*", "/api/users", true),
            ("/api/*/x", "/api/users/x", true),
            ("/api/*/x", "/api/x", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            let pattern = pattern.parse::<Pattern>().unwrap();
            assert_eq!(pattern.fits(key), expected, "{pattern:?} {key}");
        }
    }
}
