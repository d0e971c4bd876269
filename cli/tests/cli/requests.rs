//! The 400 requests of 12 clients in `data/logs`, which other formats are made of.

use std::io::Read;
use std::path::PathBuf;

use jiff::tz::Offset;
use serde_json::Value;

use crate::oracle::{self, Bucket, Limits};

/// How many of the requests `6/min burst 4` refuses for each address.
pub(crate) const REFUSED: u64 = 60;

/// A request.
pub(crate) struct LoggedRequest {
    /// Milliseconds since 1970.
    pub(crate) millis: i64,
    pub(crate) client: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u64,
    pub(crate) bytes: u64,
    pub(crate) agent: String,
}

impl LoggedRequest {
    /// The time in UTC, as `strftime` writes it.
    pub(crate) fn time(&self, format: &str) -> String {
        let time = jiff::Timestamp::from_millisecond(self.millis).unwrap();
        Offset::UTC.to_datetime(time).strftime(format).to_string()
    }

    /// The client in brackets if it is an IPv6 address.
    pub(crate) fn bracketed(&self) -> String {
        if self.client.contains(':') {
            format!("[{}]", self.client)
        } else {
            self.client.clone()
        }
    }

    /// `GET / HTTP/1.1`.
    pub(crate) fn line(&self) -> String {
        format!("{} {} HTTP/1.1", self.method, self.path)
    }

    /// The line in the combined log format.
    pub(crate) fn combined(&self) -> String {
        format!(
            "{} - - [{}] \"{}\" {} {} \"-\" \"{}\"",
            self.client,
            self.time("%d/%b/%Y:%H:%M:%S +0000"),
            self.line(),
            self.status,
            self.bytes,
            self.agent
        )
    }
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs")
}

/// The text of a sample.
pub(crate) fn sample(name: &str) -> String {
    let file = std::fs::File::open(folder().join(format!("{name}.gz"))).unwrap();
    let mut text = String::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(file);
    decoder.read_to_string(&mut text).unwrap();
    text
}

/// The requests, in the order of time.
pub(crate) fn requests() -> Vec<LoggedRequest> {
    let events: Value = serde_json::from_str(&sample("events.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let requests = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| LoggedRequest {
            millis: event["ms"].as_i64().unwrap(),
            client: text(&event["ip"]),
            method: text(&event["m"]),
            path: text(&event["path"]),
            status: event["st"].as_u64().unwrap(),
            bytes: event["b"].as_u64().unwrap(),
            agent: text(&event["ua"]),
        });
    requests.collect()
}

/// How many requests a bucket of 6 per minute and a burst of 4 refuses, by its definition.
pub(crate) fn refused(events: &[(u64, String)]) -> u64 {
    let bucket = |_| Limits {
        bucket: Some(Bucket::new(6, 60 * oracle::SECOND, 4)),
        ..Limits::default()
    };
    oracle::run(events, bucket).refused()
}

#[test]
fn requests_are_refused_by_definition() {
    let events = requests().into_iter().map(|request| {
        let time = u64::try_from(request.millis).unwrap() * 1_000_000;
        (time, request.client)
    });
    let mut events: Vec<(u64, String)> = events.collect();
    assert_eq!(events.len(), 400);
    assert_eq!(refused(&events), REFUSED);
    // Logs of whole seconds refuse as many.
    for (time, _) in &mut events {
        *time -= *time % oracle::SECOND;
    }
    assert_eq!(refused(&events), REFUSED);
}
