//! Writes nginx's `limit_req`: see [`crate::values::nginx`] for what it means.

use super::portable::{Portable, Written};
use crate::picture::numbers::plain;

const SECOND: u128 = 1_000_000_000;

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let mut differences: Vec<String> = limit.no_window("nginx").into_iter().collect();
    let rate = u128::from(limit.quota.rate());
    let period = limit.period_nanos().max(1);
    let (count, unit) = if (rate * SECOND).is_multiple_of(period) {
        (rate * SECOND / period, "s")
    } else {
        ((rate * 60 * SECOND).div_ceil(period), "m")
    };
    if unit == "m" && rate * 60 * SECOND < period {
        let why = "nginx's lowest rate is 1r/m: choose a rate of at least one per minute";
        return Written {
            target: "nginx",
            config: None,
            differences: vec![why.to_owned()],
        };
    }
    if unit == "m" && !(rate * 60 * SECOND).is_multiple_of(period) {
        let exact = plain(limit.per_second() * 60.0);
        differences.push(format!(
            "nginx has whole numbers per second or minute: {exact} per minute became {count}r/m"
        ));
    }
    // The rate is kept in thousandths per second, rounded down.
    if unit == "m" && !(count * 1_000).is_multiple_of(60) {
        let thousandths = u32::try_from(count * 1_000 / 60).unwrap_or(u32::MAX);
        let real = plain(f64::from(thousandths) * 0.06);
        differences.push(format!(
            "nginx rounds {count}r/m down to thousandths of a request per second: {real} per minute"
        ));
    }
    let (key, note) = key(&limit.by);
    differences.extend(note);
    let burst = match limit.quota.capacity() - 1 {
        0 => String::new(),
        burst => format!(" burst={burst} nodelay"),
    };
    let config = format!(
        "# In `http`:\n\
         limit_req_zone {key} zone=tidegate:10m rate={count}r/{unit};\n\
         # In `http`, `server` or `location`:\n\
         limit_req zone=tidegate{burst};\n\
         limit_req_status 429;\n"
    );
    differences.push(
        "`burst` does not count the first request, so it is one less than the burst here; the zone \
         holds about 80,000 keys of 128 bytes, and forgets the oldest"
            .to_owned(),
    );
    Written {
        target: "nginx",
        config: Some(config),
        differences,
    }
}

/// The variable for a key, and what to know about it.
fn key(by: &str) -> (String, Option<String>) {
    let (variable, note) = match by {
        "ip" => ("$binary_remote_addr", None),
        "ip-prefix" => (
            "$binary_remote_addr",
            Some("each IPv6 address has a limit of its own, not each network".to_owned()),
        ),
        "path" => ("$uri", None),
        "user" => (
            "$remote_user",
            Some("requests without a user have no limit".to_owned()),
        ),
        "agent" => ("$http_user_agent", None),
        "none" => ("$server_name", None),
        field => (
            "$limit_key",
            Some(format!(
                "set the variable `$limit_key` to what the log has as `{field}`"
            )),
        ),
    };
    (variable.to_owned(), note)
}
