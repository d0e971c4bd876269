//! Requests that come in a pattern.

use clap::ValueEnum;
use serde::Serialize;

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// In four crowds with pauses between them
    Burst,
    /// One after the other, equally far apart
    Steady,
    /// By chance, each independent of all others
    Poisson,
    /// Ever more, from none to twice the average
    Ramp,
    /// Half of them steadily, and half in a few short spikes at random times
    Spikes,
}

/// So many requests in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// How they come.
    pub pattern: Pattern,
    /// How many; by chance, that is the mean.
    pub count: u32,
    /// In how many nanoseconds.
    pub nanos: u64,
    /// Of what is random.
    pub seed: u64,
}

const CROWDS: u32 = 4;
const SPIKES: u32 = 5;

impl Traffic {
    /// When they come, in nanoseconds from the start, in order. The same for the same seed.
    pub fn arrivals(&self) -> Vec<u64> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let count = f64::from(self.count);
        // As parts of the time.
        let middle = |k: u32, of: f64| (f64::from(k) + 0.5) / of;
        let mut parts: Vec<f64> = match self.pattern {
            Pattern::Steady => (0..self.count).map(|k| middle(k, count)).collect(),
            Pattern::Ramp => (0..self.count).map(|k| middle(k, count).sqrt()).collect(),
            // A crowd has a quarter of its part of the time, after a short calm.
            Pattern::Burst => (0..self.count)
                .map(|k| {
                    let place = middle(k, count) * f64::from(CROWDS);
                    (place.floor() + 0.1 + place.fract() * 0.25) / f64::from(CROWDS)
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
        parts.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a part of the time is rounded anyway"
        )]
        let nanos = self.nanos as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of the time is not negative"
        )]
        let time = |part: f64| ((part * nanos) as u64).min(self.nanos.saturating_sub(1));
        parts.into_iter().map(time).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Traffic};
    use clap::ValueEnum;

    const TRAFFIC: Traffic = Traffic {
        pattern: Pattern::Steady,
        count: 10_000,
        nanos: 10_000_000_000,
        seed: 7,
    };

    #[test]
    fn as_many_come_as_should_in_time_and_in_order() {
        for &pattern in Pattern::value_variants() {
            for count in [1, 2, 7, 10_000] {
                let traffic = Traffic {
                    pattern,
                    count,
                    ..TRAFFIC
                };
                let arrivals = traffic.arrivals();
                assert!(
                    arrivals.is_sorted() && arrivals.iter().all(|time| *time < traffic.nanos),
                    "{pattern:?}"
                );
                assert_eq!(arrivals, traffic.arrivals());
                if pattern != Pattern::Poisson {
                    assert_eq!(arrivals.len(), count as usize, "{pattern:?}");
                }
            }
        }
    }

    #[test]
    fn chance_has_its_mean_and_variance() {
        let counts: Vec<f64> = (0..200)
            .map(|seed| {
                Traffic {
                    pattern: Pattern::Poisson,
                    count: 100,
                    seed,
                    ..TRAFFIC
                }
                .arrivals()
                .len()
            })
            .map(|count| f64::from(u32::try_from(count).unwrap()))
            .collect();
        let mean = counts.iter().sum::<f64>() / 200.0;
        let variance = counts
            .iter()
            .map(|count| (count - mean).powi(2))
            .sum::<f64>()
            / 199.0;
        // Four standard errors.
        assert!(
            (mean - 100.0).abs() < 3.0 && (60.0..140.0).contains(&variance),
            "{mean} {variance}"
        );
        let other = Traffic {
            pattern: Pattern::Poisson,
            seed: 8,
            ..TRAFFIC
        };
        assert_ne!(
            other.arrivals(),
            Traffic {
                pattern: Pattern::Poisson,
                ..TRAFFIC
            }
            .arrivals()
        );
    }

    #[test]
    fn patterns_have_their_shapes() {
        let before = |pattern, part: u64| {
            let arrivals = Traffic { pattern, ..TRAFFIC }.arrivals();
            arrivals
                .iter()
                .filter(|time| **time < TRAFFIC.nanos / 100 * part)
                .count()
        };
        assert_eq!(before(Pattern::Steady, 50), 5_000);
        assert_eq!(before(Pattern::Ramp, 50), 2_500);
        assert_eq!(
            (before(Pattern::Burst, 2), before(Pattern::Burst, 24)),
            (0, 2_500)
        );
        assert!(before(Pattern::Spikes, 100) == 10_000);
    }
}
