//! Maps keys to numbers, so that an event carries four bytes instead of a text.

use ahash::RandomState;
use indexmap::IndexSet;

/// The keys of a log, numbered from 0 in the order in which they first appear.
///
/// Each run seeds the hash anew, so a log cannot be crafted to make keys collide.
#[derive(Debug, Default)]
pub struct KeyInterner(IndexSet<Box<[u8]>, RandomState>);

impl KeyInterner {
    /// Returns the number of a key, or `None` if there are 2³² other keys.
    pub fn intern(&mut self, key: &[u8]) -> Option<u32> {
        if let Some(number) = self.0.get_index_of(key) {
            return u32::try_from(number).ok();
        }
        let number = u32::try_from(self.0.len()).ok()?;
        self.0.insert(key.into());
        Some(number)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of a key. Invalid UTF-8 is replaced by `U+FFFD`.
    ///
    /// # Panics
    ///
    /// If [`intern`](Self::intern) did not return `number`.
    pub fn text(&self, number: u32) -> String {
        String::from_utf8_lossy(&self.0[number as usize]).into_owned()
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
        let texts = [0, 999, 1_000, 1_001].map(|number| keys.text(number));
        assert_eq!(texts, ["0", "999", "\u{fffd}", ""]);
    }
}
