//! Who is refused in the way of gRPC: whose status 200 nobody may take for a success.

use http::{Method, Request};
use tidegate::ManualClock;
use tidegate::tower::{RateLimitLayer, ResourceExhausted};

use crate::{answer, bucket, drain, field};

/// Whether such a request is refused as one of gRPC.
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
    let is_grpc = seen.lock().expect("no panic").expect("asked");
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
fn a_post_of_grpc_or_of_a_type_below_it() {
    for value in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc+json",
        "application/grpc;charset=utf-8",
        "application/grpc ; charset=utf-8",
        "application/grpc\t;charset=utf-8",
        "application/grpc+proto; charset=utf-8",
        // Types are in any case.
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
    // Caches keep answers to some of these: a refusal with status 200 would be served to everybody.
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
fn who_speaks_nothing_else_refuses_everybody_that_way() {
    let bucket = bucket(1, &ManualClock::new());
    drain(&bucket);
    let layer = RateLimitLayer::builder(bucket).reject(ResourceExhausted);
    let refused = answer(&layer.build(), Request::get("/").body(()).expect("valid"));
    assert_eq!(refused.status(), 200);
    assert_eq!(field(&refused, "grpc-status"), Some("8"));
    assert_eq!(field(&refused, "content-type"), Some("application/grpc"));
}
