//! The judge of "never more than the limit": exact, whatever the order of admissions.

use core::cmp::Reverse;
use core::fmt;

use tidegate::Quota;

use super::admissions::Admission;

/// In any span of time at most the capacity and what flows in during the span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) capacity: u64,
    pub(crate) tokens: u64,
    pub(crate) period_ns: u64,
}

/// The span in which most was admitted beyond what the bound allows there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// Rounded up: positive if the bound is broken, by however little.
    pub(crate) permits_over: i128,
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    /// Those of all admissions that lie entirely in the span.
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

    /// The largest excess over all spans.
    ///
    /// A decision fell at an unknown instant of its interval, so a span is charged only with admissions that lie entirely in it:
    /// what is broken by this count is broken for certain. Only spans from a start to an end need a look, for others can shrink to
    /// one without losing an admission. Goes through the ends in order, with a tree over the starts: n log n in all.
    pub(crate) fn excess(&self, admissions: &[Admission]) -> Excess {
        let mut starts: Vec<u64> = admissions
            .iter()
            .map(|admission| admission.start_ns)
            .collect();
        starts.sort_unstable();
        starts.dedup();
        let mut by_end: Vec<&Admission> = admissions.iter().collect();
        by_end.sort_unstable_by_key(|admission| admission.end_ns);

        let origin = starts.first().copied().unwrap_or(0);
        let mut worst = Excess {
            permits_over: -i128::from(self.capacity),
            from_ns: origin,
            to_ns: origin,
            permits: 0,
        };
        let mut worst_scaled = self.scaled(self.capacity).checked_neg().expect("small");
        let inflow = |until: u64| self.inflow_scaled(until - origin);
        let mut tree = Tree::new(starts.iter().map(|&start| inflow(start)).collect());
        for same_end in by_end.chunk_by(|a, b| a.end_ns == b.end_ns) {
            let end = same_end[0].end_ns;
            for admission in same_end {
                let charged = starts.partition_point(|&start| start <= admission.start_ns);
                tree.add(charged, self.scaled(admission.permits));
            }
            // All that ended by now started by now, so there is such a start.
            let (value, index) = tree.max(starts.partition_point(|&start| start <= end));
            let scaled = value - inflow(end) - self.scaled(self.capacity);
            if scaled > worst_scaled {
                worst_scaled = scaled;
                let permits = value - inflow(starts[index]);
                worst = Excess {
                    permits_over: -(-scaled).div_euclid(i128::from(self.period_ns)),
                    from_ns: starts[index],
                    to_ns: end,
                    permits: permits.unsigned_abs() / u128::from(self.period_ns),
                };
            }
        }
        worst
    }

    /// Fails the test if more was admitted than the bound allows.
    #[track_caller]
    pub(crate) fn assert_within(&self, admissions: &[Admission]) {
        let excess = self.excess(admissions);
        assert!(excess.permits_over <= 0, "{self}: {excess}");
    }

    /// Permits times the period, in which inflow is a whole number.
    fn scaled(&self, permits: u64) -> i128 {
        i128::from(permits)
            .checked_mul(i128::from(self.period_ns))
            .expect("small")
    }

    fn inflow_scaled(&self, ns: u64) -> i128 {
        i128::from(self.tokens)
            .checked_mul(i128::from(ns))
            .expect("small")
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            capacity,
            tokens,
            period_ns,
        } = self;
        write!(f, "{capacity} at once and {tokens} per {period_ns} ns")
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            permits_over,
            from_ns,
            to_ns,
            permits,
        } = self;
        let long = to_ns - from_ns;
        write!(
            f,
            "{permits} admitted in {from_ns}..={to_ns} ({long} ns), which is {permits_over} over"
        )
    }
}

/// Numbers to whose first few something is added, and of whose first few the largest is asked for.
///
/// Node 1 is the root, and the children of node `i` are `2i` and `2i + 1`.
struct Tree {
    /// The largest below a node and its place, without what was added to the nodes above it.
    largest: Vec<(i128, Reverse<usize>)>,
    /// What was added to all below a node.
    added: Vec<i128>,
    leaves: usize,
}

impl Tree {
    fn new(values: Vec<i128>) -> Self {
        let leaves = values.len().next_power_of_two();
        let mut largest = vec![(i128::MIN / 2, Reverse(usize::MAX)); 2 * leaves];
        for (index, value) in values.into_iter().enumerate() {
            largest[leaves + index] = (value, Reverse(index));
        }
        for node in (1..leaves).rev() {
            largest[node] = largest[2 * node].max(largest[2 * node + 1]);
        }
        Self {
            largest,
            added: vec![0; 2 * leaves],
            leaves,
        }
    }

    /// Adds to the first `count`.
    fn add(&mut self, count: usize, value: i128) {
        self.add_below(1, self.leaves, count, value);
    }

    fn add_below(&mut self, node: usize, width: usize, count: usize, value: i128) {
        if count == 0 {
            return;
        }
        if count >= width {
            self.largest[node].0 += value;
            self.added[node] += value;
            return;
        }
        let half = width / 2;
        self.add_below(2 * node, half, count.min(half), value);
        self.add_below(2 * node + 1, half, count.saturating_sub(half), value);
        let (largest, place) = self.largest[2 * node].max(self.largest[2 * node + 1]);
        self.largest[node] = (largest + self.added[node], place);
    }

    /// The largest of the first `count`, which are some, and its place: the first of several.
    fn max(&self, count: usize) -> (i128, usize) {
        let (mut node, mut width, mut count, mut above) = (1, self.leaves, count, 0);
        let mut best = (i128::MIN, Reverse(usize::MAX));
        while count > 0 {
            let of = |node: usize| (self.largest[node].0 + above, self.largest[node].1);
            if count >= width {
                best = best.max(of(node));
                break;
            }
            above += self.added[node];
            width /= 2;
            node *= 2;
            if count >= width {
                let (largest, place) = self.largest[node];
                best = best.max((largest + above, place));
                count -= width;
                node += 1;
            }
        }
        (best.0, best.1.0)
    }
}
