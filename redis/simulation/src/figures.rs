//! The arithmetic of the results.
#![expect(clippy::cast_precision_loss, reason = "for people")]

/// Returns `part` in percent of `whole`; 100 if there is nothing to have.
pub fn percent(part: f64, whole: f64) -> f64 {
    if whole == 0.0 {
        100.0
    } else {
        100.0 * part / whole
    }
}

/// Returns Jain's index: 1 if all shares are equal, 1/n if one node has everything.
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (shares.len() as f64 * squares)
}

/// Returns the smallest share, divided by the mean.
pub fn least(shares: &[f64]) -> f64 {
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    if mean == 0.0 { 1.0 } else { least / mean }
}

/// Draws how many events happen if this many do on average.
pub fn poisson(random: &mut fastrand::Rng, mean: f64) -> u64 {
    // Knuth's method multiplies random numbers until their product is small. In parts, because the
    // limit for a large mean would be too small for a double.
    const PART: f64 = 32.0;
    let (mut events, mut rest) = (0, mean);
    while rest > 0.0 {
        let limit = (-rest.min(PART)).exp();
        let mut product = random.f64();
        while product > limit {
            events += 1;
            product *= random.f64();
        }
        rest -= PART;
    }
    events
}

#[cfg(test)]
mod tests {
    use super::{jain, least, percent, poisson};

    #[test]
    fn equal_shares_are_fair() {
        assert!((jain(&[3.0; 4]) - 1.0).abs() < 1e-9);
        assert!((jain(&[3.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
        assert!((least(&[1.0, 3.0]) - 0.5).abs() < 1e-9);
        assert!((jain(&[0.0; 3]) - 1.0).abs() < 1e-9 && (least(&[0.0; 3]) - 1.0).abs() < 1e-9);
        assert!(
            (percent(1.0, 4.0) - 25.0).abs() < 1e-9 && (percent(0.0, 0.0) - 100.0).abs() < 1e-9
        );
    }

    #[test]
    fn events_have_their_mean_and_variance() {
        let mut random = fastrand::Rng::with_seed(1);
        for mean in [0.1, 3.0, 100.0] {
            let draws: Vec<f64> = (0..20_000)
                .map(|_| poisson(&mut random, mean) as f64)
                .collect();
            let count = draws.len() as f64;
            let average = draws.iter().sum::<f64>() / count;
            let variance = draws
                .iter()
                .map(|draw| (draw - average).powi(2))
                .sum::<f64>()
                / count;
            assert!((average / mean - 1.0).abs() < 0.1, "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.1, "{mean}: {variance}");
        }
    }
}
