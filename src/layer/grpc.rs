//! Rejections for gRPC clients, as responses of header fields alone. No gRPC library is needed.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::key_extractor::NoKey;
use super::rejection::{Reason, Reject, Rejection};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

// Values of google.rpc.Code.
const INVALID_ARGUMENT: u8 = 3;
const RESOURCE_EXHAUSTED: u8 = 8;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;

/// Rejects a gRPC call with `RESOURCE_EXHAUSTED` in a trailers-only response. The wait is in both
/// places that clients read:
///
/// * `grpc-retry-pushback-ms`, for clients that retry on their own (gRFC A6). It has milliseconds,
///   rounded up, and `-1` ("do not retry") if no wait helps.
/// * `google.rpc.RetryInfo` in `grpc-status-details-bin`, without which OpenTelemetry exporters do
///   not retry.
///
/// A request without a key gets `INVALID_ARGUMENT`, or `INTERNAL` if the server did not attach it.
/// One that a shared limit could not decide gets `UNAVAILABLE`, and if the wait is unknown, the
/// client's own backoff decides.
///
/// Use this for servers that only speak gRPC. For the others, the default
/// [`TooManyRequests`](super::TooManyRequests) does the same for requests that
/// [speak gRPC](Rejection::is_grpc).
///
/// ```
/// use tidegate::layer::{RateLimitLayer, ResourceExhausted};
/// use tidegate::{Quota, TokenBucket};
///
/// let bucket = TokenBucket::new(Quota::per_second(100));
/// let layer = RateLimitLayer::builder(bucket).reject(ResourceExhausted).build();
/// # drop(layer);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceExhausted;

impl<B: Default> Reject<B> for ResourceExhausted {
    fn reject(&self, rejection: &Rejection<'_>) -> Response<B> {
        let (code, message) = match rejection.reason() {
            Reason::Limited(denied) => {
                let message = format!("limit `{}`: {denied}", rejection.limit());
                (RESOURCE_EXHAUSTED, message)
            }
            Reason::NoKey(why @ NoKey::NotAttached) => (INTERNAL, why.to_string()),
            Reason::NoKey(why) => (INVALID_ARGUMENT, why.to_string()),
            why @ Reason::Unavailable { .. } => {
                let message = format!("limit `{}`: {why}", rejection.limit());
                (UNAVAILABLE, message)
            }
        };
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(code)));
        if let Ok(text) = HeaderValue::try_from(percent_encoded(&message)) {
            headers.insert(GRPC_MESSAGE, text);
        }
        let wait = rejection.retry_after();
        if let Ok(details) = HeaderValue::try_from(base64(&status(code, &message, wait))) {
            headers.insert(GRPC_STATUS_DETAILS, details);
        }
        let pushback = match (wait, rejection.reason()) {
            (Some(wait), _) => Some(HeaderValue::from(millis(wait))),
            // A retry may help, but when is unknown.
            (None, Reason::Unavailable { .. }) => None,
            (None, _) => Some(HeaderValue::from_static("-1")),
        };
        if let Some(pushback) = pushback {
            headers.insert(GRPC_RETRY_PUSHBACK, pushback);
        }
        response
    }
}

/// Rounds up to milliseconds, at most the `i32::MAX` that clients can read.
fn millis(wait: Duration) -> u32 {
    const MOST: u32 = i32::MAX.unsigned_abs();
    let millis = wait.as_nanos().div_ceil(1_000_000);
    u32::try_from(millis).map_or(MOST, |millis| millis.min(MOST))
}

/// Encodes a `google.rpc.Status` with a `google.rpc.RetryInfo` as Protocol Buffers.
fn status(code: u8, message: &str, wait: Option<Duration>) -> Vec<u8> {
    let mut status = Vec::new();
    put_number(&mut status, 1, u64::from(code));
    put_bytes(&mut status, 2, message.as_bytes());
    if let Some(wait) = wait {
        // The limit of google.protobuf.Duration, 10 000 years.
        const MOST: u64 = 315_576_000_000;
        let mut delay = Vec::new();
        put_number(&mut delay, 1, wait.as_secs().min(MOST));
        put_number(&mut delay, 2, u64::from(wait.subsec_nanos()));
        let mut retry_info = Vec::new();
        put_bytes(&mut retry_info, 1, &delay);
        let mut any = Vec::new();
        put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        put_bytes(&mut any, 2, &retry_info);
        put_bytes(&mut status, 3, &any);
    }
    status
}

fn put_number(message: &mut Vec<u8>, field: u8, number: u64) {
    // An absent number is zero.
    if number > 0 {
        message.push(field << 3);
        put_varint(message, number);
    }
}

fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    const LENGTH_DELIMITED: u8 = 2;
    message.push(field << 3 | LENGTH_DELIMITED);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return message.push(low);
        }
        message.push(low | 0x80);
    }
}

/// Without padding, as in header fields whose names end in `-bin`.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

/// Escapes all but printable ASCII, as in `grpc-message`.
fn percent_encoded(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    text
}
