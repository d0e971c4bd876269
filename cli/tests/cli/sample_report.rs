//! Sample reports.

use tidegate_cli::report::{Key, Report, Streak, Timeline};

/// Keys of an attacker.
pub(crate) const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'</style></svg></table><iframe src=//evil.example>",
    "\u{202e}txt.exe\u{202c}\u{200b}",
    "]]><!-- &lt;b&gt; --><?xml?>",
    "\0\u{1b}[2J\r\n\u{ffff}",
    "javascript:alert(1)",
    "",
];

/// Half a day with a peak at noon.
pub(crate) fn report(keys: &[&str]) -> Report {
    let admitted: Vec<u64> = (0..144)
        .map(|at: u64| 40 + 60 * (72 - at.abs_diff(72)) / 72 + at * 7 % 13)
        .collect();
    let refused: Vec<u64> = (0..144)
        .map(|at: u64| {
            if (60..84).contains(&at) {
                30 + at * 5 % 17
            } else {
                u64::from(at % 31 == 7)
            }
        })
        .collect();
    let (admitted_sum, refused_sum) = (admitted.iter().sum::<u64>(), refused.iter().sum::<u64>());
    let worst = keys.iter().zip(1_u64..).map(|(key, at)| Key {
        key: (*key).to_owned(),
        requests: 4_000 / at,
        refused: 600 / (at * at),
        first_refused: Some(1_789_973_000.0 + 61.5 * f64::from(u32::try_from(at).unwrap_or(0))),
        longest_streak: 90 / at,
        required_burst: Some(40 + 7 * at),
    });
    let worst: Vec<Key> = worst.collect();
    Report {
        limits: vec!["100/min burst 20".to_owned(), "window 500/hour".to_owned()],
        by: "ip".to_owned(),
        requests: admitted_sum + refused_sum,
        admitted: admitted_sum,
        refused: refused_sum,
        skipped: 3,
        warnings: Vec::new(),
        late: 1,
        left_out: 0,
        answered_429: 0,
        cost: None,
        keys: 2_317,
        keys_refused: worst.len() as u64,
        first: Some(1_789_948_800.0),
        last: Some(1_789_991_990.5),
        longest_streak: worst.first().map(|key| Streak {
            key: key.key.clone(),
            refusals: 90,
            from: 1_789_973_061.5,
            to: 1_789_973_110.0,
        }),
        sufficient_quota: Some("100/min burst 47".to_owned()),
        sufficient_is_smallest: true,
        max_per_minute: 120,
        retries: None,
        worst,
        timeline: Timeline {
            step: 300.0,
            admitted,
            refused,
        },
    }
}

/// Ordinary keys.
pub(crate) const ORDINARY: [&str; 6] = [
    "203.0.113.7",
    "2001:db8:4000:12::/64",
    "198.51.100.23",
    "192.0.2.190",
    "203.0.113.99",
    "198.51.100.4",
];

/// The report of a log without requests.
pub(crate) fn empty() -> Report {
    Report {
        requests: 0,
        admitted: 0,
        refused: 0,
        keys: 0,
        keys_refused: 0,
        first: None,
        last: None,
        longest_streak: None,
        sufficient_quota: None,
        worst: Vec::new(),
        timeline: Timeline {
            step: 0.0,
            admitted: Vec::new(),
            refused: Vec::new(),
        },
        ..report(&[])
    }
}
