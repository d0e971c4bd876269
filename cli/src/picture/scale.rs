//! Maps numbers to coordinates.

/// A linear axis: equal differences are equally far apart.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The numbers at both ends.
    pub numbers: [f64; 2],
    /// The coordinates of both ends.
    pub places: [f64; 2],
}

impl Scale {
    /// Returns the coordinate of a number.
    pub fn at(&self, number: f64) -> f64 {
        let [from, to] = self.numbers;
        let part = if to > from {
            (number - from) / (to - from)
        } else {
            0.0
        };
        self.places[0] + part * (self.places[1] - self.places[0])
    }

    /// Returns the coordinate of a count.
    #[expect(clippy::cast_precision_loss, reason = "for pictures")]
    pub fn of(&self, count: u64) -> f64 {
        self.at(count as f64)
    }

    /// Creates an axis from 0 at the bottom to `most` at the top.
    #[expect(clippy::cast_precision_loss, reason = "for pictures")]
    pub fn up_to(most: u64, [top, bottom]: [f64; 2]) -> Self {
        Self {
            numbers: [0.0, most.max(1) as f64],
            places: [bottom, top],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn counts_lie_between_bottom_and_top() {
        assert!((Scale::up_to(4, [0.0, 8.0]).of(1) - 6.0).abs() < 1e-9);
    }
}
