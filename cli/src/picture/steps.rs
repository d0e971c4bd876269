//! Merges the steps of a timeline where a picture has no room for all.

use crate::report::Timeline;

/// The requests of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Start, in seconds since 1970.
    pub from: f64,
    /// End, in seconds since 1970.
    pub to: f64,
    /// Length in seconds. It is exact, unlike the difference of the ends, whose numbers are large.
    pub length: f64,
    /// Admitted requests.
    pub admitted: u64,
    /// Refused requests.
    pub refused: u64,
}

/// Returns at most `most` steps from `first` on. Neighbors are added up, so no request is lost.
pub fn steps(timeline: &Timeline, first: f64, most: usize) -> Vec<Step> {
    let count = timeline.admitted.len().max(timeline.refused.len());
    let each = count.div_ceil(most.max(1)).max(1);
    let starts = (0..count).step_by(each);
    let all = starts.map(|start| {
        let end = (start + each).min(count);
        Step {
            from: first + place(start) * timeline.step,
            to: first + place(end) * timeline.step,
            length: place(end - start) * timeline.step,
            admitted: sum(&timeline.admitted, start, end),
            refused: sum(&timeline.refused, start, end),
        }
    });
    all.collect()
}

#[expect(clippy::cast_precision_loss, reason = "the number of a step")]
const fn place(step: usize) -> f64 {
    step as f64
}

fn sum(counts: &[u64], start: usize, end: usize) -> u64 {
    let end = end.min(counts.len());
    let counts = counts.get(start..end).unwrap_or_default();
    counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::steps;
    use crate::report::Timeline;

    #[test]
    fn merged_steps_keep_every_request() {
        let timeline = Timeline {
            step: 0.5,
            admitted: (0..1_001).collect(),
            refused: vec![1; 1_001],
        };
        for most in [1, 2, 7, 360, 1_001, 5_000] {
            let steps = steps(&timeline, 100.0, most);
            assert!(steps.len() <= most);
            assert_eq!(steps.iter().map(|step| step.admitted).sum::<u64>(), 500_500);
            assert_eq!(steps.iter().map(|step| step.refused).sum::<u64>(), 1_001);
            let (first, last) = (steps[0], steps[steps.len() - 1]);
            assert!((first.from - 100.0).abs() < 1e-9 && (last.to - 600.5).abs() < 1e-9);
            assert!(
                steps
                    .windows(2)
                    .all(|pair| (pair[0].to - pair[1].from).abs() < 1e-9)
            );
        }
    }
}
