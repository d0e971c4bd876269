//! Writes nginx's `limit_req`: see [`crate::values::nginx`] for what it means.

use super::portable::{Portable, Written};
use crate::picture::numbers::plain;

const SECOND: u128 = 1_000_000_000;

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let Some(rate) = Rate::of(limit) else {
        let why = "nginx's lowest rate is 1r/m: choose a rate of at least one per minute";
        return Written {
            target: "nginx",
            config: None,
            differences: vec![why.to_owned()],
        };
    };
    let refill = rate.thousandths.saturating_mul(limit.period_nanos()) / (1_000 * SECOND);
    let refill = u64::try_from(refill).unwrap_or(u64::MAX);
    let mut differences: Vec<String> = limit.no_window("nginx", refill).into_iter().collect();
    differences.extend(rate.differences(limit));
    let (key, note) = key(&limit.by);
    differences.extend(note);
    let burst = limit.quota.capacity() - 1;
    let delay = limit.nginx_delay.filter(|delay| *delay < burst);
    if let Some(delay) = delay {
        // The queue of the burst, at the rate that it is served.
        #[expect(clippy::cast_precision_loss, reason = "for a text")]
        let (waiting, rate) = ((burst - delay) as f64, rate.thousandths as f64 / 1_000.0);
        differences.push(format!(
            "without `nodelay`, nginx admits requests of the burst late: the last one by {} s",
            plain(waiting / rate)
        ));
    }
    let burst = match (burst, delay) {
        (0, _) => String::new(),
        (burst, None) => format!(" burst={burst} nodelay"),
        (burst, Some(0)) => format!(" burst={burst}"),
        (burst, Some(delay)) => format!(" burst={burst} delay={delay}"),
    };
    let Rate { count, unit, .. } = rate;
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

/// A rate as nginx has it.
#[derive(Clone, Copy, Debug)]
struct Rate {
    count: u128,
    unit: &'static str,
    /// What nginx makes of it: requests in 1,000 seconds.
    thousandths: u128,
}

impl Rate {
    /// The rate of a limit, rounded up to a whole number per minute if need be; `None` if it is
    /// below one per minute.
    fn of(limit: &Portable) -> Option<Self> {
        let rate = u128::from(limit.quota.rate());
        let period = limit.period_nanos().max(1);
        if (rate * SECOND).is_multiple_of(period) {
            let count = rate * SECOND / period;
            return Some(Self {
                count,
                unit: "s",
                thousandths: count.saturating_mul(1_000),
            });
        }
        let per_minute = |count: u128| Self {
            count,
            unit: "m",
            thousandths: count.saturating_mul(1_000) / 60,
        };
        // What nginx has rounded down to thousandths has the rate from which it came.
        let wanted = rate.saturating_mul(1_000 * SECOND);
        let source = per_minute((wanted / period).saturating_mul(60).div_ceil(1_000));
        if wanted.is_multiple_of(period) && source.thousandths == wanted / period {
            return Some(source);
        }
        let rounded = per_minute((rate * 60 * SECOND).div_ceil(period));
        (rate * 60 * SECOND >= period).then_some(rounded)
    }

    /// How it differs from the rate of the limit.
    fn differences(self, limit: &Portable) -> Vec<String> {
        let Self {
            count,
            unit,
            thousandths,
        } = self;
        let rate = u128::from(limit.quota.rate());
        let period = limit.period_nanos().max(1);
        let mut differences = Vec::new();
        if unit == "s" || rate.saturating_mul(1_000 * SECOND) == thousandths.saturating_mul(period)
        {
            return differences;
        }
        if !(rate * 60 * SECOND).is_multiple_of(period) {
            let exact = plain(limit.per_second() * 60.0);
            differences.push(format!(
                "nginx has whole numbers per second or minute: {exact} per minute became \
                 {count}r/m"
            ));
        }
        // The rate is kept in thousandths per second, rounded down.
        if !count.saturating_mul(1_000).is_multiple_of(60) {
            let thousandths = u32::try_from(thousandths).unwrap_or(u32::MAX);
            let real = plain(f64::from(thousandths) * 0.06);
            differences.push(format!(
                "nginx rounds {count}r/m down to thousandths of a request per second: {real} per \
                 minute"
            ));
        }
        differences
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
        // A text is one key for all requests. A variable such as `$server_name` would have several.
        "none" => ("all", None),
        field => (
            "$limit_key",
            Some(format!(
                "set the variable `$limit_key` to what the log has as `{field}`"
            )),
        ),
    };
    (variable.to_owned(), note)
}
