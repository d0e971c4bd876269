//! Writes a zone of Caddy's module `mholt/caddy-ratelimit`.
//!
//! It keeps the times of the last admitted requests in a ring, and admits a request if the oldest
//! of them is older than the window. That is a sliding window without slots.

use super::portable::{Portable, Written};

/// Writes the limit.
pub(super) fn write(limit: &Portable) -> Written {
    let Some(period) = limit.period_text() else {
        let why = "periods of less than a millisecond do not suit Caddy: choose another period";
        return Written {
            target: "Caddy",
            config: None,
            differences: vec![why.to_owned()],
        };
    };
    let (key, note) = key(&limit.by);
    let rate = limit.quota.rate();
    let config = format!(
        "# In a site block, with the module mholt/caddy-ratelimit:\n\
         rate_limit {{\n    \
             zone tidegate {{\n        \
                 key {key}\n        \
                 events {rate}\n        \
                 window {period}\n    \
             }}\n\
         }}\n"
    );
    let mut differences: Vec<String> = limit.no_bucket("Caddy").into_iter().collect();
    if limit.is_window {
        differences.push(
            "the same meaning: at most so many in any window; Caddy keeps a time for each request, \
             where a window here has slots"
                .to_owned(),
        );
    }
    differences.extend(note);
    Written {
        target: "Caddy",
        config: Some(config),
        differences,
    }
}

/// The placeholder for a key, and what to know about it.
fn key(by: &str) -> (&'static str, Option<String>) {
    match by {
        "ip" => ("{remote_host}", None),
        "ip-prefix" => (
            "{remote_host}",
            Some("each IPv6 address has a limit of its own, not each network".to_owned()),
        ),
        "path" => ("{path}", None),
        "user" => ("{http.auth.user.id}", None),
        "agent" => ("{header.User-Agent}", None),
        "none" => ("all", None),
        field => (
            "{header.X-Limit-Key}",
            Some(format!(
                "`X-Limit-Key` stands for what the log has as `{field}`"
            )),
        ),
    }
}
