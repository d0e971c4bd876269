use super::*;

fn read(json: &str) -> Result<RateLimitConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn missing_field_has_its_default() {
    assert_eq!(read("{}"), Ok(RateLimitConfig::DEFAULT));
    let config = RateLimitConfig {
        requests_per_minute: 30,
        requests_per_day: Some(5_000),
        ..RateLimitConfig::DEFAULT
    };
    let json = r#"{ "requests_per_minute": 30, "requests_per_day": 5000 }"#;
    assert_eq!(read(json), Ok(config));
}

#[test]
fn unknown_field_is_an_error() {
    let error = read(r#"{ "request_per_minute": 30 }"#).unwrap_err();
    assert!(
        error.starts_with("unknown field `request_per_minute`"),
        "{error}"
    );
}

#[test]
fn durations_are_seconds() {
    let config = read(r#"{ "backoff_base": 0.25, "backoff_max": 90 }"#).unwrap();
    assert_eq!(config.backoff_base, Duration::from_millis(250));
    assert_eq!(config.backoff_max, Duration::from_secs(90));
    for wrong in ["-1", "1e30", "\"1 s\"", "null"] {
        assert!(
            read(&format!("{{ \"backoff_base\": {wrong} }}")).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn written_configuration_can_be_read() {
    let config = RateLimitConfig {
        requests_per_day: Some(5_000),
        tokens_per_day: Some(2_000_000),
        max_in_flight: Some(4),
        backoff_base: Duration::from_nanos(123_456_789),
        backoff_seed: Some(u64::MAX),
        ..RateLimitConfig::DEFAULT
    };
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(read(&json), Ok(config));
}

/// Reading a file does not validate its values.
#[test]
fn invalid_configuration_is_read_but_not_valid() {
    let config = read(r#"{ "burst_size": 0 }"#).unwrap();
    assert_eq!(config.validate().unwrap_err().field(), "burst_size");
}

#[test]
fn text_and_map_are_read() {
    let json = r#""50/min, 500/h, 100k tokens/min, burst 10""#;
    let config = RateLimitConfig {
        requests_per_minute: 50,
        requests_per_hour: 500,
        tokens_per_minute: 100_000,
        burst_size: 10,
        ..RateLimitConfig::UNLIMITED
    };
    assert_eq!(read(json), Ok(config));
    let error = read(r#""50/min, 5/s""#).unwrap_err();
    assert!(error.contains("at byte 10"), "{error}");
    let json = r#"{ "requests_per_hour": "unlimited", "burst_size": 7 }"#;
    let config = RateLimitConfig {
        requests_per_hour: RateLimitConfig::NO_LIMIT,
        burst_size: 7,
        ..RateLimitConfig::DEFAULT
    };
    assert_eq!(read(json), Ok(config));
    for wrong in [
        "3",
        "null",
        "[]",
        r#"{"burst_size": "many"}"#,
        r#"{"burst_size": -1}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let json = r#"{ "requests_per_day": "unlimited", "max_in_flight": null }"#;
    assert_eq!(read(json), Ok(RateLimitConfig::DEFAULT));
    let longest = RateLimitConfig {
        backoff_max: Duration::MAX,
        tokens_per_day: Some(7),
        ..RateLimitConfig::DEFAULT
    };
    let json = serde_json::to_string(&longest).unwrap();
    assert_eq!(read(&json), Ok(longest));
    let json = serde_json::to_string(&RateLimitConfig::UNLIMITED).unwrap();
    assert!(
        json.contains(r#""requests_per_hour":"unlimited""#),
        "{json}"
    );
    assert_eq!(read(&json), Ok(RateLimitConfig::UNLIMITED));
}
