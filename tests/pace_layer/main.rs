//! The layer that delays requests: order, keys, rejections, readiness, and clients that hang up.

extern crate alloc;

mod dropped_requests;
mod hang_ups;
mod keys;
mod order;
mod readiness;
mod rejections;

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::time::Duration;

use http::{Request, Response};
use tidegate::{Quota, TokenBucket, TokioClock};
use tower::util::ServiceFn;

/// One token per 100 ms, on the runtime's clock, which tests pause.
fn bucket(burst: u64) -> TokenBucket<TokioClock> {
    TokenBucket::with_clock(Quota::per_second(10).burst(burst), TokioClock::new())
}

const TOKEN: Duration = Duration::from_millis(100);

type Answer = Ready<Result<Response<String>, Infallible>>;

/// Returns a service that responds at once.
fn answers() -> ServiceFn<fn(Request<()>) -> Answer> {
    tower::service_fn(|_| ready(Ok(Response::new(String::from("tide")))))
}
