//! The values of buckets, as `bucket.lua` writes them.

use core::time::Duration;

use tidegate::Quota;

use super::numbers::{Numbers, is_exact};
use crate::quota_record::{QUOTA_SIZE, QuotaRecord};
use crate::scaled_quota::{Amount, ScaleError, ScaledQuota};

/// TAT and how far it was ahead at the last write.
const WHOLE_SIZE: usize = 7 + 5;
/// TAT, time of the last write, fraction and denominator.
const EXACT_SIZE: usize = 4 * 7;
const CHANGED_SIZE: usize = EXACT_SIZE + QUOTA_SIZE;
const BINS: usize = 12;
const BIN_SIZE: usize = 3 * 7 + 3;
const LEASES_SIZE: usize = 44;
/// Where the records of nodes begin.
pub(super) const HEAD_SIZE: usize = CHANGED_SIZE + LEASES_SIZE + BINS * BIN_SIZE;
const RECORD_SIZE: usize = 16 + 9 * 7;

/// The level of a bucket at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBucket {
    /// The key on the server.
    pub key: Vec<u8>,
    /// The time until the bucket is full if no call comes, rounded up to a microsecond. Longer than
    /// a full refill if it is in debt. The larger this is, the more was used.
    pub full_in: Duration,
    /// The quota, if it was changed while nodes used it. Otherwise only the nodes know it.
    pub quota: Option<Quota>,
    /// How many changes led to that quota.
    pub changes: u64,
    /// How many nodes hold a lease.
    pub lease_count: u64,
    /// What these hold, as the time in which it refills.
    pub leased: Duration,
    /// How many nodes wait for tokens of a lease.
    pub waiting_nodes: u64,
    ahead: Amount,
    den: u64,
}

/// The lease of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredLease {
    /// The random name of the node.
    pub node: [u8; 16],
    /// What the node may hold at most, as the time in which it refills.
    pub held: Duration,
    /// When the lease ends, unless the node renews it.
    pub ends_in: Duration,
}

/// Rounds up to a microsecond.
const fn time(us: u64, num: u64) -> Duration {
    Duration::from_micros(us.saturating_add((num > 0) as u64))
}

impl StoredBucket {
    /// Reads a value at `now_us` on the server's clock; `None` if it is no bucket.
    pub(super) fn read(key: &[u8], value: &[u8], now_us: u64) -> Option<Self> {
        let mut numbers = Numbers(value);
        let us = numbers.next(7)?;
        let (last, num, den) = match value.len() {
            WHOLE_SIZE => (us.checked_sub(numbers.next(5)?)?, 0, 1),
            EXACT_SIZE | CHANGED_SIZE | HEAD_SIZE.. => {
                (numbers.next(7)?, numbers.next(7)?, numbers.next(7)?)
            }
            _ => return None,
        };
        // As the scripts check it: from 2^53 on, their numbers would not be exact.
        (num < den && [us, last, den].into_iter().all(is_exact)).then_some(())?;
        // While the clock is behind the last write, nothing refills.
        let now = now_us.max(last);
        let mut bucket = Self {
            key: key.to_vec(),
            full_in: Duration::ZERO,
            quota: None,
            changes: 0,
            lease_count: 0,
            leased: Duration::ZERO,
            waiting_nodes: 0,
            ahead: match us.checked_sub(now) {
                Some(us) => Amount { us, num },
                None => Amount::default(),
            },
            den,
        };
        if let Some(record) = value.get(EXACT_SIZE..CHANGED_SIZE)
            && record.iter().any(|byte| *byte != 0)
        {
            let record = QuotaRecord::from_bytes(record)?;
            bucket.quota = Some(record.quota);
            bucket.changes = record.version;
        }
        if let Some(bytes) = value.get(CHANGED_SIZE..HEAD_SIZE) {
            bucket.read_bins(bytes, now, now - now_us)?;
        }
        bucket.full_in = time(bucket.ahead.us, bucket.ahead.num);
        Some(bucket)
    }

    /// Counts the leases, and settles those that have ended, as the scripts do.
    fn read_bins(&mut self, bytes: &[u8], now: u64, behind: u64) -> Option<()> {
        let mut numbers = Numbers(bytes);
        // The time of leases goes on while the clock is behind the last write.
        let offset = numbers.next(7)?.checked_add(behind)?;
        for size in [3, 3, 7, 7] {
            numbers.next(size)?;
        }
        let round_end = numbers.next(7)?;
        let waiting = numbers.next(3)?;
        numbers.next(7)?;
        let real_now = now.checked_sub(behind)?;
        let lease_now = real_now.checked_add(offset)?;
        let mut bins = Vec::new();
        for _ in 0..BINS {
            numbers.next(7)?;
            let (ends, held, leases) = (numbers.next(7)?, numbers.next(7)?, numbers.next(3)?);
            if ends > 0 {
                bins.push((ends, held, leases));
            }
        }
        let mut held: u64 = bins.iter().map(|(_, held, _)| *held).sum();
        // The TAT as it is compared with the clock.
        let mut tat = now.checked_add(self.ahead.us)?;
        for (ends, of_bin, leases) in bins {
            let at = now.saturating_sub(lease_now.saturating_sub(ends));
            if ends <= lease_now {
                if at.saturating_add(held) > tat {
                    (tat, self.ahead.num) = (at.saturating_add(held), 0);
                }
                held = held.saturating_sub(of_bin);
            } else {
                self.lease_count += leases;
            }
        }
        if now.saturating_add(held) > tat {
            (tat, self.ahead.num) = (now.saturating_add(held), 0);
        }
        self.ahead.us = tat.saturating_sub(now);
        self.leased = Duration::from_micros(held);
        if round_end > lease_now {
            self.waiting_nodes = waiting;
        }
        Some(())
    }

    /// Reads the records of nodes whose leases have not ended.
    pub(super) fn read_leases(value: &[u8], now_us: u64) -> Vec<StoredLease> {
        let Some(records) = value.get(HEAD_SIZE..) else {
            return Vec::new();
        };
        let field = |at: usize| Numbers(&value[at..]).next(7).unwrap_or(0);
        let last = field(7);
        let lease_now = now_us.max(last).saturating_add(field(CHANGED_SIZE));
        let lease = |record: &[u8]| {
            let (node, rest) = record.split_first_chunk::<16>()?;
            let mut numbers = Numbers(rest);
            numbers.next(7)?;
            let (hold_us, hold_num) = (numbers.next(7)?, numbers.next(7)?);
            let (grant_us, grant_num) = (numbers.next(7)?, numbers.next(7)?);
            let ends_in = numbers.next(7)?.checked_sub(lease_now)?;
            let ends_in = Duration::from_micros(ends_in);
            let held = time(hold_us, hold_num).saturating_add(time(grant_us, grant_num));
            let node = *node;
            (!ends_in.is_zero()).then_some(StoredLease {
                node,
                held,
                ends_in,
            })
        };
        let records = records.chunks_exact(RECORD_SIZE);
        records.filter_map(lease).collect()
    }

    /// Returns how many tokens the bucket has under a quota, less what nodes hold in leases. Zero
    /// if it is in debt. Use [`quota`](Self::quota) if it is stored.
    ///
    /// # Errors
    ///
    /// If the scripts cannot represent the quota.
    pub fn available(&self, quota: Quota) -> Result<u64, ScaleError> {
        let scaled = ScaledQuota::new(quota)?;
        let ahead = if scaled.den() == self.den {
            self.ahead
        } else {
            // Under another quota, the scripts round a fraction up.
            Amount {
                us: self.ahead.us + u64::from(self.ahead.num > 0),
                num: 0,
            }
        };
        Ok(scaled.available(ahead))
    }

    /// Returns how many tokens a time such as [`leased`](Self::leased) is worth under a quota,
    /// rounded down.
    ///
    /// # Errors
    ///
    /// If the scripts cannot represent the quota.
    pub fn tokens(quota: Quota, time: Duration) -> Result<u64, ScaleError> {
        let scaled = ScaledQuota::new(quota)?;
        let us = u128::from(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let tokens = us * u128::from(scaled.den()) / u128::from(scaled.token());
        Ok(u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::bytes;
    use super::*;

    const NOW: u64 = 1_790_000_000_000_000;

    fn exact(us: u64, last: u64, num: u64, den: u64) -> Vec<u8> {
        bytes(&[(us, 7), (last, 7), (num, 7), (den, 7)])
    }

    fn read(value: &[u8]) -> Option<StoredBucket> {
        StoredBucket::read(b"key", value, NOW)
    }

    #[test]
    fn whole_and_exact_values_have_their_levels() {
        let whole = read(&bytes(&[(NOW + 300_000, 7), (500_000, 5)])).unwrap();
        assert_eq!(whole.full_in, Duration::from_millis(300));
        assert_eq!(whole.available(Quota::per_second(10)), Ok(7));
        let third = read(&exact(NOW + 333_333, NOW - 5, 1, 3)).unwrap();
        assert_eq!(third.full_in, Duration::from_micros(333_334));
        assert_eq!(third.available(Quota::per_second(3)), Ok(2));
        // In sevenths, the fraction counts as a whole microsecond.
        assert_eq!(third.available(Quota::per_second(7)), Ok(4));
        let full = read(&exact(NOW - 1, NOW - 5, 1, 3)).unwrap();
        assert_eq!(full.full_in, Duration::ZERO);
    }

    #[test]
    fn nothing_refills_while_the_clock_is_behind() {
        let value = exact(NOW + 900, NOW + 400, 0, 1);
        assert_eq!(read(&value).unwrap().full_in, Duration::from_micros(500));
    }

    #[test]
    fn quota_of_a_change_is_read() {
        let quota = Quota::per_minute(100).burst(20);
        let record = QuotaRecord::new(3, quota, ScaledQuota::new(quota).unwrap());
        let value = [exact(NOW + 600_000, NOW, 0, 1), record.to_bytes().into()].concat();
        let bucket = read(&value).unwrap();
        assert_eq!((bucket.quota, bucket.changes), (Some(quota), 3));
        assert_eq!(bucket.available(quota), Ok(19));
    }

    #[test]
    fn other_values_are_no_bucket() {
        for value in [
            &b""[..],
            b"7",
            b"hello, world",
            &[0; 28],
            &[0xff; 12],
            &[0xff; HEAD_SIZE],
            &exact(NOW, NOW, 3, 3),
            &exact(1 << 53, NOW, 0, 1),
            &[&exact(NOW, NOW, 0, 1)[..], &[1; QUOTA_SIZE]].concat(),
        ] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }

    /// One bin that has ended, and one that has not.
    #[test]
    fn ended_leases_count_as_spent() {
        let mut value = exact(NOW - 10, NOW - 500, 0, 1);
        value.extend([0; QUOTA_SIZE]);
        value.extend(bytes(&[
            (0, 7),
            (2, 3),
            (0, 3),
            (1, 7),
            (0, 7),
            (NOW + 9, 7),
            (1, 3),
            (50, 7),
        ]));
        value.extend(bytes(&[(NOW - 100, 7), (NOW - 100, 7), (200, 7), (1, 3)]));
        value.extend(bytes(&[(NOW + 700, 7), (NOW + 700, 7), (30, 7), (1, 3)]));
        value.extend([0; 10 * BIN_SIZE]);
        assert_eq!(value.len(), HEAD_SIZE);
        let mut record = b"0123456789abcdef".to_vec();
        record.extend(bytes(&[(4, 7), (10, 7), (0, 7), (20, 7), (0, 7)]));
        record.extend(bytes(&[(NOW + 700, 7), (1, 7), (0, 7), (0, 7)]));
        value.extend(&record);
        let bucket = read(&value).unwrap();
        // At its end the first lease, and the second, were still ahead: 230 - 100.
        assert_eq!(bucket.full_in, Duration::from_micros(130));
        assert_eq!((bucket.lease_count, bucket.waiting_nodes), (1, 1));
        assert_eq!(bucket.leased, Duration::from_micros(30));
        let leases = StoredBucket::read_leases(&value, NOW);
        assert_eq!(leases.len(), 1);
        assert_eq!(&leases[0].node, b"0123456789abcdef");
        assert_eq!(leases[0].held, Duration::from_micros(30));
        assert_eq!(leases[0].ends_in, Duration::from_micros(700));
    }
}
