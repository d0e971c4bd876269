//! Writes Traefik's `rateLimit`.
//!
//! It is a bucket of Go's `x/time/rate`. A request that would be admitted within half of a token's
//! time waits instead of being refused: 1 s divided by twice the whole rate per second, and 0.5 s
//! below one per second. A source is forgotten 2 s after its last request, or one token's time and
//! 1 s at rates below one per second.

use super::portable::{Portable, Written};
use crate::picture::numbers::plain;

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let Some(period) = limit.period_text() else {
        let why = "periods of less than a millisecond do not suit Traefik: choose another period";
        return Written {
            target: "Traefik",
            config: None,
            differences: vec![why.to_owned()],
        };
    };
    let (source, note) = source(&limit.by);
    let config = format!(
        "# In the dynamic configuration:\n\
         http:\n  \
           middlewares:\n    \
             tidegate:\n      \
               rateLimit:\n        \
                 average: {}\n        \
                 period: {period}\n        \
                 burst: {}\n{source}",
        limit.quota.rate(),
        limit.quota.capacity()
    );
    let mut differences: Vec<String> = limit
        .no_window("Traefik", limit.quota.rate())
        .into_iter()
        .collect();
    let rate = limit.per_second();
    let (delay, forgotten) = if rate < 1.0 {
        (0.5, 1.0 + (1.0 / rate).floor())
    } else {
        (0.5 / rate.floor(), 2.0)
    };
    differences.push(format!(
        "a request that comes up to {} s too early waits instead of being refused",
        plain(delay)
    ));
    if limit.quota.refill_time().as_secs_f64() > forgotten {
        differences.push(format!(
            "Traefik forgets a client {} s after its last request, and then the whole burst is \
             there again; the bucket here would need {} s to fill up",
            plain(forgotten),
            plain(limit.quota.refill_time().as_secs_f64())
        ));
    }
    differences.extend(note);
    Written {
        target: "Traefik",
        config: Some(config),
        differences,
    }
}

/// The lines that choose the key, and what to know about it.
fn source(by: &str) -> (String, Option<String>) {
    let header =
        |name: &str| format!("        sourceCriterion:\n          requestHeaderName: {name}\n");
    match by {
        "ip" => (String::new(), None),
        "ip-prefix" => (
            "        sourceCriterion:\n          ipStrategy:\n            ipv6Subnet: 64\n"
                .to_owned(),
            None,
        ),
        "user" => (
            header("Authorization"),
            Some("the user is the whole field `Authorization`".to_owned()),
        ),
        "agent" => (header("User-Agent"), None),
        "none" => (
            "        sourceCriterion:\n          requestHost: true\n".to_owned(),
            Some("each host name has a limit of its own".to_owned()),
        ),
        other => (
            header("X-Limit-Key"),
            Some(format!(
                "`X-Limit-Key` stands for what the log has as `{other}`"
            )),
        ),
    }
}
