//! The layer that lets requests wait: order, refusals, readiness, and clients who do not wait for the answer.

extern crate alloc;

mod readiness;
mod refusals;
mod served;
mod storm;
mod turns;

use core::convert::Infallible;
use core::future::{Ready, ready};
use core::time::Duration;

use http::{Request, Response};
use tidegate::{Quota, TokenBucket, TokioClock};
use tower::util::ServiceFn;

/// One token in 100 ms, on the runtime's clock, which tests pause.
fn bucket(burst: u64) -> TokenBucket<TokioClock> {
    TokenBucket::with_clock(Quota::per_second(10).burst(burst), TokioClock::new())
}

const TOKEN: Duration = Duration::from_millis(100);

type Answer = Ready<Result<Response<String>, Infallible>>;

/// A service that answers at once.
fn answers() -> ServiceFn<fn(Request<()>) -> Answer> {
    tower::service_fn(|_| ready(Ok(Response::new(String::from("tide")))))
}
