//! Admissions and refusals over time, in a thousand steps at the most, of a log whose length nobody knows before its end.
//!
//! Steps begin short, and become longer when there are too many: each length is a multiple of the one before, so steps are joined
//! as they are.

use crate::report::Timeline;

/// The most steps.
const MOST: u64 = 1_000;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

/// Lengths that people count in. Beyond a day, it is doubled.
const LENGTHS: [u64; 16] = [
    MILLI,
    2 * MILLI,
    10 * MILLI,
    20 * MILLI,
    100 * MILLI,
    200 * MILLI,
    SECOND,
    2 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    3_600 * SECOND,
    21_600 * SECOND,
    86_400 * SECOND,
];

/// Counts by time.
#[derive(Debug)]
pub struct Steps {
    first: Option<u64>,
    length: u64,
    admitted: Vec<u64>,
    refused: Vec<u64>,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            first: None,
            length: LENGTHS[0],
            admitted: Vec::new(),
            refused: Vec::new(),
        }
    }
}

impl Steps {
    /// Another request, not before the first.
    #[inline]
    pub fn count(&mut self, time: u64, admitted: bool) {
        let first = *self.first.get_or_insert(time);
        let mut step = (time - first) / self.length;
        while step >= MOST {
            self.lengthen();
            step = (time - first) / self.length;
        }
        #[expect(clippy::cast_possible_truncation, reason = "less than `MOST`")]
        let step = step as usize;
        if self.admitted.len() <= step {
            self.admitted.resize(step + 1, 0);
            self.refused.resize(step + 1, 0);
        }
        let counts = if admitted {
            &mut self.admitted
        } else {
            &mut self.refused
        };
        counts[step] += 1;
    }

    fn lengthen(&mut self) {
        let longer = LENGTHS.iter().find(|length| **length > self.length);
        let longer = longer.copied().unwrap_or(2 * self.length);
        #[expect(clippy::cast_possible_truncation, reason = "at most six")]
        let joined = (longer / self.length) as usize;
        for counts in [&mut self.admitted, &mut self.refused] {
            *counts = counts
                .chunks(joined)
                .map(|some| some.iter().sum())
                .collect();
        }
        self.length = longer;
    }

    /// What was counted.
    pub fn into_timeline(self) -> Timeline {
        Timeline {
            step: super::summary::seconds(self.length),
            admitted: self.admitted,
            refused: self.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_multiples() {
        for pair in LENGTHS.windows(2) {
            assert_eq!(pair[1] % pair[0], 0, "{pair:?}");
            assert!(pair[1] / pair[0] <= 6);
        }
    }

    #[test]
    fn joined_steps_are_as_if_counted_so() {
        let times: Vec<u64> = (0..5_000).map(|i| 77 + i * i * 13 * MILLI).collect();
        let mut steps = Steps::default();
        for (i, time) in times.iter().enumerate() {
            steps.count(*time, i % 3 != 0);
        }
        let length = steps.length;
        assert!(steps.admitted.len() <= 1_000 && steps.admitted.len() > 150);
        for (step, (admitted, refused)) in steps.admitted.iter().zip(&steps.refused).enumerate() {
            let count = |of: bool| {
                let here = |(i, time): &(usize, &u64)| {
                    (i % 3 != 0) == of && (**time - 77) / length == step as u64
                };
                times.iter().enumerate().filter(here).count() as u64
            };
            assert_eq!((*admitted, *refused), (count(true), count(false)));
        }
        steps.count(u64::MAX, true);
        assert_eq!(
            steps.admitted.iter().chain(&steps.refused).sum::<u64>(),
            5_001
        );
    }
}
