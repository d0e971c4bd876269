//! Keys of 36 bytes, and the order in which they come.

/// The length of a UUID: what a `String` key has here.
pub const KEY_LENGTH: usize = 36;

/// The name of key `number`: looks like a random UUID, and is another one for every number.
pub fn name(number: u64) -> String {
    let mut name = String::with_capacity(KEY_LENGTH);
    rename(&mut name, number);
    name
}

/// The same in place of another name, without allocation.
pub fn rename(name: &mut String, number: u64) {
    // Can be undone, so that no two are equal.
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
/// Where pairs of digits stand in a UUID, between its dashes.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Odd, so that multiplying by it can be undone: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Keys in the order in which they are called, worked out beforehand, so that choosing one costs next to nothing.
#[derive(Debug)]
pub struct Visits {
    keys: Vec<String>,
    /// Indices of `keys`: a power of two of them.
    order: Vec<u32>,
}

/// As many keys fit into a cache: which is looked up in them is left to `order`.
const FEW: usize = 1 << 12;
const VISITS_OF_FEW: usize = 1 << 16;
const VISITS_OF_MANY: usize = 1 << 20;

impl Visits {
    /// Each of `keys` keys as often as any other.
    pub fn uniform(keys: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        Self::new(keys, || random.usize(..keys))
    }

    /// Key number `i`, counted from 1, in proportion to `1 / i`.
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
        // The names themselves in that order, one after another in memory. The key of a real call has just been read, and is in
        // the cache, so that a miss must be the table's.
        Self {
            keys: (0..VISITS_OF_MANY).map(|_| name(next() as u64)).collect(),
            order: (0..VISITS_OF_MANY as u32).collect(),
        }
    }

    /// The key of a call, counted round and round.
    #[inline(always)]
    pub fn key(&self, call: usize) -> &String {
        &self.keys[self.order[call & (self.order.len() - 1)] as usize]
    }

    /// Where thread `thread` of `threads` begins.
    pub fn start(&self, thread: usize, threads: usize) -> usize {
        self.order.len() / threads * thread
    }
}
