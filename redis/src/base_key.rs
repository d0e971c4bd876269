//! The names of buckets on the server.
//!
//! All keys of one call share a hash tag, so that a cluster keeps them on one node:
//!
//! * `prefix:{name}` is a bucket, and `prefix:{name}:limit` one limit of a combination;
//! * `prefix:name:{key}` and `prefix:name:{key}:limit` are the same for a key of a table.
//!
//! Characters that would end a tag or a part of a name are escaped, so two names never share a key.

/// The common start of all keys of one call.
#[derive(Clone, Debug)]
pub(crate) struct BaseKey {
    bytes: Vec<u8>,
    slot: u16,
}

impl BaseKey {
    /// The base key of a name, or of a key in the table of that name.
    pub(crate) fn new(prefix: &str, name: &str, key: Option<&[u8]>) -> Self {
        let length = prefix.len() + name.len() + key.map_or(0, <[u8]>::len) + 4;
        let mut bytes = Vec::with_capacity(length);
        escape(&mut bytes, prefix.as_bytes(), true);
        bytes.push(b':');
        let tag = key.unwrap_or(name.as_bytes());
        if key.is_some() {
            escape(&mut bytes, name.as_bytes(), false);
            bytes.push(b':');
        }
        bytes.push(b'{');
        let start = bytes.len();
        escape(&mut bytes, tag, true);
        if bytes.len() == start {
            // Redis ignores an empty tag and would hash the whole key.
            bytes.push(b'%');
        }
        let slot = slot(&bytes[start..]);
        bytes.push(b'}');
        Self { bytes, slot }
    }

    /// The base key of a key as the server has it.
    pub(crate) fn of_stored(key: &[u8]) -> Self {
        // As a cluster finds the tag: between the first `{` and the next `}`, if that is not empty.
        let tag = key.iter().position(|byte| *byte == b'{').and_then(|start| {
            let rest = &key[start + 1..];
            let end = rest.iter().position(|byte| *byte == b'}')?;
            (end > 0).then_some(&rest[..end])
        });
        Self {
            bytes: key.to_vec(),
            slot: slot(tag.unwrap_or(key)),
        }
    }

    /// Returns the key of one limit; `None` is a bucket without a limit name.
    pub(crate) fn limit_key(&self, limit: Option<&str>) -> Vec<u8> {
        let mut key = self.bytes.clone();
        if let Some(limit) = limit {
            key.push(b':');
            key.extend_from_slice(limit.as_bytes());
        }
        key
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The cluster slot of the keys; 0 without the feature `cluster`.
    pub(crate) const fn slot(&self) -> u16 {
        self.slot
    }
}

#[cfg(feature = "cluster")]
fn slot(tag: &[u8]) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(tag) % 16_384
}

#[cfg(not(feature = "cluster"))]
const fn slot(_tag: &[u8]) -> u16 {
    0
}

/// The prefix as keys have it.
pub(crate) fn escaped_prefix(prefix: &str) -> Vec<u8> {
    let mut escaped = Vec::new();
    escape(&mut escaped, prefix.as_bytes(), true);
    escaped
}

/// Appends text with `%`, braces and, unless it is the last part of a name, `:` as `%XX`.
fn escape(into: &mut Vec<u8>, text: &[u8], last: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if matches!(byte, b'%' | b'{' | b'}') || (byte == b':' && !last) {
            let digit = |nibble: u8| DIGITS[usize::from(nibble)];
            into.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            into.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, key: Option<&str>, limit: Option<&str>) -> String {
        let base = BaseKey::new("tidegate", name, key.map(str::as_bytes));
        String::from_utf8(base.limit_key(limit)).unwrap()
    }

    #[test]
    fn name_or_key_is_the_hash_tag() {
        assert_eq!(text("uploads", None, None), "tidegate:{uploads}");
        assert_eq!(text("llm", None, Some("tokens")), "tidegate:{llm}:tokens");
        assert_eq!(text("user", Some("42"), None), "tidegate:user:{42}");
        assert_eq!(
            text("user", Some("a:b"), Some("day")),
            "tidegate:user:{a:b}:day"
        );
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn stored_keys_have_the_slots_of_their_names() {
        for (name, key) in [("uploads", None), ("user", Some("a:b")), ("user", Some(""))] {
            let base = BaseKey::new("tidegate", name, key.map(str::as_bytes));
            for limit in [None, Some("day"), Some("{x}")] {
                let stored = BaseKey::of_stored(&base.limit_key(limit));
                assert_eq!(stored.slot(), base.slot(), "{name} {key:?} {limit:?}");
            }
        }
    }

    #[test]
    fn different_names_have_different_keys() {
        assert_eq!(text("user", Some(""), None), "tidegate:user:{%}");
        assert_eq!(text("user", Some("%"), None), "tidegate:user:{%25}");
        assert_eq!(text("user", Some("}:x{"), None), "tidegate:user:{%7D:x%7B}");
        assert_ne!(text("a:b", Some("c"), None), text("a", Some("b:{c"), None));
        assert_ne!(text("a", None, Some("b}")), text("a}:b", None, None));
    }
}
