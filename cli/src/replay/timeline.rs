//! Counts admissions and refusals over time, in at most 1000 steps.
//!
//! The length of the log is not known in advance. So steps begin short, and are merged when there
//! are too many. Each length is a multiple of the one before, so merging loses nothing.

use crate::report::{Timeline, seconds};

/// The maximum number of steps.
const MAX_STEPS: u64 = 1_000;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

/// The lengths of a step. Beyond a day, the length is doubled.
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

/// Counts requests by time.
#[derive(Debug)]
pub struct TimelineBuilder {
    first: Option<u64>,
    length: u64,
    /// The admitted and the refused requests of each step.
    steps: Vec<[u64; 2]>,
}

impl Default for TimelineBuilder {
    fn default() -> Self {
        Self {
            first: None,
            length: LENGTHS[0],
            steps: Vec::new(),
        }
    }
}

impl TimelineBuilder {
    /// Counts a request, which must not be before the first.
    #[inline]
    pub fn count(&mut self, time: u64, admitted: bool) {
        let first = *self.first.get_or_insert(time);
        let mut step = (time - first) / self.length;
        while step >= MAX_STEPS {
            self.merge_steps();
            step = (time - first) / self.length;
        }
        #[expect(clippy::cast_possible_truncation, reason = "less than `MAX_STEPS`")]
        let step = step as usize;
        if self.steps.len() <= step {
            self.steps.resize(step + 1, [0; 2]);
        }
        self.steps[step][usize::from(!admitted)] += 1;
    }

    fn merge_steps(&mut self) {
        let longer = LENGTHS.into_iter().find(|length| *length > self.length);
        let longer = longer.unwrap_or(2 * self.length);
        #[expect(clippy::cast_possible_truncation, reason = "at most six")]
        let merged = self.steps.chunks((longer / self.length) as usize);
        let sum = |steps: &[[u64; 2]]| [0, 1].map(|of| steps.iter().map(|step| step[of]).sum());
        self.steps = merged.map(sum).collect();
        self.length = longer;
    }

    /// Returns the counts.
    pub fn finish(self) -> Timeline {
        Timeline {
            step: seconds(self.length),
            admitted: self.steps.iter().map(|step| step[0]).collect(),
            refused: self.steps.iter().map(|step| step[1]).collect(),
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
    fn merged_steps_equal_direct_counts() {
        let times: Vec<u64> = (0..5_000).map(|i| 77 + i * i * 13 * MILLI).collect();
        let mut builder = TimelineBuilder::default();
        for (i, time) in times.iter().enumerate() {
            builder.count(*time, i % 3 != 0);
        }
        let mut expected = vec![[0; 2]; builder.steps.len()];
        for (i, time) in times.iter().enumerate() {
            let step = usize::try_from((time - 77) / builder.length).unwrap();
            expected[step][usize::from(i % 3 == 0)] += 1;
        }
        assert_eq!(builder.steps, expected);
        assert!((151..=1_000).contains(&expected.len()));
        builder.count(u64::MAX, true);
        assert_eq!(builder.steps.as_flattened().iter().sum::<u64>(), 5_001);
    }
}
