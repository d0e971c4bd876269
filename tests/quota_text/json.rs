//! Quotas in JSON configuration files.

use crate::{SECOND, plain, quota};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tidegate::Quota;

const MINUTE: u64 = 60 * SECOND;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Config {
    api: Quota,
    login: Option<Quota>,
}

#[test]
fn valid_json_is_parsed() {
    #[rustfmt::skip]
    let table = [
        (r#""100/min""#, plain(100, MINUTE)),
        (r#""100/min burst 20""#, quota(100, MINUTE, 20)),
        (r#""100\u002fmin""#, plain(100, MINUTE)),
        (r#"{"rate": "100/min"}"#, plain(100, MINUTE)),
        (r#"{"rate": "100/min", "burst": 20}"#, quota(100, MINUTE, 20)),
        (r#"{"burst": 20, "rate": "100/min"}"#, quota(100, MINUTE, 20)),
    ];
    for (json, expected) in table {
        assert_eq!(
            serde_json::from_str::<Quota>(json).expect(json),
            expected,
            "{json}"
        );
        // A reader and a value have no text to borrow from.
        let read: Quota = serde_json::from_reader(json.as_bytes()).expect(json);
        let value: serde_json::Value = serde_json::from_str(json).expect(json);
        assert_eq!(read, expected, "{json}");
        assert_eq!(
            serde_json::from_value::<Quota>(value).expect(json),
            expected,
            "{json}"
        );
    }
}

/// The rate alone would be refused, because its default burst is too large.
#[test]
fn burst_in_a_map_replaces_the_default() {
    let json = r#"{"rate": "2400000000000M/30d", "burst": 1}"#;
    let quota = "2400000000000M/30d burst 1".parse::<Quota>();
    assert_eq!(serde_json::from_str(json).ok(), quota.ok());
    assert!("2400000000000M/30d".parse::<Quota>().is_err());
}

#[test]
fn invalid_json_is_refused() {
    #[rustfmt::skip]
    let table = [
        (r#"{"rate": "1/s", "brust": 2}"#, "unknown field `brust`, expected `rate` or `burst`"),
        (r#"{"rate": "1/s", "rate": "2/s"}"#, "duplicate field `rate`"),
        (r#"{"rate": "1/s", "burst": 2, "burst": 2}"#, "duplicate field `burst`"),
        (r#"{"burst": 2}"#, "missing field `rate`"),
        ("{}", "missing field `rate`"),
        (
            r#"{"rate": "1/h", "burst": 8766001}"#,
            "the burst is larger than this rate allows: at most 8766000",
        ),
        (r#"{"rate": "1/s", "burst": 0}"#, "the burst is zero"),
        (r#"{"rate": "1/s", "burst": -1}"#, "invalid value: integer `-1`, expected u64"),
        (r#"{"rate": "1/s", "burst": "2"}"#, "invalid type: string \"2\", expected u64"),
        (r#"{"rate": {"rate": "1/s"}}"#, "invalid type: map, expected a rate such as \"100/min\""),
        (r#"{"rate": 5}"#, "invalid type: integer `5`, expected a rate such as \"100/min\""),
        (r#"{"rate": "100/min burst 5", "burst": 20}"#, "duplicate field `burst`"),
        (r#""100/fortnight""#, "unknown unit of time (ns, us, ms, s, min, h, d, week or month) at byte 4"),
        (r#"{"rate": "0/s"}"#, "the rate is zero at byte 0"),
        (
            "5",
            "invalid type: integer `5`, expected a quota such as \"100/min burst 20\", or a map of `rate` and `burst`",
        ),
        ("null", "invalid type: null, expected a quota such as"),
    ];
    for (json, message) in table {
        let error = serde_json::from_str::<Quota>(json)
            .expect_err(json)
            .to_string();
        assert!(error.starts_with(message), "{json}: {error}");
    }
}

#[test]
fn quota_as_a_field() {
    let config = Config {
        api: quota(100, MINUTE, 20),
        login: None,
    };
    let json = r#"{"api":"100/min burst 20","login":null}"#;
    assert_eq!(
        serde_json::to_string(&config).expect("a quota is a string"),
        json
    );
    assert_eq!(serde_json::from_str::<Config>(json).expect(json), config);
}

/// Returns any quota. Many rates and bursts do not fit together and are rejected.
fn any_quota() -> impl Strategy<Value = Quota> {
    let number = || (0_u32..64, any::<u64>()).prop_map(|(shift, number)| number >> shift);
    (number(), number(), number()).prop_filter_map("no such quota", |(rate, period, burst)| {
        format!("{rate}/{period}ns burst {burst}").parse().ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn serialized_quota_reads_back(quota in any_quota()) {
        let json = serde_json::to_string(&quota).expect("a quota is a string");
        prop_assert_eq!(&json, &format!("\"{quota}\""));
        prop_assert_eq!(serde_json::from_str::<Quota>(&json).expect("it was serialized"), quota);
    }
}
