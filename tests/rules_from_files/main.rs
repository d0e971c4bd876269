//! Limits that come from configuration files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint does not see that helpers of tests are tests"
)]
#![expect(clippy::std_instead_of_core, reason = "a program that needs std")]

mod conditions;
mod docs;
mod formats;
mod in_flight;
mod keys;
mod kinds;
mod mistakes;
#[cfg(unix)]
#[path = "../program/mod.rs"]
mod program;
mod reload;
mod settling;
mod threads;
mod tiers;
#[cfg(unix)]
mod whole_program;

use std::net::IpAddr;
use std::time::Duration;

use http::{Request, Response, StatusCode, request};
use tidegate::ManualClock;
use tidegate::layer::{
    Admission, Gate, Held, InFlightGate, RateLimitLayer, Rejection, RequestHead, ResponseHead,
    Rules, RulesBuilder, RulesConfig, RulesGate,
};

type Layer<G, F> = RateLimitLayer<G, F, fn(&Rejection<'_>) -> Response<String>>;

/// The address of the connection, as a server attaches it.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// Rules, and a layer that uses them.
struct Server {
    clock: ManualClock,
    rules: Rules<ManualClock>,
    layer: Layer<RulesGate<ManualClock>, RulesGate<ManualClock>>,
}

fn parse(text: &str) -> RulesConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// What tests tell their rules, besides what a test itself adds.
fn builder(clock: &ManualClock) -> RulesBuilder<ManualClock> {
    Rules::builder()
        .clock(clock.clone())
        .peer(|request| Some(request.extension::<Peer>()?.0))
}

impl Server {
    fn new(text: &str) -> Self {
        let clock = ManualClock::new();
        let rules = builder(&clock).build(&parse(text));
        Self::with(clock, rules.expect("rules that can be used"))
    }

    fn with(clock: ManualClock, rules: Rules<ManualClock>) -> Self {
        let reject: fn(&Rejection<'_>) -> Response<String> = reject;
        Self {
            layer: rules.layer().reject_with(reject).build(),
            clock,
            rules,
        }
    }

    fn decide(&self, request: request::Builder) -> Result<Admission<impl Held + use<>>, String> {
        decide(&self.layer, request)
    }

    /// Asks, and responds with `status`.
    fn answer(&self, request: request::Builder, status: u16) -> Result<(), String> {
        answer(&self.layer, request, status)
    }

    /// How many of these are admitted one after the other, each answered by 200.
    fn admitted(&self, n: usize, request: impl Fn() -> request::Builder) -> usize {
        let admitted = (0..n).filter(|_| self.answer(request(), 200).is_ok());
        admitted.count()
    }

    /// The seconds after which a refused request may come back.
    fn retry_after(&self, request: request::Builder) -> f64 {
        let request = request.body(()).expect("a request");
        let refused = self.layer.decide::<String>(&RequestHead::new(&request));
        let refused = refused.expect_err("a refusal");
        let seconds = refused.headers()["retry-after"].to_str().expect("text");
        seconds.parse().expect("a number")
    }

    fn reload(&self, text: &str) {
        let reloaded = self.rules.reload(&parse(text));
        reloaded.expect("rules that can be used");
    }

    fn wait(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }

    fn denied(&self, name: &str) -> (u64, u64) {
        let stats = self.rules.stats();
        let of = stats.iter().find(|stats| stats.name == name);
        let of = of.expect("a limit of that name");
        (of.denied, of.shadow_denied)
    }
}

/// Asks, and responds with `status`.
fn answer<G: Gate, F: InFlightGate>(
    layer: &Layer<G, F>,
    request: request::Builder,
    status: u16,
) -> Result<(), String> {
    let mut admission = decide(layer, request)?;
    settle(&mut admission, status);
    Ok(())
}

fn settle<H>(admission: &mut Admission<H>, status: u16) {
    let response = Response::builder()
        .status(status)
        .body(())
        .expect("a response");
    admission.settle(&ResponseHead::new(&response));
}

fn reject(rejection: &Rejection<'_>) -> Response<String> {
    let response = Response::builder().status(rejection.status());
    let body = rejection.limit().to_owned();
    response.body(body).expect("a response")
}

/// The refusal is the name of the limit.
fn decide<G: Gate, F: InFlightGate>(
    layer: &Layer<G, F>,
    request: request::Builder,
) -> Result<Admission<F::Held>, String> {
    let request = request.body(()).expect("a request");
    let decided = layer.decide::<String>(&RequestHead::new(&request));
    decided.map_err(|refused| {
        let status = refused.status();
        let name = refused.into_body();
        if status == StatusCode::TOO_MANY_REQUESTS {
            name
        } else {
            format!("{name} {}", status.as_u16())
        }
    })
}

fn get(path: &str) -> request::Builder {
    Request::get(path)
}

/// A request of a connection.
fn from(address: &str) -> request::Builder {
    Request::get("/").extension(Peer(address.parse().expect("an address")))
}

fn of(account: &str) -> request::Builder {
    Request::get("/").header("x-account", account)
}

fn refused(by: &str) -> Result<(), String> {
    Err(by.to_owned())
}
