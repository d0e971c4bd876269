//! An HTTP server that limits requests per client address, per API key, per route and in total.
//!
//! ```text
//! cargo run --release --features tower --example gateway             # until Ctrl-C
//! cargo run --release --features tower --example gateway -- --demo   # checks itself
//! curl -i -H 'x-api-key: anything' http://127.0.0.1:8080/search
//! curl http://127.0.0.1:8080/stats
//! ```
//!
//! A request beyond a limit gets `429 Too Many Requests` with `Retry-After`. Every response says in
//! `RateLimit` what is left. The file `server.rs` has the limits; this one serves and loads them.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "this program needs std"
)]

mod server;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::{Method, Request};
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tidegate::{Clock, DefaultClock, Quota};
use tokio::net::TcpListener;
use tokio::signal;

use crate::server::{API_KEY, PRO_KEYS, Quotas, REFUSED_BY, ROUTES};

const QUOTAS: Quotas = Quotas {
    global: Quota::per_second(500).burst(100),
    address: Quota::per_second(150).burst(30),
    free: Quota::per_hour(60).burst(10),
    pro: Quota::per_hour(240).burst(40),
};

type Outcome = Result<(), Box<dyn Error>>;

/// Requests that one limit admitted and refused, by the name of the limit.
type Tally = BTreeMap<String, (u64, u64)>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Calibrates now, so that no request waits for it.
    DefaultClock::calibrate();
    match arguments[..] {
        [] => serve("127.0.0.1:8080").await,
        ["--addr", address] => serve(address).await,
        ["--demo"] => demo().await,
        _ => Err("usage: gateway [--addr ADDRESS | --demo]".into()),
    }
}

/// Serves until Ctrl-C, then lets open requests finish.
async fn serve(address: &str) -> Outcome {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, server::service(QUOTAS)).with_graceful_shutdown(async {
        let _ = signal::ctrl_c().await;
    });
    Ok(server.await?)
}

/// Loads a server for two seconds, and compares what each limit admitted with its bound.
async fn demo() -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, server::service(QUOTAS)).into_future());

    let tally = RefCell::new(Tally::new());
    // The limiters' clock, so that the bounds hold to the nanosecond.
    let start = DefaultClock.now();
    try_join_all((0..16).map(|number| load(address, number, &tally))).await?;
    let elapsed = DefaultClock.now() - start;

    let mut failed = false;
    println!("limit                admitted    bound  refused");
    for (limit, (admitted, refused)) in tally.into_inner() {
        let bound = bound(&limit, elapsed);
        println!("{limit:<20} {admitted:>8} {bound:>8} {refused:>8}");
        failed |= admitted > bound;
    }
    if failed {
        return Err("a limit admitted more than its bound".into());
    }
    println!("\nIn {elapsed:.2?} no limit admitted more than its bound.");
    Ok(())
}

/// Sends requests for two seconds, each as soon as the one before is answered.
async fn load(server: SocketAddr, number: u8, tally: &RefCell<Tally>) -> Outcome {
    // On Linux, clients can have different addresses, as all of 127.0.0.0/8 is local.
    let octet = 1 + number % if cfg!(target_os = "linux") { 5 } else { 1 };
    let address = Ipv4Addr::new(127, 0, 0, octet);
    // An empty key is none.
    let key = ["", PRO_KEYS[0], "", "free-58b210"][usize::from(number % 4)];
    let mut connector = HttpConnector::new();
    connector.set_local_address(Some(address.into()));
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);

    let end = DefaultClock.now() + Duration::from_secs(2);
    for (route, ..) in ROUTES.into_iter().cycle() {
        if DefaultClock.now() >= end {
            break;
        }
        let (method, path) = match route {
            "/upload" => (Method::POST, route),
            "unknown" => (Method::GET, "/no-such-page"),
            _ => (Method::GET, route),
        };
        let request = Request::builder().method(method).header(API_KEY, key);
        let request = request.uri(format!("http://{server}{path}"));
        let response = client.request(request.body(Empty::new())?).await?;
        let (head, body) = response.into_parts();
        body.collect().await?; // so that the connection can be used again

        let refused_by = head.headers.get(REFUSED_BY);
        let mut limits = vec![("global", "global".to_owned()), (route, route.to_owned())];
        limits.push(("address", format!("address {address}")));
        if !key.is_empty() {
            limits.push(("key", format!("key {key}")));
        }
        for (name, limit) in limits {
            let mut tally = tally.borrow_mut();
            let (admitted, refused) = tally.entry(limit).or_default();
            *admitted += u64::from(refused_by.is_none());
            *refused += u64::from(refused_by.is_some_and(|refused_by| refused_by == name));
        }
    }
    Ok(())
}

/// Returns how many requests a limit may admit within `elapsed`.
fn bound(limit: &str, elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos();
    if let Some((_, most, window)) = ROUTES.iter().find(|(route, ..)| *route == limit) {
        // This many windows, one after the other, cover the whole time.
        let windows = nanos / window.as_nanos() + 1;
        return *most * u64::try_from(windows).unwrap_or(u64::MAX);
    }
    let quota = match limit.split_once(' ') {
        Some(("key", key)) if PRO_KEYS.contains(&key) => QUOTAS.pro,
        Some(("key", _)) => QUOTAS.free,
        Some(_) => QUOTAS.address,
        None => QUOTAS.global,
    };
    let refill = u128::from(quota.rate()) * nanos / quota.period().as_nanos();
    quota.capacity() + u64::try_from(refill).unwrap_or(u64::MAX)
}
