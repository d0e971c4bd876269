//! Keys as numbers: each text is kept once, and events carry four bytes.

use ahash::RandomState;
use hashbrown::HashTable;

/// The keys of a log, numbered from 0 in the order in which they come.
#[derive(Debug, Default)]
pub struct Keys {
    /// Seeded anew in each run, so that no log can be written against it.
    hasher: RandomState,
    table: HashTable<u32>,
    /// All texts, one behind the other: one allocation instead of one for each.
    texts: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

fn text<'a>(texts: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = match number.checked_sub(1) {
        Some(before) => ends[before],
        None => 0,
    };
    &texts[start..ends[number]]
}

impl Keys {
    /// The number of a key, or nothing if there are 2³² others.
    pub fn number(&mut self, key: &[u8]) -> Option<u32> {
        let Self {
            hasher,
            table,
            texts,
            ends,
        } = self;
        let hash = hasher.hash_one(key);
        if let Some(number) = table.find(hash, |number| text(texts, ends, *number) == key) {
            return Some(*number);
        }
        let number = u32::try_from(ends.len()).ok()?;
        texts.extend_from_slice(key);
        ends.push(texts.len());
        table.insert_unique(hash, number, |number| {
            hasher.hash_one(text(texts, ends, *number))
        });
        Some(number)
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of a key; what is not UTF-8 becomes `U+FFFD`.
    ///
    /// # Panics
    ///
    /// If [`number`](Self::number) gave no such number.
    pub fn text(&self, number: u32) -> String {
        String::from_utf8_lossy(text(&self.texts, &self.ends, number)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay() {
        let mut keys = Keys::default();
        for round in 0..2 {
            for i in 0..1_000_u32 {
                assert_eq!(keys.number(i.to_string().as_bytes()), Some(i), "{round}");
            }
        }
        assert_eq!(keys.len(), 1_000);
        assert_eq!(keys.text(0), "0");
        assert_eq!(keys.text(999), "999");
        assert_eq!(keys.number(b"\xff"), Some(1_000));
        assert_eq!(keys.text(1_000), "\u{fffd}");
        assert_eq!(keys.number(b""), Some(1_001));
        assert_eq!(keys.text(1_001), "");
    }
}
