//! Quotas as text and in configuration files.
//!
//! The tests in `properties` compare random texts with a second parser.

#[cfg(feature = "serde")]
mod json;

use core::error::Error;
use core::time::Duration;

use tidegate::{ParseQuotaErrorKind as Kind, Quota, QuotaError};

const SECOND: u64 = 1_000_000_000;

/// Returns `rate` tokens per `period` nanoseconds, with a burst.
fn quota(rate: u64, period: u64, burst: u64) -> Quota {
    let quota = Quota::new(rate, Duration::from_nanos(period)).expect("a valid rate");
    quota.try_burst(burst).expect("a valid burst")
}

/// Returns a quota whose burst is its rate.
fn plain(rate: u64, period: u64) -> Quota {
    quota(rate, period, rate)
}

#[test]
fn valid_text_is_parsed() {
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    #[rustfmt::skip]
    let table = [
        // Forms.
        ("100/min", plain(100, MINUTE)),
        ("100/min burst 20", quota(100, MINUTE, 20)),
        ("100/min burst=20", quota(100, MINUTE, 20)),
        ("100 per min burst = 20", quota(100, MINUTE, 20)),
        ("5 per 2 hours", plain(5, 2 * HOUR)),
        ("5/2h", plain(5, 2 * HOUR)),
        ("5per2h", plain(5, 2 * HOUR)),
        ("\t 5 \n/ 2  h \r\n burst  7 ", quota(5, 2 * HOUR, 7)),
        // Nouns.
        ("5r/s", plain(5, SECOND)),
        ("5 req/s", plain(5, SECOND)),
        ("5 reqs / s", plain(5, SECOND)),
        ("1 request per second", plain(1, SECOND)),
        ("5 requests per second", plain(5, SECOND)),
        ("1 token/s", plain(1, SECOND)),
        ("90_000 tokens per minute burst 1_500", quota(90_000, MINUTE, 1_500)),
        // Units.
        ("3/ns", plain(3, 1)),
        ("3/7nanoseconds", plain(3, 7)),
        ("3/us", plain(3, 1_000)),
        ("3/microsecond", plain(3, 1_000)),
        ("3/250ms", plain(3, 250_000_000)),
        ("3/millisecond", plain(3, 1_000_000)),
        ("3/sec", plain(3, SECOND)),
        ("3/30 secs", plain(3, 30 * SECOND)),
        ("3/m", plain(3, MINUTE)),
        ("3/2M", plain(3, 2 * MINUTE)),
        ("3/15 minutes", plain(3, 15 * MINUTE)),
        ("3/hr", plain(3, HOUR)),
        ("3/2 hrs", plain(3, 2 * HOUR)),
        ("3/d", plain(3, DAY)),
        ("3/45 days", plain(3, 45 * DAY)),
        // Any case.
        ("5 REQ PER MIN BURST 2", quota(5, MINUTE, 2)),
        ("5 Per Day Burst = 2", quota(5, DAY, 2)),
        // Numbers.
        ("0010/s", plain(10, SECOND)),
        ("1_0_0/s", plain(100, SECOND)),
        ("100k/min", plain(100_000, MINUTE)),
        ("100K/min burst 2k", quota(100_000, MINUTE, 2_000)),
        ("2M/min burst 1_5k", quota(2_000_000, MINUTE, 15_000)),
        ("2M tokens/min", plain(2_000_000, MINUTE)),
        // Fractions.
        ("0.5/s", quota(1, 2 * SECOND, 1)),
        ("1.5/s", quota(3, 2 * SECOND, 2)),
        ("1.50 requests per second", quota(3, 2 * SECOND, 2)),
        ("0.25/min burst 3", quota(1, 4 * MINUTE, 3)),
        ("1.5k/min", plain(1_500, MINUTE)),
        ("0.1M/h", plain(100_000, HOUR)),
        ("3.0/s", plain(3, SECOND)),
        ("0.0005/s", quota(1, 2_000 * SECOND, 1)),
        // Weeks of 7 days, and months of 30.
        ("3/w", plain(3, 7 * DAY)),
        ("3/2 weeks", plain(3, 14 * DAY)),
        ("1000/month", plain(1_000, 30 * DAY)),
        ("3/2mo", plain(3, 60 * DAY)),
        ("3/months", plain(3, 30 * DAY)),
        // The edges of the accepted range.
        ("1000/ns", plain(1_000, 1)),
        ("1_000_000_000_000/s burst 1", quota(1_000_000_000_000, SECOND, 1)),
        ("1/18446744073709551615ns", plain(1, u64::MAX)),
        ("1152921504606846976/1152921504606846976ns", plain(1 << 60, 1 << 60)),
        ("1/h burst 8766000", quota(1, HOUR, 8_766_000)),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse(), Ok(expected), "{text:?}");
        let written = expected.to_string();
        assert_eq!(
            written.parse(),
            Ok(expected),
            "{text:?} is written {written:?}"
        );
    }
}

#[test]
fn invalid_text_is_refused_at_its_offset() {
    let max = 1 << 60;
    #[rustfmt::skip]
    let table = [
        ("", Kind::ExpectedNumber, 0),
        ("   ", Kind::ExpectedNumber, 3),
        ("/s", Kind::ExpectedNumber, 0),
        ("-5/s", Kind::ExpectedNumber, 0),
        (" ten/s", Kind::ExpectedNumber, 1),
        ("_1/s", Kind::ExpectedNumber, 0),
        ("1_/s", Kind::ExpectedNumber, 2),
        ("1__0/s", Kind::ExpectedNumber, 2),
        ("٣/s", Kind::ExpectedNumber, 0),
        ("5/s burst", Kind::ExpectedNumber, 9),
        ("5/s burst = ", Kind::ExpectedNumber, 12),
        ("5/s burst -1", Kind::ExpectedNumber, 10),
        ("5/s burst = = 1", Kind::ExpectedNumber, 12),
        ("18446744073709551616/s", Kind::NumberTooLarge, 0),
        (" 18446744073709552k/s", Kind::NumberTooLarge, 1),
        ("1/18446744073709551616ns", Kind::NumberTooLarge, 2),
        ("5/s burst 99999999999999999999", Kind::NumberTooLarge, 10),
        ("5", Kind::ExpectedPer, 1),
        ("5 s", Kind::ExpectedPer, 2),
        ("1./s", Kind::ExpectedNumber, 2),
        (".5/s", Kind::ExpectedNumber, 0),
        ("1.5.5/s", Kind::ExpectedPer, 3),
        ("1.5/s burst 1.5", Kind::UnexpectedText, 13),
        ("0.0/s", Kind::Quota(QuotaError::ZeroRate), 0),
        ("0.00000000000000000001/s", Kind::Quota(QuotaError::PeriodTooLong), 0),
        ("1844674407370955161.6/s", Kind::NumberTooLarge, 0),
        ("1e3/s", Kind::ExpectedPer, 1),
        ("1m/s", Kind::ExpectedPer, 1),
        ("5 req req/s", Kind::ExpectedPer, 6),
        ("5 peer s", Kind::ExpectedPer, 2),
        ("5/", Kind::ExpectedUnit, 2),
        ("5 per ", Kind::ExpectedUnit, 6),
        ("5/2", Kind::ExpectedUnit, 3),
        ("5//s", Kind::ExpectedUnit, 2),
        ("5/2.5s", Kind::ExpectedUnit, 3),
        ("100/fortnight", Kind::UnknownUnit, 4),
        ("5/é", Kind::UnknownUnit, 2),
        ("5/3 parsecs", Kind::UnknownUnit, 4),
        ("5/sburst 2", Kind::UnknownUnit, 2),
        ("5/s,", Kind::UnexpectedText, 3),
        ("5/s bursts 2", Kind::UnexpectedText, 4),
        ("5/s 2", Kind::UnexpectedText, 4),
        ("5/s burst 3 4", Kind::UnexpectedText, 12),
        ("5/s burst 3k5", Kind::UnexpectedText, 12),
        ("5/s burst 3 tokens", Kind::UnexpectedText, 12),
        ("5/s burst 3\0", Kind::UnexpectedText, 11),
        // Well formed, but not a quota.
        (" 0/s", Kind::Quota(QuotaError::ZeroRate), 1),
        ("5/0s", Kind::Quota(QuotaError::ZeroPeriod), 2),
        ("1001/ns", Kind::Quota(QuotaError::RateTooHigh), 0),
        ("1_000_000_000_001/s burst 1", Kind::Quota(QuotaError::RateTooHigh), 0),
        ("1/213504d", Kind::Quota(QuotaError::PeriodTooLong), 2),
        ("5/s burst 0", Kind::Quota(QuotaError::ZeroBurst), 10),
        ("1/h burst 8766001", Kind::Quota(QuotaError::BurstTooLarge { max: 8_766_000 }), 10),
        ("1/200_000d burst 2", Kind::Quota(QuotaError::BurstTooLarge { max: 1 }), 17),
        // Without a burst, the rate is the burst.
        ("1152921504606846977/213503d", Kind::Quota(QuotaError::BurstTooLarge { max }), 0),
        // The first mistake is reported.
        ("0/s burst 0 x", Kind::Quota(QuotaError::ZeroRate), 0),
        ("5/s burst 0 x", Kind::UnexpectedText, 12),
    ];
    for (text, kind, offset) in table {
        let error = text.parse::<Quota>().expect_err(text);
        assert_eq!((error.kind(), error.offset()), (kind, offset), "{text:?}");
        assert!(text.is_char_boundary(error.offset()), "{text:?}");
        let message = error.to_string();
        assert!(
            message.ends_with(&format!(" at byte {offset}")),
            "{message}"
        );
        assert_eq!(
            error.source().is_some(),
            matches!(kind, Kind::Quota(_)),
            "{text:?}"
        );
    }
}

#[test]
fn error_messages() {
    #[rustfmt::skip]
    let table = [
        ("x", "expected a whole number at byte 0"),
        ("99999999999999999999/s", "the number is too large at byte 0"),
        ("5", "expected `/` or `per` after a whole number at byte 1"),
        ("5/", "expected a unit of time at byte 2"),
        ("5/x", "unknown unit of time (ns, us, ms, s, min, h, d, week or month) at byte 2"),
        ("5/s x", "expected `burst` or the end at byte 4"),
        ("0/s", "the rate is zero at byte 0"),
        ("5/0s", "the period is zero at byte 2"),
        ("5/300_000d", "the period is longer than 584 years at byte 2"),
        ("2000/ns", "the rate is above 10^12 per second at byte 0"),
        ("5/s burst 0", "the burst is zero at byte 10"),
        ("1/h burst 9M", "the burst is larger than this rate allows: at most 8766000 at byte 10"),
    ];
    for (text, message) in table {
        assert_eq!(text.parse::<Quota>().expect_err(text).to_string(), message);
    }
}

/// Text uses the largest unit that divides the period, and names a burst only if it is not the
/// rate.
#[test]
fn text_has_its_shortest_form() {
    let table = [
        (Quota::per_second(1), "1/s"),
        (Quota::per_minute(100), "100/min"),
        (Quota::per_minute(100).burst(20), "100/min burst 20"),
        (Quota::per_hour(5).burst(5), "5/hour"),
        (Quota::per_day(1_000), "1000/day"),
        (plain(5, 7_200 * SECOND), "5/2hour"),
        (plain(5, 90 * 60 * SECOND), "5/90min"),
        (plain(5, 2_500_000_000), "5/2500ms"),
        (plain(1, 1_999_000), "1/1999us"),
        (plain(3, 1), "3/ns"),
        (plain(1, u64::MAX), "1/18446744073709551615ns"),
    ];
    for (quota, text) in table {
        assert_eq!(quota.to_string(), text);
        assert_eq!(text.parse(), Ok(quota));
    }
}

/// Rates above 2^63, times a thousand years, once overflowed.
#[test]
fn largest_rate_does_not_overflow() {
    let most = u64::MAX;
    let too_large = Err(QuotaError::BurstTooLarge { max: 1 << 60 });
    assert_eq!(Quota::new(most, Duration::from_nanos(most)), too_large);
    let text = format!("{most}/{most}ns burst {}", 1_u64 << 60);
    let quota: Quota = text.parse().expect("one per nanosecond");
    assert_eq!((quota.rate(), quota.capacity()), (most, 1 << 60));
    assert_eq!(quota.to_string(), text);
}
