//! Rejections whose body is a problem in JSON.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::grpc::ResourceExhausted;
use super::rejection::{Reason, Reject, Rejection};

/// Responds as [`TooManyRequests`](super::TooManyRequests), with a body of
/// `application/problem+json` (RFC 9457) that names the limit.
///
/// A refusal of a limit has the type `quota-exceeded` of the IETF draft, revision 11, and its
/// member `violated-policies`, whose names are those in `RateLimit-Policy`. A request without a
/// key, or one that a shared limit could not decide, has the type `about:blank`. Requests that
/// [speak gRPC](Rejection::is_grpc) get the response of [`ResourceExhausted`].
///
/// ```
/// use http::Request;
/// use tidegate::layer::{ProblemJson, RateLimitLayer, RequestHead};
/// use tidegate::{Quota, TokenBucket};
///
/// let bucket = TokenBucket::new(Quota::per_hour(1));
/// let layer = RateLimitLayer::builder(bucket).name("search").reject(ProblemJson).build();
/// let request = Request::new(());
/// let decide = || layer.decide::<String>(&RequestHead::new(&request));
/// assert!(decide().is_ok());
/// let response = decide().unwrap_err();
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// assert!(response.body().contains(r#""violated-policies":["search"]"#));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl<B: Default + From<String>> Reject<B> for ProblemJson {
    fn reject(&self, rejection: &Rejection<'_>) -> Response<B> {
        if rejection.is_grpc() {
            return ResourceExhausted.reject(rejection);
        }
        let status = rejection.status();
        let problem = match rejection.reason() {
            // Section 6.1 of the draft.
            Reason::Limited(denied) => format!(
                "{{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
                 \"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\
                 \"status\":{},\"detail\":{},\"violated-policies\":[{}]}}",
                status.as_u16(),
                quoted(&format!("{denied}")),
                quoted(rejection.limit()),
            ),
            why @ (Reason::NoKey(_) | Reason::Unavailable { .. }) => format!(
                "{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"detail\":{}}}",
                quoted(title(status)),
                status.as_u16(),
                quoted(&format!("{why}")),
            ),
        };
        let mut response = Response::new(B::from(problem));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..=' ' if character != ' ' => {
                let code = u32::from(character);
                write!(json, "\\u{code:04x}").expect("writing to a string cannot fail");
            }
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
