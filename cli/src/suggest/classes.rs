//! Classes of keys: offices, crawlers, tiers of customers.

use std::str::FromStr;

use crate::values::pattern::Pattern;

/// A name and the keys that are in the class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRule {
    /// The name.
    pub name: String,
    patterns: Vec<Pattern>,
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
        let patterns = patterns.into_iter().map(str::parse);
        Ok(Self {
            name: name.trim().to_owned(),
            patterns: patterns.collect::<Result<_, _>>()?,
        })
    }
}

impl ClassRule {
    /// Whether a key is in the class.
    pub fn contains(&self, key: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.fits(key))
    }
}

#[cfg(test)]
mod tests {
    use super::ClassRule;

    #[test]
    fn lists_are_alternatives() {
        let rule: ClassRule = "a=192.0.2.7, 10.0.0.0/8,*bot*,x=y".parse().unwrap();
        assert_eq!(rule.name, "a");
        for key in ["192.0.2.7", "10.9.9.9", "a bot", "x=y"] {
            assert!(rule.contains(key), "{key}");
        }
        assert!(!rule.contains("192.0.2.8"));
        for invalid in ["", "a", "=x", "a=", "a=x,,y", "a=x,66.0.0.0/33"] {
            assert!(invalid.parse::<ClassRule>().is_err(), "{invalid}");
        }
    }
}
