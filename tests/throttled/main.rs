//! Readers and writers whose bytes wait: rates, contents, cancellation, and both directions.

extern crate alloc;

mod both_directions;
mod cancellation;
mod downloads;
mod futures_traits;
mod goodput;
mod limiters;
mod uploads;

use core::future::{Future, Pending, Ready, pending, ready};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{Clock, ManualClock, Quota, Timestamp, TokenBucket};

const KIB: usize = 1024;
const SECOND: Duration = Duration::from_secs(1);

fn bucket(rate: u64, burst: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(rate).burst(burst), clock.clone())
}

/// A timer that moves the clock.
fn timer(clock: &ManualClock) -> impl Fn(Duration) -> Ready<()> + Clone + Send + Sync + 'static {
    let clock = clock.clone();
    move |wait| {
        clock.advance(wait);
        ready(())
    }
}

/// A timer that may not be used.
fn no_sleep(wait: Duration) -> Ready<()> {
    unreachable!("sleeps for {wait:?}");
}

/// Sleeps forever.
fn never(_: Duration) -> Pending<()> {
    pending()
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn elapsed(clock: &ManualClock) -> Duration {
    clock.now() - Timestamp::ZERO
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("no resources needed").block_on(future)
}

/// Bytes that differ from their neighbors.
fn bytes(len: u64) -> Vec<u8> {
    let byte = |index| u8::try_from(index % 251).expect("less than 256");
    (0..len).map(byte).collect()
}
