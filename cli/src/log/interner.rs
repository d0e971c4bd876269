//! Maps keys to numbers, so that an event carries four bytes instead of a text.

use ahash::RandomState;
use hashbrown::HashTable;

/// The keys of a log, numbered from 0 in the order in which they first appear.
///
/// Each run seeds the hash anew, so a log cannot be crafted to make keys collide.
#[derive(Debug, Default)]
pub struct KeyInterner {
    hasher: RandomState,
    numbers: HashTable<u32>,
    keys: Texts,
}

/// Texts in one allocation. One allocation per text would take 30 more bytes for each.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(text);
    }

    fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let end = self.starts.get(number + 1).copied();
        &self.bytes[self.starts[number]..end.unwrap_or(self.bytes.len())]
    }
}

impl KeyInterner {
    /// Returns the number of a known key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let is_key = |number: &u32| self.keys.get(*number) == key;
        self.numbers.find(hash, is_key).copied()
    }

    /// Returns the number of a key, or `None` if there are 2³² other keys.
    #[inline]
    pub fn intern(&mut self, key: &[u8]) -> Option<u32> {
        let Self {
            hasher,
            numbers,
            keys,
        } = self;
        let hash = hasher.hash_one(key);
        if let Some(number) = numbers.find(hash, |number| keys.get(*number) == key) {
            return Some(*number);
        }
        let number = u32::try_from(keys.starts.len()).ok()?;
        keys.push(key);
        numbers.insert_unique(hash, number, |number| hasher.hash_one(keys.get(*number)));
        Some(number)
    }

    /// The number of keys.
    pub const fn len(&self) -> usize {
        self.keys.starts.len()
    }

    /// Whether there are no keys.
    pub const fn is_empty(&self) -> bool {
        self.keys.starts.is_empty()
    }

    /// The text of a key. Invalid UTF-8 is replaced by `U+FFFD`.
    ///
    /// # Panics
    ///
    /// If [`intern`](Self::intern) did not return `number`.
    pub fn text(&self, number: u32) -> String {
        String::from_utf8_lossy(self.keys.get(number)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable() {
        let mut keys = KeyInterner::default();
        for round in 0..2 {
            for i in 0..1_000_u32 {
                assert_eq!(keys.intern(i.to_string().as_bytes()), Some(i), "{round}");
            }
        }
        assert_eq!(keys.intern(b"\xff"), Some(1_000));
        assert_eq!(keys.intern(b""), Some(1_001));
        assert_eq!(keys.len(), 1_002);
        assert_eq!((keys.find(b"7"), keys.find(b"x")), (Some(7), None));
        let texts = [0, 999, 1_000, 1_001].map(|number| keys.text(number));
        assert_eq!(texts, ["0", "999", "\u{fffd}", ""]);
    }
}
