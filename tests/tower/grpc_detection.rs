//! Which requests get a gRPC rejection. Its status 200 must not reach other clients.

use http::{Method, Request};
use tidegate::ManualClock;
use tidegate::layer::{RateLimitLayer, ResourceExhausted};

use crate::{answer, bucket, drain, field};

/// Whether such a request gets a gRPC rejection.
fn is_grpc(method: &Method, content_type: Option<&[u8]>) -> bool {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let is_seen = |layer: &mut Option<bool>, is_grpc| *layer = Some(is_grpc);
    let seen = std::sync::Mutex::new(None);
    let request = || {
        let mut request = Request::builder().method(method);
        if let Some(value) = content_type {
            request = request.header("content-type", value);
        }
        request.body(()).expect("valid")
    };
    let by_default = RateLimitLayer::new(&bucket);
    let refused = answer(&by_default, request());
    let own = RateLimitLayer::builder(&bucket)
        .reject_with(|rejection| {
            is_seen(&mut seen.lock().expect("no panic"), rejection.is_grpc());
            http::Response::new(String::new())
        })
        .build();
    _ = answer(&own, request());
    let is_grpc = seen.lock().expect("no panic").expect("the function ran");
    let (status, code) = if is_grpc {
        (200, Some("8"))
    } else {
        (429, None)
    };
    assert_eq!(refused.status(), status);
    assert_eq!(field(&refused, "grpc-status"), code);
    is_grpc
}

#[test]
fn post_of_grpc_or_a_subtype_is_grpc() {
    for value in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc+json",
        "application/grpc;charset=utf-8",
        "application/grpc ; charset=utf-8",
        "application/grpc\t;charset=utf-8",
        "application/grpc+proto; charset=utf-8",
        // Media types are case-insensitive.
        "Application/gRPC",
        "APPLICATION/GRPC+proto",
    ] {
        assert!(is_grpc(&Method::POST, Some(value.as_bytes())), "{value}");
    }
}

#[test]
fn other_types_are_not_grpc() {
    let others: [&[u8]; 13] = [
        b"",
        b"application",
        b"application/grp",
        b"application/grpcfoo",
        b"application/grpc-web",
        b"application/grpc-web+proto",
        b"application/grpc-web-text",
        b"application/grpc/x",
        b"application/grpc,text/plain",
        b"text/plain; a=application/grpc",
        b"application/json",
        b"application/grpc\xff",
        b"xapplication/grpc",
    ];
    for value in others {
        let text = value.escape_ascii();
        assert!(!is_grpc(&Method::POST, Some(value)), "{text}");
    }
    assert!(!is_grpc(&Method::POST, None));
}

#[test]
fn no_other_method_is_grpc() {
    // Caches store responses to some of these. They would serve a rejection with status 200 to all.
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::OPTIONS,
        Method::from_bytes(b"post").expect("valid"),
    ] {
        assert!(!is_grpc(&method, Some(b"application/grpc")), "{method}");
    }
}

#[test]
fn resource_exhausted_rejects_any_request_as_grpc() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let layer = RateLimitLayer::builder(bucket).reject(ResourceExhausted);
    let refused = answer(&layer.build(), Request::get("/").body(()).expect("valid"));
    assert_eq!(refused.status(), 200);
    assert_eq!(field(&refused, "grpc-status"), Some("8"));
    assert_eq!(field(&refused, "content-type"), Some("application/grpc"));
}
