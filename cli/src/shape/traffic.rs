//! Generates requests in a pattern.

use clap::ValueEnum;
use serde::Serialize;

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// Four bursts with pauses between them
    Burst,
    /// Equally spaced
    Steady,
    /// Random, each independent of all others
    Poisson,
    /// An increasing rate, from zero to twice the average
    Ramp,
    /// One half equally spaced, one half in five short spikes at random times
    Spikes,
}

/// Requests over a length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// How they arrive.
    pub pattern: Pattern,
    /// The number of requests; their mean number if the pattern is random.
    pub count: u32,
    /// The length of time in nanoseconds.
    pub nanos: u64,
    /// The seed of random patterns.
    pub seed: u64,
}

const BURSTS: u32 = 4;
const SPIKES: u32 = 5;

impl Traffic {
    /// Returns the times in nanoseconds, in ascending order. Equal seeds give equal times.
    pub fn arrivals(&self) -> Vec<u64> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let count = f64::from(self.count);
        // Times are fractions of the length. The length is cut into equal parts, and `middle` is
        // the middle of a part.
        let middle = |part: u32, parts: f64| (f64::from(part) + 0.5) / parts;
        let mut times: Vec<f64> = match self.pattern {
            Pattern::Steady => (0..self.count).map(|k| middle(k, count)).collect(),
            Pattern::Ramp => (0..self.count).map(|k| middle(k, count).sqrt()).collect(),
            // A burst takes a quarter of its part, after a short pause.
            Pattern::Burst => (0..self.count)
                .map(|k| {
                    let part = middle(k, count) * f64::from(BURSTS);
                    (part.floor() + 0.1 + part.fract() * 0.25) / f64::from(BURSTS)
                })
                .collect(),
            Pattern::Poisson => {
                let gaps = std::iter::repeat_with(|| -(1.0 - random.f64()).ln() / count);
                let times = gaps.scan(0.0, |now, gap| {
                    *now += gap;
                    Some(*now)
                });
                times.take_while(|time| *time < 1.0).collect()
            }
            Pattern::Spikes => {
                let spikes: Vec<f64> = (0..SPIKES).map(|_| random.f64() * 0.98).collect();
                let steady = self.count.div_ceil(2);
                let steadily = (0..steady).map(|k| middle(k, f64::from(steady)));
                let in_spikes = (steady..self.count)
                    .map(|k| spikes[k as usize % spikes.len()] + random.f64() * 0.02);
                steadily.chain(in_spikes).collect()
            }
        };
        times.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of the length is not negative, and is rounded anyway"
        )]
        let nanos =
            |time: f64| ((time * self.nanos as f64) as u64).min(self.nanos.saturating_sub(1));
        times.into_iter().map(nanos).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Traffic};
    use clap::ValueEnum;

    const NANOS: u64 = 10_000_000_000;

    fn arrivals(pattern: Pattern, count: u32, seed: u64) -> Vec<u64> {
        let traffic = Traffic {
            pattern,
            count,
            nanos: NANOS,
            seed,
        };
        traffic.arrivals()
    }

    #[test]
    fn times_are_sorted_and_repeatable() {
        for &pattern in Pattern::value_variants() {
            for count in [1, 2, 7, 10_000] {
                let times = arrivals(pattern, count, 7);
                assert!(times.is_sorted(), "{pattern:?}");
                assert!(times.iter().all(|time| *time < NANOS), "{pattern:?}");
                assert_eq!(times, arrivals(pattern, count, 7));
                if pattern != Pattern::Poisson {
                    assert_eq!(times.len(), count as usize, "{pattern:?}");
                }
            }
        }
        let other = arrivals(Pattern::Poisson, 10_000, 8);
        assert_ne!(other, arrivals(Pattern::Poisson, 10_000, 7));
    }

    #[test]
    fn poisson_has_its_mean_and_variance() {
        let counts = (0..200).map(|seed| arrivals(Pattern::Poisson, 100, seed).len());
        let counts: Vec<f64> = counts
            .map(|count| f64::from(u32::try_from(count).unwrap()))
            .collect();
        let mean = counts.iter().sum::<f64>() / 200.0;
        let squares = counts.iter().map(|count| (count - mean).powi(2));
        let variance = squares.sum::<f64>() / 199.0;
        // Four standard errors.
        assert!((mean - 100.0).abs() < 3.0, "{mean}");
        assert!((60.0..140.0).contains(&variance), "{variance}");
    }

    #[test]
    fn patterns_have_their_shapes() {
        let before = |pattern, percent: u64| {
            let times = arrivals(pattern, 10_000, 7).into_iter();
            times.filter(|time| *time < NANOS / 100 * percent).count()
        };
        assert_eq!(before(Pattern::Steady, 50), 5_000);
        assert_eq!(before(Pattern::Ramp, 50), 2_500);
        assert_eq!(before(Pattern::Burst, 2), 0);
        assert_eq!(before(Pattern::Burst, 24), 2_500);
        assert_eq!(before(Pattern::Spikes, 100), 10_000);
    }
}
