//! Counts the requests of each key.

use super::required_burst::RequiredBurst;

/// The counts of a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyTally {
    /// Its requests.
    pub requests: u64,
    /// Its refused requests.
    pub refused: u64,
    /// The time of the first refusal.
    pub first_refused: Option<u64>,
    /// The length of its longest streak of refusals.
    pub longest_streak: u64,
    /// The length of the current streak, and the time when it began.
    current_streak: u64,
    streak_start: u64,
    /// Its required burst.
    pub required_burst: RequiredBurst,
}

/// A streak of refusals of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalStreak {
    /// The key.
    pub key: u32,
    /// The number of refusals.
    pub refusals: u64,
    /// The time of the first.
    pub from: u64,
    /// The time of the last.
    pub to: u64,
}

/// The counts of all keys.
#[derive(Debug, Default)]
pub struct KeyTallies {
    /// By the number of the key.
    pub keys: Vec<KeyTally>,
    /// The longest streak of all keys. Of equally long streaks, the one that reached that length
    /// first.
    pub longest_streak: Option<RefusalStreak>,
}

impl KeyTallies {
    /// Counts a request of a key, and returns the key's counts.
    #[inline]
    pub fn count(&mut self, key: u32, time: u64, admitted: bool) -> &mut KeyTally {
        let index = key as usize;
        if self.keys.len() <= index {
            self.keys.resize(index + 1, KeyTally::default());
        }
        let tally = &mut self.keys[index];
        tally.requests += 1;
        if admitted {
            tally.current_streak = 0;
            return tally;
        }
        tally.refused += 1;
        tally.first_refused.get_or_insert(time);
        if tally.current_streak == 0 {
            tally.streak_start = time;
        }
        tally.current_streak += 1;
        let refusals = tally.current_streak;
        tally.longest_streak = tally.longest_streak.max(refusals);
        if self
            .longest_streak
            .is_none_or(|streak| refusals > streak.refusals)
        {
            self.longest_streak = Some(RefusalStreak {
                key,
                refusals,
                from: tally.streak_start,
                to: time,
            });
        }
        tally
    }
}
