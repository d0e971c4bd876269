//! Finds fields in JSON objects, without building a tree of the object.
//!
//! The lines of a log mostly have the same names in the same order. So the finder remembers what
//! each name of the last line meant, and a name costs one comparison.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Found, Roles, WantedFields};
use super::names::normal;

/// The most names of one object that are remembered. Objects with names such as session numbers
/// would fill the memory.
const MAX_NAMES: usize = 256;
/// How deep wanted fields may be nested.
const MAX_DEPTH: usize = 8;

/// Finds wanted fields in objects.
///
/// A name with dots is a path into nested objects, or a name with dots, at any level: `http.path`
/// matches `{"http": {"path": ..}}` and `{"http.path": ..}`. A number selects an element of an
/// array. An array of one element counts as that element, and an array of texts as a list.
#[derive(Debug)]
pub struct JsonFinder {
    wanted: WantedFields,
    top: Object,
}

/// The known names of an object.
#[derive(Debug, Default)]
struct Object {
    /// The path to the object with a dot at its end, as it is written and in its normal form.
    path: [String; 2],
    depth: usize,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    roles: Roles,
    /// The object or array, if a wanted field may be nested below this one.
    below: Option<Box<Object>>,
}

impl JsonFinder {
    /// Finds these fields.
    pub fn new(wanted: WantedFields) -> Self {
        Self {
            wanted,
            top: Object::default(),
        }
    }

    /// Returns the wanted fields of an object.
    ///
    /// # Errors
    ///
    /// If the text is not a JSON object. Fields that are not wanted need not be UTF-8.
    pub fn find<'a>(&mut self, text: &'a [u8]) -> Result<Found<'a>, &'static str> {
        let mut found = Found::default();
        let mut json = serde_json::Deserializer::from_slice(text);
        let reader = ObjectReader {
            wanted: &self.wanted,
            object: &mut self.top,
            found: &mut found,
            is_top: true,
        };
        let read = reader.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|_| "not a JSON object")?;
        Ok(found)
    }
}

impl Object {
    /// The index of a field, which is mostly `expected`.
    fn index(&mut self, name: &str, expected: usize, wanted: &WantedFields) -> usize {
        if self
            .fields
            .get(expected)
            .is_some_and(|field| field.name == name)
        {
            return expected;
        }
        if let Some(index) = self.fields.iter().position(|field| field.name == name) {
            return index;
        }
        if self.fields.len() >= MAX_NAMES {
            self.fields.clear();
        }
        let written = format!("{}{name}", self.path[0]);
        let plain = format!("{}{}", self.path[1], normal(name));
        let is_above = self.depth < MAX_DEPTH && wanted.is_above(&written, &plain);
        self.fields.push(Field {
            name: name.to_owned(),
            roles: wanted.roles(&written, &plain),
            below: is_above.then(|| {
                Box::new(Self {
                    path: [written + ".", plain + "."],
                    depth: self.depth + 1,
                    fields: Vec::new(),
                })
            }),
        });
        self.fields.len() - 1
    }
}

/// Reads an object or an array into `found`.
struct ObjectReader<'r, 'a> {
    wanted: &'r WantedFields,
    object: &'r mut Object,
    found: &'r mut Found<'a>,
    /// The top must be an object. Below it, other values have no wanted fields.
    is_top: bool,
}

impl<'a> ObjectReader<'_, 'a> {
    /// Reads the value of the field with this index.
    fn value<E>(
        &mut self,
        index: usize,
        next: impl FnOnce(Next<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let field = &mut self.object.fields[index];
        match (&mut field.below, field.roles.is_any()) {
            (None, false) => next(Next::Ignored),
            (Some(below), false) => next(Next::Below(ObjectReader {
                wanted: self.wanted,
                object: below,
                found: self.found,
                is_top: false,
            })),
            (below, true) => {
                let mut raw = None;
                next(Next::Raw(&mut raw))?;
                let Some(raw) = raw else { return Ok(()) };
                if let Some(text) = text(raw) {
                    field.roles.assign(self.found, &text);
                }
                if let Some(below) = below {
                    let reader = ObjectReader {
                        wanted: self.wanted,
                        object: below,
                        found: self.found,
                        is_top: false,
                    };
                    // The value was valid JSON, so this does not fail.
                    let _ = reader.deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
                }
                Ok(())
            }
        }
    }
}

/// How the next value is read.
enum Next<'r, 'a> {
    Ignored,
    Below(ObjectReader<'r, 'a>),
    Raw(&'r mut Option<&'a RawValue>),
}

impl<'a> DeserializeSeed<'a> for ObjectReader<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.is_top {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'a> Visitor<'a> for ObjectReader<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        loop {
            let name = NameReader {
                wanted: self.wanted,
                object: self.object,
                expected,
            };
            let Some(index) = map.next_key_seed(name)? else {
                return Ok(());
            };
            expected = index + 1;
            self.value(index, |next| match next {
                Next::Ignored => map.next_value::<IgnoredAny>().map(drop),
                Next::Below(reader) => map.next_value_seed(reader),
                Next::Raw(raw) => map.next_value().map(|value| *raw = Some(value)),
            })?;
        }
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<(), A::Error> {
        for number in 0.. {
            let index = self.object.index(&number.to_string(), number, self.wanted);
            let mut is_end = false;
            self.value(index, |next| {
                let read = match next {
                    Next::Ignored => seq.next_element::<IgnoredAny>()?.map(drop),
                    Next::Below(reader) => seq.next_element_seed(reader)?,
                    Next::Raw(raw) => seq.next_element()?.map(|value| *raw = Some(value)),
                };
                is_end = read.is_none();
                Ok(())
            })?;
            if is_end {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a name and returns the index of its field.
struct NameReader<'r> {
    wanted: &'r WantedFields,
    object: &'r mut Object,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for NameReader<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameReader<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(self.object.index(name, self.expected, self.wanted))
    }
}

/// Returns a value as text, an array of texts as a list, and `None` for null and other values.
fn text(value: &RawValue) -> Option<Cow<'_, [u8]>> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                return Some(Cow::Borrowed(inner.as_bytes()));
            }
            let text: String = serde_json::from_str(raw).ok()?;
            Some(Cow::Owned(text.into_bytes()))
        }
        b'[' => {
            // The journal writes a message that is not UTF-8 as its bytes.
            if let Ok(bytes) = serde_json::from_str::<Vec<u8>>(raw)
                && bytes.len() > 1
            {
                return Some(Cow::Owned(bytes));
            }
            let elements =
                Vec::<&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(raw));
            let elements = elements.ok()?;
            let texts = elements
                .into_iter()
                .map(|element| match element.get().as_bytes() {
                    [b'[' | b'{' | b'n', ..] => None,
                    _ => text(element),
                });
            let texts = texts.collect::<Option<Vec<_>>>()?;
            (!texts.is_empty()).then(|| Cow::Owned(texts.join(&b", "[..])))
        }
        b'{' | b'n' => None,
        _ => Some(Cow::Borrowed(raw.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::group_by::GroupBy;

    fn find(by: &str, time: Option<&str>, line: &str) -> (String, String) {
        let by: GroupBy = by.parse().unwrap();
        let wanted = WantedFields::new(by, None, time.map(str::to_owned));
        let mut finder = JsonFinder::new(wanted);
        let mut read = || {
            let found = finder.find(line.as_bytes()).unwrap();
            let owned = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
            (owned(found.time.text()), owned(found.key.text()))
        };
        let first = read();
        assert_eq!(read(), first, "what was learned changes nothing");
        first
    }

    #[test]
    fn fields() {
        let line = r#"{"ts": 1431857103.5, "http": {"path": "/a\u0041", "x": {}}, "http.host": "h",
                       "time": "now", "n": null, "list": ["a", "b"], "one": [["c"], 7]}"#;
        for (by, key) in [
            ("http.path", "/aA"),
            ("http.host", "h"),
            ("http", ""),
            ("n", ""),
            ("x", ""),
            ("ts", "1431857103.5"),
            ("list", "a, b"),
            ("list.1", "b"),
            ("list.2", ""),
            ("one.0", "c"),
            ("one.0.0", "c"),
            ("one.1", "7"),
            ("one", ""),
        ] {
            assert_eq!(
                find(by, None, line),
                ("now".to_owned(), key.to_owned()),
                "{by}"
            );
        }
        assert_eq!(find("http", Some("ts"), line).0, "1431857103.5");
        let repeated = r#"{"a": true, "ts": [], "a": {"b": 1}, "a.b": 2, "a.b": 3}"#;
        assert_eq!(find("a.b", None, repeated), (String::new(), "3".to_owned()));
        assert_eq!(find("a", None, r#"{"a": 1, "a": true}"#).1, "true");
    }

    #[test]
    fn durations_are_not_times() {
        let line = r#"{"time": 0.039, "date": 1431857103.5, "ms": 39}"#;
        assert_eq!(find("none", None, line).0, "1431857103.5");
        assert_eq!(find("none", Some("time"), line).0, "0.039");
    }

    #[test]
    fn names_in_another_order() {
        let wanted = WantedFields::new(GroupBy::Field("k".to_owned()), None, None);
        let mut finder = JsonFinder::new(wanted);
        for (line, key) in [
            (r#"{"a": 1, "k": 2, "ts": 3}"#, "2"),
            (r#"{"ts": 1, "k": 4}"#, "4"),
            (r#"{"new": 1, "a": {"k": 0}, "k": 5}"#, "5"),
            (r#"{"a": 1}"#, ""),
        ] {
            let found = finder.find(line.as_bytes()).unwrap();
            assert_eq!(found.key.text(), key.as_bytes(), "{line}");
        }
        for number in 0..2_000 {
            let line = format!("{{\"{number}\": 1, \"k\": {number}}}");
            let found = finder.find(line.as_bytes()).unwrap();
            assert_eq!(found.key.text(), number.to_string().as_bytes());
        }
        assert!(finder.top.fields.len() <= MAX_NAMES);
    }

    #[test]
    fn invalid_objects() {
        let wanted = WantedFields::new(GroupBy::Field("a.b".to_owned()), None, None);
        let mut finder = JsonFinder::new(wanted);
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
            assert_eq!(found.err(), Some("not a JSON object"), "{line}");
        }
        assert!(finder.find(b"{\"a.b\": \"\xff\"}").is_err());
        assert!(finder.find(b"{\"b\": \"\xff\"}").is_ok());
        assert!(finder.find(b"{\"at\": \"\xff\"}").is_ok());
    }
}
