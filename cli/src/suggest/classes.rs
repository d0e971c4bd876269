//! Classes of keys: offices, crawlers, tiers of customers.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A name and the keys that are in the class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRule {
    /// The name.
    pub name: String,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Addresses and networks in this network.
    Network(IpNet),
    /// Texts that have these parts in this order, with anything between them.
    Text(Vec<String>),
}

/// Parses `NAME=PATTERN` or `NAME=PATTERN,PATTERN`. A pattern is a network, an address, or a text
/// in which `*` stands for anything.
impl FromStr for ClassRule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let expected = "expected a name and patterns, such as `office=10.0.0.0/8,192.0.2.7` or \
                        `crawlers=*bot*`";
        let (name, patterns) = text.split_once('=').ok_or(expected)?;
        let patterns: Vec<&str> = patterns.split(',').map(str::trim).collect();
        if name.trim().is_empty() || patterns.contains(&"") {
            return Err(expected);
        }
        Ok(Self {
            name: name.trim().to_owned(),
            patterns: patterns.into_iter().map(Pattern::new).collect(),
        })
    }
}

impl ClassRule {
    /// Whether a key is in the class.
    pub fn contains(&self, key: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.fits(key))
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        match text.parse::<IpNet>().or(address) {
            Ok(network) => Self::Network(network),
            Err(_) => Self::Text(text.split('*').map(str::to_owned).collect()),
        }
    }

    fn fits(&self, key: &str) -> bool {
        match self {
            Self::Network(network) => {
                // With `--by ip-prefix`, keys are networks.
                let address = key.parse::<IpAddr>().map(IpNet::from);
                let key = address.or_else(|_| key.parse::<IpNet>());
                key.is_ok_and(|key| network.contains(&key))
            }
            Self::Text(parts) => fits_text(parts, key),
        }
    }
}

fn fits_text(parts: &[String], key: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|whole| whole == key);
    };
    let Some(mut rest) = key.strip_prefix(first.as_str()) else {
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
    use super::ClassRule;

    #[test]
    fn patterns_are_networks_or_texts() {
        for (rule, key, expected) in [
            ("a=10.0.0.0/8", "10.1.2.3", true),
            ("a=10.0.0.0/8", "11.1.2.3", false),
            ("a=10.0.0.0/8", "2001:db8::1", false),
            ("a=192.0.2.7", "192.0.2.7", true),
            ("a=192.0.2.7, 192.0.2.8", "192.0.2.8", true),
            ("a=2001:db8::/32", "2001:db8:1:2::/64", true),
            ("a=2001:db8::/96", "2001:db8::/64", false),
            ("a=*bot*", "Googlebot/2.1", true),
            ("a=*bot*", "Mozilla", false),
            ("a=/api/*", "/api/users", true),
            ("a=/api/*/x", "/api/users/x", true),
            ("a=/api/*/x", "/api/x", false),
            ("a=ab*ba", "aba", false),
            ("a=*", "", true),
            ("a=exact", "exact", true),
            ("a=exact", "exactly", false),
            ("a=x=y", "x=y", true),
        ] {
            let rule: ClassRule = rule.parse().unwrap();
            assert_eq!(rule.contains(key), expected, "{rule:?} {key}");
        }
        for invalid in ["", "a", "=x", "a=", "a=x,,y"] {
            assert!(invalid.parse::<ClassRule>().is_err(), "{invalid}");
        }
    }
}
