//! Checks the documented limits of a quota in wide integers, and makes quotas from bytes.

use core::time::Duration;

use super::bytes::Bytes;
use tidegate::{ParseQuotaErrorKind, Quota, QuotaError};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

/// Rates at which other limiters broke, and their neighbors.
#[rustfmt::skip]
const RATES: [u64; 23] = [
    1, 2, 3, 7, 10, 1_000, 1_024, 70_000, 100_001, 300_000, 999_983, 1_000_001, 1_500_000,
    70_000_000, 300_000_001, 600_000_000, 999_999_999, 1_000_000_001, 1_050_000_001, 2_000_000_000,
    u32::MAX as u64, 1_000_000_000_000, u64::MAX - 58,
];

/// Periods at which other limiters broke, in nanoseconds.
#[rustfmt::skip]
const PERIODS: [u64; 12] = [
    1, 1_023, 500_000, 1_999_000, SECOND, 60 * SECOND, 3_600 * SECOND, 30 * DAY, 40 * DAY, 45 * DAY,
    365 * DAY, u64::MAX,
];

/// Bursts at which other limiters broke.
#[rustfmt::skip]
const BURSTS: [u64; 10] = [
    1, 2, 10, 300, 3_000_000, 5_200_000, u32::MAX as u64, 1 << 40, (1 << 59) + 1, 1 << 60,
];

/// Applies the limits that `Quota` documents: at most 10^12 tokens per second, 2^60 tokens and
/// 1000 years of refill.
pub(crate) fn validate(rate: u64, period: u128, burst: u64) -> Result<(), QuotaError> {
    const YEARS: u128 = 1_000 * 31_557_600 * 1_000_000_000;
    if period > u128::from(u64::MAX) {
        return Err(QuotaError::PeriodTooLong);
    }
    if rate == 0 {
        return Err(QuotaError::ZeroRate);
    }
    if period == 0 {
        return Err(QuotaError::ZeroPeriod);
    }
    if u128::from(rate) > period * 1_000 {
        return Err(QuotaError::RateTooHigh);
    }
    if burst == 0 {
        return Err(QuotaError::ZeroBurst);
    }
    // The product may exceed 128 bits. Saturation is harmless because 2^60 is a lower limit.
    let filled = YEARS.saturating_mul(rate.into()) / period;
    let max = u64::try_from(filled).map_or(1 << 60, |filled| filled.min(1 << 60));
    if burst > max {
        return Err(QuotaError::BurstTooLarge { max });
    }
    Ok(())
}

/// Constructs a quota from text and from numbers. Both must agree with [`validate`].
pub(crate) fn construct(rate: u64, period: u64, burst: u64) -> Result<Quota, QuotaError> {
    let expected = validate(rate, period.into(), burst);
    let parsed = format!("{rate}/{period}ns burst {burst}")
        .parse::<Quota>()
        .map_err(|error| match error.kind() {
            ParseQuotaErrorKind::Quota(error) => error,
            other => unreachable!("the text is well formed: {other:?}"),
        });
    assert_eq!(
        parsed.map(drop),
        expected,
        "{rate}/{period}ns burst {burst}"
    );

    let by_default = Quota::new(rate, Duration::from_nanos(period));
    assert_eq!(by_default.map(drop), validate(rate, period.into(), rate));
    if let Ok(by_default) = by_default {
        assert_eq!(by_default.try_burst(burst), parsed);
    }

    let quota = parsed?;
    assert_eq!(quota.rate(), rate);
    assert_eq!(quota.period(), Duration::from_nanos(period));
    assert_eq!(quota.capacity(), burst);
    Ok(quota)
}

/// Returns a quota from anywhere in the accepted range. Values out of range must be refused before
/// they are moved inside.
pub(crate) fn any(bytes: &mut Bytes<'_>) -> Quota {
    let (mut rate, mut period) = match bytes.byte() % 4 {
        0 | 1 => (bytes.pick(&RATES), bytes.pick(&PERIODS)),
        2 => (bytes.number(), bytes.pick(&PERIODS)),
        _ => (bytes.number(), bytes.number()),
    };
    let mut burst = match bytes.byte() % 8 {
        0 => rate,
        1 => u64::MAX,
        2 => bytes.number(),
        _ => bytes.pick(&BURSTS),
    };
    let below_max = bytes.byte();
    loop {
        match construct(rate, period, burst) {
            Ok(quota) => return quota,
            Err(QuotaError::ZeroRate) => rate = 1,
            Err(QuotaError::ZeroPeriod) => period = 1,
            Err(QuotaError::RateTooHigh) => rate = period.saturating_mul(1_000),
            Err(QuotaError::ZeroBurst) => burst = 1,
            Err(QuotaError::BurstTooLarge { max }) => {
                burst = max.saturating_sub(below_max.into()).max(1);
            }
            Err(other) => unreachable!("every 64-bit period is short enough: {other}"),
        }
    }
}
