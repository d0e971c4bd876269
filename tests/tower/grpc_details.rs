//! The details of gRPC rejections, as tonic decodes them: any name and any wait.

use core::time::Duration;

use http::{Request, Response};
use proptest::prelude::*;
use tidegate::layer::{RateLimitLayer, ResourceExhausted};
use tidegate::{ManualClock, Quota, TokenBucket};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{SECOND, answer, drain};

/// Quotas whose tokens take from a nanosecond to 500 years.
fn quotas() -> impl Strategy<Value = Quota> {
    let period = prop_oneof![
        1..=10_000_u64,
        1..=10_000_000_000_u64,
        1..=15_768_000_000_000_000_000_u64
    ];
    let quota = |(rate, period)| Quota::new(rate, Duration::from_nanos(period)).ok();
    (1..=1_000_u64, period).prop_filter_map("more than a clock can meter", quota)
}

/// Returns the rejection of an empty bucket, and the bucket's wait.
fn refused(name: &str, quota: Quota, passed: u64) -> (Response<String>, Duration) {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(quota.burst(1), clock.clone());
    drain(&bucket);
    let wait = bucket.wait_time(1).expect("a wait helps");
    // Advance by less than that, so the request is rejected.
    let whole = u64::try_from(wait.as_nanos()).expect("584 years");
    clock.advance(Duration::from_nanos(passed % whole));
    let layer = RateLimitLayer::builder(bucket).name(name);
    let layer = layer.reject(ResourceExhausted).build();
    (
        answer(&layer, Request::new(())),
        layer.gate().wait_time(1).expect("a wait helps"),
    )
}

proptest! {
    #[test]
    fn clients_decode_any_rejection(name in any::<String>(), quota in quotas(), passed: u64) {
        let (response, wait) = refused(&name, quota, passed);
        prop_assert_eq!(response.status(), 200);
        prop_assert_eq!(response.body(), "");
        let status = Status::from_header_map(response.headers()).expect("present");
        prop_assert_eq!(status.code(), Code::ResourceExhausted);
        prop_assert_eq!(status.message(), format!("limit `{name}`: not yet: retry after {wait:?}"));

        let (code, message) = inner_status(status.details());
        prop_assert_eq!(code, 8);
        prop_assert_eq!(message, status.message());
        let retry = status.get_details_retry_info().expect("present");
        prop_assert_eq!(retry.retry_delay, Some(wait));

        let pushback = response.headers()["grpc-retry-pushback-ms"].to_str().expect("ASCII");
        let pushback = pushback.parse::<i32>().expect("clients read an i32");
        let pushback = Duration::from_millis(pushback.unsigned_abs().into());
        if pushback < Duration::from_millis(i32::MAX.unsigned_abs().into()) {
            // Rounded up: never early, and less than a millisecond late.
            prop_assert!(pushback >= wait, "{pushback:?} for {wait:?}");
            prop_assert!(pushback.saturating_sub(wait) < Duration::from_millis(1));
        } else {
            prop_assert!(wait > pushback.saturating_sub(Duration::from_millis(1)), "{wait:?}");
        }
    }
}

/// Decodes the code and the message of a `google.rpc.Status`, which repeat the header fields.
fn inner_status(bytes: &[u8]) -> (i32, String) {
    use tonic_types::pb::Status;
    let status = <Status as prost::Message>::decode(bytes).expect("valid");
    (status.code, status.message)
}

#[test]
fn names_are_escaped_in_header_fields() {
    for name in [
        "",
        "\r\nx: y",
        "%",
        "100 %41",
        "\u{0}\u{7f}",
        "流量",
        "\"\\`",
    ] {
        let (response, _) = refused(name, Quota::per_second(1), 0);
        let message = response.headers()["grpc-message"].as_bytes();
        assert!(
            message.iter().all(|byte| matches!(byte, b' '..=b'~')),
            "{name:?}"
        );
        let status = Status::from_header_map(response.headers()).expect("present");
        assert_eq!(
            status.message(),
            format!("limit `{name}`: not yet: retry after 1s")
        );
    }
}

#[test]
fn details_have_no_padding() {
    // Three consecutive lengths cover each remainder of base64.
    for name in ["a", "ab", "abc"] {
        let (response, _) = refused(name, Quota::per_second(1), 0);
        let details = response.headers()["grpc-status-details-bin"].as_bytes();
        assert!(!details.contains(&b'='), "{name}");
        let status = Status::from_header_map(response.headers()).expect("present");
        let retry = status.get_details_retry_info().expect("present");
        assert_eq!(retry.retry_delay, Some(SECOND));
    }
}
