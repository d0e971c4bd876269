//! The same rules in other formats.

use tidegate::ManualClock;
use tidegate::layer::RulesConfig;

use super::{Server, builder, of, refused};

const YAML: &str = "
keys:
  account: { header: x-account }
  client: { address: x-forwarded-for, proxies: [10.0.0.0/8] }
tiers:
  - { name: pro, key: account, values: [pro-1] }
exempt:
  - routes: [/health]
limits:
  - name: pro
    rate: 8/h
    key: account
    tiers: [pro]
  - name: others
    rate: { rate: 4/h, burst: 3 }
    key: account
    without_key: skip
    tiers: [none]
    headers: { x-beta: false, x-account: other }
    methods: [GET]
    max_keys: 100
  - name: busy
    in_flight: 2
  - name: failures
    failures: 5/10min
    lock_out: 15 min
    statuses: [401]
";

const JSON: &str = r#"{
    "keys": { "account": { "header": "x-account" },
              "client": { "address": "x-forwarded-for", "proxies": ["10.0.0.0/8"] } },
    "tiers": [{ "name": "pro", "key": "account", "values": ["pro-1"] }],
    "exempt": [{ "routes": ["/health"] }],
    "limits": [
        { "name": "pro", "rate": "8/h", "key": "account", "tiers": ["pro"] },
        { "name": "others", "rate": { "rate": "4/h", "burst": 3 }, "key": "account",
          "without_key": "skip", "tiers": ["none"], "methods": ["GET"], "max_keys": 100,
          "headers": { "x-beta": false, "x-account": "other" } },
        { "name": "busy", "in_flight": 2 },
        { "name": "failures", "failures": "5/10min", "lock_out": "15 min", "statuses": [401] }
    ]
}"#;

fn check(config: &RulesConfig) {
    let clock = ManualClock::new();
    let server = Server::with(clock.clone(), builder(&clock).build(config).unwrap());
    assert_eq!(server.admitted(20, || of("pro-1")), 8);
    assert_eq!(server.admitted(20, || of("other")), 3);
    assert_eq!(server.answer(of("other"), 200), refused("others"));
    for _ in 0..5 {
        assert!(server.answer(of("third"), 401).is_ok());
    }
    assert_eq!(server.answer(of("third"), 200), refused("failures"));
}

#[test]
fn yaml() {
    check(&serde_yaml_ng::from_str(YAML).unwrap());
}

#[test]
fn json() {
    check(&serde_json::from_str(JSON).unwrap());
}

#[test]
fn mistakes_have_a_place_there_too() {
    let error = serde_yaml_ng::from_str::<RulesConfig>(&YAML.replace("8/h", "8/fortnight"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("limits[0]"), "{error}");
    let error = serde_json::from_str::<RulesConfig>(&JSON.replace("busy\"", "busy\", \"x\": 1"));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("unknown field `x`") && error.contains("line 11"),
        "{error}"
    );
}
