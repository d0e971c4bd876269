//! The names of buckets on the server.
//!
//! All keys of one call have one hash tag, so that a cluster has them on one node: `prefix:{name}` for a bucket,
//! `prefix:{name}:limit` for one of several, `prefix:name:{key}` and `prefix:name:{key}:limit` for those of tables. What would end
//! a tag or a part of a name is escaped, so that no two names are the same key.

/// Where a call's keys are.
#[derive(Clone, Debug)]
pub(crate) struct BaseKey {
    head: Vec<u8>,
    /// The part of a cluster that it is in.
    #[cfg(feature = "cluster")]
    slot: u16,
}

impl BaseKey {
    /// The place of one name, or of a key in a table of that name.
    pub(crate) fn new(prefix: &str, name: &str, key: Option<&[u8]>) -> Self {
        let mut head =
            Vec::with_capacity(prefix.len() + name.len() + key.map_or(0, <[u8]>::len) + 4);
        escape(&mut head, prefix.as_bytes(), true);
        head.push(b':');
        let tag = match key {
            None => name.as_bytes(),
            Some(key) => {
                escape(&mut head, name.as_bytes(), false);
                head.push(b':');
                key
            }
        };
        head.push(b'{');
        let start = head.len();
        escape(&mut head, tag, true);
        if head.len() == start {
            // An empty tag is none.
            head.push(b'%');
        }
        #[cfg(feature = "cluster")]
        let slot = crc16::State::<crc16::XMODEM>::calculate(&head[start..]) % 16_384;
        head.push(b'}');
        Self {
            head,
            #[cfg(feature = "cluster")]
            slot,
        }
    }

    /// The key of one of its limits.
    pub(crate) fn key(&self, limit: Option<&str>) -> Vec<u8> {
        let mut key = self.head.clone();
        if let Some(limit) = limit {
            key.push(b':');
            key.extend_from_slice(limit.as_bytes());
        }
        key
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    #[cfg(feature = "cluster")]
    pub(crate) const fn slot(&self) -> u16 {
        self.slot
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_self, reason = "in a cluster it depends on it")]
    pub(crate) const fn slot(&self) -> u16 {
        0
    }
}

/// `%`, braces and, unless it is the last part, `:` as `%XX`.
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
        let place = BaseKey::new("tidegate", name, key.map(str::as_bytes));
        String::from_utf8(place.key(limit)).unwrap()
    }

    #[test]
    fn names_are_tags() {
        assert_eq!(text("uploads", None, None), "tidegate:{uploads}");
        assert_eq!(text("llm", None, Some("tokens")), "tidegate:{llm}:tokens");
        assert_eq!(text("user", Some("42"), None), "tidegate:user:{42}");
        assert_eq!(
            text("user", Some("a:b"), Some("day")),
            "tidegate:user:{a:b}:day"
        );
    }

    #[test]
    fn no_two_names_are_one_key() {
        assert_eq!(text("user", Some(""), None), "tidegate:user:{%}");
        assert_eq!(text("user", Some("%"), None), "tidegate:user:{%25}");
        assert_eq!(text("user", Some("}:x{"), None), "tidegate:user:{%7D:x%7B}");
        assert_ne!(text("a:b", Some("c"), None), text("a", Some("b:{c"), None));
        assert_ne!(text("a", None, Some("b}")), text("a}:b", None, None));
    }
}
