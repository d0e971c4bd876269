//! Judges whether the clients of a log were understood, and explains what was found instead.

use super::client::{Client, Doubt, Resolved};
use crate::picture::key::shown;

/// Clients that are no addresses are a mistake in the log's reading if they are more than one in
/// this many.
const MAX_WRONG_SHARE: u64 = 10;
/// Clients with others before them in a list are proxies if they are more than one in this many.
const MAX_LISTED_SHARE: u64 = 10;
/// Clients that may be proxies are worth a warning if they are more than one in this many.
const MAX_DOUBTED_SHARE: u64 = 100;
/// After this many lines without one address, reading stops.
const HOPELESS: u64 = 10_000;
/// The longest text of a line in a message.
const MAX_SHOWN: usize = 100;

/// A line that could not be used, and how it was read.
#[derive(Clone, Debug)]
pub struct Example {
    /// The format that the line seemed to have.
    pub format: &'static str,
    /// The names of its fields.
    pub fields: Vec<String>,
    /// What stood where the client or the time should be, or the line.
    pub text: String,
}

impl Example {
    /// Describes a line. Long texts are cut.
    pub fn new(format: &'static str, fields: Vec<String>, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self {
            format,
            fields: fields
                .into_iter()
                .map(|name| shown(&name, MAX_SHOWN))
                .collect(),
            text: shown(&text, MAX_SHOWN),
        }
    }

    /// The lines of a message that say how the log was read, and what to do.
    fn advice(&self, options: &str) -> String {
        let mut text = format!("\n  guessed format: {}\n", self.format);
        if !self.fields.is_empty() {
            text += &format!("  fields: {}\n", self.fields.join(", "));
        }
        text + &format!("  options: {options}")
    }
}

/// Lines whose client may be a proxy.
#[derive(Debug, Default)]
struct Doubted {
    lines: u64,
    example: Option<Example>,
}

/// Counts how the clients of lines were found.
#[derive(Debug, Default)]
pub struct ClientJudge {
    addresses: u64,
    wrong: u64,
    wrong_example: Option<Example>,
    peers: Doubted,
    lists: Doubted,
    /// A line that had no client or no time.
    skipped_example: Option<Example>,
}

const CLIENT_OPTIONS: &str = "--client FIELD names the field with the address, --by FIELD groups by \
    any field as it is, --log-format describes the lines";
const PROXY_OPTIONS: &str = "--trusted-proxy NETWORK names the network of the proxies, --client \
    FIELD the field with the client";
const LIST_OPTIONS: &str = "--trusted-proxy NETWORK names the network of the proxies, --forwarded \
    first takes the first address, --forwarded last the last that is no trusted proxy";
const SKIPPED_OPTIONS: &str = "--client FIELD names the field with the address, --time-field FIELD \
    that with the time, --by FIELD groups by any other, --log-format describes the lines";

impl ClientJudge {
    /// Counts a line whose client is known to be an address.
    #[inline]
    pub const fn count_address(&mut self) {
        self.addresses += 1;
    }

    /// Counts a line. `example` is called for the first line of each kind only, because a
    /// description takes longer than to parse the line.
    pub fn count(&mut self, resolved: Resolved, example: impl FnOnce() -> Example) {
        match resolved.client {
            Client::Address(_) => {
                self.addresses += 1;
                let doubted = match resolved.doubt {
                    None => return,
                    Some(Doubt::Peer) => &mut self.peers,
                    Some(Doubt::List) => &mut self.lists,
                };
                doubted.lines += 1;
                doubted.example.get_or_insert_with(example);
            }
            Client::NotAnAddress => {
                self.wrong += 1;
                self.wrong_example.get_or_insert_with(example);
            }
            Client::Missing => self.add_skipped(example),
        }
    }

    /// Remembers the first line that lacks something.
    pub fn add_skipped(&mut self, example: impl FnOnce() -> Example) {
        self.skipped_example.get_or_insert_with(example);
    }

    /// Whether too many lines have no address to read the rest.
    pub const fn is_hopeless(&self) -> bool {
        self.wrong >= HOPELESS && self.addresses == 0
    }

    /// Why the counts of this log would be wrong, if they would.
    pub fn objection(&self) -> Option<String> {
        let lines = self.addresses + self.wrong;
        if let Some(example) = &self.wrong_example
            && self.wrong * MAX_WRONG_SHARE > lines
        {
            let Self { wrong, .. } = self;
            return Some(format!(
                "the client is not clear: {wrong} of {lines} lines have no address in its place, \
                 such as `{}`{}",
                example.text,
                example.advice(CLIENT_OPTIONS)
            ));
        }
        if self.lists.lines * MAX_LISTED_SHARE > lines {
            return self.listed();
        }
        if self.peers.lines * 2 > lines {
            return self.peers();
        }
        None
    }

    /// How the first line that lacks something was read, and what to do.
    pub fn advice(&self, options: &str) -> String {
        let example = self.skipped_example.as_ref();
        example.map_or_else(String::new, |example| example.advice(options))
    }

    /// Why the counts may be wrong, if they may.
    pub fn warning(&self) -> Option<String> {
        let lines = self.addresses + self.wrong;
        let [lists, peers] =
            [&self.lists, &self.peers].map(|doubted| doubted.lines * MAX_DOUBTED_SHARE > lines);
        lists
            .then(|| self.listed())
            .or_else(|| peers.then(|| self.peers()))
            .flatten()
    }

    fn listed(&self) -> Option<String> {
        let example = self.lists.example.as_ref()?;
        Some(format!(
            "the client is not clear: in {} of {} lines, other addresses stand before the last \
             that is no known proxy, such as in `{}`{}",
            self.lists.lines,
            self.addresses + self.wrong,
            example.text,
            example.advice(LIST_OPTIONS)
        ))
    }

    fn peers(&self) -> Option<String> {
        let example = self.peers.example.as_ref()?;
        Some(format!(
            "the client is not clear: {} of {} lines come from an address that forwarded requests \
             of others, such as `{}`{}",
            self.peers.lines,
            self.addresses + self.wrong,
            example.text,
            example.advice(PROXY_OPTIONS)
        ))
    }

    /// What is known about lines that were skipped.
    pub fn skipped_advice(&self) -> String {
        let example = self
            .skipped_example
            .as_ref()
            .or(self.wrong_example.as_ref());
        let Some(example) = example else {
            return String::new();
        };
        format!(
            "; the first is `{}`{}",
            example.text,
            example.advice(SKIPPED_OPTIONS)
        )
    }
}

/// The names of the scalar fields of a JSON object, as paths. Fields that hold an address are
/// marked.
pub fn json_fields(text: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(value) = serde_json::from_slice(text) {
        add_fields(&value, "", &mut names);
    }
    names
}

fn add_fields(value: &serde_json::Value, path: &str, names: &mut Vec<String>) {
    use serde_json::Value;
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                add_fields(value, &below(name), names);
            }
        }
        Value::Array(elements) => {
            for (number, value) in elements.iter().enumerate() {
                add_fields(value, &below(&number.to_string()), names);
            }
        }
        Value::String(text) if super::address::parse(text.as_bytes()).is_some() => {
            names.push(format!("{path} (an address)"));
        }
        _ => names.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr};

    fn judge(addresses: u64, wrong: u64, peers: u64, lists: u64) -> ClientJudge {
        let mut judge = ClientJudge::default();
        let address = Client::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for (count, client, doubt) in [
            (addresses, address, None),
            (peers, address, Some(Doubt::Peer)),
            (lists, address, Some(Doubt::List)),
            (wrong, Client::NotAnAddress, None),
        ] {
            for _ in 0..count {
                judge.count(Resolved { client, doubt }, || {
                    Example::new("JSON", json_fields(b"{\"a\": 1}"), b"x")
                });
            }
        }
        judge
    }

    #[test]
    fn shares() {
        assert_eq!(judge(0, 0, 0, 0).objection(), None);
        assert_eq!(judge(9, 1, 0, 0).objection(), None);
        let message = judge(8, 1, 0, 0).objection().unwrap();
        for part in ["1 of 9 lines", "`x`", "JSON", "fields: a\n", "--client"] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(judge(5, 0, 5, 0).objection(), None);
        let message = judge(5, 0, 6, 0).objection().unwrap();
        assert!(message.contains("--trusted-proxy"));
        assert_eq!(judge(90, 0, 0, 10).objection(), None);
        let message = judge(89, 0, 0, 11).objection().unwrap();
        assert!(message.contains("--forwarded first"));
    }

    #[test]
    fn smaller_shares_are_warned_of() {
        assert_eq!(judge(99, 0, 1, 0).warning(), None);
        assert_eq!(judge(99, 0, 0, 1).warning(), None);
        let message = judge(98, 0, 2, 0).warning().unwrap();
        assert!(message.contains("2 of 100 lines"), "{message}");
        let message = judge(98, 0, 0, 2).warning().unwrap();
        assert!(message.contains("2 of 100 lines"), "{message}");
    }

    #[test]
    fn fields_are_paths() {
        let text = br#"{"a": {"b": ["203.0.113.5:1", 2]}, "c": null}"#;
        assert_eq!(json_fields(text), ["a.b.0 (an address)", "a.b.1", "c"]);
        assert_eq!(json_fields(b"x"), [""; 0]);
    }
}
