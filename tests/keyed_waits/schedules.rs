//! Random schedules of arrivals, leavers, timeouts, late timers and calls that overtake, against a
//! model of the order.

use alloc::collections::BTreeMap;
use core::time::Duration;

use tidegate::{Clock, ManualClock, Timestamp};

use crate::random::Random;
use crate::waiters::{Ended, Table, Waiters};
use crate::{Counts, MILLISECOND, SECOND, on_each_table};

const KEYS: usize = 5;
const BURST: u64 = 4;

struct Schedule {
    /// The key and size of each waiter by number, until it ends.
    present: BTreeMap<usize, (u64, u64)>,
    /// What each key was granted.
    granted: [u64; KEYS],
}

impl Schedule {
    fn grant(&mut self, key: u64, n: u64) {
        self.granted[usize::try_from(key).expect("small")] += n;
    }

    /// Waiters of a key are admitted in order, but for those that were refused.
    fn note(&mut self, ended: Vec<Ended>) {
        for ended in ended {
            let (key, n) = self.present.remove(&ended.number).expect("once");
            assert_eq!(key, ended.key);
            if ended.outcome.is_ok() {
                let mut ahead = self.present.range(..ended.number);
                let overtaken = ahead.find(|(_, (other, _))| *other == key);
                assert_eq!(overtaken, None, "by {} of key {key}", ended.number);
                self.grant(key, n);
            }
        }
    }

    fn waiting_for(&self, key: u64) -> u64 {
        let of_key = self.present.values().filter(|(other, _)| *other == key);
        of_key.count() as u64
    }
}

fn check<T: Table + Counts>(table: &T, clock: &ManualClock) {
    for seed in 0..20 {
        let start = clock.now();
        let before: Vec<u64> = (0..KEYS as u64).map(|key| table.available(key)).collect();
        let mut random = Random(seed);
        let mut waiters = Waiters::at(table, clock);
        let mut schedule = Schedule {
            present: BTreeMap::new(),
            granted: [0; KEYS],
        };
        for _ in 0..300 {
            let (key, n) = (random.below(KEYS as u64), 1 + random.below(BURST));
            match random.below(8) {
                0..=2 => {
                    let timeout = match random.below(3) {
                        0 => Duration::from_millis(random.below(20_000)),
                        _ => Duration::MAX,
                    };
                    let number = waiters.join_for(key, n, timeout);
                    schedule.present.insert(number, (key, n));
                }
                3 => {
                    let mut waiting = waiters.waiting();
                    if !waiting.is_empty() {
                        let leaver = random.take(&mut waiting);
                        waiters.leave(leaver);
                        schedule.present.remove(&leaver);
                    }
                }
                4 => {
                    if table.available(key) > 0 {
                        table.spend(key, 1);
                        schedule.grant(key, 1);
                    }
                }
                5 => waiters.timer.advance(MILLISECOND * 400),
                _ => waiters.advance(Duration::from_millis(random.below(1_500))),
            }
            // A timer may be late by any number of steps.
            if random.below(3) > 0 {
                waiters.poll_woken();
            }
            schedule.note(waiters.ended());
            for key in 0..KEYS as u64 {
                assert_eq!(table.waiting_for(key), schedule.waiting_for(key));
            }
            assert_eq!(table.waiting(), schedule.present.len() as u64);
        }
        waiters.finish();
        schedule.note(waiters.ended());
        assert_eq!((schedule.present.len(), table.waiting()), (0, 0));
        let seconds = (clock.now() - start).as_secs();
        for (granted, before) in schedule.granted.into_iter().zip(before) {
            // A fraction of a token was there at the start.
            let most = before + seconds + 2;
            assert!(granted <= most, "{granted} of {most} with seed {seed}");
        }
    }
    assert!(clock.now() - Timestamp::ZERO > SECOND);
}

#[test]
fn random_schedules() {
    on_each_table!(check, BURST);
}
