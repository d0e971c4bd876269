//! Events of the feature `tracing`: when the server stops answering, why, and when it is back.

use core::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use tidegate::Quota;
use tidegate_redis::FailurePolicy;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use super::{bucket, store, wait_for_server};
use crate::support::server::ServerOptions;

/// Keeps each event of the crate as text.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Recorded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tidegate"
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// One thread, because the subscriber is that of a thread.
#[tokio::test]
async fn outage_has_two_events() {
    let recorded = Recorded::default();
    // A thread of another test may reach an event first, without a subscriber. If only one
    // subscriber existed, that would disable the event for all threads. So there are two.
    let _other = Dispatch::new(Recorded::default());
    let _subscriber = tracing::subscriber::set_default(recorded.clone());
    let mut server = ServerOptions::default().tcp().start();
    let store = store(server.url());
    let bucket = bucket(&store, Quota::per_second(1_000), FailurePolicy::Closed);
    wait_for_server(&store, &bucket).await;
    // A busy machine may have caused an outage before.
    recorded.0.lock().unwrap().clear();
    server.kill();
    for _ in 0..10 {
        bucket.try_acquire(1).await.unwrap_err();
    }
    let opened = recorded.0.lock().unwrap().clone();
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(opened[0].starts_with("WARN "), "{opened:?}");
    assert!(opened[0].contains("message=the limit server does not answer"));
    assert!(
        opened[0].contains(" store=\"tidegate\" cause="),
        "{opened:?}"
    );
    server.restart();
    wait_for_server(&store, &bucket).await;
    let all = recorded.0.lock().unwrap().clone();
    assert!(all[1].starts_with("INFO "), "{all:?}");
    assert!(all[1].contains("message=the limit server answers again"));
    assert!(all[1].contains(" lasted="), "{all:?}");
}
