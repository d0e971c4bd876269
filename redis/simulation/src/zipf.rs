//! Keys of which few get most of the calls.

/// Draws key `i`, counted from 0, with a chance proportional to 1 / (i + 1)^s.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// The chance of a key or one before it.
    up_to: Vec<f64>,
}

impl Zipf {
    /// Returns the distribution over so many keys with this exponent.
    ///
    /// # Panics
    ///
    /// Without keys.
    #[expect(clippy::cast_precision_loss, reason = "chances are doubles")]
    pub fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut up_to: Vec<f64> = (1..=keys)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        assert!(!up_to.is_empty(), "no keys");
        up_to.iter_mut().for_each(|chance| *chance /= sum);
        Self { up_to }
    }

    /// Draws a key.
    pub fn draw(&self, random: &mut fastrand::Rng) -> usize {
        let chance = random.f64();
        let key = self.up_to.partition_point(|&up_to| up_to <= chance);
        // The last sum may be rounded to less than 1.
        key.min(self.up_to.len() - 1)
    }

    /// Returns the share of the hottest keys.
    pub fn share_of_hottest(&self, keys: usize) -> f64 {
        keys.checked_sub(1).map_or(0.0, |last| {
            let last = last.min(self.up_to.len() - 1);
            self.up_to[last]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Zipf;

    #[test]
    fn keys_come_as_often_as_their_rank_says() {
        let zipf = Zipf::new(4, 1.0);
        // 1, 1/2, 1/3 and 1/4 of 25/12.
        let shares = [0.0, 12.0 / 25.0, 18.0 / 25.0, 22.0 / 25.0, 1.0, 1.0];
        for (keys, share) in shares.into_iter().enumerate() {
            assert!((zipf.share_of_hottest(keys) - share).abs() < 1e-9, "{keys}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        let first = (0..10_000).filter(|_| zipf.draw(&mut random) == 0).count();
        assert!((4_600..5_000).contains(&first), "{first}");
    }
}
