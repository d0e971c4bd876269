//! A token bucket under hostile operations and times, against an ideal bucket in exact integers.

mod ideal;
mod judge;
mod ledger;
mod script;

use std::time::Duration;

use crate::bytes::Bytes;
use crate::calls::Calls;
use crate::quotas;
use crate::replay::Target;
use ideal::{Ideal, When};
use judge::{Charged, Judge};
use script::Script;
use tidegate::{BucketCharge, Denied, Limiter, ManualClock, Reservation, Timestamp, TokenBucket};

/// This target.
pub const TARGET: Target = Target {
    name: "bucket_ops",
    check,
};

/// More than this finds nothing that fewer would not.
const MAX_OPERATIONS: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Ask,
    TryAcquire,
    TryAcquireAsLimiter,
    TryAcquireUpTo,
    Debit,
    Credit,
    Reset,
    Reserve,
    Charge,
    GiveBack,
}

/// The frequent ones more than once.
const OPERATIONS: [Operation; 15] = [
    Operation::TryAcquire,
    Operation::TryAcquire,
    Operation::TryAcquire,
    Operation::TryAcquireAsLimiter,
    Operation::TryAcquireUpTo,
    Operation::Debit,
    Operation::Credit,
    Operation::Reset,
    Operation::Reserve,
    Operation::Reserve,
    Operation::Charge,
    Operation::Charge,
    Operation::GiveBack,
    Operation::GiveBack,
    Operation::Ask,
];

type Bucket = TokenBucket<ManualClock>;

/// Runs one input.
///
/// # Panics
///
/// If the bucket and its oracle disagree.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let quota = quotas::any(&mut bytes);
    let ideal = Ideal::new(quota);
    let mut script = Script::new(bytes, quota, ideal.span);
    let mut judge = Judge::new(ideal);

    let mut bucket = TokenBucket::with_clock(quota, ManualClock::new());
    if script.bytes.bool() {
        let tokens = script.amount(quota.capacity());
        let when = judge.observe(script.now);
        bucket = bucket.with_initial_at(tokens, Timestamp::from_nanos(script.now));
        judge.reset(when);
        judge.debit(quota.capacity().saturating_sub(tokens), when);
    }

    let mut run = Run {
        bucket: &bucket,
        judge,
        script,
        held: Vec::new(),
        calls: Calls::new(),
    };
    for _ in 0..MAX_OPERATIONS {
        if run.script.bytes.is_empty() {
            break;
        }
        run.operation();
    }
    let _ = run.ask(1);
    run.judge.assert_bound();
}

/// What may still be taken back.
#[derive(Debug)]
enum Held<'a> {
    /// And whether the tokens were not there at first.
    Reservation(Reservation<'a, ManualClock>, bool),
    Charge(BucketCharge),
}

#[derive(Debug)]
struct Run<'a> {
    bucket: &'a Bucket,
    judge: Judge,
    script: Script<'a>,
    held: Vec<(Held<'a>, Charged)>,
    calls: Calls<Operation>,
}

/// The bucket's state: its words are shown.
fn words(bucket: &Bucket) -> String {
    format!("{bucket:?}")
}

/// The TAT alone, without the mark, which any decision may raise.
fn tat(words: &str) -> Option<&str> {
    words.split("mark").next()
}

impl Run<'_> {
    fn operation(&mut self) {
        let operation = self.script.bytes.pick(&OPERATIONS);
        self.script.step();
        let now = self.script.now;
        let at = Timestamp::from_nanos(now);
        self.bucket.clock().set(at);
        let bucket = self.bucket;

        let available = bucket.available_at(at);
        let n = self.script.amount(available);
        self.calls.note(operation, n, now);
        let (when, peeked) = self.ask(n);

        let before = words(bucket);
        let mut may_change = n > 0;
        match operation {
            Operation::Ask => may_change = false,
            Operation::TryAcquire | Operation::TryAcquireAsLimiter => {
                let outcome = if operation == Operation::TryAcquire {
                    bucket.try_acquire_at(n, at)
                } else {
                    Limiter::try_acquire_at(bucket, n, at)
                };
                assert_eq!(outcome, peeked);
                may_change &= outcome.is_ok();
                if may_change {
                    self.judge.charge(n, when);
                }
            }
            Operation::TryAcquireUpTo => {
                let taken = bucket.try_acquire_up_to_at(n, at);
                assert_eq!(taken, available.min(n));
                may_change = taken > 0;
                self.judge.charge(taken, when);
            }
            Operation::Charge => {
                let outcome = bucket.charge_at(n, at);
                assert_eq!(outcome.as_ref().map(drop), peeked.as_ref().map(drop));
                may_change &= outcome.is_ok();
                if let Ok(charge) = outcome {
                    let charged = self.judge.charge(n, when);
                    self.held.push((Held::Charge(charge), charged));
                }
            }
            Operation::Debit => {
                bucket.debit_at(n, at);
                self.judge.debit(n, when);
            }
            Operation::Credit => {
                bucket.credit_at(n, at);
                self.judge.credit(n, when);
            }
            Operation::Reset => {
                bucket.reset_at(at);
                self.judge.reset(when);
                may_change = true;
            }
            Operation::Reserve => may_change &= self.reserve(n, when),
            Operation::GiveBack => {
                self.give_back(now);
                may_change = true;
            }
        }
        assert!(
            may_change || tat(&words(bucket)) == tat(&before),
            "{operation:?} of {n} at {now} changed something"
        );
        self.wait_for(n, when);
    }

    /// Everything that only asks, judged, and that it changes nothing.
    fn ask(&mut self, n: u64) -> (When, Result<(), Denied>) {
        let bucket = self.bucket;
        let at = Timestamp::from_nanos(self.script.now);
        let when = self.judge.observe(self.script.now);

        // The first look may raise the bucket's mark.
        let available = bucket.available_at(at);
        let before = words(bucket);
        let peeked = bucket.peek_at(n, at);
        assert_eq!(peeked.is_ok(), n <= available);
        let wait = peeked.map_or_else(|denied| denied.retry_after(), |()| Some(Duration::ZERO));
        assert_eq!(bucket.wait_time_at(n, at), wait);
        assert_eq!(Limiter::available_at(bucket, at), available);
        let unused = bucket.is_unused_at(at);
        assert!(!unused || available == bucket.capacity());
        self.judge
            .assert_views(available, bucket.debt_at(at), unused, when);
        assert_eq!(words(bucket), before, "asking changed something");

        match peeked {
            Ok(()) if n > 0 => self.judge.assert_admissible(n, when),
            Ok(()) => {}
            Err(Denied::NotYet { retry_after }) => {
                assert!(n <= bucket.capacity() && !retry_after.is_zero());
                self.judge.assert_refusable(n, when);
                self.judge.assert_hint(n, when, retry_after);
                self.script.hint = u64::try_from(retry_after.as_nanos()).unwrap_or(u64::MAX);
            }
            Err(Denied::Never { capacity }) => {
                assert!(capacity == bucket.capacity() && n > capacity);
            }
            Err(other) => unreachable!("unknown: {other}"),
        }
        (when, peeked)
    }

    /// Honest and tight hints, on the real bucket: the ideal one could not tell the last nanosecond.
    fn wait_for(&mut self, n: u64, when: When) {
        let peek = |nanos| self.bucket.peek_at(n, Timestamp::from_nanos(nanos));
        let Err(Denied::NotYet { retry_after }) = peek(when.from) else {
            return;
        };
        let wait = u64::try_from(retry_after.as_nanos()).ok();
        let Some(then) = wait.and_then(|wait| when.from.checked_add(wait)) else {
            return;
        };
        // A longer wait would raise the mark, and so make all that follows stale.
        let span = self.judge.ideal.span;
        if then < span || then - when.from <= span / 2 {
            assert_eq!(peek(then), Ok(()), "the hint was too short");
            assert!(peek(then - 1).is_err(), "the hint was too long");
            self.judge.observe(then);
        }
    }

    /// Returns whether there is a reservation now.
    fn reserve(&mut self, n: u64, when: When) -> bool {
        let bucket = self.bucket;
        let now = Timestamp::from_nanos(self.script.now);
        let max_wait = match self.script.bytes.byte() % 4 {
            0 => Duration::MAX,
            1 => Duration::from_nanos(self.script.bytes.number()),
            _ => Duration::from_nanos(
                self.script
                    .hint
                    .saturating_add_signed(self.script.bytes.nudge()),
            ),
        };
        let hint = bucket.wait_time_at(n, now);
        match bucket.reserve_at(n, max_wait, now) {
            Ok(reservation) => {
                let wait = hint.expect("less than the capacity");
                assert_eq!(reservation.tokens(), n);
                assert!(wait <= max_wait);
                assert_eq!(reservation.ready_at(), now + wait);
                let is_delayed = !wait.is_zero();
                if is_delayed {
                    self.judge.assert_debt(n, when, true);
                }
                let charged = self.judge.charge(n, when);
                self.held
                    .push((Held::Reservation(reservation, is_delayed), charged));
                true
            }
            Err(denied) => {
                assert_eq!(denied.retry_after(), hint);
                let most = max_wait.min(Timestamp::MAX - now);
                if hint.is_some_and(|hint| hint <= most) {
                    self.judge.assert_debt(n, when, false);
                }
                false
            }
        }
    }

    /// Ends something that is held: keeps it, or takes it back.
    fn give_back(&mut self, now: u64) {
        if self.held.is_empty() {
            return;
        }
        let choice = self.script.bytes.byte();
        // Mostly the latest, which alone can come back.
        let index = if choice >= 192 {
            usize::from(self.script.bytes.byte()) % self.held.len()
        } else {
            self.held.len() - 1
        };
        let (held, charged) = self.held.remove(index);
        if self.judge.is_ancient(&charged) {
            if let Held::Reservation(reservation, _) = held {
                reservation.commit();
            }
            return;
        }
        let bucket = self.bucket;
        let before = words(bucket);
        let (reservation, is_delayed) = match held {
            Held::Charge(charge) => {
                let returned = bucket.undo(charge);
                assert!(returned > 0 || words(bucket) == before);
                self.judge.undo(&charged, returned);
                return;
            }
            Held::Reservation(reservation, is_delayed) => (reservation, is_delayed),
        };
        let is_past = is_delayed && now >= reservation.ready_at().as_nanos();
        let returned = match choice % 3 {
            0 => {
                reservation.commit();
                assert_eq!(words(bucket), before, "a commit changed something");
                return;
            }
            1 => reservation.cancel_at(Timestamp::from_nanos(now)),
            _ => {
                // Dropped, it is cancelled as of the bucket's clock, and does not tell.
                drop(reservation);
                if words(bucket) == before {
                    0
                } else {
                    charged.tokens
                }
            }
        };
        assert!(returned > 0 || words(bucket) == before);
        if is_past {
            assert_eq!(returned, 0, "what may have been used came back");
        } else {
            self.judge.undo(&charged, returned);
        }
    }
}
