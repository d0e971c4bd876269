//! What the requests are grouped by, in the words of people.

use super::key::shown;
use super::numbers::{counted, grouped};

/// The noun for one key: `client` for addresses, `key` where no better word is known.
pub fn noun(by: &str) -> &'static str {
    match by {
        "ip" | "ip-prefix" | "client" => "client",
        "user" => "user",
        "path" => "path",
        "agent" => "agent",
        _ => "key",
    }
}

/// The plural of [`noun`].
pub fn nouns(by: &str) -> &'static str {
    match noun(by) {
        "client" => "clients",
        "user" => "users",
        "path" => "paths",
        "agent" => "agents",
        _ => "keys",
    }
}

/// A number of what requests ask for: `5 requests`, or `5 of bytes` with a field of costs.
pub fn asked(number: u64, cost: Option<&str>) -> String {
    match cost {
        None => counted(number, "request"),
        Some(field) => format!("{} of {}", grouped(number), shown(field, 24)),
    }
}

/// A text with its first letter in upper case.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::{capitalized, noun, nouns};

    #[test]
    fn plurals_fit() {
        for by in ["ip", "ip-prefix", "user", "path", "agent", "none", "tenant"] {
            assert_eq!(format!("{}s", noun(by)), nouns(by));
        }
        assert_eq!(capitalized("client"), "Client");
        assert_eq!(capitalized(""), "");
    }
}
