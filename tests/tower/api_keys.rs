//! Keys in header fields: which fields hold one key, and what happens without a key.

use http::{HeaderName, Request};
use proptest::prelude::*;
use tidegate::layer::{
    ApiKey, Attached, Either, KeyExtractor, NoKey, PerKey, RateLimitLayer, RequestHead,
};
use tidegate::{KeyDigest, KeyDigester, Keyed, ManualClock};

use crate::{Peer, answer, bucket, ip, stats};

const DIGESTER: KeyDigester = KeyDigester::with_secret([7; 16]);

/// Returns the key of a request with these lines of the header field `name`.
fn key_of(extractor: &ApiKey, name: &str, lines: &[&[u8]]) -> Result<KeyDigest, NoKey> {
    let mut request = Request::builder();
    for line in lines {
        request = request.header(name, *line);
    }
    extractor.extract(&RequestHead::new(&request.body(()).expect("valid")))
}

fn header_key(lines: &[&[u8]]) -> Result<KeyDigest, NoKey> {
    let name = HeaderName::from_static("x-api-key");
    let extractor = ApiKey::header(name).digester(DIGESTER);
    key_of(&extractor, "X-API-Key", lines)
}

fn bearer_key(lines: &[&[u8]]) -> Result<KeyDigest, NoKey> {
    key_of(&ApiKey::bearer().digester(DIGESTER), "Authorization", lines)
}

#[test]
fn key_is_the_whole_value() {
    let long = vec![b'k'; 64 << 10];
    for value in [
        b"k".as_slice(),
        b"Bearer k",
        b"a b",
        b"\xff\x80\xfe",
        "clé-鍵".as_bytes(),
        b"a,b",
        &long,
    ] {
        let key = header_key(&[value]);
        assert_eq!(key, Ok(DIGESTER.digest(value)), "{}", value.escape_ascii());
        // Surrounding space is not part of the key.
        assert_eq!(header_key(&[&[b" \t", value, b"\t "].concat()]), key);
    }
    let mut twin = long.clone();
    *twin.last_mut().expect("long") = b'l';
    assert_ne!(header_key(&[&long]), header_key(&[&twin]));
    assert_ne!(header_key(&[b"k"]), header_key(&[b"K"]));
}

#[test]
fn blank_or_repeated_fields_are_no_key() {
    assert_eq!(header_key(&[]), Err(NoKey::NotSent));
    for value in [b"".as_slice(), b" ", b"\t", b" \t \t"] {
        assert_eq!(header_key(&[value]), Err(NoKey::NotSent), "{value:?}");
    }
    // The code that checks keys may read the first or the last line.
    for lines in [
        [b"k".as_slice(), b"k"],
        [b"k", b"l"],
        [b"k", b""],
        [b"", b"k"],
    ] {
        assert_eq!(header_key(&lines), Err(NoKey::Ambiguous), "{lines:?}");
        let lines = lines.map(|line| [b"Bearer ", line].concat());
        let lines = lines.each_ref().map(Vec::as_slice);
        assert_eq!(bearer_key(&lines), Err(NoKey::Ambiguous));
    }
    let other = Request::builder().header("authorization", "k").body(());
    let other = other.expect("valid");
    let extractor = ApiKey::header(HeaderName::from_static("x-api-key"));
    let key = extractor.extract(&RequestHead::new(&other));
    assert_eq!(key, Err(NoKey::NotSent));
}

#[test]
fn forms_of_one_bearer_token_are_equal() {
    let token = Ok(DIGESTER.digest("7f3a9c"));
    for value in [
        "Bearer 7f3a9c",
        "bearer 7f3a9c",
        "BEARER 7f3a9c",
        "bEaReR   7f3a9c",
        "  Bearer 7f3a9c",
        "Bearer 7f3a9c \t",
        "Bearer \t 7f3a9c",
        "Bearer\t7f3a9c",
    ] {
        assert_eq!(bearer_key(&[value.as_bytes()]), token, "{value}");
    }
    for other in ["Bearer 7F3A9C", "Bearer 7f3a9c=", "Bearer Bearer7f3a9c"] {
        let key = bearer_key(&[other.as_bytes()]);
        assert!(key.is_ok() && key != token, "{other}");
    }
    assert_eq!(
        bearer_key(&[b"Bearer \xff\x80"]),
        Ok(DIGESTER.digest(b"\xff\x80"))
    );
    let key = vec![b'k'; 64 << 10];
    let long = [b"Bearer ".as_slice(), &key].concat();
    assert_eq!(bearer_key(&[&long]), Ok(DIGESTER.digest(&key)));
}

#[test]
fn other_schemes_have_no_bearer_token() {
    for value in [
        "",
        "B",
        "Bearer",
        "Bearer ",
        "Bearer  \t",
        "Bearer7f3a9c",
        "Bearer=7f3a9c",
        "Bearers 7f3a9c",
        "7f3a9c",
        "Basic dGlkZTpnYXRl",
        "Digest Bearer 7f3a9c",
        "\"Bearer 7f3a9c\"",
    ] {
        let key = bearer_key(&[value.as_bytes()]);
        assert_eq!(key, Err(NoKey::NotSent), "{value}");
    }
    let accented = bearer_key(&[b"B\xc3\xa9arer 7f3a9c"]);
    assert_eq!(accented, Err(NoKey::NotSent));
    assert_eq!(bearer_key(&[]), Err(NoKey::NotSent));
}

/// If a server reads only the first word, each second word would be a new limit.
#[test]
fn bearer_token_with_separators_is_ambiguous() {
    for value in [
        "Bearer 7f3a9c x1",
        "Bearer 7f3a9c\tx1",
        "Bearer 7f3a9c  x 2",
        "Bearer 7f3a9c,x1",
    ] {
        let key = bearer_key(&[value.as_bytes()]);
        assert_eq!(key, Err(NoKey::Ambiguous), "{value}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(value: Vec<u8>) {
        if http::HeaderValue::from_bytes(&value).is_ok() {
            let is_blank = value.trim_ascii().is_empty();
            prop_assert_eq!(header_key(&[&value]).is_err(), is_blank);
            _ = bearer_key(&[&value]);
            _ = bearer_key(&[&[b"bearer ", value.as_slice()].concat()]);
        }
    }
}

#[test]
fn extractors_have_secrets_of_their_own() {
    let name = || HeaderName::from_static("x-api-key");
    let (one, other) = (ApiKey::header(name()), ApiKey::header(name()));
    let key = |extractor| key_of(extractor, "x-api-key", &[b"k"]);
    let twin = one.clone();
    assert_eq!(key(&one), key(&twin));
    assert_ne!(key(&one), key(&other));
    assert!(!format!("{one:?}").contains("secret"));
}

#[test]
fn request_without_key_uses_the_second_extractor() {
    let clock = ManualClock::new();
    let address = Attached::new(|peer: &Peer| peer.0.to_string());
    let named = |request: &RequestHead<'_>| crate::key_of(request);
    let limits = Keyed::new(move |_: &Either<String, String>| bucket(1, &clock));
    let layer = RateLimitLayer::new(PerKey::new(limits, named.or(address)));
    let ask = |key: Option<&str>, peer: Option<&str>| {
        let mut request = Request::builder();
        if let Some(key) = key {
            request = request.header("key", key);
        }
        if let Some(peer) = peer {
            request = request.extension(Peer(ip(peer)));
        }
        answer(&layer, request.body(()).expect("valid"))
            .status()
            .as_u16()
    };
    assert_eq!(ask(Some("10.0.0.1"), Some("10.0.0.1")), 200);
    // A key that is equal to an address is a different key.
    assert_eq!(ask(None, Some("10.0.0.1")), 200);
    assert_eq!(ask(Some("10.0.0.1"), Some("10.0.0.2")), 429);
    assert_eq!(ask(None, Some("10.0.0.1")), 429);
    assert_eq!(ask(None, Some("10.0.0.2")), 200);
    assert_eq!(ask(None, None), 500);
    assert_eq!(layer.gate().table().len(), 3);
}

#[test]
fn optional_keys_limit_only_requests_with_a_key() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| bucket(1, &clock));
    let key = |request: &RequestHead<'_>| crate::key_of(request);
    let layer = RateLimitLayer::new(PerKey::new(limits, key).optional());
    for _ in 0..3 {
        let passed = answer(&layer, Request::new(()));
        assert_eq!(passed.status(), 200);
        // No limit applies, so no field describes one.
        assert!(passed.headers().is_empty(), "{:?}", passed.headers());
    }
    assert_eq!(answer(&layer, crate::with_key("alice")).status(), 200);
    assert_eq!(answer(&layer, crate::with_key("alice")).status(), 429);
    assert_eq!(layer.stats(), stats(4, 1));
    assert_eq!(layer.gate().table().len(), 1);
}

/// A client that repeats its key has a key, because the code that checks keys may read the first.
#[test]
fn ambiguous_key_does_not_evade_the_limit() {
    let clock = ManualClock::new();
    let name = HeaderName::from_static("x-api-key");
    let address = Attached::new(|peer: &Peer| peer.0.to_string());
    let twice = || {
        let request = Request::builder().extension(Peer(ip("203.0.113.7")));
        let request = request.header("x-api-key", "k").header("x-api-key", "k");
        request.body(()).expect("valid")
    };
    let time = clock.clone();
    let limits = Keyed::new(move |_: &KeyDigest| bucket(1, &time));
    let optional = PerKey::new(limits, ApiKey::header(name.clone())).optional();
    let optional = RateLimitLayer::new(optional);
    let limits = Keyed::new(move |_: &Either<KeyDigest, String>| bucket(1, &clock));
    let either = RateLimitLayer::new(PerKey::new(limits, ApiKey::header(name).or(address)));
    for _ in 0..3 {
        assert_eq!(answer(&optional, twice()).status(), 400);
        assert_eq!(answer(&either, twice()).status(), 400);
    }
    assert_eq!((optional.stats().no_key, either.stats().no_key), (3, 3));
}

/// A key that the client did not send is no server error. Otherwise clients could cause alarms.
#[test]
fn missing_key_is_a_client_error() {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &KeyDigest| bucket(1, &clock));
    let layer = RateLimitLayer::new(PerKey::new(limits, ApiKey::bearer()));
    assert_eq!(answer(&layer, Request::new(())).status(), 400);
    let call = Request::post("/").header("content-type", "application/grpc");
    let refused = answer(&layer, call.body(()).expect("valid"));
    assert_eq!(refused.status(), 200);
    assert_eq!(refused.headers()["grpc-status"], "3");
}

/// A client that invents keys has none, and the next extractor limits it.
#[test]
fn unknown_keys_are_not_sent() {
    let known = DIGESTER.digest("k");
    let name = HeaderName::from_static("x-api-key");
    let extractor = ApiKey::header(name).digester(DIGESTER);
    let extractor = extractor.known(move |key| *key == known);
    let key = |lines: &[&[u8]]| key_of(&extractor, "x-api-key", lines);
    assert_eq!(key(&[b"k"]), Ok(known));
    for invented in [b"K".as_slice(), b"k2", b"\xff", b""] {
        assert_eq!(key(&[invented]), Err(NoKey::NotSent));
    }
    // Two keys are ambiguous, even if one of them is known.
    assert_eq!(key(&[b"k", b"x"]), Err(NoKey::Ambiguous));
    assert!(!format!("{extractor:?}").contains("secret"));
}
