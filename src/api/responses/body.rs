//! Reads the body of a refusal for the wait that it tells.

use alloc::string::ToString;
use core::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::values::{duration, whole_number};

/// The body of a refusal is a few kilobytes.
const LONGEST_BODY: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct ToldInBody {
    /// Of Google's `RetryInfo`.
    pub(super) retry_delay: Option<Duration>,
    /// The header fields of the provider behind `OpenRouter`.
    pub(super) headers: HeaderMap,
}

pub(super) fn read(body: &[u8]) -> ToldInBody {
    if body.len() > LONGEST_BODY {
        return ToldInBody::default();
    }
    // The parser limits the depth.
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return ToldInBody::default();
    };
    ToldInBody {
        retry_delay: retry_delay(&body),
        headers: headers(&body),
    }
}

/// The longest delay of any `RetryInfo`.
fn retry_delay(value: &Value) -> Option<Duration> {
    match value {
        Value::Array(values) => values.iter().filter_map(retry_delay).max(),
        Value::Object(members) => {
            let is_retry_info = members
                .get("@type")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.ends_with("google.rpc.RetryInfo"));
            let own = members.get("retryDelay").filter(|_| is_retry_info);
            let inner = members.values().filter_map(retry_delay);
            inner.chain(own.and_then(delay)).max()
        }
        // Some libraries wrap the body in the message of an error of their own.
        Value::String(text) if text.contains("RetryInfo") => {
            retry_delay(&serde_json::from_str(text).ok()?)
        }
        _ => None,
    }
}

/// `"45.8s"`, or `{"seconds": 45, "nanos": 800000000}`.
fn delay(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => duration(text),
        Value::Object(members) => {
            let number = |name| match members.get(name) {
                None => Some(0),
                Some(Value::String(text)) => whole_number(text),
                Some(value) => value.as_u64(),
            };
            let nanos = u32::try_from(number("nanos")?).ok()?;
            let seconds = Duration::from_secs(number("seconds")?);
            Some(seconds.saturating_add(Duration::from_nanos(nanos.into())))
        }
        _ => None,
    }
}

/// The members of `error.metadata.headers` that are texts or numbers.
fn headers(body: &Value) -> HeaderMap {
    let members = body.pointer("/error/metadata/headers");
    let members = members.and_then(Value::as_object).into_iter().flatten();
    let fields = members.filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = match value {
            Value::String(text) => HeaderValue::from_str(text).ok()?,
            Value::Number(number) => HeaderValue::from_str(&number.to_string()).ok()?,
            _ => return None,
        };
        Some((name, value))
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::read;

    #[test]
    fn retry_info_is_found_wherever_it_is() {
        const INFO: &str =
            r#"{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "#;
        let detail = |delay: &str| format!("{INFO}{delay}}}");
        let wait = |body: &str| read(body.as_bytes()).retry_delay;
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        for (delay, expected) in [
            (r#""45.837906927s""#, seconds(45.837_906_927)),
            (r#""7s""#, seconds(7.0)),
            (r#"{"seconds": 45, "nanos": 500000000}"#, seconds(45.5)),
            (r#"{"seconds": "45"}"#, seconds(45.0)),
            (r#"{"nanos": 250000000}"#, seconds(0.25)),
            (r#""soon""#, None),
            ("-3", None),
            (r#"{"seconds": -3}"#, None),
            ("[1]", None),
        ] {
            let detail = detail(delay);
            let error = format!(r#"{{"error": {{"code": 429, "details": [{{}}, {detail}]}}}}"#);
            assert_eq!(wait(&error), expected, "{delay}");
            assert_eq!(wait(&format!("[{error}]")), expected, "{delay}");
            assert_eq!(wait(&detail), expected, "{delay}");
            let text = serde_json::Value::String(error).to_string();
            let wrapped = format!(r#"{{"error": {{"message": {text}}}}}"#);
            assert_eq!(wait(&wrapped), expected, "{delay}");
        }
        // Only of that type.
        assert_eq!(wait(r#"{"retryDelay": "7s"}"#), None);
    }

    #[test]
    fn hostile_bodies_are_ignored() {
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"a": "{}"}}"#, "x".repeat(2 << 20));
        for body in ["", "{", "null", "3", "\u{0}", &deep, &long] {
            let told = read(body.as_bytes());
            assert!(told.retry_delay.is_none() && told.headers.is_empty());
        }
    }
}
