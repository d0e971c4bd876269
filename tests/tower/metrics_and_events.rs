//! Counts, metrics and events: one of each per request, and never a key.

#[cfg(feature = "metrics")]
mod counters;
#[cfg(feature = "metrics")]
mod recorder;
#[cfg(feature = "metrics")]
mod waits;

use http::Request;
use tidegate::layer::{
    HeaderStyle, Named, NoKey, PerKey, RateLimitLayer, RateLimitLayerBuilder, Reject, RequestHead,
};
use tidegate::{Keyed, ManualClock, TokenBucket};

use crate::{answer, bucket, key_of, stats};

/// A key that is easy to find in any output.
const KEY: &str = "s3cret-k3y";

type Key = fn(&RequestHead<'_>) -> Result<String, NoKey>;
type Limits = PerKey<Keyed<String, TokenBucket<ManualClock>>, Key>;

/// The key, without which the server made a mistake.
fn attached(request: &RequestHead<'_>) -> Result<String, NoKey> {
    key_of(request).ok_or(NoKey::NotAttached)
}

/// Admits one request per key.
fn limits(name: &str) -> RateLimitLayerBuilder<Named<Limits>> {
    let clock = ManualClock::new();
    let limits = Keyed::new(move |_: &String| bucket(1, &clock));
    let gate = Named::new("gate", PerKey::new(limits, attached as Key));
    let layer = RateLimitLayer::builder(gate)
        .name(name)
        .headers(HeaderStyle::None);
    layer.exempt(|request| request.path() == "/free")
}

fn request(path: &str, key: Option<&str>) -> Request<()> {
    let mut request = Request::get(path);
    if let Some(key) = key {
        request = request.header("key", key);
    }
    request.body(()).expect("valid")
}

/// A layer whose candidate refuses the second of two requests.
#[cfg(any(feature = "metrics", feature = "tracing"))]
fn shadowed() -> RateLimitLayer<TokenBucket<ManualClock>> {
    let clock = ManualClock::new();
    let candidate = {
        let clock = clock.clone();
        Keyed::new(move |_: &String| bucket(1, &clock))
    };
    let candidate = Named::new("candidate", PerKey::new(candidate, attached as Key));
    let layer = RateLimitLayer::builder(bucket(2, &clock)).name("layer");
    layer.headers(HeaderStyle::None).shadow(candidate).build()
}

/// Sends requests: one allowed, two denied, three without a key, four exempt.
fn decide<R: Reject<String>>(layer: &RateLimitLayer<Named<Limits>, (), R>) {
    let keyed = [Some(KEY), Some(KEY), Some(KEY), None, None, None];
    for key in keyed {
        _ = answer(layer, request(&format!("/{KEY}"), key));
    }
    for _ in 0..4 {
        _ = answer(layer, request("/free", Some(KEY)));
    }
}

#[test]
fn every_request_is_counted_once() {
    let layer = limits("layer").build();
    decide(&layer);
    let mut counts = stats(1, 2);
    (counts.no_key, counts.exempt) = (3, 4);
    assert_eq!(layer.stats(), counts);
    let dry = limits("dry").dry_run(true).build();
    decide(&dry);
    (counts.denied, counts.shadow_denied) = (0, 2);
    assert_eq!(dry.stats(), counts);
}

#[cfg(feature = "tracing")]
mod events {
    use alloc::sync::Arc;
    use core::fmt::{Debug, Write};
    use std::sync::Mutex;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

    use super::{KEY, Named, RateLimitLayer, decide, limits, request, shadowed};
    use crate::answer;
    use crate::shared_gates::{Remote, unavailable};

    /// The levels and texts of events.
    #[derive(Clone, Default)]
    struct Recorded(Arc<Mutex<Vec<(Level, String)>>>);

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, " {field}={value:?}").expect("writing to a string cannot fail");
        }
    }

    impl Subscriber for Recorded {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("tidegate")
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            panic!("no spans: {span:?}")
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = Text(event.metadata().name().to_owned());
            event.record(&mut text);
            let event = (*event.metadata().level(), text.0);
            self.0.lock().expect("no panic").push(event);
        }

        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn recorded(dry_run: bool) -> Vec<(Level, String)> {
        recorded_by(|| decide(&limits("layer").dry_run(dry_run).build()))
    }

    fn recorded_by(work: impl FnOnce()) -> Vec<(Level, String)> {
        let recorded = Recorded::default();
        // A thread of another test may reach an event first, without a subscriber. If only one
        // subscriber existed, that would disable the event for all threads. So there are two.
        let _other = Dispatch::new(Recorded::default());
        tracing::subscriber::with_default(recorded.clone(), work);
        recorded.0.lock().expect("no panic").clone()
    }

    #[test]
    fn refusal_of_a_candidate_alone_is_one_debug_event() {
        let events = recorded_by(|| {
            let layer = shadowed();
            for _ in 0..3 {
                _ = answer(&layer, request("/", Some(KEY)));
            }
        });
        // The second request. The third is refused by both, and has the event of a rejection.
        let shadow: Vec<_> = events
            .iter()
            .filter(|event| event.1.contains("a shadow limit would refuse"))
            .collect();
        let [(Level::DEBUG, text)] = shadow[..] else {
            panic!("{events:?}");
        };
        for part in [
            "limiter=\"layer\"",
            "limit=\"candidate\"",
            "outcome=\"shadow_denied\"",
            "cost=1",
            "not yet: retry after 1s",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains(KEY));
        assert_eq!(events.len(), 2, "{events:?}");
    }

    #[test]
    fn shared_limit_that_cannot_decide_is_one_debug_event() {
        let events = recorded_by(|| {
            let gate = Named::new("redis", Remote::new([unavailable()]));
            let layer = RateLimitLayer::shared_builder(gate).name("layer").build();
            _ = answer(&layer, request("/", Some(KEY)));
        });
        let [(Level::DEBUG, text)] = &events[..] else {
            panic!("{events:?}");
        };
        for part in [
            "limiter=\"layer\"",
            "limit=\"redis\"",
            "outcome=\"error\"",
            "the shared limit could not decide",
            "the limit is unavailable: retry after 1.5s",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn each_rejection_is_one_debug_event() {
        for (dry_run, outcome) in [(false, "denied"), (true, "shadow_denied")] {
            let events = recorded(dry_run);
            // The key that the server failed to attach is reported once, at level ERROR.
            let errors = events.iter().filter(|event| event.0 != Level::DEBUG);
            let errors: Vec<_> = errors.collect();
            assert!(
                matches!(&errors[..], [(level, text)] if *level == Level::ERROR && text.contains("connect_info")),
                "{events:?}"
            );
            assert!(
                events.iter().all(|event| !event.1.contains(KEY)),
                "{events:?}"
            );
            let has = |parts: &[&str]| {
                let has_all = |text: &str| parts.iter().all(|part| text.contains(part));
                events.iter().filter(|event| has_all(&event.1)).count()
            };
            let outcome = format!("outcome=\"{outcome}\"");
            let refusal = [
                "limiter=\"layer\"",
                "limit=\"gate\"",
                &outcome,
                "cost=1",
                "not yet: retry after 1s",
            ];
            assert_eq!(has(&refusal), 2, "{events:?}");
            assert_eq!(
                has(&["limit=\"gate\"", "outcome=\"error\"", "no key to limit by"]),
                3
            );
            assert_eq!(events.len(), 6, "{events:?}");
        }
    }
}
