//! Patterns of keys and paths.

use std::convert::Infallible;
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
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        Ok(match text.parse::<IpNet>().or(address) {
            Ok(network) => Self::Network(network),
            Err(_) => Self::Text(text.split('*').map(str::to_owned).collect()),
        })
    }
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
            let Ok(pattern) = pattern.parse::<Pattern>();
            assert_eq!(pattern.fits(key), expected, "{pattern:?} {key}");
        }
    }
}
