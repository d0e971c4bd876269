//! What is counted for each key.

use super::need::Need;

/// One key's numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Its requests.
    pub requests: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// When the first of them was.
    pub first_refused: Option<u64>,
    /// Its longest run of refusals.
    pub longest: u64,
    /// The run that goes on.
    running: u64,
    /// When that began.
    since: u64,
    /// The burst that it needs.
    pub need: Need,
}

/// A run of refusals of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whose.
    pub key: u32,
    /// How many.
    pub refusals: u64,
    /// The time of the first.
    pub from: u64,
    /// The time of the last.
    pub to: u64,
}

/// All keys' numbers.
#[derive(Debug, Default)]
pub struct Tallies {
    /// By the number of the key.
    pub keys: Vec<Tally>,
    /// The longest run of all; of several that are equally long, the one that was so long first.
    pub longest: Option<Run>,
}

impl Tallies {
    /// Another request of a key. Returns its numbers, for what else is counted.
    #[inline]
    pub fn count(&mut self, key: u32, time: u64, admitted: bool) -> &mut Tally {
        let index = key as usize;
        if self.keys.len() <= index {
            self.keys.resize(index + 1, Tally::default());
        }
        let tally = &mut self.keys[index];
        tally.requests += 1;
        if admitted {
            tally.running = 0;
            return tally;
        }
        tally.refused += 1;
        tally.first_refused.get_or_insert(time);
        if tally.running == 0 {
            tally.since = time;
        }
        tally.running += 1;
        tally.longest = tally.longest.max(tally.running);
        if self.longest.is_none_or(|run| tally.running > run.refusals) {
            self.longest = Some(Run {
                key,
                refusals: tally.running,
                from: tally.since,
                to: time,
            });
        }
        tally
    }
}
