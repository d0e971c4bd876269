//! A recorder whose metrics tests can read.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// The registered metrics by name and labels, and the descriptions by name.
#[derive(Default)]
pub(super) struct Recorded {
    counters: Registered<AtomicU64>,
    gauges: Registered<AtomicU64>,
    histograms: Registered<Samples>,
    descriptions: Mutex<BTreeMap<String, Description>>,
    look_ups: AtomicU64,
}

type Registered<T> = Mutex<BTreeMap<String, Arc<T>>>;

/// The type, the unit and the help text of a metric.
pub(super) type Description = (&'static str, Option<Unit>, String);

#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().expect("no panic").push(value);
    }
}

impl Recorded {
    /// Returns what `work` records in this thread.
    pub(super) fn by(work: impl FnOnce()) -> Self {
        let recorded = Self::default();
        recorded.record(work);
        recorded
    }

    /// Records what `work` does in this thread.
    pub(super) fn record<T>(&self, work: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, work)
    }

    /// Returns the counters by name and labels.
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.lock().expect("no panic");
        let counters = counters.iter();
        let counters = counters.map(|(name, count)| (name.clone(), count.load(Relaxed)));
        counters.collect()
    }

    /// Returns a gauge that counts.
    pub(super) fn gauge(&self, name: &str) -> i64 {
        let gauges = self.gauges.lock().expect("no panic");
        let value = f64::from_bits(gauges[name].load(Relaxed));
        #[expect(clippy::cast_possible_truncation, reason = "asserted")]
        let count = value as i64;
        #[expect(clippy::cast_precision_loss, reason = "asserted")]
        let rounded = count as f64;
        assert!((value - rounded).abs() < f64::EPSILON, "{value}");
        count
    }

    pub(super) fn samples(&self, name: &str) -> Vec<f64> {
        let histograms = self.histograms.lock().expect("no panic");
        histograms[name].0.lock().expect("no panic").clone()
    }

    pub(super) fn descriptions(&self) -> BTreeMap<String, Description> {
        self.descriptions.lock().expect("no panic").clone()
    }

    /// Returns the types of the registered metrics by name.
    pub(super) fn types(&self) -> BTreeMap<String, &'static str> {
        let mut types = BTreeMap::new();
        let mut add = |keys: Vec<String>, kind| {
            let names = keys.iter().filter_map(|key| key.split(' ').next());
            types.extend(names.map(|name| (name.to_owned(), kind)));
        };
        add(keys(&self.counters), "counter");
        add(keys(&self.gauges), "gauge");
        add(keys(&self.histograms), "histogram");
        types
    }

    /// Returns how often a handle was looked up.
    pub(super) fn look_ups(&self) -> u64 {
        self.look_ups.load(Relaxed)
    }

    fn find<T: Default>(&self, registered: &Registered<T>, key: &Key) -> Arc<T> {
        self.look_ups.fetch_add(1, Relaxed);
        let mut labels: Vec<_> = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let name = format!("{}{}", key.name(), labels.concat());
        let mut registered = registered.lock().expect("no panic");
        Arc::clone(registered.entry(name).or_default())
    }

    fn describe(&self, name: &KeyName, description: Description) {
        let mut descriptions = self.descriptions.lock().expect("no panic");
        let former = descriptions.insert(name.as_str().to_owned(), description);
        assert_eq!(former, None, "described twice");
    }
}

fn keys<T>(registered: &Registered<T>) -> Vec<String> {
    let registered = registered.lock().expect("no panic");
    registered.keys().cloned().collect()
}

impl Recorder for Recorded {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, ("counter", unit, help.into_owned()));
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, ("gauge", unit, help.into_owned()));
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, ("histogram", unit, help.into_owned()));
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.find(&self.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.find(&self.gauges, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.find(&self.histograms, key))
    }
}
