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
    /// The names (bits of their numbers) that begin with each byte, so that most fields are passed over at once.
    begin: Box<[u64; 256]>,
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
        let names = times.iter().chain(keys).map(ToString::to_string);
        let names: Vec<String> = names.take(64).collect();
        let mut begin = Box::new([0; 256]);
        for (index, name) in names.iter().enumerate() {
            if let Some(first) = name.bytes().next() {
                begin[usize::from(first)] |= 1 << index;
            }
        }
        Self {
            names,
            begin,
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
            names: u64::MAX,
            begin: 0,
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

/// An object, and the names that may be found in it.
struct Level<'b, 'w, 'a> {
    best: &'b mut Best<'w, 'a>,
    /// Bits of their numbers.
    names: u64,
    /// Where what is left of each begins: all have led here through the same fields.
    begin: usize,
}

/// What a field's name leads to.
enum Match {
    /// To nothing that is wanted.
    Other,
    /// To these names, and perhaps to an object with those (bits of their numbers), which begin there.
    Some {
        exact: u64,
        deeper: u64,
        begin: usize,
    },
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { best, names, begin } = self;
        loop {
            let seed = Name {
                wanted: best.wanted,
                names,
                begin,
            };
            let Some(found) = map.next_key_seed(seed)? else {
                return Ok(());
            };
            let Match::Some {
                exact,
                deeper,
                begin,
            } = found
            else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &'de RawValue = map.next_value()?;
            for index in numbers(exact) {
                best.offer(index, value);
            }
            if deeper != 0 && value.get().starts_with('{') {
                let level = Level {
                    best,
                    names: deeper,
                    begin,
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
struct Name<'w> {
    wanted: &'w Wanted,
    names: u64,
    begin: usize,
}

/// The numbers whose bits are set.
fn numbers(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let number = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        number
    })
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Match;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Match, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Match;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Match, E> {
        let (mut exact, mut deeper) = (0, 0);
        let mut names = self.names;
        if self.begin == 0 {
            let first = name.bytes().next();
            names &= first.map_or(0, |first| self.wanted.begin[usize::from(first)]);
        }
        for index in numbers(names) {
            let Some(wanted) = self.wanted.names.get(index) else {
                break;
            };
            // What follows a dot, so at a character's beginning.
            let rest = wanted
                .get(self.begin..)
                .and_then(|rest| rest.strip_prefix(name));
            match rest {
                Some("") => exact |= 1 << index,
                Some(rest) if rest.starts_with('.') => deeper |= 1 << index,
                _ => {}
            }
        }
        if exact == 0 && deeper == 0 {
            return Ok(Match::Other);
        }
        Ok(Match::Some {
            exact,
            deeper,
            begin: self.begin + name.len() + 1,
        })
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
