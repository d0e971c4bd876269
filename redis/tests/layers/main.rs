//! Layers of two processes that share a limit on a real server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

#[path = "../support/mod.rs"]
mod support;

mod outages;
mod sharing;

use core::convert::Infallible;
use core::future::{Ready, ready};

use axum::http::{Request, Response};
use tidegate::layer::{RateLimitLayer, SharedGate};
use tower::{Layer, ServiceExt, service_fn};

type Shared<A> = RateLimitLayer<(), (), tidegate::layer::TooManyRequests, A>;

fn serve(_: Request<()>) -> Ready<Result<Response<String>, Infallible>> {
    ready(Ok(Response::new("served".to_owned())))
}

async fn send<A: SharedGate>(layer: &Shared<A>, request: Request<()>) -> Response<String> {
    layer
        .layer(service_fn(serve))
        .oneshot(request)
        .await
        .unwrap()
}

async fn status<A: SharedGate>(layer: &Shared<A>) -> u16 {
    send(layer, Request::new(())).await.status().as_u16()
}

/// A request of this user.
fn of(user: &str) -> Request<()> {
    Request::get("/").header("user", user).body(()).unwrap()
}

fn field<'a>(response: &'a Response<String>, name: &str) -> Option<&'a str> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap())
}
