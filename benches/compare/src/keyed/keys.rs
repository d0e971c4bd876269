//! Makes keys of 36 bytes, and the order of their calls.

/// The length of a key: that of a UUID.
pub const KEY_LENGTH: usize = 36;

/// Returns key number `number`. It resembles a random UUID, and differs for every number.
pub fn name(number: u64) -> String {
    let mut name = String::with_capacity(KEY_LENGTH);
    rename(&mut name, number);
    name
}

/// Replaces a key by key number `number`, without allocation.
pub fn rename(name: &mut String, number: u64) {
    // Multiplying by an odd number is reversible, so no two keys are equal.
    let first = (number + 1).wrapping_mul(GOLDEN);
    let digits = [first, (first ^ first >> 32).wrapping_mul(GOLDEN)];
    let mut bytes = [b'-'; KEY_LENGTH];
    for (at, place) in PAIRS.into_iter().enumerate() {
        let pair = digits[at / 8] >> (at % 8 * 8);
        bytes[place] = DIGITS[(pair >> 4 & 0xf) as usize];
        bytes[place + 1] = DIGITS[(pair & 0xf) as usize];
    }
    name.clear();
    name.push_str(std::str::from_utf8(&bytes).expect("ASCII"));
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Positions of the pairs of digits in a UUID, between its dashes.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// 2^64 divided by the golden ratio; odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Keys in the order of their calls. The order is computed beforehand, so choosing a key is cheap.
#[derive(Debug)]
pub struct Visits {
    keys: Vec<String>,
    /// Indices of `keys`; their number is a power of two.
    order: Vec<u32>,
}

/// So many keys fit in a cache, and `order` chooses among them.
const FEW: usize = 1 << 12;
const VISITS_OF_FEW: usize = 1 << 16;
const VISITS_OF_MANY: usize = 1 << 20;

impl Visits {
    /// Calls each of `keys` keys equally often.
    pub fn uniform(keys: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        Self::new(keys, || random.usize(..keys))
    }

    /// Calls key number `i`, counted from 1, in proportion to `1 / i`.
    pub fn zipf(keys: usize) -> Self {
        let mut sum = 0.0;
        let up_to: Vec<f64> = (1..=keys)
            .map(|i| {
                sum += 1.0 / i as f64;
                sum
            })
            .collect();
        let mut random = fastrand::Rng::with_seed(1);
        Self::new(keys, || {
            let at = random.f64() * sum;
            up_to.partition_point(|&up_to| up_to <= at).min(keys - 1)
        })
    }

    fn new(keys: usize, mut next: impl FnMut() -> usize) -> Self {
        if keys <= FEW {
            return Self {
                keys: (0..keys as u64).map(name).collect(),
                order: (0..VISITS_OF_FEW).map(|_| next() as u32).collect(),
            };
        }
        // The keys themselves lie in that order in memory. The key of a real call was read just
        // before, and is in the cache, so a cache miss must belong to the table.
        Self {
            keys: (0..VISITS_OF_MANY).map(|_| name(next() as u64)).collect(),
            order: (0..VISITS_OF_MANY as u32).collect(),
        }
    }

    /// Returns the key of a call. After the last key, the first follows again.
    #[inline(always)]
    pub fn key(&self, call: usize) -> &String {
        &self.keys[self.order[call & (self.order.len() - 1)] as usize]
    }

    /// Returns the first call of one of `threads` threads.
    pub fn start(&self, thread: usize, threads: usize) -> usize {
        self.order.len() / threads * thread
    }
}
