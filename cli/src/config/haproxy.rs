//! Writes HAProxy's stick tables.
//!
//! `http_req_rate` is the count of the present period, and of the one before in proportion to what
//! of it lies within the last period. Each tracked request counts, refused or not.

use super::portable::{Portable, Written};

/// The longest period, in milliseconds.
const LONGEST: u128 = i32::MAX as u128;

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let millis = limit.period_nanos() / 1_000_000;
    let period = limit
        .period_text()
        .filter(|_| (1..=LONGEST).contains(&millis));
    let Some(period) = period else {
        let why = "HAProxy's periods are whole milliseconds, up to 24 days: choose another period";
        return Written {
            target: "HAProxy",
            config: None,
            differences: vec![why.to_owned()],
        };
    };
    let (kind, fetch, note) = key(&limit.by);
    let rate = limit.quota.rate();
    let config = format!(
        "# In a `frontend`:\n\
         stick-table type {kind} size 100k expire {period} store http_req_rate({period})\n\
         http-request track-sc0 {fetch}\n\
         http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {rate} }}\n"
    );
    let mut differences: Vec<String> = limit.no_bucket("HAProxy").into_iter().collect();
    differences.push(
        "HAProxy counts refused requests, too: a client that goes on at its rate is refused until \
         it slows down"
            .to_owned(),
    );
    differences.push(
        "HAProxy estimates: it adds a part of the previous period's count to that of the present \
         one"
        .to_owned(),
    );
    differences.extend(note);
    Written {
        target: "HAProxy",
        config: Some(config),
        differences,
    }
}

/// The type of the table, what finds the key, and what to know about it.
fn key(by: &str) -> (&'static str, String, Option<String>) {
    let text = "string len 128";
    match by {
        "ip" => ("ipv6", "src".to_owned(), None),
        "ip-prefix" => ("ipv6", "src,ipmask(32,64)".to_owned(), None),
        "path" => (text, "path".to_owned(), None),
        "user" => (
            text,
            "req.hdr(authorization)".to_owned(),
            Some("the user is the whole field `authorization`".to_owned()),
        ),
        "agent" => (text, "req.hdr(user-agent)".to_owned(), None),
        "none" => ("integer", "int(1)".to_owned(), None),
        field => (
            text,
            "req.hdr(x-limit-key)".to_owned(),
            Some(format!(
                "`x-limit-key` stands for what the log has as `{field}`"
            )),
        ),
    }
}
