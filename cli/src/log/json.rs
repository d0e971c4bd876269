//! Finds fields in JSON logs with one object per line, without building a tree of the line.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields that hold the time and the key: alternative names, the preferred first.
///
/// A name with dots is a path into nested objects, or a field name with dots, at any level:
/// `http.path` matches `{"http": {"path": ..}}` and `{"http.path": ..}`.
#[derive(Debug)]
pub struct FieldFinder {
    time: Vec<String>,
    key: Vec<String>,
    /// Whether a name begins with each byte. Most fields are skipped by this test.
    first_bytes: Box<[bool; 256]>,
}

/// The values of a line as text, strings without their quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FoundFields<'a> {
    /// The time.
    pub time: Option<Cow<'a, str>>,
    /// The key; `None` if the field is missing, null, an object or an array.
    pub key: Option<Cow<'a, str>>,
}

impl FieldFinder {
    /// Finds the time and the key under these names.
    pub fn new(time: &[&str], key: &[&str]) -> Self {
        let mut first_bytes = Box::new([false; 256]);
        for first in time
            .iter()
            .chain(key)
            .filter_map(|name| name.bytes().next())
        {
            first_bytes[usize::from(first)] = true;
        }
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            time: owned(time),
            key: owned(key),
            first_bytes,
        }
    }

    /// Returns the fields of a line. Only the fields under the given names must be UTF-8.
    ///
    /// # Errors
    ///
    /// If the line is not a JSON object.
    pub fn find<'a>(&self, line: &'a [u8]) -> Result<FoundFields<'a>, &'static str> {
        let mut json = serde_json::Deserializer::from_slice(line);
        let fields = FieldsSeed(Some(&self.first_bytes)).deserialize(&mut json);
        let fields = fields.and_then(|fields| json.end().map(|()| fields));
        let fields = fields.map_err(|_| "not a JSON object")?;
        let find = |names: &[String]| names.iter().find_map(|name| lookup(&fields, name));
        Ok(FoundFields {
            time: find(&self.time).and_then(scalar_text),
            key: find(&self.key).and_then(scalar_text),
        })
    }
}

type Fields<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Finds a field by its path. Of repeated fields the last counts, as in most parsers.
fn lookup<'a>(fields: &Fields<'a>, path: &str) -> Option<&'a RawValue> {
    let mut latest_first = fields.iter().rev();
    latest_first.find_map(|(name, value)| match path.strip_prefix(&**name)? {
        "" => Some(*value),
        rest => {
            let rest = rest.strip_prefix('.')?;
            let mut json = serde_json::Deserializer::from_str(value.get());
            lookup(&FieldsSeed(None).deserialize(&mut json).ok()?, rest)
        }
    })
}

/// Collects the fields of an object whose name begins with one of these bytes, or all fields.
struct FieldsSeed<'w>(Option<&'w [bool; 256]>);

/// A field name, borrowed from the line unless it contains escapes.
#[derive(Deserialize)]
struct FieldName<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(FieldName(name)) = map.next_key()? {
            let first = name.bytes().next();
            if first.is_some_and(|first| self.0.is_none_or(|bytes| bytes[usize::from(first)])) {
                fields.push((name, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(fields)
    }
}

/// Returns a scalar as text, and `None` for null, objects and arrays.
fn scalar_text(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                return Some(Cow::Borrowed(inner));
            }
            serde_json::from_str(raw).ok().map(Cow::Owned)
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(keys: &[&str], line: &str) -> (Option<String>, Option<String>) {
        let finder = FieldFinder::new(&["time", "ts"], keys);
        let found = finder.find(line.as_bytes()).unwrap();
        let owned = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
        (owned(found.time), owned(found.key))
    }

    #[test]
    fn fields() {
        let some = |text: &str| Some(text.to_owned());
        let line = r#"{"ts": 1.5, "http": {"path": "/a\u0041", "x": {}}, "http.host": "h",
                       "time": "now", "n": null}"#;
        assert_eq!(find(&["http.path"], line), (some("now"), some("/aA")));
        assert_eq!(find(&["http.host"], line).1, some("h"));
        assert_eq!(find(&["http", "ts"], line), (some("now"), None));
        assert_eq!(find(&["n"], line).1, None);
        assert_eq!(find(&["n", "ts"], line).1, None, "null is found first");
        assert_eq!(find(&["x", "ts"], line).1, some("1.5"));
        let repeated = r#"{"a": true, "ts": [1], "a": {"b": 1}, "a.b": 2, "a.b": 3}"#;
        assert_eq!(find(&["a.b"], repeated), (None, some("3")));
        assert_eq!(find(&["a"], r#"{"a": 1, "a": true}"#).1, some("true"));
    }

    #[test]
    fn invalid_objects() {
        let finder = FieldFinder::new(&["time"], &["a.b"]);
        for line in [
            "",
            "{",
            "[]",
            "1",
            "{} x",
            r#"{"a": {"b": }}"#,
            "{\"a.b\": \"\u{1}\"}",
        ] {
            let found = finder.find(line.as_bytes());
            assert_eq!(found, Err("not a JSON object"), "{line}");
        }
        assert!(finder.find(b"{\"a.b\": \"\xff\"}").is_err());
        assert!(finder.find(b"{\"b\": \"\xff\"}").is_ok());
    }
}
