//! Reads the body of a refusal for the wait that it tells.

use alloc::format;
use alloc::string::String;
use core::str;
use core::time::Duration;
use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use tinyjson::JsonValue;

use super::values::{duration, whole_number};

type Members = HashMap<String, JsonValue>;

/// The body of a refusal is a few kilobytes.
const LONGEST: usize = 1 << 20;

/// The parser takes stack for each level.
const DEEPEST: usize = 64;

/// Each takes as much stack as the levels in it.
const TEXTS_IN_TEXTS: usize = 3;

/// More than a response has. A map of header fields cannot grow without limit.
const MOST_FIELDS: usize = 256;

#[derive(Debug, Default)]
pub(in crate::api) struct ToldInBody {
    /// Of Google's `RetryInfo`.
    pub(in crate::api) retry_delay: Option<Duration>,
    /// The header fields of the provider behind `OpenRouter`.
    pub(in crate::api) headers: HeaderMap,
}

pub(in crate::api) fn read(body: &[u8]) -> ToldInBody {
    let text = str::from_utf8(body).ok().filter(|_| body.len() <= LONGEST);
    let Some(body) = text.and_then(parse) else {
        return ToldInBody::default();
    };
    ToldInBody {
        retry_delay: retry_delay(&body, TEXTS_IN_TEXTS),
        headers: headers(&body).unwrap_or_default(),
    }
}

fn parse(text: &str) -> Option<JsonValue> {
    (depth(text) <= DEEPEST)
        .then(|| text.parse().ok())
        .flatten()
}

/// How deep arrays and objects are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_in_string) = (0_usize, 0, false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_in_string = !is_in_string,
            b'\\' if is_in_string => drop(bytes.next()),
            b'[' | b'{' if !is_in_string => depth += 1,
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The longest delay of any `RetryInfo`. `texts` bounds how often JSON is read from a text in it.
fn retry_delay(value: &JsonValue, texts: usize) -> Option<Duration> {
    let delay_in = |value| retry_delay(value, texts);
    match value {
        JsonValue::Array(values) => values.iter().filter_map(delay_in).max(),
        JsonValue::Object(members) => {
            let kind = members.get("@type").and_then(JsonValue::get::<String>);
            let is_retry_info = kind.is_some_and(|kind| kind.ends_with("google.rpc.RetryInfo"));
            let own = members.get("retryDelay").filter(|_| is_retry_info);
            let inner = members.values().filter_map(delay_in);
            inner.chain(own.and_then(delay)).max()
        }
        // Some libraries wrap the body in the message of an error of their own.
        JsonValue::String(text) if texts > 0 && text.contains("RetryInfo") => {
            retry_delay(&parse(text)?, texts - 1)
        }
        _ => None,
    }
}

/// `"45.8s"`, or `{"seconds": 45, "nanos": 800000000}`, with `"45"` as well.
fn delay(value: &JsonValue) -> Option<Duration> {
    let members: &Members = match value {
        JsonValue::String(text) => return duration(text),
        other => other.get()?,
    };
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok();
    let whole = match members.get("seconds") {
        None => Duration::ZERO,
        Some(JsonValue::String(text)) => Duration::from_secs(whole_number(text)?),
        Some(value) => seconds(*value.get()?)?,
    };
    let nanos = match members.get("nanos") {
        None => Duration::ZERO,
        Some(value) => seconds(value.get::<f64>()? / 1e9)?,
    };
    Some(whole.saturating_add(nanos))
}

/// The members of `error.metadata.headers` that are texts or numbers.
fn headers(body: &JsonValue) -> Option<HeaderMap> {
    fn member<'v>(value: &'v JsonValue, name: &str) -> Option<&'v JsonValue> {
        value.get::<Members>()?.get(name)
    }

    let metadata = member(member(body, "error")?, "metadata")?;
    let members: &Members = member(metadata, "headers")?.get()?;
    let fields = members.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = match value {
            JsonValue::String(text) => HeaderValue::from_str(text),
            JsonValue::Number(number) => HeaderValue::from_str(&format!("{number}")),
            _ => return None,
        };
        Some((name, value.ok()?))
    });
    Some(fields.take(MOST_FIELDS).collect())
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
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
            let text = error.replace('"', "\\\"");
            let wrapped = format!(r#"{{"error": {{"message": "{text}"}}}}"#);
            assert_eq!(wait(&wrapped), expected, "{delay}");
        }
        // Only of that type.
        assert_eq!(wait(r#"{"retryDelay": "7s"}"#), None);
    }

    #[test]
    fn hostile_bodies_are_ignored() {
        let deep = "[".repeat(100_000);
        let hidden = "[\"\\\"]\",".repeat(50_000);
        let long = format!(r#"{{"a": "{}"}}"#, "x".repeat(2 << 20));
        let mut texts = String::from("RetryInfo");
        for _ in 0..400 {
            let text = texts.replace('\\', "\\u005c").replace('"', "\\u0022");
            texts = format!("{}\"{text}\"{}", "[".repeat(60), "]".repeat(60));
        }
        assert!(texts.len() > 100_000);
        let names: Vec<String> = (0..30_000).map(|n| format!(r#""a{n}": "1""#)).collect();
        let names = names.join(",");
        let many = format!(r#"{{"error": {{"metadata": {{"headers": {{{names}}}}}}}}}"#);
        assert_eq!(read(many.as_bytes()).headers.len(), 256);
        for body in ["", "{", "null", "3", "\u{0}", &deep, &hidden, &texts, &long] {
            let told = read(body.as_bytes());
            assert!(told.retry_delay.is_none() && told.headers.is_empty());
        }
    }
}
