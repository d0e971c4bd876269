//! Compares `TokenBucket` with a bucket in exact integers, at hostile times.

pub(crate) mod exact;
mod ledger;
mod oracle;
mod timeline;

use core::time::Duration;

use super::bytes::Bytes;
use super::call_log::CallLog;
use super::choices::{amount, take_recent};
use super::quotas;
use exact::{CallTime, ExactQuota};
use oracle::{BucketOracle, ChargeRecord};
use tidegate::{BucketCharge, Denied, Limiter, ManualClock, Reservation, Timestamp, TokenBucket};
use timeline::Timeline;

/// More operations find no more bugs.
const MAX_OPERATIONS: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BucketOperation {
    Query,
    TryAcquire,
    TryAcquireAsLimiter,
    TryAcquireUpTo,
    Debit,
    Credit,
    Reset,
    Reserve,
    Charge,
    Release,
}

/// Frequent operations appear more than once.
const OPERATIONS: [BucketOperation; 15] = [
    BucketOperation::TryAcquire,
    BucketOperation::TryAcquire,
    BucketOperation::TryAcquire,
    BucketOperation::TryAcquireAsLimiter,
    BucketOperation::TryAcquireUpTo,
    BucketOperation::Debit,
    BucketOperation::Credit,
    BucketOperation::Reset,
    BucketOperation::Reserve,
    BucketOperation::Reserve,
    BucketOperation::Charge,
    BucketOperation::Charge,
    BucketOperation::Release,
    BucketOperation::Release,
    BucketOperation::Query,
];

type Bucket = TokenBucket<ManualClock>;

/// Runs one input.
///
/// # Panics
///
/// Panics if the bucket and its oracle disagree.
pub(crate) fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let quota = quotas::any(&mut bytes);
    let exact = ExactQuota::new(quota);
    let time = Timeline::new(&mut bytes, quota, exact.span);
    let mut oracle = BucketOracle::new(exact);

    let mut bucket = TokenBucket::with_clock(quota, ManualClock::new());
    if bytes.bool() {
        let tokens = amount(&mut bytes, quota.capacity(), quota.capacity());
        let when = oracle.observe(time.now);
        bucket = bucket.with_initial_at(tokens, Timestamp::from_nanos(time.now));
        oracle.reset(when);
        oracle.debit(quota.capacity().saturating_sub(tokens), when);
    }

    let mut run = BucketRun {
        bucket: &bucket,
        oracle,
        bytes,
        time,
        held: Vec::new(),
        log: CallLog::new(),
    };
    for _ in 0..MAX_OPERATIONS {
        if run.bytes.is_empty() {
            break;
        }
        run.operation();
    }
    let _ = run.query(1);
    run.oracle.assert_bound();
}

/// A charge that the run may still undo.
#[derive(Debug)]
enum HeldBucketCharge<'a> {
    Reserved {
        reservation: Reservation<'a, ManualClock>,
        /// Whether the tokens were not available at once.
        is_delayed: bool,
    },
    Charged(BucketCharge),
}

#[derive(Debug)]
struct BucketRun<'a> {
    bucket: &'a Bucket,
    oracle: BucketOracle,
    bytes: Bytes<'a>,
    time: Timeline,
    held: Vec<(HeldBucketCharge<'a>, ChargeRecord)>,
    log: CallLog<BucketOperation>,
}

/// Returns the bucket's state, which its `Debug` output shows.
fn state(bucket: &Bucket) -> String {
    format!("{bucket:?}")
}

/// Removes the epoch from a state, because any decision may raise it.
fn without_epoch(state: &str) -> Option<&str> {
    state.split("epoch").next()
}

impl BucketRun<'_> {
    fn operation(&mut self) {
        let operation = self.bytes.pick(&OPERATIONS);
        self.time.step(&mut self.bytes);
        let now = self.time.now;
        let at = Timestamp::from_nanos(now);
        self.bucket.clock().set(at);
        let bucket = self.bucket;

        let available = bucket.available_at(at);
        let n = amount(&mut self.bytes, available, bucket.capacity());
        self.log.push(operation, n, now);
        let (when, peeked) = self.query(n);

        let before = state(bucket);
        let mut may_change = n > 0;
        match operation {
            BucketOperation::Query => may_change = false,
            BucketOperation::TryAcquire | BucketOperation::TryAcquireAsLimiter => {
                let outcome = if operation == BucketOperation::TryAcquire {
                    bucket.try_acquire_at(n, at)
                } else {
                    Limiter::try_acquire_at(bucket, n, at)
                };
                assert_eq!(outcome, peeked);
                may_change &= outcome.is_ok();
                if may_change {
                    self.oracle.charge(n, when);
                }
            }
            BucketOperation::TryAcquireUpTo => {
                let taken = bucket.try_acquire_up_to_at(n, at);
                assert_eq!(taken, available.min(n));
                may_change = taken > 0;
                self.oracle.charge(taken, when);
            }
            BucketOperation::Charge => {
                let outcome = bucket.charge_at(n, at);
                assert_eq!(outcome.as_ref().map(drop), peeked.as_ref().map(drop));
                may_change &= outcome.is_ok();
                if let Ok(charge) = outcome {
                    let charged = self.oracle.charge(n, when);
                    self.held.push((HeldBucketCharge::Charged(charge), charged));
                }
            }
            BucketOperation::Debit => {
                bucket.debit_at(n, at);
                self.oracle.debit(n, when);
            }
            BucketOperation::Credit => {
                bucket.credit_at(n, at);
                self.oracle.credit(n, when);
            }
            BucketOperation::Reset => {
                bucket.reset_at(at);
                self.oracle.reset(when);
                may_change = true;
            }
            BucketOperation::Reserve => may_change &= self.reserve(n, when),
            BucketOperation::Release => {
                self.release(now);
                may_change = true;
            }
        }
        assert!(
            may_change || without_epoch(&state(bucket)) == without_epoch(&before),
            "{operation:?} of {n} at {now} changed the state"
        );
        self.assert_real_hint(n, when);
    }

    /// Asserts every query, and that queries change nothing.
    fn query(&mut self, n: u64) -> (CallTime, Result<(), Denied>) {
        let bucket = self.bucket;
        let at = Timestamp::from_nanos(self.time.now);
        let when = self.oracle.observe(self.time.now);

        // The first query may raise the bucket's epoch.
        let available = bucket.available_at(at);
        let before = state(bucket);
        let peeked = bucket.peek_at(n, at);
        assert_eq!(peeked.is_ok(), n <= available);
        let wait = peeked.map_or_else(|denied| denied.retry_after(), |()| Some(Duration::ZERO));
        assert_eq!(bucket.wait_time_at(n, at), wait);
        assert_eq!(Limiter::available_at(bucket, at), available);
        let unused = bucket.is_unused_at(at);
        assert!(!unused || available == bucket.capacity());
        self.oracle
            .assert_views(available, bucket.debt_at(at), unused, when);
        assert_eq!(state(bucket), before, "a query changed the state");

        match peeked {
            Ok(()) if n > 0 => self.oracle.assert_admissible(n, when),
            Ok(()) => {}
            Err(Denied::NotYet { retry_after }) => {
                assert!(n <= bucket.capacity() && retry_after.as_nanos() > 0);
                self.oracle.assert_refusable(n, when);
                self.oracle.assert_hint(n, when, retry_after.into());
                self.time.hint = retry_after.as_nanos();
            }
            Err(Denied::Never { capacity }) => {
                assert!(capacity == bucket.capacity() && n > capacity);
            }
            Err(other) => unreachable!("unknown refusal: {other}"),
        }
        (when, peeked)
    }

    /// Asserts the real bucket's hint to the nanosecond, finer than the exact one can.
    fn assert_real_hint(&mut self, n: u64, when: CallTime) {
        let peek = |nanos| self.bucket.peek_at(n, Timestamp::from_nanos(nanos));
        let Err(Denied::NotYet { retry_after }) = peek(when.from) else {
            return;
        };
        let Some(then) = when.from.checked_add(retry_after.as_nanos()) else {
            return;
        };
        // A longer wait would raise the epoch and clamp all later calls.
        let span = self.oracle.exact.span;
        if then < span || then - when.from <= span / 2 {
            assert_eq!(peek(then), Ok(()), "the hint was too short");
            assert!(peek(then - 1).is_err(), "the hint was too long");
            self.oracle.observe(then);
        }
    }

    /// Tries to reserve, and reports whether it succeeded.
    fn reserve(&mut self, n: u64, when: CallTime) -> bool {
        let bucket = self.bucket;
        let now = Timestamp::from_nanos(self.time.now);
        let max_wait = match self.bytes.byte() % 4 {
            0 => Duration::MAX,
            1 => Duration::from_nanos(self.bytes.number()),
            _ => Duration::from_nanos(self.time.hint.saturating_add_signed(self.bytes.nudge())),
        };
        let hint = bucket.wait_time_at(n, now);
        match bucket.reserve_at(n, max_wait, now) {
            Ok(reservation) => {
                let wait = hint.expect("at most the capacity");
                assert_eq!(reservation.tokens(), n);
                assert!(wait <= max_wait);
                assert_eq!(reservation.ready_at(), now + wait);
                let is_delayed = !wait.is_zero();
                if is_delayed {
                    self.oracle.assert_debt(n, when, true);
                }
                let charged = self.oracle.charge(n, when);
                let held = HeldBucketCharge::Reserved {
                    reservation,
                    is_delayed,
                };
                self.held.push((held, charged));
                true
            }
            Err(denied) => {
                assert_eq!(denied.retry_after(), hint);
                let most = max_wait.min(Timestamp::MAX - now);
                // A hint ends with the range of clocks.
                let is_exact = |hint: Duration| hint < Duration::from_nanos(u64::MAX);
                if hint.is_some_and(|hint| hint <= most && is_exact(hint)) {
                    self.oracle.assert_debt(n, when, false);
                }
                false
            }
        }
    }

    /// Commits, cancels or undoes a held charge.
    fn release(&mut self, now: u64) {
        let Some((choice, (held, record))) = take_recent(&mut self.bytes, &mut self.held) else {
            return;
        };
        let is_too_old = self.oracle.is_too_old(&record);
        let bucket = self.bucket;
        let before = state(bucket);
        let (reservation, is_delayed) = match held {
            HeldBucketCharge::Charged(_) if is_too_old => return,
            HeldBucketCharge::Charged(charge) => {
                let returned = bucket.undo(charge);
                assert!(returned > 0 || state(bucket) == before);
                self.oracle.undo(&record, returned);
                return;
            }
            HeldBucketCharge::Reserved {
                reservation,
                is_delayed,
            } => (reservation, is_delayed),
        };
        let is_past = is_delayed && now >= reservation.ready_at().as_nanos();
        let returned = match choice % 3 {
            _ if is_too_old => return reservation.commit(),
            0 => {
                reservation.commit();
                assert_eq!(state(bucket), before, "a commit changed the state");
                return;
            }
            1 => reservation.cancel_at(Timestamp::from_nanos(now)),
            _ => {
                // A drop cancels at the time of the bucket's clock, and reports nothing.
                drop(reservation);
                if state(bucket) == before {
                    0
                } else {
                    record.tokens
                }
            }
        };
        assert!(returned > 0 || state(bucket) == before);
        if is_past {
            assert_eq!(returned, 0, "tokens returned after they became usable");
        } else {
            self.oracle.undo(&record, returned);
        }
    }
}
