//! The metrics of a layer that delays requests: how long, how many wait, and why some are refused.

use alloc::collections::BTreeMap;
use core::convert::Infallible;
use core::future::{Future, Pending, Ready, pending, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::thread;

use http::{Request, Response};
use tidegate::layer::{PaceGate, PaceLayer, PaceLayerBuilder, PerKey, RequestHead};
use tidegate::{FixedKeyed, ManualClock, Overflow, Quota, TokenBucket};
use tower::{Layer, Service};

use super::recorder::Recorded;
use super::{KEY, request};
use crate::{SECOND, bucket, key_of, with_key};

const WAITING: &str = "rate_limiter.waiting limiter=queue";
const DURATION: &str = "rate_limiter.wait.duration limiter=queue";

/// Sleeps until the task is polled again. Tests poll after they have moved the clock.
fn never(_: Duration) -> Pending<()> {
    pending()
}

type Never = fn(Duration) -> Pending<()>;

fn queue<L: PaceGate>(limiter: L) -> PaceLayerBuilder<L, Never> {
    PaceLayer::builder(limiter)
        .name("queue")
        .timer(never as Never)
}

fn serve(_: Request<()>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new(String::new())))
}

type Sent = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

/// Returns a function that sends a request to the layer, without polling it.
fn sender<L>(layer: &PaceLayer<L, Never>) -> impl Fn(Request<()>) -> Sent + use<L>
where
    L: PaceGate<Limiter: Send> + Send + Sync + 'static,
{
    let service = layer.layer(tower::service_fn(serve));
    move |request| Box::pin(service.clone().call(request))
}

/// Polls a request. Returns whether it was served, once it is.
fn poll(request: &mut Sent) -> Option<bool> {
    let mut context = Context::from_waker(Waker::noop());
    match request.as_mut().poll(&mut context) {
        Poll::Ready(response) => Some(response.expect("no error").status().is_success()),
        Poll::Pending => None,
    }
}

/// Sends a request that is served at once.
pub(super) fn wait_once() {
    let layer = queue(bucket(1, &ManualClock::new())).build();
    assert_eq!(poll(&mut sender(&layer)(Request::new(()))), Some(true));
}

/// The counters without those that are zero, and without the name of the layer.
fn refused(recorded: &Recorded) -> BTreeMap<String, u64> {
    let counters = recorded.counters().into_iter();
    let counters = counters.filter(|(_, count)| *count > 0);
    let mut counters: BTreeMap<_, _> = counters
        .map(|(name, count)| {
            let labels = name.strip_prefix("rate_limiter.requests limit=");
            (labels.expect("a counter of requests").to_owned(), count)
        })
        .collect();
    counters.remove(" limiter=queue outcome=allowed reason=");
    counters
}

fn denied<const N: usize>(reasons: [(&str, u64); N]) -> BTreeMap<String, u64> {
    let name = |reason: &str| format!("queue limiter=queue outcome=denied reason={reason}");
    let refused = reasons.map(|(reason, count)| (name(reason), count));
    refused.into()
}

#[test]
fn waiting_requests_are_counted_until_they_are_admitted_or_dropped() {
    let clock = ManualClock::new();
    let recorded = Recorded::default();
    recorded.record(|| {
        let send = sender(&queue(bucket(1, &clock)).build());
        let mut first = send(Request::new(()));
        assert_eq!(poll(&mut first), Some(true));
        // It did not wait.
        assert_eq!(recorded.gauge(WAITING), 0);
        let mut waiting = [(); 4].map(|()| send(Request::new(())));
        // Nothing happens before the first poll.
        assert_eq!(recorded.gauge(WAITING), 0);
        for (already, request) in (0..).zip(&mut waiting) {
            assert_eq!((poll(request), poll(request)), (None, None));
            assert_eq!(recorded.gauge(WAITING), already + 1);
        }
        let [mut second, third, mut fourth, fifth] = waiting;
        drop(third);
        assert_eq!(recorded.gauge(WAITING), 3);
        clock.advance(SECOND);
        assert_eq!(poll(&mut second), Some(true));
        // It is kept, and does not wait.
        assert_eq!(recorded.gauge(WAITING), 2);
        clock.advance(SECOND);
        assert_eq!(poll(&mut fourth), Some(true));
        drop(second);
        drop(fourth);
        assert_eq!(recorded.gauge(WAITING), 1);
        drop(fifth);
        assert_eq!(recorded.gauge(WAITING), 0);
        drop(first);
    });
    assert_eq!(recorded.gauge(WAITING), 0);
    // Dropped requests have no duration.
    assert_eq!(recorded.samples(DURATION), [0.0, 1.0, 2.0]);
    assert_eq!(refused(&recorded), BTreeMap::new());
}

/// Four threads drop 40 000 requests, some before they are polled, some while they wait, and some
/// after.
#[test]
fn no_dropped_request_stays_counted() {
    let clock = ManualClock::new();
    let limiter = TokenBucket::with_clock(Quota::per_second(1_000).burst(1), clock.clone());
    let send = sender(&queue(limiter).build());
    let recorded = Recorded::default();
    thread::scope(|scope| {
        for number in 0..4 {
            let (send, recorded, clock) = (&send, &recorded, &clock);
            scope.spawn(move || {
                recorded.record(|| {
                    let mut kept = Vec::new();
                    for round in 0..10_000 {
                        let mut request = send(Request::new(()));
                        let is_polled = (round + number) % 3 > 0;
                        if is_polled && poll(&mut request).is_some() {
                            continue;
                        }
                        if round % 5 == 0 {
                            kept.push(request);
                        }
                        if kept.len() > 20 {
                            clock.advance(Duration::from_micros(100));
                            kept.retain_mut(|request| poll(request).is_none());
                            kept.truncate(10);
                        }
                    }
                });
            });
        }
    });
    assert_eq!(recorded.gauge(WAITING), 0);
}

#[test]
fn cost_above_the_capacity_is_never_admitted() {
    let recorded = Recorded::by(|| {
        let layer = queue(bucket(3, &ManualClock::new())).cost(|_| 4).build();
        assert_eq!(poll(&mut sender(&layer)(Request::new(()))), Some(false));
    });
    assert_eq!(refused(&recorded), denied([("never", 1)]));
}

/// A timeout refuses before the wait, and also later, when the limit has changed.
#[test]
fn timeouts_are_a_reason_of_their_own() {
    let clock = ManualClock::new();
    let recorded = Recorded::default();
    recorded.record(|| {
        let layer = queue(bucket(1, &clock)).timeout(2 * SECOND).build();
        let send = sender(&layer);
        layer.limiter().try_acquire(1).expect("the first");
        let mut waiting = [(); 3].map(|()| send(Request::new(())));
        assert_eq!(waiting.each_mut().map(poll), [None, None, Some(false)]);
        assert_eq!(refused(&recorded), denied([("timeout", 1)]));
        layer.limiter().debit(5);
        clock.advance(SECOND);
        assert_eq!(poll(&mut waiting[0]), Some(false));
        // It is kept, and does not wait.
        assert_eq!(recorded.gauge(WAITING), 1);
        assert_eq!(poll(&mut waiting[1]), Some(false));
        assert_eq!(recorded.gauge(WAITING), 0);
        assert_eq!(refused(&recorded), denied([("timeout", 3)]));
        drop(waiting);
        assert_eq!(recorded.gauge(WAITING), 0);
    });
}

/// With a timeout and without one: the wait would have been short enough.
#[test]
fn full_queues_are_a_reason_of_their_own() {
    let clock = ManualClock::new();
    for timeout in [Duration::MAX, 9 * SECOND] {
        let recorded = Recorded::by(|| {
            let limiter = bucket(1, &clock).max_waiters(1);
            limiter.try_acquire(1).expect("the first");
            let send = sender(&queue(limiter).timeout(timeout).build());
            let mut requests = [(); 3].map(|()| send(Request::new(())));
            assert_eq!(
                requests.each_mut().map(poll),
                [None, Some(false), Some(false)]
            );
        });
        assert_eq!(refused(&recorded), denied([("queue_full", 2)]));
    }
}

/// Queues of keys: one that is full, a table without room, a timeout, and a request without a key.
/// No label contains a key.
#[test]
fn queues_of_keys_have_the_same_reasons() {
    let clock = ManualClock::new();
    let key = |request: &RequestHead<'_>| key_of(request);
    let recorded = Recorded::default();
    recorded.record(|| {
        let table = FixedKeyed::with_clock(Quota::per_second(10).burst(1), 1, clock.clone());
        let table = table.overflow(Overflow::Refuse).max_waiters_per_key(1);
        let layer = queue(PerKey::new(table, key));
        let send = sender(&layer.timeout(SECOND / 2).build());
        let mut requests = [KEY; 3].map(|key| send(with_key(key)));
        let polled = requests.each_mut().map(poll);
        assert_eq!(polled, [Some(true), None, Some(false)]);
        assert_eq!(refused(&recorded), denied([("queue_full", 1)]));
        assert_eq!(recorded.gauge(WAITING), 1);
        // The table is made for one key, and has room for some more.
        let others = (0..1_000).map(|number| poll(&mut send(with_key(&number.to_string()))));
        let busy = others.filter(|polled| *polled == Some(false)).count() as u64;
        assert!(busy > 0);
        assert_eq!(
            refused(&recorded),
            denied([("busy", busy), ("queue_full", 1)])
        );
        assert_eq!(poll(&mut send(request("/", None))), Some(false));
    });
    let mut errors = refused(&recorded);
    errors.retain(|name, _| !name.contains("outcome=denied"));
    let missing = "queue limiter=queue outcome=error reason=not_sent";
    assert_eq!(errors, BTreeMap::from([(missing.to_owned(), 1)]));
    assert!(recorded.counters().keys().all(|name| !name.contains(KEY)));
    assert_eq!(recorded.gauge(WAITING), 0);
}

/// A future that is polled to its end in place.
#[test]
fn exempt_requests_do_not_wait() {
    let recorded = Recorded::by(|| {
        let layer = queue(bucket(1, &ManualClock::new()))
            .exempt(|_| true)
            .build();
        let mut service = layer.layer(tower::service_fn(serve));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let sent = pin!(service.call(Request::new(())));
            assert!(sent.poll(&mut context).is_ready());
        }
    });
    let exempt = " limiter=queue outcome=exempt reason=";
    assert_eq!(refused(&recorded), BTreeMap::from([(exempt.to_owned(), 3)]));
}
