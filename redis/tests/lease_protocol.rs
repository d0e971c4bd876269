//! Nodes with leases and callers without share a bucket, on a clock that the test sets: requests are late, answers are lost, nodes die, the
//! server's clock steps back, its key is lost. Every history is judged by the exact bound.
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

mod scripted;
mod support;

use core::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseResult, TestRunner};
use scripted::{MOST_US, Scaled};
use tidegate::Quota;

use scripted::{Call, Part, Scripts, fresh_key, numbers, scaled, take_call, whole};
use support::admissions::Admission;
use support::bound::Bound;

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    /// To the last moment at which a node may spend what it holds.
    UntilDeadline(usize),
    /// To the first moment at which the server may believe that its lease has ended.
    UntilEnd(usize),
    /// For as long as a lease lasts, and a little more or less.
    LeaseLong(i8),
    Take(u64),
    TakeAll,
    Look,
    Debit(u64),
    Spend(usize, u64),
    SpendAll(usize),
    /// A request, or the last one of a node that closes.
    Ask(usize, Wish),
    /// Some request arrives, maybe one whose node does not wait for it any more.
    Arrive(usize),
    /// The answer to a request that has arrived.
    Hear(usize),
    GiveUp(usize),
    /// A request that arrives and is answered at once.
    Refill(usize, Wish),
    Die(usize),
    StepBack(u64),
    Lose,
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    /// The batch, and what a caller waits for.
    More(u64, u64),
    /// Nobody has needed any.
    Idle,
    Close,
}

#[derive(Clone, Debug)]
struct History {
    quota: Quota,
    lasts_us: u64,
    /// A bucket that is not there is empty for a lease, or full.
    starts_empty: bool,
    /// How much of the hundredth, which is the least margin of a node, their clocks use up by being slow, in 1/1000 of it.
    slow: u64,
    events: Vec<Event>,
}

/// A request on its way.
#[derive(Clone, Debug)]
struct Flight {
    asked_us: u64,
    hold: u64,
    back: u64,
    amounts: Vec<u64>,
    arguments: Vec<String>,
    closes: bool,
    /// What became of it: which life of the key it met, and what the server said.
    answer: Option<(usize, Option<(u64, bool)>)>,
}

/// As `filler.rs`.
#[derive(Clone, Debug)]
struct Node {
    name: String,
    seq: u64,
    acked: u64,
    outstanding: u64,
    tank: u64,
    deadline_us: u64,
    end_us: u64,
    flight: Option<Flight>,
    /// In which life of the key it was granted what it holds.
    life: usize,
}

impl Node {
    fn new(number: usize) -> Self {
        Self {
            name: format!("z{number:016x}"),
            seq: 0,
            acked: 0,
            outstanding: 0,
            tank: 0,
            deadline_us: 0,
            end_us: 0,
            flight: None,
            life: 0,
        }
    }
}

struct World<'a> {
    scripts: &'a mut Scripts,
    history: &'a History,
    scaled: Scaled,
    key: String,
    nodes: Vec<Node>,
    born: usize,
    /// Requests that have not arrived, and whose nodes do not wait for them any more.
    late: Vec<Flight>,
    now_us: u64,
    behind_us: u64,
    life: usize,
    admissions: Vec<Vec<Admission>>,
}

const START_US: u64 = 1_790_000_000_123_456;

impl<'a> World<'a> {
    fn new(scripts: &'a mut Scripts, history: &'a History) -> Self {
        Self {
            scripts,
            history,
            scaled: scaled(history.quota),
            key: fresh_key(),
            nodes: (0..NODES).map(Node::new).collect(),
            born: NODES,
            late: Vec::new(),
            now_us: START_US,
            behind_us: 0,
            life: 0,
            admissions: vec![Vec::new()],
        }
    }

    const fn server_us(&self) -> u64 {
        self.now_us - self.behind_us
    }

    const fn empty_for_us(&self) -> u64 {
        if self.history.starts_empty {
            self.history.lasts_us
        } else {
            0
        }
    }

    fn admitted(&mut self, life: usize, permits: u64) {
        if permits > 0 {
            let at = (self.now_us - START_US) * 1_000;
            self.admissions[life].push(Admission {
                start_ns: at,
                end_ns: at,
                permits,
            });
        }
    }

    /// Whether it was admitted, and what was there before a look, or is after.
    fn direct(&mut self, op: &str, cost: u64) -> Result<(bool, u64), TestCaseError> {
        let part = Part {
            scaled: self.scaled,
            cost,
            owed: 0,
        };
        let keys = [self.key.clone()];
        let call = take_call(op, self.empty_for_us(), &keys, &[part], self.server_us());
        let (answer, _) = self.scripts.take(call);
        let answer = numbers(&answer)?;
        let ahead = (whole(answer[3])?, whole(answer[4])?);
        Ok((answer[0] == 1, self.scaled.available(ahead)))
    }

    fn take(&mut self, cost: u64) -> TestCaseResult {
        if self.direct("take", cost)?.0 {
            self.admitted(self.life, cost);
        }
        Ok(())
    }

    fn spend(&mut self, node: usize, most: u64) {
        let node = &mut self.nodes[node];
        if self.now_us < node.deadline_us {
            let spent = node.tank.min(most);
            node.tank -= spent;
            let life = node.life;
            self.admitted(life, spent);
        }
    }

    /// `Filler::refill` and `Filler::give_back` up to the request.
    fn ask(&mut self, index: usize, wish: Wish) {
        let (scaled, half) = (self.scaled, self.history.quota.capacity() / 2);
        let (empty_for, lasts, now) = (self.empty_for_us(), self.history.lasts_us, self.now_us);
        let node = &mut self.nodes[index];
        if node.flight.is_some() {
            return;
        }
        let (mut hold, mut back) = if now < node.deadline_us {
            (node.tank, 0)
        } else {
            (0, core::mem::take(&mut node.tank))
        };
        let mut amounts = Vec::new();
        match wish {
            Wish::Close => {
                back += core::mem::take(&mut node.tank);
                hold = 0;
            }
            Wish::Idle if hold + back == node.outstanding => {
                back += core::mem::take(&mut node.tank);
                hold = 0;
            }
            Wish::Idle => amounts.push(1),
            Wish::More(batch, wanted) => {
                let least = wanted.saturating_sub(hold).max(1);
                let mut amount = batch.min(half).max(1).saturating_sub(hold);
                while amount > least {
                    amounts.push(amount);
                    amount /= 2;
                }
                amounts.push(least);
            }
        }
        node.seq += 1;
        let mut arguments: Vec<String> = Vec::new();
        let amount = |(us, num): (u64, u64)| [us.to_string(), num.to_string()];
        arguments.push(scaled.den().to_string());
        arguments.extend(amount(scaled.full()));
        arguments.extend([MOST_US.to_string(), empty_for.to_string()]);
        arguments.extend(amount((0, 0)));
        arguments.push(node.name.clone());
        arguments.extend([node.seq.to_string(), node.acked.to_string()]);
        arguments.extend(amount(scaled.cost(hold)));
        arguments.extend(amount(scaled.cost(back)));
        arguments.push(lasts.to_string());
        arguments.extend(amount(scaled.cost(half)));
        for &n in &amounts {
            arguments.extend(amount(scaled.cost(n)));
        }
        node.flight = Some(Flight {
            asked_us: now,
            hold,
            back,
            amounts,
            arguments,
            closes: matches!(wish, Wish::Close),
            answer: None,
        });
    }

    /// A request arrives: whether the node waits for it or not.
    fn arrive(&mut self, mut flight: Flight) -> Result<Flight, TestCaseError> {
        let call = Call {
            keys: vec![self.key.clone()],
            arguments: flight.arguments.clone(),
            now_us: self.server_us(),
        };
        let (answer, kept) = self.scripts.lease(call);
        let answer = numbers(&answer)?;
        let said = if answer[0] < 0 {
            None
        } else {
            let place = usize::try_from(answer[0]).unwrap();
            let granted = place
                .checked_sub(1)
                .map_or(0, |index| flight.amounts[index]);
            let held = held_us(kept[0].value.as_deref().unwrap_or(""));
            let most = |n: u64| self.scaled.cost(n).0 + 4;
            let capacity = self.history.quota.capacity();
            prop_assert!(held <= most(capacity), "{held} us are held");
            if (1..flight.amounts.len()).contains(&place) {
                prop_assert!(held <= most(capacity / 2), "{held} us are held by batches");
            }
            prop_assert!(granted > 0 || flight.amounts.is_empty() || answer[2] > 0);
            Some((granted, answer[1] == 1))
        };
        flight.answer = Some((self.life, said));
        Ok(flight)
    }

    fn arrive_any(&mut self, choice: usize) -> TestCaseResult {
        let waiting: Vec<usize> = (0..self.nodes.len())
            .filter(|&node| {
                let flight = self.nodes[node].flight.as_ref();
                flight.is_some_and(|flight| flight.answer.is_none())
            })
            .collect();
        let all = self.late.len() + waiting.len();
        if all == 0 {
            return Ok(());
        }
        let choice = choice % all;
        if choice < self.late.len() {
            let flight = self.late.remove(choice);
            self.arrive(flight)?;
        } else {
            let node = waiting[choice - self.late.len()];
            let flight = self.nodes[node].flight.take().unwrap();
            self.nodes[node].flight = Some(self.arrive(flight)?);
        }
        Ok(())
    }

    /// `Filler::granted`, or `Filler::failed` if the answer says that a later request came before it.
    fn hear(&mut self, index: usize) {
        let lasts = self.history.lasts_us;
        let slow = lasts / 100 * self.history.slow / 1_000;
        let node = &mut self.nodes[index];
        let Some((life, said)) = node.flight.as_ref().and_then(|flight| flight.answer) else {
            return;
        };
        let Some((granted, kept)) = said else {
            return self.give_up(index);
        };
        let flight = node.flight.take().unwrap();
        if flight.closes {
            return self.replace(index);
        }
        node.acked = node.seq;
        if !kept {
            node.tank = 0;
        }
        node.life = life;
        node.outstanding = if kept { flight.hold } else { 0 } + granted;
        node.tank += granted;
        node.deadline_us = flight.asked_us + lasts - lasts / 100 + slow;
        node.end_us = flight.asked_us + lasts;
    }

    /// `Filler::failed`.
    fn give_up(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(flight) = node.flight.take() else {
            return;
        };
        node.outstanding = node.outstanding.saturating_sub(flight.back);
        let closes = flight.closes;
        if flight.answer.is_none() {
            self.late.push(flight);
        }
        if closes {
            self.replace(index);
        }
    }

    fn replace(&mut self, index: usize) {
        if let Some(flight) = self.nodes[index].flight.take()
            && flight.answer.is_none()
        {
            self.late.push(flight);
        }
        self.nodes[index] = Node::new(self.born);
        self.born += 1;
    }

    fn happens(&mut self, event: &Event) -> TestCaseResult {
        match *event {
            Event::Wait(us) => self.now_us += us,
            Event::UntilDeadline(node) => {
                self.now_us = self
                    .now_us
                    .max(self.nodes[node].deadline_us.saturating_sub(1));
            }
            Event::UntilEnd(node) => self.now_us = self.now_us.max(self.nodes[node].end_us),
            Event::LeaseLong(more) => {
                self.now_us += self.history.lasts_us;
                self.now_us = self.now_us.saturating_add_signed(i64::from(more));
            }
            Event::Take(cost) => {
                self.take(1 + cost % self.history.quota.capacity())?;
            }
            Event::TakeAll => {
                let (_, available) = self.direct("peek", 0)?;
                self.take(available)?;
            }
            Event::Look => {
                self.direct("peek", 1)?;
            }
            Event::Debit(cost) => {
                self.direct("debit", cost)?;
            }
            Event::Spend(node, most) => self.spend(node, most),
            Event::SpendAll(node) => self.spend(node, u64::MAX),
            Event::Ask(node, wish) => self.ask(node, wish),
            Event::Arrive(choice) => self.arrive_any(choice)?,
            Event::Hear(node) => self.hear(node),
            Event::GiveUp(node) => self.give_up(node),
            Event::Refill(node, wish) => {
                self.ask(node, wish);
                let flight = self.nodes[node].flight.take().unwrap();
                self.nodes[node].flight = Some(if flight.answer.is_none() {
                    self.arrive(flight)?
                } else {
                    flight
                });
                self.hear(node);
            }
            Event::Die(node) => self.replace(node),
            Event::StepBack(us) => self.behind_us += us,
            Event::Lose => {
                self.scripts.lose(&self.key);
                // Without `starts_empty` the bound holds only for what was granted in one life of the key.
                if !self.history.starts_empty {
                    self.life += 1;
                    self.admissions.push(Vec::new());
                }
            }
        }
        Ok(())
    }

    fn judge(&self) -> TestCaseResult {
        let bound = Bound::new(self.history.quota);
        for life in &self.admissions {
            let excess = bound.excess(life);
            prop_assert!(excess.permits_over <= 0, "{bound}: {excess}");
        }
        Ok(())
    }

    /// Nothing is lost for longer than a lease, but what is owed.
    fn all_comes_back(&mut self) -> TestCaseResult {
        for index in 0..self.nodes.len() {
            self.replace(index);
        }
        let debits = self.history.events.iter().filter_map(|event| match event {
            Event::Debit(cost) => Some(*cost),
            _ => None,
        });
        let capacity = self.history.quota.capacity();
        let owed = debits.sum::<u64>() + capacity;
        // A clock that has stepped back stands still until somebody looks, and a bucket that is gone starts to fill then.
        self.direct("peek", 0)?;
        self.now_us += 2 * self.history.lasts_us + self.scaled.cost(owed + capacity).0 + 2;
        let (_, available) = self.direct("peek", 0)?;
        prop_assert_eq!(available, capacity, "all should be there again");
        Ok(())
    }
}

/// What all nodes hold, by the value of the bucket.
fn held_us(value: &str) -> u64 {
    let words: Vec<&str> = value.split(' ').collect();
    let leases = words.get(5..).unwrap_or_default().chunks_exact(7);
    let number = |word: &str| word.parse::<u64>().unwrap();
    leases
        .map(|lease| number(lease[2]) + number(lease[4]))
        .sum()
}

/// Whether a history keeps the bound.
fn check(scripts: &mut Scripts, history: &History) -> TestCaseResult {
    let mut world = World::new(scripts, history);
    for event in &history.events {
        world.happens(event)?;
    }
    world.judge()?;
    world.all_comes_back()
}

const NODES: usize = 4;

const BATCH: Wish = Wish::More(u64::MAX, 0);

/// Rates at which a bucket fills up in about so long, or in any time.
fn quotas(lasts_us: u64) -> impl Strategy<Value = Quota> {
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
            (n, lasts_us * thousandths * n / capacity, capacity)
        }),
    ]
    .prop_map(|(n, nanos, capacity)| {
        Quota::new(n, Duration::from_nanos(nanos))
            .unwrap()
            .burst(capacity)
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        8 => (prop_oneof![Just(u64::MAX), 1_u64..20], prop_oneof![3 => Just(0_u64), 1 => 1_u64..10])
            .prop_map(|(batch, wanted)| Wish::More(batch, wanted)),
        1 => Just(Wish::Idle),
        1 => Just(Wish::Close),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    prop_oneof![
        3 => prop_oneof![0_u64..1_000, 0_u64..100_000, 0_u64..3_000_000].prop_map(Event::Wait),
        2 => node().prop_map(Event::UntilDeadline),
        1 => (-2_i8..=2).prop_map(Event::LeaseLong),
        2 => any::<u64>().prop_map(Event::Take),
        5 => Just(Event::TakeAll),
        1 => Just(Event::Look),
        1 => (0_u64..30).prop_map(Event::Debit),
        2 => (node(), 1_u64..10).prop_map(|(node, most)| Event::Spend(node, most)),
        4 => node().prop_map(Event::SpendAll),
        3 => (node(), wish()).prop_map(|(node, wish)| Event::Ask(node, wish)),
        4 => (0_usize..8).prop_map(Event::Arrive),
        2 => node().prop_map(Event::Hear),
        2 => node().prop_map(Event::GiveUp),
        7 => (node(), wish()).prop_map(|(node, wish)| Event::Refill(node, wish)),
        1 => node().prop_map(Event::Die),
        1 => prop_oneof![0_u64..100_000, 0_u64..5_000_000].prop_map(Event::StepBack),
        1 => Just(Event::Lose),
    ]
}

/// What leads to trouble when it comes together, of which any part may be missing.
fn scene() -> impl Strategy<Value = Vec<Event>> {
    use Event::{
        Ask, Die, GiveUp, Lose, Refill, SpendAll, StepBack, TakeAll, UntilDeadline, UntilEnd, Wait,
    };
    let spent_at_the_end = |node| {
        vec![
            Refill(node, BATCH),
            UntilDeadline(node),
            SpendAll(node),
            UntilEnd(node),
            Wait(4_000),
            TakeAll,
        ]
    };
    let told_at_the_end = |node| {
        vec![
            Refill(node, BATCH),
            UntilDeadline(node),
            SpendAll(node),
            Refill(node, BATCH),
            TakeAll,
            SpendAll(node),
        ]
    };
    let late = |node| {
        vec![
            Refill(node, BATCH),
            Ask(node, BATCH),
            GiveUp(node),
            SpendAll(node),
            Refill(node, BATCH),
            SpendAll(node),
            Event::Arrive(0),
            TakeAll,
        ]
    };
    let ended_and_not = |node| {
        vec![
            Refill(node, BATCH),
            SpendAll(node),
            TakeAll,
            UntilEnd(node),
            Refill(node, BATCH),
            StepBack(1_000),
            Refill(node, BATCH),
            SpendAll(node),
        ]
    };
    let forgotten = |node| {
        vec![
            Refill(node, BATCH),
            Lose,
            Ask(node, BATCH),
            Event::Arrive(0),
            GiveUp(node),
            TakeAll,
            Refill(node, BATCH),
            SpendAll(node),
            Die(node),
        ]
    };
    let gone_and_full_again = |node| {
        vec![
            Refill(node, BATCH),
            Lose,
            Event::Look,
            UntilDeadline(node),
            SpendAll(node),
            TakeAll,
        ]
    };
    let whole = (0..NODES, 0..6).prop_map(move |(node, which)| match which {
        0 => spent_at_the_end(node),
        1 => told_at_the_end(node),
        2 => late(node),
        3 => ended_and_not(node),
        4 => gone_and_full_again(node),
        _ => forgotten(node),
    });
    (whole, prop::collection::vec(prop::bool::weighted(0.9), 9)).prop_map(|(events, kept)| {
        let kept = events.into_iter().zip(kept).filter(|(_, kept)| *kept);
        kept.map(|(event, _)| event).collect()
    })
}

fn histories() -> impl Strategy<Value = History> {
    let part = prop_oneof![4 => event().prop_map(|event| vec![event]), 1 => scene()];
    let parts = move || prop::collection::vec(part.clone(), 0..24);
    let few_nodes = || prop_oneof![Just(1_usize), Just(2), Just(NODES)];
    let slow = || prop_oneof![Just(999_u64), 0_u64..1_000];
    lasts().prop_flat_map(move |lasts_us| {
        let all = (
            quotas(lasts_us),
            any::<bool>(),
            slow(),
            few_nodes(),
            parts(),
        );
        all.prop_map(move |(quota, starts_empty, slow, nodes, parts)| {
            let mut events: Vec<Event> = parts.into_iter().flatten().collect();
            for event in &mut events {
                on_few(event, nodes);
            }
            History {
                quota,
                lasts_us,
                starts_empty,
                slow,
                events,
            }
        })
    })
}

fn lasts() -> impl Strategy<Value = u64> {
    prop_oneof![Just(10_000_u64), Just(2_000_000), 10_000_u64..5_000_000]
}

/// Fewer nodes have more to do with one another.
const fn on_few(event: &mut Event, nodes: usize) {
    match event {
        Event::UntilDeadline(node)
        | Event::UntilEnd(node)
        | Event::Spend(node, _)
        | Event::SpendAll(node)
        | Event::Ask(node, _)
        | Event::Hear(node)
        | Event::GiveUp(node)
        | Event::Refill(node, _)
        | Event::Die(node) => *node %= nodes,
        _ => {}
    }
}

/// A case here is dozens of calls.
fn config(share: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: (config.cases / share).max(1),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..config
    }
}

const fn per_day(capacity: u64, events: Vec<Event>) -> History {
    History {
        quota: Quota::per_day(capacity),
        lasts_us: 2_000_000,
        starts_empty: false,
        slow: 0,
        events,
    }
}

/// Its end is seen by a refusal, which writes nothing, and is not yet when the node asks again.
#[test]
fn a_lease_that_had_ended_when_the_clock_stepped_back_is_spent() {
    use Event::{LeaseLong, Refill, SpendAll, StepBack, TakeAll};
    let mut events = vec![Refill(0, BATCH), SpendAll(0), TakeAll, LeaseLong(0)];
    events.extend([Refill(0, BATCH), StepBack(1), Refill(0, BATCH), SpendAll(0)]);
    check(&mut Scripts::start(), &per_day(10, events)).unwrap();
}

/// What the node says of the old lease is not about the new one.
#[test]
fn a_node_that_has_not_heard_of_the_end_of_its_lease_is_answered() {
    use Event::{Arrive, Ask, GiveUp, LeaseLong, Lose, Refill};
    let events = vec![
        Refill(0, BATCH),
        Ask(0, BATCH),
        LeaseLong(0),
        Arrive(0),
        GiveUp(0),
        Refill(0, BATCH),
    ];
    check(&mut Scripts::start(), &per_day(10, events)).unwrap();
    let events = vec![
        Refill(0, BATCH),
        Lose,
        Ask(0, BATCH),
        Arrive(0),
        GiveUp(0),
        Refill(0, BATCH),
    ];
    check(&mut Scripts::start(), &per_day(10, events)).unwrap();
}

#[test]
fn no_history_admits_more_than_the_bound() {
    let scripts = core::cell::RefCell::new(Scripts::start());
    TestRunner::new(config(2))
        .run(&histories(), |history| {
            check(&mut scripts.borrow_mut(), &history)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// What one of these buckets is through, the other is too; but of one some nodes hold a part for a while.
#[derive(Clone, Debug)]
struct Twins {
    quota: Quota,
    before: Vec<(u64, u64)>,
    /// How much is granted to each node, and whether it hears of it.
    grants: Vec<(u64, bool)>,
    debits: Vec<(u64, u64)>,
}

fn twins() -> impl Strategy<Value = Twins> {
    let pause = || prop_oneof![0_u64..1_000, 0_u64..300_000];
    let before = prop::collection::vec((pause(), 1_u64..60), 0..4);
    let grants = prop::collection::vec((1_u64..30, any::<bool>()), 1..4);
    let debits = prop::collection::vec((pause(), 0_u64..40), 0..4);
    (quotas(1_000_000), before, grants, debits).prop_map(|(quota, before, grants, debits)| Twins {
        quota,
        before,
        grants,
        debits,
    })
}

/// How far each TAT is ahead after the same call.
fn both(
    scripts: &mut Scripts,
    keys: &[String; 2],
    (op, part, now_us): (&str, Part, u64),
) -> Result<[(u64, u64); 2], TestCaseError> {
    let mut ahead = [(0, 0); 2];
    for (key, ahead) in keys.iter().zip(&mut ahead) {
        let key = core::slice::from_ref(key);
        let (answer, _) = scripts.take(take_call(op, 0, key, &[part], now_us));
        let answer = numbers(&answer)?;
        *ahead = (whole(answer[3])?, whole(answer[4])?);
    }
    Ok(ahead)
}

/// What comes back unspent, or never arrived, was never away.
fn check_twins(scripts: &mut Scripts, twins: &Twins) -> TestCaseResult {
    let history = History {
        quota: twins.quota,
        lasts_us: 5_000_000,
        starts_empty: false,
        slow: 0,
        events: Vec::new(),
    };
    let mut world = World::new(scripts, &history);
    let keys = [world.key.clone(), fresh_key()];
    let part = |cost| Part {
        scaled: scaled(twins.quota),
        cost,
        owed: 0,
    };
    for &(pause, cost) in &twins.before {
        world.now_us += pause;
        both(world.scripts, &keys, ("take", part(cost), world.now_us))?;
    }
    for (node, &(most, hears)) in twins.grants.iter().enumerate() {
        world.ask(node, Wish::More(most, 0));
        world.arrive_any(0)?;
        if hears {
            world.hear(node);
        } else {
            world.give_up(node);
        }
    }
    for &(pause, cost) in &twins.debits {
        world.now_us += pause;
        both(world.scripts, &keys, ("debit", part(cost), world.now_us))?;
    }
    let held: u64 = world.nodes.iter().map(|node| node.tank).sum();
    for node in 0..twins.grants.len() {
        world.ask(node, Wish::Close);
        world.arrive_any(0)?;
    }
    let ahead = both(world.scripts, &keys, ("peek", part(0), world.now_us))?;
    prop_assert_eq!(ahead[0], ahead[1], "after {} came back", held);
    Ok(())
}

#[test]
fn what_comes_back_was_never_away() {
    let scripts = core::cell::RefCell::new(Scripts::start());
    TestRunner::new(config(4))
        .run(&twins(), |twins| {
            check_twins(&mut scripts.borrow_mut(), &twins)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_reset_leaves_what_nodes_hold() {
    let mut scripts = Scripts::start();
    let history = per_day(10, Vec::new());
    let mut world = World::new(&mut scripts, &history);
    for event in [Event::TakeAll, Event::Debit(50)] {
        world.happens(&Event::Refill(0, BATCH)).unwrap();
        world.happens(&event).unwrap();
        world.direct("reset", 0).unwrap();
        let held: u64 = world.nodes.iter().map(|node| node.tank).sum();
        assert_eq!(world.direct("peek", 0).unwrap(), (true, 10 - held));
    }
    world.happens(&Event::Refill(0, Wish::Close)).unwrap();
    assert_eq!(world.direct("peek", 0).unwrap(), (true, 10));
}

/// Single changes of the scripts, each of which some history or some twins must show.
const MUTANTS: [(&str, [&str; 2]); 19] = [
    (
        "a lease that ends was spent long ago",
        ["    raise(b, l.expiry)\n", "\n"],
    ),
    (
        "it is not held any more when it counts as spent",
        [
            "    raise(b, l.expiry)\n    release(b, l.hold_us, l.hold_num)\n    release(b, l.grant_us, l.grant_num)\n",
            "    release(b, l.hold_us, l.hold_num) release(b, l.grant_us, l.grant_num) raise(b, l.expiry)\n",
        ],
    ),
    (
        "what a node has spent it spent long ago",
        [
            "  raise(b, now)\n  release(b, spent_us, spent_num)",
            "  release(b, spent_us, spent_num)",
        ],
    ),
    (
        "what is held refills meanwhile",
        [
            "  raise(b, now)\n  b.cost_us",
            "  if above(now, 0, b.us, b.num) then b.us, b.num = now, 0 end\n  b.cost_us",
        ],
    ),
    (
        "the last grant is not held",
        [
            "    b.held_us, b.held_num = plus(b.held_us, b.held_num, l.grant_us, l.grant_num, den)\n",
            "\n",
        ],
    ),
    (
        "a grant is always lost",
        ["if mine.seq > acked then", "if mine.seq >= acked then"],
    ),
    (
        "no grant is ever lost",
        [
            "if mine.seq > acked then",
            "if mine.seq > acked + 1 / 0 then",
        ],
    ),
    (
        "a lost grant is forgotten, not undone",
        [
            "lost_us, lost_num = mine.grant_us, mine.grant_num",
            "lost_us, lost_num = 0, 0",
        ],
    ),
    (
        "the order of requests does not matter",
        ["if seq <= l.seq then", "if seq < 0 then"],
    ),
    (
        "a node knows no more than the server",
        ["if mine.seq > acked then", "if mine.seq ~= acked then"],
    ),
    (
        "a node that means another lease means this one",
        [
            "if above(told_us, told_num, own_us, own_num) then",
            "if false then",
        ],
    ),
    (
        "what was held is kept when its lease has ended",
        ["local mine, kept = nil, 0", "local mine, kept = nil, 1"],
    ),
    ("grants are free", ["    charge(b, us, num)\n", "\n"]),
    (
        "batches may take all",
        [
            "(i + 1 == #a or not above(held_us, held_num, a[16], a[17]))",
            "true",
        ],
    ),
    (
        "a key ends when its bucket is full, whatever is held",
        ["    full = math.max(full, l.expiry + b.held_us)\n", "\n"],
    ),
    (
        "a key ends when its last lease does",
        [
            "math.max(full, l.expiry + b.held_us)",
            "math.max(full, l.expiry)",
        ],
    ),
    (
        "a lease goes on while the clock stands still",
        ["l.expiry = l.expiry - (last - now)", "l.expiry = l.expiry"],
    ),
    (
        "a bucket that is gone was empty just now",
        [
            "b.us, b.num, b.dirty = now + empty_for + cap_us",
            "b.us, b.num, b.dirty = now + cap_us",
        ],
    ),
    (
        "a bucket that is gone is full, whatever it should be",
        ["kept = empty_for > 0,", "kept = false,"],
    ),
];

/// How many histories and twins it takes to see it.
fn found(scripts: &mut Scripts, most: u32) -> Option<u32> {
    let mut runner = TestRunner::deterministic();
    for tried in 1..=most {
        let history = histories().new_tree(&mut runner).unwrap().current();
        let twins = twins().new_tree(&mut runner).unwrap().current();
        if check(scripts, &history).is_err() || check_twins(scripts, &twins).is_err() {
            return Some(tried);
        }
    }
    None
}

#[test]
fn mutants() {
    scripted::assert_all_found(&MUTANTS, 300, found);
}
