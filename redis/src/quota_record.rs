//! A quota as it is stored beside a bucket, with the number of its change.
//!
//! The scripts compare records as a whole, and read of them only what a change of the level needs.

use core::time::Duration;

use tidegate::Quota;

use crate::scaled_quota::ScaledQuota;

/// Version, denominator and capacity (us, num) in seven bytes each; then a token in parts of a
/// microsecond, rate, period in nanoseconds and capacity in eight bytes each.
pub(crate) const QUOTA_SIZE: usize = 4 * 7 + 4 * 8;

/// See the [module](self) documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaRecord {
    /// How many changes led to this quota: 0 for that of a configuration.
    pub(crate) version: u64,
    pub(crate) quota: Quota,
    pub(crate) scaled: ScaledQuota,
}

impl QuotaRecord {
    pub(crate) const fn new(version: u64, quota: Quota, scaled: ScaledQuota) -> Self {
        Self {
            version,
            quota,
            scaled,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; QUOTA_SIZE] {
        let full = self.scaled.full();
        // A quota's period is at most 2^64 ns.
        let period = u64::try_from(self.quota.period().as_nanos()).unwrap_or(u64::MAX);
        let short = [self.version, self.scaled.den(), full.us, full.num];
        let long = [
            self.scaled.token(),
            self.quota.rate(),
            period,
            self.quota.capacity(),
        ];
        let mut bytes = [0; QUOTA_SIZE];
        let (shorts, longs) = bytes.split_at_mut(4 * 7);
        for (place, number) in shorts.chunks_exact_mut(7).zip(short) {
            place.copy_from_slice(&number.to_be_bytes()[1..]);
        }
        for (place, number) in longs.chunks_exact_mut(8).zip(long) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// `None` if the bytes are no record, or hold a quota that this version does not support.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shorts, longs) = bytes.split_at_checked(4 * 7)?;
        let version = shorts[..7]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mut longs = longs.chunks_exact(8).map(|bytes| {
            let bytes = <[u8; 8]>::try_from(bytes);
            bytes.map_or(0, u64::from_be_bytes)
        });
        let (_token, rate, period, capacity) =
            (longs.next()?, longs.next()?, longs.next()?, longs.next()?);
        let quota = Quota::new(rate, Duration::from_nanos(period)).ok()?;
        let quota = quota.try_burst(capacity).ok()?;
        let record = Self::new(version, quota, ScaledQuota::new(quota).ok()?);
        // Another version may scale a quota in another way, with which levels would not agree.
        (record.to_bytes() == bytes).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u64, quota: Quota) -> QuotaRecord {
        QuotaRecord::new(version, quota, ScaledQuota::new(quota).unwrap())
    }

    #[test]
    fn records_come_back_as_they_were() {
        let day = Duration::from_secs(86_400);
        for quota in [
            Quota::per_second(3),
            Quota::per_minute(100).burst(20),
            Quota::new(1, 365 * 50 * day).unwrap(),
            Quota::new(1 << 50, day).unwrap(),
        ] {
            for version in [0, 1, (1 << 53) - 1] {
                let record = record(version, quota);
                let bytes = record.to_bytes();
                assert_eq!(QuotaRecord::from_bytes(&bytes), Some(record));
            }
        }
    }

    #[test]
    fn other_bytes_are_no_record() {
        let bytes = record(1, Quota::per_second(3)).to_bytes();
        assert_eq!(QuotaRecord::from_bytes(&[]), None);
        assert_eq!(QuotaRecord::from_bytes(&[0; QUOTA_SIZE]), None);
        assert_eq!(QuotaRecord::from_bytes(&bytes[1..]), None);
        assert_eq!(QuotaRecord::from_bytes(&[&bytes[..], b"x"].concat()), None);
        for index in 7..QUOTA_SIZE {
            let mut changed = bytes;
            changed[index] ^= 1;
            assert_ne!(
                QuotaRecord::from_bytes(&changed).map(|it| it.quota),
                Some(Quota::per_second(3))
            );
        }
    }
}
