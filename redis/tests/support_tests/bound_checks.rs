//! The bound checker is exact.

use proptest::prelude::*;
use tidegate::Quota;

use crate::support::admission::Admission;
use crate::support::bound::Bound;

const fn admission(start_ns: u64, end_ns: u64, permits: u64) -> Admission {
    Admission {
        start_ns,
        end_ns,
        permits,
    }
}

const BOUND: Bound = Bound {
    capacity: 10,
    tokens: 3,
    period_ns: 7,
};

#[test]
fn bound_may_be_reached_but_not_exceeded() {
    let over = |admissions: &[Admission]| BOUND.excess(admissions).permits_over;
    let burst = Admission::at(5, 10);
    assert_eq!(over(&[]), -10);
    assert_eq!(over(&[burst]), 0);
    assert_eq!(over(&[Admission::at(5, 11)]), 1);
    assert_eq!(over(&[burst, Admission::at(12, 3)]), 0);
    assert_eq!(over(&[burst, Admission::at(12, 4)]), 1);
    assert_eq!(
        over(&[burst, Admission::at(11, 3)]),
        1,
        "rounded up from 3/7"
    );
    assert_eq!(over(&[burst, Admission::at(13, 3)]), 0);
    // The decisions may have fallen at 4 and at 12.
    assert_eq!(over(&[admission(4, 5, 10), admission(11, 12, 3)]), 0);
    assert_eq!(over(&[admission(4, 6, 10), burst]), 10);
    // 42 permits refill within 100 ns.
    assert_eq!(over(&[admission(0, 100, 52)]), 0);
    assert_eq!(over(&[admission(0, 100, 53)]), 1);
}

#[test]
#[should_panic(
    expected = "10 at once and 3 per 7 ns: 13 admitted in 5..=11 (6 ns), which is 1 over"
)]
fn failure_names_the_span() {
    BOUND.assert_within(&[
        Admission::at(11, 3),
        admission(1, 90, 1),
        Admission::at(5, 10),
    ]);
}

#[test]
fn many_admissions_with_large_times_are_checked_exactly() {
    let bound = Bound::new(Quota::per_second(1_000_000).burst(1_000));
    // About half a century in nanoseconds.
    let start = 1_600_000_000_000_000_000;
    let mut all: Vec<Admission> = (0..200_000)
        .map(|us| Admission::at(start + us * 1_000, 1))
        .collect();
    all.push(Admission::at(start + 50_000_000, 999));
    bound.assert_within(&all);
    all.push(Admission::at(start + 70_000_000, 1));
    let excess = bound.excess(&all);
    assert_eq!((excess.permits_over, excess.permits), (1, 71_001));
    assert_eq!((excess.from_ns, excess.to_ns), (start, start + 70_000_000));
}

/// Permits admitted within a span, and how far they exceed the bound, rounded up.
fn within(bound: &Bound, admissions: &[Admission], from: u64, to: u64) -> (u64, i128) {
    let within = admissions
        .iter()
        .filter(|one| from <= one.start_ns && one.end_ns <= to);
    let permits: u64 = within.map(|one| one.permits).sum();
    let period = i128::from(bound.period_ns);
    let allowed = i128::from(bound.capacity) * period + i128::from(bound.tokens * (to - from));
    (
        permits,
        -(allowed - i128::from(permits) * period).div_euclid(period),
    )
}

/// The definition: the largest excess of all spans from a start to an end.
fn largest_excess(bound: &Bound, admissions: &[Admission]) -> i128 {
    let mut most = -i128::from(bound.capacity);
    for from in admissions.iter().map(|one| one.start_ns) {
        for to in admissions
            .iter()
            .map(|one| one.end_ns)
            .filter(|&to| from <= to)
        {
            most = most.max(within(bound, admissions, from, to).1);
        }
    }
    most
}

proptest! {
    #[test]
    fn checker_agrees_with_the_definition(
        capacity in 1_u64..10,
        tokens in 1_u64..10,
        period_ns in 1_u64..20,
        times in prop::collection::vec((0_u64..60, 0_u64..20, 0_u64..6), 0..20),
    ) {
        let bound = Bound { capacity, tokens, period_ns };
        let times = times.into_iter();
        let all = times.map(|(start, length, n)| admission(start, start + length, n));
        let all: Vec<_> = all.collect();
        let excess = bound.excess(&all);
        prop_assert_eq!(excess.permits_over, largest_excess(&bound, &all));
        if excess.permits > 0 {
            let (permits, over) = within(&bound, &all, excess.from_ns, excess.to_ns);
            prop_assert_eq!((permits.into(), over), (excess.permits, excess.permits_over));
        }
    }
}
