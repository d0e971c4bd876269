//! Limits in a hierarchy: an organization, its API keys, and the models that they call. A request
//! must pass all of them, and one limit of the whole service. All are charged, or none.
//!
//! Run it with `cargo run --example hierarchy`.

use core::time::Duration;

use tidegate::{AllOrNothing, FixedKeyed, Keyed, ManualClock, Quota, TokenBucket, TupleDenied};

/// The members of each call, in order.
const NAMES: [&str; 4] = ["service", "organization", "API key", "model"];

struct Service {
    /// Requests of all.
    all: TokenBucket<ManualClock>,
    /// Tokens of each organization. Some have a plan of their own.
    orgs: Keyed<String, TokenBucket<ManualClock>>,
    /// Requests of each API key. There may be many, so the table has a fixed size.
    keys: FixedKeyed<ManualClock>,
    /// Tokens of each organization at each model.
    models: FixedKeyed<ManualClock>,
}

struct Request<'a> {
    org: &'a str,
    key: &'a str,
    model: &'a str,
    tokens: u64,
}

impl Service {
    fn new(clock: &ManualClock) -> Self {
        let time = clock.clone();
        let of_plan = move |org: &String| {
            let tokens_per_minute = if org == "acme" { 60_000 } else { 6_000 };
            TokenBucket::with_clock(Quota::per_minute(tokens_per_minute), time.clone())
        };
        Self {
            all: TokenBucket::with_clock(Quota::per_second(1_000), clock.clone()),
            orgs: Keyed::new(of_plan),
            keys: FixedKeyed::with_clock(Quota::per_second(5), 100_000, clock.clone()),
            models: FixedKeyed::with_clock(Quota::per_minute(30_000), 100_000, clock.clone()),
        }
    }

    /// Admits a request, or says which limit refuses it the longest.
    fn admit(&self, request: &Request<'_>) -> Result<(), TupleDenied> {
        let model = (request.org, request.model);
        let limits = (
            &self.all,
            self.orgs.at(request.org),
            self.keys.at(request.key),
            self.models.at(&model),
        );
        limits.try_acquire_each([1, request.tokens, 1, request.tokens])
    }

    /// Waits for a while, in the queue of the limit that refuses the longest.
    fn admit_within(&self, request: &Request<'_>, timeout: Duration) -> bool {
        let model = (request.org, request.model);
        let limits = (
            &self.all,
            self.orgs.at(request.org),
            self.keys.at(request.key),
            self.models.at(&model),
        );
        let costs = [1, request.tokens, 1, request.tokens];
        limits.acquire_each(costs).timeout(timeout).wait().is_ok()
    }
}

fn describe(outcome: Result<(), TupleDenied>) -> String {
    match outcome {
        Ok(()) => String::from("admitted"),
        Err(denied) => {
            let wait = denied
                .retry_after()
                .map_or_else(|| String::from("never"), |wait| format!("after {wait:?}"));
            format!("refused by the {}, again {wait}", NAMES[denied.index()])
        }
    }
}

fn main() {
    let clock = ManualClock::new();
    let service = Service::new(&clock);
    let mut lines = Vec::new();
    let mut ask = |org, key, model, tokens| {
        let request = Request {
            org,
            key,
            model,
            tokens,
        };
        let line = describe(service.admit(&request));
        println!("{org}, {key}, {model}, {tokens} tokens: {line}");
        lines.push(line);
    };

    ask("acme", "k1", "large", 25_000);
    ask("acme", "k1", "large", 10_000); // this model's tokens are used up
    ask("acme", "k1", "small", 30_000); // another model's are not
    ask("acme", "k2", "small", 100);
    ask("tiny", "k3", "small", 6_000);
    ask("tiny", "k3", "large", 600); // the organization's tokens are used up
    for _ in 0..4 {
        ask("tiny", "k4", "small", 0);
    }
    ask("tiny", "k4", "small", 0);
    ask("tiny", "k4", "small", 0); // the key's requests are used up
    assert_eq!(
        lines,
        [
            "admitted",
            "refused by the model, again after 10s",
            "admitted",
            "refused by the model, again after 200ms",
            "admitted",
            "refused by the organization, again after 6s",
            "admitted",
            "admitted",
            "admitted",
            "admitted",
            "admitted",
            "refused by the API key, again after 200ms",
        ]
    );

    // No refused request was charged anywhere.
    let left = [
        service.all.available(),
        service.orgs.available("acme"),
        service.orgs.available("tiny"),
        service.keys.available("k1"),
        service.keys.available("k2"),
        service.models.available(&("acme", "large")),
        service.models.available(&("acme", "small")),
    ];
    println!("left: {left:?}");
    assert_eq!(left, [992, 5_000, 0, 3, 5, 5_000, 0]);

    // A wait that would be too long is refused before it sleeps. Here 10 s would be needed.
    let request = Request {
        org: "acme",
        key: "k1",
        model: "large",
        tokens: 10_000,
    };
    assert!(!service.admit_within(&request, Duration::from_secs(9)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| service.admit_within(&request, Duration::from_secs(10)));
        while service.models.waiting() == 0 {
            std::thread::yield_now();
        }
        clock.advance(Duration::from_secs(10));
        assert!(waiting.join().expect("no panic"));
    });
    println!("waited 10 s for the tokens of the model");
}
