//! Random histories, and some particular ones, must keep the bound.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::Quota;

use super::history::{BATCH, Demand, Event, History, NODES};
use super::scenes::scenes;
use super::simulation::{Simulation, check_history};
use crate::script_harness::{Scripts, check_property};

/// Quotas whose refill time is near the lease's time, or anything else.
pub(crate) fn quotas(ttl_us: u64) -> impl Strategy<Value = Quota> {
    let any = prop_oneof![
        Just((3, 1_000_000_000)),
        Just((7, 1_000_000_000)),
        Just((100, 13_000_000_000)),
        (1_u64..200, 1_000_000_u64..20_000_000_000),
        (1_u64..200, Just(86_400_000_000_000)),
    ];
    let like_leases = (1_u64..200, 200_u64..4_000);
    let capacity = || prop_oneof![1_u64..8, 8_u64..60];
    prop_oneof![
        (any, capacity()).prop_map(|((n, nanos), capacity)| (n, nanos, capacity)),
        (like_leases, capacity()).prop_map(move |((n, thousandths), capacity)| {
            (n, ttl_us * thousandths * n / capacity, capacity)
        }),
    ]
    .prop_map(|(n, nanos, capacity)| {
        let quota = Quota::new(n, Duration::from_nanos(nanos)).unwrap();
        quota.burst(capacity)
    })
}

fn demand() -> impl Strategy<Value = Demand> {
    let permits = prop_oneof![Just(u64::MAX), 1_u64..20];
    let needed = prop_oneof![3 => Just(0_u64), 1 => 1_u64..10];
    let batch = (permits, needed).prop_map(|(permits, needed)| Demand::Batch { permits, needed });
    prop_oneof![8 => batch, 1 => Just(Demand::Idle), 1 => Just(Demand::Close)]
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    prop_oneof![
        3 => prop_oneof![0_u64..1_000, 0_u64..100_000, 0_u64..3_000_000].prop_map(Event::Wait),
        2 => node().prop_map(Event::UntilDeadline),
        1 => (-2_i8..=2).prop_map(Event::LeaseTime),
        2 => any::<u64>().prop_map(Event::Take),
        5 => Just(Event::TakeAll),
        1 => Just(Event::Peek),
        1 => (0_u64..30).prop_map(Event::Debit),
        2 => (node(), 1_u64..10).prop_map(|(node, most)| Event::Spend(node, most)),
        4 => node().prop_map(Event::SpendAll),
        3 => (node(), demand()).prop_map(|(node, demand)| Event::Send(node, demand)),
        4 => (0_usize..8).prop_map(Event::Arrive),
        2 => node().prop_map(Event::Receive),
        2 => node().prop_map(Event::GiveUp),
        7 => (node(), demand()).prop_map(|(node, demand)| Event::Refill(node, demand)),
        1 => node().prop_map(Event::Crash),
        1 => prop_oneof![0_u64..100_000, 0_u64..5_000_000].prop_map(Event::StepBack),
        1 => Just(Event::Lose),
    ]
}

pub(crate) fn histories() -> impl Strategy<Value = History> {
    let part = prop_oneof![4 => event().prop_map(|event| vec![event]), 1 => scenes()];
    let parts = move || prop::collection::vec(part.clone(), 0..24);
    let nodes = || prop_oneof![Just(1_usize), Just(2), Just(NODES)];
    let slow_clock = || prop_oneof![Just(999_u64), 0_u64..1_000];
    let ttl = prop_oneof![Just(10_000_u64), Just(2_000_000), 10_000_u64..5_000_000];
    ttl.prop_flat_map(move |ttl_us| {
        let all = (
            quotas(ttl_us),
            any::<bool>(),
            slow_clock(),
            nodes(),
            parts(),
        );
        all.prop_map(move |(quota, starts_empty, slow_clock, nodes, parts)| {
            let mut events: Vec<Event> = parts.into_iter().flatten().collect();
            // Fewer nodes affect each other more often.
            for node in events.iter_mut().filter_map(Event::node_mut) {
                *node %= nodes;
            }
            History {
                quota,
                ttl_us,
                starts_empty,
                slow_clock,
                events,
            }
        })
    })
}

#[test]
fn random_histories_keep_the_bound() {
    check_property(2, &histories(), check_history);
}

const fn ten_per_day(events: Vec<Event>) -> History {
    History::new(Quota::per_day(10), 2_000_000, events)
}

fn check(events: Vec<Event>) {
    check_history(&mut Scripts::start(), &ten_per_day(events)).unwrap();
}

/// A denial sees the lease's end and writes nothing. Then the clock steps back before that end.
#[test]
fn lease_that_ended_before_a_step_back_counts_as_spent() {
    use Event::{LeaseTime, Refill, SpendAll, StepBack, TakeAll};
    let refill = Refill(0, BATCH);
    let events = [
        refill,
        SpendAll(0),
        TakeAll,
        LeaseTime(0),
        refill,
        StepBack(1),
        refill,
    ];
    check([&events[..], &[SpendAll(0)]].concat());
}

/// What the node reports about its old lease must not apply to the new one.
#[test]
fn node_that_missed_the_end_of_its_lease_gets_a_new_one() {
    use Event::{Arrive, GiveUp, LeaseTime, Lose, Refill, Send};
    let (refill, send) = (Refill(0, BATCH), Send(0, BATCH));
    check(vec![
        refill,
        send,
        LeaseTime(0),
        Arrive(0),
        GiveUp(0),
        refill,
    ]);
    check(vec![refill, Lose, send, Arrive(0), GiveUp(0), refill]);
}

#[test]
fn reset_leaves_leases_with_their_nodes() {
    let mut scripts = Scripts::start();
    let history = ten_per_day(Vec::new());
    let mut simulation = Simulation::new(&mut scripts, &history);
    for event in [Event::TakeAll, Event::Debit(50)] {
        simulation.apply(Event::Refill(0, BATCH)).unwrap();
        simulation.apply(event).unwrap();
        simulation.call("reset", 0).unwrap();
        let available = 10 - simulation.held();
        assert_eq!(simulation.call("peek", 0).unwrap(), (true, available));
    }
    simulation.apply(Event::Refill(0, Demand::Close)).unwrap();
    assert_eq!(simulation.call("peek", 0).unwrap(), (true, 10));
}
