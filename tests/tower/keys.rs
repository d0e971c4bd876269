//! Keys of all kinds: whose fault it is that one is missing, several together, found once, by hand.

use core::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::routing::get;
use http::{HeaderName, Request, StatusCode};
use tidegate::layer::{
    ApiKey, Attached, ForwardedFor, KeyExtractor, KeyLayer, NoKey, PerKey, RateLimitLayer,
    RequestHead, RequestKey,
};
use tidegate::{IpKey, Keyed, ManualClock};
use tower::ServiceExt;

use crate::{Peer, answer, bucket, ip, peer};

fn user(request: &RequestHead<'_>) -> Option<String> {
    let user = request.headers().get("x-user")?;
    user.to_str().ok().map(ToOwned::to_owned)
}

/// One request for each key.
fn once<E>(extractor: E) -> RateLimitLayer<PerKey<Keyed<E::Key, crate::Bucket>, E>>
where
    E: KeyExtractor<Key: Send + Sync + 'static>,
{
    let clock = ManualClock::new();
    RateLimitLayer::new(PerKey::new(
        Keyed::new(move |_: &E::Key| bucket(1, &clock)),
        extractor,
    ))
}

const FORWARDED: &str = "Forwarded";

fn request(fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().extension(Peer(ip("10.0.0.1")));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("valid")
}

#[test]
fn closure_says_whose_fault_a_missing_key_is() {
    let layer = once(user);
    let statuses = [&[("x-user", "alice")][..], &[("x-user", "alice")], &[]]
        .map(|fields| answer(&layer, request(fields)).status());
    let (ok, limited) = (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(statuses, [ok, limited, StatusCode::BAD_REQUEST]);
    assert_eq!(layer.stats().no_key, 1);

    let by_whom = |why: NoKey| {
        let layer = once(move |request: &RequestHead<'_>| user(request).ok_or(why));
        answer(&layer, request(&[])).status()
    };
    assert_eq!(by_whom(NoKey::NotSent), StatusCode::BAD_REQUEST);
    assert_eq!(by_whom(NoKey::Ambiguous), StatusCode::BAD_REQUEST);
    assert_eq!(
        by_whom(NoKey::NotAttached),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[test]
fn keys_of_a_tuple_count_together() {
    let path = |request: &RequestHead<'_>| Some(request.path().to_owned());
    let layer = once((user, path));
    let get = |user: &str, path: &str| {
        let request = Request::get(path).header("x-user", user).body(());
        answer(&layer, request.expect("valid")).status() == StatusCode::OK
    };
    let calls = [
        ("alice", "/a"),
        ("alice", "/b"),
        ("bob", "/a"),
        ("alice", "/a"),
        ("bob", "/a"),
    ];
    let admitted = calls.map(|(user, path)| get(user, path));
    assert_eq!(admitted, [true, true, true, false, false]);
    // The first that is missing is the reason.
    assert_eq!(
        answer(&layer, request(&[])).status(),
        StatusCode::BAD_REQUEST
    );
}

#[test]
fn attached_key_is_missing_by_a_mistake_of_the_server() {
    let attached = Attached::new(|peer: &Peer| IpKey::new(peer.0));
    let key = |request: &Request<()>| attached.extract(&RequestHead::new(request));
    assert_eq!(key(&request(&[])), Ok(IpKey::new(ip("10.0.0.1"))));
    assert_eq!(key(&Request::new(())), Err(NoKey::NotAttached));
}

/// What other proxies than those with `X-Forwarded-For` write, by the same rules of trust.
#[test]
fn other_fields_of_proxies() {
    let trusted = || ForwardedFor::proxies(["10.0.0.0/8"], peer).expect("valid");
    let read = |forwarded: &ForwardedFor<_>, fields: &[(&str, &str)]| {
        let request = request(fields);
        let client = forwarded.client(&RequestHead::new(&request));
        client.expect("a peer").to_string()
    };

    let example = (FORWARDED, r#"for=192.0.2.43, for="[2001:db8::17]:4711""#);
    assert_eq!(
        read(&ForwardedFor::hops(1, peer).forwarded(), &[example]),
        "2001:db8::17"
    );
    assert_eq!(
        read(&ForwardedFor::hops(2, peer).forwarded(), &[example]),
        "192.0.2.43"
    );
    assert_eq!(
        read(&ForwardedFor::hops(3, peer).forwarded(), &[example]),
        "10.0.0.1"
    );
    assert_eq!(read(&trusted().forwarded(), &[example]), "2001:db8::17");
    let chain = [
        (FORWARDED, "for=198.51.100.1"), // forged
        (FORWARDED, "for=203.0.113.7, for=10.0.0.3;by=10.0.0.2"),
    ];
    assert_eq!(read(&trusted().forwarded(), &chain), "203.0.113.7");
    let hidden = [(FORWARDED, "for=198.51.100.1, for=_hidden, for=10.0.0.3")];
    assert_eq!(read(&trusted().forwarded(), &hidden), "10.0.0.3");
    // Not what it was told to read.
    assert_eq!(read(&trusted(), &[example]), "10.0.0.1");
    let x_forwarded_for = ("X-Forwarded-For", "198.51.100.1");
    assert_eq!(read(&trusted().forwarded(), &[x_forwarded_for]), "10.0.0.1");

    for name in ["x-real-ip", "cf-connecting-ip", "fly-client-ip"] {
        let field = || HeaderName::from_static(name);
        let sent = (name, "203.0.113.7");
        assert_eq!(read(&trusted().field(field()), &[sent]), "203.0.113.7");
        for hops in [1, 2, 9] {
            assert_eq!(
                read(&ForwardedFor::hops(hops, peer).field(field()), &[sent]),
                "203.0.113.7"
            );
        }
        assert_eq!(
            read(&ForwardedFor::hops(0, peer).field(field()), &[sent]),
            "10.0.0.1"
        );
        // A peer that is no proxy of ours writes what it likes.
        let others = ForwardedFor::proxies(["10.9.0.0/16"], peer).expect("valid");
        assert_eq!(read(&others.field(field()), &[sent]), "10.0.0.1");
        for bad in [
            &[sent, sent][..],
            &[(name, "203.0.113.7, 1.1.1.1")],
            &[(name, "unknown")],
            &[],
        ] {
            assert_eq!(read(&trusted().field(field()), bad), "10.0.0.1", "{bad:?}");
        }
    }
}

/// An extractor of axum, where there are only the parts of a request.
struct Limited(Result<IpKey, NoKey>, bool);

impl<S: Send + Sync> FromRequestParts<S> for Limited {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let head = RequestHead::from_parts(parts);
        let peer =
            |head: &RequestHead<'_>| Some(head.extension::<ConnectInfo<SocketAddr>>()?.0.ip());
        let has_key = ApiKey::bearer().extract(&head).is_ok();
        Ok(Self(ForwardedFor::hops(1, peer).extract(&head), has_key))
    }
}

#[tokio::test]
async fn extractors_work_on_parts() {
    let handler =
        |Limited(client, has_key): Limited| async move { format!("{client:?} {has_key}") };
    let app: Router = Router::new().route("/", get(handler));
    let peer: SocketAddr = "10.0.0.1:80".parse().expect("an address");
    let request = Request::get("/")
        .header("x-forwarded-for", "203.0.113.7")
        .header("authorization", "Bearer 7f3a9c")
        .extension(ConnectInfo(peer))
        .body(Body::empty());
    let response = app
        .oneshot(request.expect("valid"))
        .await
        .expect("infallible");
    let body = axum::body::to_bytes(response.into_body(), 1_000)
        .await
        .expect("small");
    let expected = format!("{:?} true", Ok::<_, NoKey>(IpKey::new(ip("203.0.113.7"))));
    assert_eq!(body, expected);
}

#[tokio::test]
async fn key_is_found_once_and_read_by_limits_and_handlers() {
    let clock = ManualClock::new();
    let table = |capacity| {
        let clock = clock.clone();
        Keyed::new(move |_: &String| bucket(capacity, &clock))
    };
    let found = alloc::sync::Arc::new(core::sync::atomic::AtomicU64::new(0));
    let counting = alloc::sync::Arc::clone(&found);
    let find = move |request: &RequestHead<'_>| {
        counting.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        user(request)
    };
    let key = RequestKey::<String>::extractor;
    let limit = RateLimitLayer::new((PerKey::new(table(3), key()), PerKey::new(table(2), key())));
    let handler = |Extension(user): Extension<RequestKey<String>>| async move {
        user.key()
            .map_or_else(|why| why.to_string(), ToOwned::to_owned)
    };
    let app: Router = Router::new()
        .route("/", get(handler))
        .layer(limit.clone())
        .layer(KeyLayer::new(find));
    let send = |user: Option<&'static str>| {
        let app = app.clone();
        async move {
            let mut request = Request::get("/");
            if let Some(user) = user {
                request = request.header("x-user", user);
            }
            let response = app
                .oneshot(request.body(Body::empty()).expect("valid"))
                .await;
            response.expect("infallible").status()
        }
    };
    let mut statuses = Vec::new();
    for user in [
        Some("alice"),
        Some("alice"),
        Some("alice"),
        Some("bob"),
        None,
    ] {
        statuses.push(send(user).await.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 400]);
    assert_eq!(found.load(core::sync::atomic::Ordering::Relaxed), 5);

    // Without the layer it is the server's mistake.
    let alone: Router = Router::new().route("/", get(|| async {})).layer(limit);
    let request = Request::get("/").body(Body::empty()).expect("valid");
    let response = alone.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn route_templates_count_as_one() {
    let clock = ManualClock::new();
    let table = Keyed::new(move |_: &String| bucket(2, &clock));
    let route = Attached::new(|path: &MatchedPath| path.as_str().to_owned());
    let app: Router = Router::new()
        .route("/users/{id}", get(|| async {}))
        .route("/", get(|| async {}))
        .route_layer(RateLimitLayer::new(PerKey::new(table, route)));
    let mut statuses = Vec::new();
    for path in ["/users/1", "/users/2", "/users/3", "/", "/nowhere"] {
        let request = Request::get(path).body(Body::empty()).expect("valid");
        let response = app.clone().oneshot(request).await.expect("infallible");
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 404]);
}

/// What a program that uses the crate `tower` may write.
mod glob_import {
    // Also brings in every public module.
    use tidegate::*;

    #[test]
    fn names_no_module_like_a_crate() {
        let layer = tower::layer::util::Identity::new();
        let bucket = TokenBucket::new(Quota::per_second(1));
        let limited = layer::RateLimitLayer::new(bucket);
        let service = tower::ServiceBuilder::new().layer(layer).layer(limited);
        drop(service);
    }
}
