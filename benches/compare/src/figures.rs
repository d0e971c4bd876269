//! The arithmetic of the suite: what is computed of what was measured.

use std::time::Duration;

/// The value that half of them are below.
///
/// # Panics
///
/// Without any.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let upper = values[values.len() / 2];
    if values.len() % 2 == 1 {
        upper
    } else {
        f64::midpoint(values[values.len() / 2 - 1], upper)
    }
}

/// So many parts of a million of `whole`.
pub fn ppm(part: f64, whole: f64) -> f64 {
    part / whole * 1e6
}

/// How evenly something was shared, by Jain: 1 if all got the same, 1/n if one got everything.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|&share| share as f64).sum();
    let squares: f64 = shares.iter().map(|&share| (share as f64).powi(2)).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (shares.len() as f64 * squares)
}

/// The smallest and the largest share, as parts of the mean.
pub fn extremes(shares: &[u64]) -> (f64, f64) {
    let mean = shares.iter().sum::<u64>() as f64 / shares.len() as f64;
    let of_mean = |share: Option<&u64>| share.map_or(1.0, |&share| share as f64 / mean.max(1e-9));
    (of_mean(shares.iter().min()), of_mean(shares.iter().max()))
}

/// How many tokens have come in after so long, whole ones.
pub fn earned(rate: u64, period: Duration, nanos: u64) -> u64 {
    let tokens = u128::from(rate) * u128::from(nanos) / period.as_nanos();
    u64::try_from(tokens).expect("no such horizon")
}

/// When the token of this number is there, rounded up to a nanosecond.
pub fn due(rate: u64, period: Duration, number: u64) -> u64 {
    let nanos = (u128::from(number) * period.as_nanos()).div_ceil(rate.into());
    u64::try_from(nanos).expect("no such horizon")
}

/// An admission: the clock before the call and after it, in nanoseconds. It was decided in between.
pub type Admission = (u64, u64);

/// What was certainly admitted in an interval, less `burst` and the refill of that interval: in the worst of all intervals. Below
/// zero, none reached its bound.
///
/// Counted in `[a, b]` is what began at `a` or later and ended by `b`, so that a late reading of the clock accuses nobody.
pub fn bucket_surplus(admissions: &[Admission], rate: u64, period: Duration, burst: u64) -> f64 {
    let per_nano = rate as f64 / period.as_nanos() as f64;
    let (begun, ended) = sorted(admissions);
    // For each end: the admissions until then, less the refill since the origin; and the same, at its lowest, for a beginning.
    let origin = begun.first().copied().unwrap_or(0);
    let refill = |at: u64| (at - origin) as f64 * per_nano;
    let (mut lowest, mut worst, mut next) = (f64::INFINITY, f64::NEG_INFINITY, 0);
    for (before, &end) in ended.iter().enumerate() {
        while next < begun.len() && begun[next] <= end {
            lowest = lowest.min(next as f64 - refill(begun[next]));
            next += 1;
        }
        worst = worst.max((before + 1) as f64 - refill(end) - lowest);
    }
    worst - burst as f64
}

/// The most that was certainly admitted in any interval of this length, beyond `limit`.
pub fn window_surplus(admissions: &[Admission], limit: u64, length: Duration) -> f64 {
    let (begun, ended) = sorted(admissions);
    let length = u64::try_from(length.as_nanos()).expect("a short one");
    let (mut most, mut until) = (0, 0);
    for (before, &begin) in begun.iter().enumerate() {
        while until < ended.len() && ended[until] < begin + length {
            until += 1;
        }
        most = most.max(until.saturating_sub(before));
    }
    most as f64 - limit as f64
}

fn sorted(admissions: &[Admission]) -> (Vec<u64>, Vec<u64>) {
    let (mut begun, mut ended): (Vec<u64>, Vec<u64>) = admissions.iter().copied().unzip();
    begun.sort_unstable();
    ended.sort_unstable();
    (begun, ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NANOS: u64 = 1_000_000_000;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn parts_per_million() {
        assert_eq!(ppm(1.0, 1e6), 1.0);
        assert_eq!(ppm(-3.0, 12.0), -250_000.0);
    }

    #[test]
    fn shares() {
        assert_eq!(jain(&[5, 5, 5, 5]), 1.0);
        assert_eq!(jain(&[8, 0, 0, 0]), 0.25);
        assert_eq!(jain(&[0, 0]), 1.0);
        assert_eq!(jain(&[3, 1]), 0.8);
        assert_eq!(extremes(&[3, 1]), (0.5, 1.5));
    }

    #[test]
    fn tokens_come_when_they_are_due() {
        let rates = [
            (3, SECOND),
            (7, SECOND),
            (600_000_000, SECOND),
            (1_250_000_000, SECOND),
            (1, Duration::from_secs(45 * 86_400)),
        ];
        for (rate, period) in rates {
            for number in [1, 2, 3, 400] {
                let at = due(rate, period, number);
                assert!(earned(rate, period, at) >= number);
                assert!(earned(rate, period, at - 1) < number);
            }
        }
    }

    #[test]
    fn a_bucket_at_its_bound_has_no_surplus() {
        // 10 at once, and one per tenth of a second after.
        let tenth = NANOS / 10;
        let mut admissions = vec![(5, 5); 10];
        admissions.extend((1..=20).map(|n| (5 + n * tenth, 5 + n * tenth)));
        assert!(bucket_surplus(&admissions, 10, SECOND, 10).abs() < 1e-9);
        // One more, in the middle, which the sum over the whole time would hide if the last ones were missing.
        admissions.push((5 + 7 * tenth, 5 + 7 * tenth));
        assert!((bucket_surplus(&admissions, 10, SECOND, 10) - 1.0).abs() < 1e-9);
        admissions.retain(|&(at, _)| at < 5 + 15 * tenth);
        assert!((bucket_surplus(&admissions, 10, SECOND, 10) - 1.0).abs() < 1e-9);
        // A call that took a tenth may have been decided when there was a token.
        let late = [(0, 0), (0, tenth)];
        assert!(bucket_surplus(&late, 10, SECOND, 1) <= 1e-9);
        assert!((bucket_surplus(&[(0, 0), (0, 0)], 10, SECOND, 1) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_bucket_is_judged_as_by_trying_all_intervals() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let admissions: Vec<Admission> = (0..12)
                .map(|_| {
                    let begin = random(1_000);
                    (begin, begin + random(30))
                })
                .collect();
            let mut worst = f64::NEG_INFINITY;
            for &(a, _) in &admissions {
                for &(_, b) in admissions.iter().filter(|&&(_, b)| b >= a) {
                    let within = admissions
                        .iter()
                        .filter(|&&(x, y)| a <= x && y <= b)
                        .count();
                    let bound = 3.0 + (b - a) as f64 / 100.0;
                    worst = worst.max(within as f64 - bound);
                }
            }
            let found = bucket_surplus(&admissions, 1, Duration::from_nanos(100), 3);
            // Calls that surround an interval are not counted in it, and may hide some of the others.
            assert!(found <= worst + 1e-9, "{found} {worst}");
            let instant: Vec<Admission> = admissions.iter().map(|&(a, _)| (a, a)).collect();
            let mut worst = f64::NEG_INFINITY;
            for &(a, _) in &instant {
                for &(_, b) in instant.iter().filter(|&&(_, b)| b >= a) {
                    let within = instant.iter().filter(|&&(x, y)| a <= x && y <= b).count();
                    worst = worst.max(within as f64 - 3.0 - (b - a) as f64 / 100.0);
                }
            }
            let found = bucket_surplus(&instant, 1, Duration::from_nanos(100), 3);
            assert!((found - worst).abs() < 1e-9, "{found} {worst}");
        }
    }

    #[test]
    fn a_window_at_its_bound_has_no_surplus() {
        let at = |millis: u64| (millis * 1_000_000, millis * 1_000_000);
        let fixed = [at(0), at(900), at(1_000), at(1_900), at(2_000)];
        assert_eq!(window_surplus(&fixed, 2, SECOND), 0.0);
        let edge = [at(900), at(950), at(1_000), at(1_050)];
        assert_eq!(window_surplus(&edge, 2, SECOND), 2.0);
        // Which lasted so long that it may have been decided in time.
        let late = [at(900), at(950), (at(1_000).0, at(2_000).0)];
        assert_eq!(window_surplus(&late, 2, SECOND), 0.0);
    }
}
