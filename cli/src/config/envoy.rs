//! Writes Envoy's local rate limit filter.
//!
//! Its bucket holds `max_tokens` and gets `tokens_per_fill` in each `fill_interval`, at least 50 ms
//! in whole milliseconds. A descriptor with an empty value makes a bucket for each value, of which
//! `max_dynamic_descriptors` are kept. The interval of a descriptor must be a multiple of that of
//! the default bucket, so both have the same.

use super::portable::{Portable, Written};
use crate::picture::numbers::grouped;

const MILLI: u128 = 1_000_000;
/// The shortest interval that Envoy accepts, in milliseconds.
const SHORTEST: u128 = 50;

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let mut differences: Vec<String> = limit
        .no_window("Envoy", limit.quota.rate())
        .into_iter()
        .collect();
    let (tokens, millis) = match fill(limit) {
        Ok(fill) => fill,
        Err(why) => {
            return Written {
                target: "Envoy",
                config: None,
                differences: vec![why.to_owned()],
            };
        }
    };
    let interval = seconds(millis);
    let most = limit.quota.capacity().min(u32::MAX.into());
    if most < limit.quota.capacity() {
        differences.push(format!(
            "an Envoy bucket holds at most {} tokens: the burst of {} became that",
            grouped(most),
            grouped(limit.quota.capacity())
        ));
    }
    let bucket = |most: u64, tokens: u128, indent: &str| {
        format!(
            "{indent}token_bucket:\n\
             {indent}  max_tokens: {most}\n\
             {indent}  tokens_per_fill: {tokens}\n\
             {indent}  fill_interval: {interval}\n"
        )
    };
    let own = bucket(most, tokens, "    ");
    let body = match action(&limit.by) {
        None => own,
        Some((action, descriptor)) => {
            let unlimited = u64::from(u32::MAX);
            format!(
                "    # Only for requests without a descriptor: no limit.\n{}    \
                 always_consume_default_token_bucket: false\n    \
                 max_dynamic_descriptors: 10000\n    \
                 rate_limits:\n    - actions:\n{action}    \
                 descriptors:\n    - entries:\n      - key: {descriptor}\n{}",
                bucket(unlimited, unlimited.into(), "    "),
                bucket(most, tokens, "      ")
            )
        }
    };
    let share = "default_value: { numerator: 100, denominator: HUNDRED }";
    let config = format!(
        "# In `http_filters` of the connection manager, before the router:\n\
         - name: envoy.filters.http.local_ratelimit\n  \
           typed_config:\n    \
             \"@type\": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.\
             LocalRateLimit\n    \
             stat_prefix: tidegate\n    \
             filter_enabled: {{ {share} }}\n    \
             filter_enforced: {{ {share} }}\n{body}"
    );
    if limit.by != "none" {
        differences.push(
            "10,000 keys are kept; a key that was forgotten has its whole burst again. This needs \
             a version with dynamic descriptors (2025)"
                .to_owned(),
        );
    }
    differences.push(
        "each Envoy process has limits of its own; older versions add the tokens of an interval \
         all at once, at its end"
            .to_owned(),
    );
    differences.extend(note(&limit.by));
    Written {
        target: "Envoy",
        config: Some(config),
        differences,
    }
}

/// The fewest tokens per interval of whole milliseconds, at least 50, that give the rate.
fn fill(limit: &Portable) -> Result<(u128, u128), &'static str> {
    let period = limit.period_nanos();
    if !period.is_multiple_of(MILLI) {
        return Err("Envoy's intervals are whole milliseconds: choose another period");
    }
    let (rate, millis) = (u128::from(limit.quota.rate()), period / MILLI);
    let (mut a, mut b) = (rate, millis);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (tokens, millis) = (rate / a, millis / a);
    let times = SHORTEST.div_ceil(millis).max(1);
    let tokens = tokens * times;
    if tokens > u32::MAX.into() {
        return Err("Envoy adds at most 4,294,967,295 tokens per interval: choose a lower rate");
    }
    Ok((tokens, millis * times))
}

fn seconds(millis: u128) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The action that finds the key, and the name of the descriptor; `None` for one limit of all.
fn action(by: &str) -> Option<(String, &'static str)> {
    let header = |name: &str, key: &'static str| {
        let text = format!(
            "      - request_headers: {{ header_name: \"{name}\", descriptor_key: {key} }}\n"
        );
        Some((text, key))
    };
    match by {
        "none" => None,
        "ip" | "ip-prefix" => Some(("      - remote_address: {}\n".to_owned(), "remote_address")),
        "path" => header(":path", "path"),
        "user" => header("authorization", "user"),
        "agent" => header("user-agent", "agent"),
        _ => header("x-limit-key", "key"),
    }
}

fn note(by: &str) -> Option<String> {
    match by {
        "ip-prefix" => {
            Some("each IPv6 address has a limit of its own, not each network".to_owned())
        }
        "path" => Some("the path is with its query".to_owned()),
        "user" => Some("the user is the whole field `authorization`".to_owned()),
        "ip" | "agent" | "none" => None,
        field => Some(format!(
            "`x-limit-key` stands for what the log has as `{field}`"
        )),
    }
}
