//! Checks the bound `capacity + rate × time`, exactly and for any order of admissions.

use core::cmp::Reverse;
use core::fmt;

use proptest::prelude::prop_assert;
use proptest::test_runner::TestCaseResult;
use tidegate::Quota;

use super::admission::Admission;

/// Any time span admits at most the capacity, plus what refills during the span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) capacity: u64,
    pub(crate) tokens: u64,
    pub(crate) period_ns: u64,
}

/// The span that exceeds the bound most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// Rounded up, so a violation of any size is positive.
    pub(crate) permits_over: i128,
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    /// Sum of the admissions that lie entirely within the span.
    pub(crate) permits: u128,
}

impl Bound {
    pub(crate) fn new(quota: Quota) -> Self {
        let period_ns = u64::try_from(quota.period().as_nanos()).expect("a period in nanoseconds");
        Self {
            capacity: quota.capacity(),
            tokens: quota.rate(),
            period_ns,
        }
    }

    /// The same rate with `factor` times the capacity.
    pub(crate) const fn with_capacity_times(self, factor: u64) -> Self {
        Self {
            capacity: self.capacity * factor,
            ..self
        }
    }

    /// Returns the largest excess over all spans, in O(n log n).
    ///
    /// A decision fell at an unknown instant of its interval. So a span counts only admissions that
    /// lie entirely within it, and every reported violation is certain. Only spans from a start to
    /// an end matter: any other span shrinks to one of these without losing an admission.
    pub(crate) fn excess(&self, admissions: &[Admission]) -> Excess {
        let mut starts: Vec<u64> = admissions.iter().map(|one| one.start_ns).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut by_end: Vec<&Admission> = admissions.iter().collect();
        by_end.sort_unstable_by_key(|admission| admission.end_ns);

        let origin = starts.first().copied().unwrap_or(0);
        let inflow = |until: u64| scaled(self.tokens, until - origin);
        let capacity = scaled(self.capacity, self.period_ns);
        let mut worst_scaled = -capacity;
        let mut worst = Excess {
            permits_over: -i128::from(self.capacity),
            from_ns: origin,
            to_ns: origin,
            permits: 0,
        };
        let mut sums = SuffixSums::new(starts.len());
        for same_end in by_end.chunk_by(|a, b| a.end_ns == b.end_ns) {
            let end = same_end[0].end_ns;
            for admission in same_end {
                let start = starts.partition_point(|&start| start < admission.start_ns);
                let permits = scaled(admission.permits, self.period_ns);
                sums.add(start, permits, inflow(admission.start_ns));
            }
            let (value, index) = sums.max();
            let excess = value - inflow(end) - capacity;
            if excess > worst_scaled {
                worst_scaled = excess;
                let permits = value - inflow(starts[index]);
                worst = Excess {
                    permits_over: -(-excess).div_euclid(i128::from(self.period_ns)),
                    from_ns: starts[index],
                    to_ns: end,
                    permits: permits.unsigned_abs() / u128::from(self.period_ns),
                };
            }
        }
        worst
    }

    #[track_caller]
    pub(crate) fn assert_within(&self, admissions: &[Admission]) {
        let excess = self.excess(admissions);
        assert!(excess.permits_over <= 0, "{self}: {excess}");
    }

    /// Fails a property test when the bound is exceeded.
    pub(crate) fn check(&self, admissions: &[Admission]) -> TestCaseResult {
        let excess = self.excess(admissions);
        prop_assert!(excess.permits_over <= 0, "{self}: {excess}");
        Ok(())
    }
}

/// Permits times the period, or tokens times elapsed time: both are whole numbers of one unit.
fn scaled(count: u64, ns: u64) -> i128 {
    i128::from(count).checked_mul(ns.into()).expect("in range")
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (capacity, tokens, ns) = (self.capacity, self.tokens, self.period_ns);
        write!(f, "{capacity} at once and {tokens} per {ns} ns")
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (permits, over, from, to) = (self.permits, self.permits_over, self.from_ns, self.to_ns);
        let length = to - from;
        write!(
            f,
            "{permits} admitted in {from}..={to} ({length} ns), which is {over} over"
        )
    }
}

/// For each start, its inflow plus the sum of all permits that began there or later.
///
/// A segment tree: node 1 is the root, and the children of node `i` are `2i` and `2i + 1`.
struct SuffixSums {
    /// Per node: the sum of its permits, and the largest value of its starts, the first of equals.
    nodes: Vec<(i128, (i128, Reverse<usize>))>,
    leaves: usize,
}

impl SuffixSums {
    fn new(count: usize) -> Self {
        let leaves = count.next_power_of_two();
        let unused = (0, (i128::MIN / 2, Reverse(usize::MAX)));
        Self {
            nodes: vec![unused; 2 * leaves],
            leaves,
        }
    }

    fn add(&mut self, index: usize, permits: i128, inflow: i128) {
        let mut node = self.leaves + index;
        let sum = self.nodes[node].0 + permits;
        self.nodes[node] = (sum, (sum + inflow, Reverse(index)));
        while node > 1 {
            node /= 2;
            let (left_sum, (left_max, left_index)) = self.nodes[2 * node];
            let (right_sum, right) = self.nodes[2 * node + 1];
            let left = (left_max + right_sum, left_index);
            self.nodes[node] = (left_sum + right_sum, left.max(right));
        }
    }

    fn max(&self) -> (i128, usize) {
        let (value, index) = self.nodes[1].1;
        (value, index.0)
    }
}
