//! The arithmetic of the suite.

use std::time::Duration;

/// Returns the median.
///
/// # Panics
///
/// Panics without values.
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

/// Returns `part` in parts per million of `whole`.
pub fn ppm(part: f64, whole: f64) -> f64 {
    part / whole * 1e6
}

/// Returns Jain's index: 1 if all shares are equal, 1/n if one thread has everything.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|&share| share as f64).sum();
    let squares: f64 = shares.iter().map(|&share| (share as f64).powi(2)).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (shares.len() as f64 * squares)
}

/// Returns the smallest and the largest share, divided by the mean.
pub fn extremes(shares: &[u64]) -> (f64, f64) {
    let mean = shares.iter().sum::<u64>() as f64 / shares.len() as f64;
    let of_mean = |share: Option<&u64>| share.map_or(1.0, |&share| share as f64 / mean.max(1e-9));
    (of_mean(shares.iter().min()), of_mean(shares.iter().max()))
}

/// Returns the least value that at least this share of all values, from 0 to 1, does not exceed.
///
/// # Panics
///
/// Panics without values.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

/// Returns the mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Returns the part of a rate per second that these admissions used, with times in nanoseconds.
///
/// A limiter that admits `capacity` at once may admit in batches of that size. So the time is
/// measured from the first admission after the capacity, over whole batches. If admissions ended
/// long before `end`, it is measured until then.
pub fn used(times: &[u64], rate: u64, capacity: usize, end: u64) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let of_rate = |count: usize, nanos: u64| count as f64 / (rate as f64 * nanos as f64 / 1e9);
    let (Some(&first), Some(&last)) = (times.get(capacity), times.last()) else {
        return 0.0;
    };
    let batch = capacity as u64 * 1_000_000_000 / rate;
    let batches = (times.len() - 1 - capacity) / capacity;
    if end.saturating_sub(last) > 3 * batch + 50_000_000 || batches == 0 {
        return of_rate(times.len() - capacity, end - first);
    }
    of_rate(
        batches * capacity,
        times[capacity + batches * capacity] - first,
    )
}

/// Returns how many pairs are out of order.
pub fn overtaken(order: &[u64]) -> u64 {
    let later = |at: usize| {
        order[at + 1..]
            .iter()
            .filter(move |&&other| other < order[at])
    };
    (0..order.len()).map(|at| later(at).count() as u64).sum()
}

/// Returns how many whole tokens have come in after `nanos`.
pub fn earned(rate: u64, period: Duration, nanos: u64) -> u64 {
    let tokens = u128::from(rate) * u128::from(nanos) / period.as_nanos();
    u64::try_from(tokens).expect("in range")
}

/// Returns when the token of this number is due, rounded up to a nanosecond.
pub fn due(rate: u64, period: Duration, number: u64) -> u64 {
    let nanos = (u128::from(number) * period.as_nanos()).div_ceil(rate.into());
    u64::try_from(nanos).expect("in range")
}

/// An admission: the clock before and after the call, in nanoseconds. The decision lies in between.
pub type Admission = (u64, u64);

/// Returns the certain admissions in the worst interval, less `burst` and the refill of that
/// interval. A negative result means that no interval reached its bound.
///
/// An admission counts in `[a, b]` if it began at `a` or later and ended by `b`. So a late reading
/// of the clock never looks like a broken bound.
pub fn bucket_surplus(admissions: &[Admission], rate: u64, period: Duration, burst: u64) -> f64 {
    let per_nano = rate as f64 / period.as_nanos() as f64;
    let (begun, ended) = sorted(admissions);
    // Each end compares the admissions until then, less the refill since the origin, with the
    // lowest such number at a beginning.
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

/// Returns the certain admissions in the worst interval of this length, less `limit`.
pub fn window_surplus(admissions: &[Admission], limit: u64, length: Duration) -> f64 {
    let (begun, ended) = sorted(admissions);
    let length = u64::try_from(length.as_nanos()).expect("in range");
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
    fn percentiles() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.99), 198.0);
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values[..1], 0.99), 200.0);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn use_of_a_rate() {
        // One per 100 ms from a capacity of 1, as measured at 10 and at 20 per second.
        let steady: Vec<u64> = (0..50).map(|n| n * NANOS / 10).collect();
        assert_eq!(used(&steady, 10, 1, 5 * NANOS), 1.0);
        assert_eq!(used(&steady, 20, 1, 5 * NANOS), 0.5);
        // Batches of 10 per second, wherever the run ends.
        let batches: Vec<u64> = (0..5).flat_map(|n| [n * NANOS; 10]).collect();
        assert_eq!(used(&batches, 10, 10, 5 * NANOS), 1.0);
        assert_eq!(used(&batches[..47], 10, 10, 4 * NANOS), 1.0);
        // After a burst of 10, one per 100 ms.
        let burst: Vec<u64> = [0; 9].into_iter().chain(steady).collect();
        assert_eq!(used(&burst, 10, 10, 5 * NANOS), 1.0);
        // A limiter that stopped.
        let stopped: Vec<u64> = (0..50).map(|n| n * NANOS / 10).collect();
        assert!((used(&stopped, 10, 1, 10 * NANOS) - 0.5).abs() < 0.01);
        assert_eq!(used(&[1, 2], 10, 2, NANOS), 0.0);
        assert_eq!(used(&[], 10, 1, NANOS), 0.0);
    }

    #[test]
    fn pairs_out_of_order() {
        assert_eq!(overtaken(&[0, 1, 2, 3]), 0);
        assert_eq!(overtaken(&[3, 2, 1, 0]), 6);
        assert_eq!(overtaken(&[1, 0, 3, 2]), 2);
        assert_eq!(overtaken(&[]), 0);
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
    fn bucket_at_its_bound_has_no_surplus() {
        // 10 at once, and one per tenth of a second after.
        let tenth = NANOS / 10;
        let mut admissions = vec![(5, 5); 10];
        admissions.extend((1..=20).map(|n| (5 + n * tenth, 5 + n * tenth)));
        assert!(bucket_surplus(&admissions, 10, SECOND, 10).abs() < 1e-9);
        // One more in the middle. A sum over the whole time would hide it without the last ones.
        admissions.push((5 + 7 * tenth, 5 + 7 * tenth));
        assert!((bucket_surplus(&admissions, 10, SECOND, 10) - 1.0).abs() < 1e-9);
        admissions.retain(|&(at, _)| at < 5 + 15 * tenth);
        assert!((bucket_surplus(&admissions, 10, SECOND, 10) - 1.0).abs() < 1e-9);
        // The decision of a long call may lie where a token was available.
        let late = [(0, 0), (0, tenth)];
        assert!(bucket_surplus(&late, 10, SECOND, 1) <= 1e-9);
        assert!((bucket_surplus(&[(0, 0), (0, 0)], 10, SECOND, 1) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn bucket_surplus_matches_a_search_of_all_intervals() {
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
            let found = bucket_surplus(&admissions, 1, Duration::from_nanos(100), 3);
            // A call that surrounds an interval does not count in it, and may hide others.
            let worst = search(&admissions);
            assert!(found <= worst + 1e-9, "{found} {worst}");
            let instant: Vec<Admission> = admissions.iter().map(|&(a, _)| (a, a)).collect();
            let found = bucket_surplus(&instant, 1, Duration::from_nanos(100), 3);
            let worst = search(&instant);
            assert!((found - worst).abs() < 1e-9, "{found} {worst}");
        }
    }

    /// The surplus over 3 at once and one per 100 ns, by a search of all intervals.
    fn search(admissions: &[Admission]) -> f64 {
        let mut worst = f64::NEG_INFINITY;
        for &(a, _) in admissions {
            for &(_, b) in admissions.iter().filter(|&&(_, b)| b >= a) {
                let inside = |&&(x, y): &&Admission| a <= x && y <= b;
                let within = admissions.iter().filter(inside).count();
                worst = worst.max(within as f64 - 3.0 - (b - a) as f64 / 100.0);
            }
        }
        worst
    }

    #[test]
    fn window_at_its_bound_has_no_surplus() {
        let at = |millis: u64| (millis * 1_000_000, millis * 1_000_000);
        let fixed = [at(0), at(900), at(1_000), at(1_900), at(2_000)];
        assert_eq!(window_surplus(&fixed, 2, SECOND), 0.0);
        let edge = [at(900), at(950), at(1_000), at(1_050)];
        assert_eq!(window_surplus(&edge, 2, SECOND), 2.0);
        // The last call was so long that its decision may lie in the next window.
        let late = [at(900), at(950), (at(1_000).0, at(2_000).0)];
        assert_eq!(window_surplus(&late, 2, SECOND), 0.0);
    }
}
