//! Files that cannot be used: what the errors say, and that nothing has changed.

use tidegate::ManualClock;
use tidegate::layer::{RequestHead, Rules, RulesConfig, RulesErrorKind as Kind};

use super::{Server, builder, get, parse};

/// Mistakes of form, with what the error must contain.
const MALFORMED: [(&str, &str); 45] = [
    ("", "missing field `limits`"),
    ("limit = []", "unknown field `limit`"),
    ("limits = [{ rate = '1/s' }]", "a limit needs a name"),
    (
        "limits = [{ name = ' ', rate = '1/s' }]",
        "a limit needs a name",
    ),
    (
        "limits = [{ name = 'a' }]",
        "limit `a`: it is one of `rate`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', window = '1/s' }]",
        "limit `a`: it is one of",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', in_flight = 1 }]",
        "limit `a`: it is one of",
    ),
    (
        "limits = [{ name = 'a', rate = '10 per fortnight' }]",
        "unknown unit of time",
    ),
    ("limits = [{ name = 'a', rate = '0/s' }]", "rate"),
    (
        "limits = [{ name = 'a', window = '5/s burst 9' }]",
        "a window has no burst",
    ),
    ("limits = [{ name = 'a', window = 5 }]", "expected a string"),
    ("limits = [{ name = 'a', in_flight = -1 }]", "-1"),
    (
        "limits = [{ name = 'a', failures = '5/min', statuses = [401] }]",
        "needs a `lock_out`",
    ),
    (
        "limits = [{ name = 'a', rate = '5/min', lock_out = '1 min' }]",
        "needs `failures`",
    ),
    (
        "limits = [{ name = 'a', failures = '5/min', lock_out = '1' }]",
        "a unit of time",
    ),
    (
        "limits = [{ name = 'a', failures = '5/min', lock_out = '1 min x' }]",
        "the end",
    ),
    (
        "limits = [{ name = 'a', failures = '5/min', lock_out = '1 min' }]",
        "needs the `statuses`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', statuses = [] }]",
        "`statuses` is empty",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', statuses = [99] }]",
        "invalid status code",
    ),
    (
        "limits = [{ name = 'a', in_flight = 1, statuses = [401] }]",
        "do not fit",
    ),
    (
        "limits = [{ name = 'a', in_flight = 1, cost = 2 }]",
        "do not fit",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', cost = 0 }]",
        "limits nothing",
    ),
    (
        "limits = [{ name = 'a', rate = '10/s', cost = 11 }]",
        "no request could pass",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', max_keys = 5 }]",
        "need a `key`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', without_key = 'skip' }]",
        "need a `key`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', without_key = 'pass' }]",
        "`pass`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', methods = ['get'] }]",
        "in capitals",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', headers = { x = 5 } }]",
        "expected a text",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', route = ['/'] }]",
        "unknown field `route`",
    ),
    (
        "limits = [{ name = 'a', window = '9/s', statuses = [404] }]",
        "cannot give back",
    ),
    (
        "limits = [{ name = 'a', in_flight = 1, key = 'k', max_keys = 5 }]",
        "does not fit",
    ),
    (
        "limits = [{ name = 'a', failures = '5/min', lock_out = '0 s', statuses = [401] }]",
        "a duration of 0",
    ),
    (
        "limits = []\nkeys.a = { address = 'x', hops = 0 }",
        "the key is the `peer`",
    ),
    (
        "limits = []\nkeys.a = { address = 'x', proxies = [] }",
        "`proxies` is empty",
    ),
    ("limits = 5", "expected a list"),
    ("limits = []\nkeys.a = {}", "a key is one of"),
    (
        "limits = []\nkeys.a = { peer = true, bearer = true }",
        "a key is one of",
    ),
    (
        "limits = []\nkeys.a = { header = 'x y' }",
        "invalid HTTP header name",
    ),
    (
        "limits = []\nkeys.a = { address = 'x-real-ip' }",
        "needs either",
    ),
    (
        "limits = []\nkeys.a = { peer = true, hops = 1 }",
        "belong to `address`",
    ),
    (
        "limits = []\nkeys.a = { address = 'x', hops = 1, proxies = [] }",
        "exclude each other",
    ),
    ("limits = []\nkeys.a = { all_of = [] }", "an empty list"),
    (
        "limits = []\nkeys.a = { cookie = 'x' }",
        "unknown field `cookie`",
    ),
    (
        "limits = []\nexempt = [{ rate = '1/s' }]",
        "unknown field `rate`",
    ),
    (
        "limits = []\ntiers = [{ name = 'a', key = 'b' }]",
        "missing field `values`",
    ),
];

#[test]
fn mistakes_of_form_are_errors_of_the_format() {
    for (text, expected) in MALFORMED {
        let error = match toml::from_str::<RulesConfig>(text) {
            Ok(config) => panic!("{text}: {config:?}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(expected), "{text}:\n{error}");
    }
}

#[test]
fn errors_of_form_say_in_which_line() {
    let text =
        "[[limits]]\nname = 'a'\nrate = '1/s'\n\n[[limits]]\nname = 'b'\nrate = '1/fortnight'";
    let error = toml::from_str::<RulesConfig>(text).unwrap_err().to_string();
    assert!(error.contains("line 7"), "{error}");
    let text =
        "[[limits]]\nname = 'a'\nrate = '1/s'\n\n[[limits]]\nname = 'b'\ncost = 1\nkey = 'x'";
    let error = toml::from_str::<RulesConfig>(text).unwrap_err().to_string();
    assert!(error.contains("limit `b`: it is one of"), "{error}");
}

/// Texts with the kind of the mistake, and what the error must say.
const UNUSABLE: [(&str, Kind, &str); 22] = [
    (
        "limits = [{ name = 'a', rate = '1/s' }, { name = 'a', in_flight = 1 }]",
        Kind::DuplicateName,
        "limit `a`: there is another one of this name",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', key = 'user' }]",
        Kind::UnknownKey,
        "limit `a`: there is no key `user`; there are `tenant`",
    ),
    (
        "limits = []\nkeys.a = { all_of = ['b'] }",
        Kind::UnknownKey,
        "key `a`: there is no key `b`; there are `a`, `tenant`",
    ),
    (
        "limits = []\nkeys.tenant = { bearer = true }",
        Kind::DuplicateName,
        "key `tenant`: the program",
    ),
    (
        "limits = []\nkeys.a = { all_of = ['a'] }",
        Kind::InvalidKey,
        "key `a`: it is a part of itself",
    ),
    (
        "limits = []\nkeys.a = { all_of = ['b'] }\nkeys.b = { first_of = ['a'] }",
        Kind::InvalidKey,
        "it is a part of itself",
    ),
    (
        "limits = []\nkeys.a = { address = 'forwarded', proxies = ['10.0.0.0/33'] }",
        Kind::InvalidNetwork,
        "key `a`: `10.0.0.0/33` is neither",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', tiers = ['pro'] }]",
        Kind::UnknownTier,
        "limit `a`: there is no tier `pro`; there are `gold`, and `none`",
    ),
    (
        "limits = []\nexempt = [{ tiers = ['pro'] }]",
        Kind::UnknownTier,
        "exempt: there is no tier",
    ),
    (
        "limits = []\ntiers = [{ name = 'gold', key = 'a', values = [] }]\nkeys.a = { peer = true }",
        Kind::DuplicateName,
        "tier `gold`: there is another",
    ),
    (
        "limits = []\ntiers = [{ name = 'none', key = 'a', values = [] }]\nkeys.a = { peer = true }",
        Kind::DuplicateName,
        "tier `none`",
    ),
    (
        "limits = []\ntiers = [{ name = 'a', key = 'b', values = ['x'] }]",
        Kind::UnknownKey,
        "tier `a`: there is no key `b`",
    ),
    (
        "limits = []\ntiers = [{ name = 'a', key = 'tenant', values = ['x'] }]",
        Kind::InvalidTier,
        "tier `a`: its key must be",
    ),
    (
        "limits = []\ntiers = [{ name = 'a', key = 'p', values = ['x'] }]\nkeys.p.peer = true",
        Kind::InvalidNetwork,
        "tier `a`: `x` is neither",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', routes = [] }]",
        Kind::InvalidCondition,
        "limit `a`: `routes` is empty",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', methods = [] }]",
        Kind::InvalidCondition,
        "`methods` is empty",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', tiers = [] }]",
        Kind::InvalidCondition,
        "`tiers` is empty",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', routes = ['search'] }]",
        Kind::InvalidCondition,
        "route `search`: a route is a path",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', routes = ['/users/:id'] }]",
        Kind::InvalidCondition,
        "route `/users/:id`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', routes = ['/{a}', '/{b}'] }]",
        Kind::InvalidCondition,
        "route `/{b}`",
    ),
    (
        "limits = [{ name = 'a', rate = '1/s', headers = { 'x y' = true } }]",
        Kind::InvalidCondition,
        "`x y` is no header field",
    ),
    (
        "limits = [{ name = 'a', window = '1/1800 months' }]",
        Kind::InvalidLimit,
        "limit `a`",
    ),
];

#[test]
fn rules_that_cannot_be_used_change_nothing() {
    let clock = ManualClock::new();
    let tenant = |_: &RequestHead<'_>| Some(1_u64);
    let with_own = || {
        builder(&clock)
            .tiers(["gold"], |_| None)
            .key("tenant", tenant)
    };
    let usable = "limits = [{ name = 'a', rate = '10/h' }, { name = 'b', in_flight = 100 }]";
    let rules = with_own().build(&parse(usable)).unwrap();
    let server = Server::with(clock.clone(), rules);
    assert_eq!(server.admitted(4, || get("/")), 4);
    for (text, kind, message) in UNUSABLE {
        let config = parse(text);
        let error = with_own().build(&config).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(
            error.to_string().starts_with(error.place()),
            "{text}: {error}"
        );
        assert_eq!(server.rules.reload(&config), Err(error));
    }
    // Also where an earlier limit of the file could have changed.
    let half = "limits = [{ name = 'a', rate = '99/h' }, { name = 'b', in_flight = 0 }, \
                { name = 'c', rate = '1/s', key = 'nobody' }]";
    assert!(server.rules.reload(&parse(half)).is_err());
    assert_eq!(server.admitted(50, || get("/")), 6);
}

#[test]
fn keys_that_need_the_peer() {
    for key in ["{ peer = true }", "{ address = 'forwarded', hops = 1 }"] {
        let config = parse(&format!("limits = []\nkeys.a = {key}"));
        let error = Rules::new(&config).unwrap_err();
        assert_eq!(error.kind(), Kind::NoPeer);
        assert_eq!(error.place(), "key `a`");
    }
}

/// A chain of keys is bounded, and so is what one key has to read.
#[test]
fn deep_keys_end() {
    let chain = |length: usize, next: fn(usize) -> String| {
        let key = |n: usize| format!("keys.k{n} = {{ all_of = [{}] }}\n", next(n + 1));
        let keys: String = (0..length).map(key).collect();
        Rules::new(&parse(&format!(
            "limits = []\nkeys.k{length}.bearer = true\n{keys}"
        )))
    };
    let once = |n: usize| format!("'k{n}'");
    let twice = |n: usize| format!("'k{n}', 'k{n}'");
    assert!(chain(10, once).is_ok());
    assert!(chain(4, twice).is_ok());
    for error in [chain(200, once), chain(5, twice), chain(40, twice)] {
        assert_eq!(error.unwrap_err().kind(), Kind::InvalidKey);
    }
}

/// What YAML and JSON have for nothing is no value.
#[test]
fn nothing_is_no_value() {
    for text in [
        "limits:",
        "limits: ~",
        "limits: []\nexempt:",
        "limits: []\nkeys:",
        "limits: []\nexempt:\n  - routes:\n",
        "limits:\n  - { name: a, rate: 1/s, key: }",
        "limits:\n  - { name: a, rate: 1/s, tiers: ~ }",
        "limits:\n  - { name: a, rate: 1/s, headers: ~ }",
        "limits: []\nkeys: { a: { bearer: true }, a: { peer: true } }",
    ] {
        // An empty text is what YAML takes for the name of a key.
        let config = serde_yaml_ng::from_str::<RulesConfig>(text);
        let rules = config.map(|config| Rules::new(&config).is_ok());
        assert!(
            !rules.as_ref().is_ok_and(|is_ok| *is_ok),
            "{text}: {rules:?}"
        );
    }
    for text in [
        r#"{ "limits": null }"#,
        r#"{ "limits": [], "exempt": [{ "routes": null }] }"#,
        r#"{ "limits": [{ "name": "a", "rate": "1/s", "key": null }] }"#,
        r#"{ "limits": [], "keys": { "a": { "bearer": true }, "a": { "peer": true } } }"#,
        r#"{ "limits": [{ "name": "a", "rate": "1/s", "headers": { "x": "1", "x": "2" } }] }"#,
    ] {
        let config = serde_json::from_str::<RulesConfig>(text);
        assert!(config.is_err(), "{text}: {config:?}");
    }
}

#[test]
fn an_exemption_has_a_condition() {
    for text in ["exempt = [{}]", "exempt = [{ headers = {} }]"] {
        let error = Rules::new(&parse(&format!("{text}\nlimits = []"))).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidCondition);
        assert_eq!(error.place(), "exempt");
    }
}

#[test]
fn routes_of_other_routers_are_mistakes() {
    for route in [
        "search",
        "",
        "/:id",
        "/*rest",
        "/search?q={q}",
        "/a#b",
        "/a b",
        "/(.*)",
        "/a*",
        "/<id>",
        "/{id:[0-9]+}",
        "/{}",
        "/{*}",
        "/{a}{b}",
        "/x{a}",
        "/$id",
        "/\\u0000",
    ] {
        let text = format!("limits = [{{ name = 'a', rate = '1/s', routes = [\"{route}\"] }}]");
        let error = Rules::new(&parse(&text)).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidCondition, "{route}");
    }
    for route in [
        "/",
        "/a/{b}/{*c}",
        "/a.b-c_d~e",
        "/caf\u{e9}",
        "/a/",
        "/{a_1}",
    ] {
        let text = format!("limits = [{{ name = 'a', rate = '1/s', routes = ['{route}'] }}]");
        assert!(Rules::new(&parse(&text)).is_ok(), "{route}");
    }
}

#[test]
fn names_of_tiers_are_unique() {
    for names in [&["gold", "gold"][..], &["none"]] {
        let rules = builder(&ManualClock::new()).tiers(names.iter().copied(), |_| None);
        let error = rules.build(&parse("limits = []")).unwrap_err();
        assert_eq!(error.kind(), Kind::DuplicateName);
    }
}
