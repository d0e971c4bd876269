//! Logs of one JSON object per line: only the fields that are asked for are looked at, without a tree of the line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Which fields are looked for: each group is names for the same thing, the preferred first.
///
/// A name with dots is a path into nested objects, or a name with dots, at any level: `http.path` is found in
/// `{"http": {"path": ..}}` and in `{"http.path": ..}`.
#[derive(Debug)]
pub struct Wanted {
    names: Vec<String>,
    /// How many of the names are the time's; the rest are the key's.
    times: usize,
}

/// What a line says: the values' texts, of strings without their quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found<'a> {
    /// The time.
    pub time: Option<Cow<'a, str>>,
    /// The key; absent if the field is missing, null, or not a single value.
    pub key: Option<Cow<'a, str>>,
}

impl Wanted {
    /// Names for the time, and names for the key.
    pub fn new(times: &[&str], keys: &[&str]) -> Self {
        Self {
            names: times.iter().chain(keys).map(ToString::to_string).collect(),
            times: times.len(),
        }
    }

    /// The fields of a line.
    ///
    /// # Errors
    ///
    /// If the line is no JSON object.
    pub fn find<'a>(&self, line: &'a [u8]) -> Result<Found<'a>, &'static str> {
        let mut best = Best {
            wanted: self,
            time: None,
            key: None,
        };
        // Only what is looked at has to be UTF-8.
        let mut reader = serde_json::Deserializer::from_slice(line);
        let level = Level {
            best: &mut best,
            prefix: "",
        };
        level
            .deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|_| "not a JSON object")?;
        Ok(Found {
            time: best.time.and_then(|(_, raw)| text(raw)),
            key: best.key.and_then(|(_, raw)| text(raw)),
        })
    }
}

/// The most preferred values so far, with the numbers of their names.
struct Best<'w, 'a> {
    wanted: &'w Wanted,
    time: Option<(usize, &'a RawValue)>,
    key: Option<(usize, &'a RawValue)>,
}

impl<'a> Best<'_, 'a> {
    fn offer(&mut self, index: usize, value: &'a RawValue) {
        let place = if index < self.wanted.times {
            &mut self.time
        } else {
            &mut self.key
        };
        // Of a field that is there twice the last counts, as in most readers.
        if place.is_none_or(|(best, _)| index <= best) {
            *place = Some((index, value));
        }
    }
}

/// An object: `prefix` is the path to it, with a dot behind, or nothing.
struct Level<'b, 'w, 'a, 'p> {
    best: &'b mut Best<'w, 'a>,
    prefix: &'p str,
}

/// What a field's name leads to.
enum Match {
    /// To nothing that is wanted.
    Other,
    /// To these names (bits of their numbers), and perhaps to an object with more.
    Some { exact: u64, deeper: bool },
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { best, prefix } = self;
        let mut name = String::new();
        loop {
            let seed = Name {
                wanted: best.wanted,
                prefix,
                kept: &mut name,
            };
            let Some(found) = map.next_key_seed(seed)? else {
                return Ok(());
            };
            let Match::Some { exact, deeper } = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &'de RawValue = map.next_value()?;
            for index in (0..64).filter(|index| exact & (1 << index) != 0) {
                best.offer(index, value);
            }
            if deeper && value.get().starts_with('{') {
                let prefix = format!("{prefix}{name}.");
                let level = Level {
                    best,
                    prefix: &prefix,
                };
                let mut reader = serde_json::Deserializer::from_str(value.get());
                level
                    .deserialize(&mut reader)
                    .map_err(serde::de::Error::custom)?;
            }
        }
    }
}

/// A field's name, which is compared where it stands.
struct Name<'w, 'p, 'k> {
    wanted: &'w Wanted,
    prefix: &'p str,
    kept: &'k mut String,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_, '_> {
    type Value = Match;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Match, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_, '_> {
    type Value = Match;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Match, E> {
        let (mut exact, mut deeper) = (0, false);
        // What is looked into gets no deeper than the names have dots.
        for (index, wanted) in self.wanted.names.iter().enumerate().take(64) {
            let rest = wanted
                .strip_prefix(self.prefix)
                .and_then(|rest| rest.strip_prefix(name));
            match rest {
                Some("") => exact |= 1 << index,
                Some(rest) if rest.starts_with('.') => deeper = true,
                _ => {}
            }
        }
        if exact == 0 && !deeper {
            return Ok(Match::Other);
        }
        self.kept.clear();
        self.kept.push_str(name);
        Ok(Match::Some { exact, deeper })
    }
}

/// A single value as text; nothing for null, objects and arrays.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = raw.get(1..raw.len().checked_sub(1)?)?;
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                return Some(Cow::Borrowed(inner));
            }
            serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(keys: &[&str], line: &str) -> (Option<String>, Option<String>) {
        let wanted = Wanted::new(&["time", "ts"], keys);
        let found = wanted.find(line.as_bytes()).unwrap();
        (
            found.time.map(Cow::into_owned),
            found.key.map(Cow::into_owned),
        )
    }

    #[test]
    fn fields() {
        let some = |text: &str| Some(text.to_owned());
        let line = r#"{"ts": 1.5, "http": {"path": "/a\u0041", "x": {}}, "http.host": "h", "time": "now", "n": null}"#;
        assert_eq!(find(&["http.path"], line), (some("now"), some("/aA")));
        assert_eq!(find(&["http.host"], line).1, some("h"));
        assert_eq!(find(&["http", "ts"], line), (some("now"), None));
        assert_eq!(find(&["n"], line).1, None);
        assert_eq!(find(&["ts"], line).1, some("1.5"));
        assert_eq!(
            find(&["a"], r#"{"a": true, "ts": [1]}"#),
            (None, some("true"))
        );
    }

    #[test]
    fn not_objects() {
        let wanted = Wanted::new(&["time"], &["a.b"]);
        for line in [
            "",
            "{",
            "[]",
            "1",
            "{} x",
            r#"{"a": {"b": }}"#,
            "{\"a.b\": \"\u{1}\"}",
        ] {
            assert_eq!(
                wanted.find(line.as_bytes()),
                Err("not a JSON object"),
                "{line}"
            );
        }
        assert!(wanted.find(b"{\"a.b\": \"\xff\"}").is_err());
    }
}
