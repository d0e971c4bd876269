//! Units and help texts of all metrics of the crate.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Describes all metrics of this crate to the program's recorder, with units and help texts. Call
/// it once, after the recorder is installed.
///
/// A recorder shows them beside the numbers, such as the lines `# HELP` of a Prometheus exporter.
/// The [module](crate::layer#metrics-and-events) lists the metrics and their labels.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
/// # use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString};
/// use metrics::{Recorder, Unit};
///
/// /// Keeps descriptions. A program has a recorder such as `metrics-exporter-prometheus`.
/// #[derive(Default)]
/// struct Descriptions(Mutex<BTreeMap<String, (Option<Unit>, String)>>);
/// # impl Descriptions {
/// #     fn add(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
/// #         let name = name.as_str().to_owned();
/// #         self.0.lock().unwrap().insert(name, (unit, help.into_owned()));
/// #     }
/// # }
/// # impl Recorder for Descriptions {
/// #     fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
/// #         self.add(name, unit, help);
/// #     }
/// #     fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
/// #         self.add(name, unit, help);
/// #     }
/// #     fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
/// #         self.add(name, unit, help);
/// #     }
/// #     fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter { Counter::noop() }
/// #     fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge { Gauge::noop() }
/// #     fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
/// #         Histogram::noop()
/// #     }
/// # }
///
/// let recorder = Descriptions::default();
/// metrics::with_local_recorder(&recorder, tidegate::layer::describe_metrics);
/// let descriptions = recorder.0.into_inner().unwrap();
/// let (unit, help) = &descriptions["rate_limiter.wait.duration"];
/// assert_eq!(*unit, Some(Unit::Seconds));
/// assert_eq!(help, "How long admitted requests waited for the limit.");
/// assert_eq!(descriptions.len(), 7);
/// ```
pub fn describe_metrics() {
    describe_counter!(
        "rate_limiter.requests",
        Unit::Count,
        "Requests by outcome, and which limit refused them for which reason."
    );
    describe_counter!(
        "rate_limiter.shadow.requests",
        Unit::Count,
        "Requests by what a shadow limit and the limit in force decided."
    );
    describe_histogram!(
        "rate_limiter.wait.duration",
        Unit::Seconds,
        "How long admitted requests waited for the limit."
    );
    describe_gauge!(
        "rate_limiter.waiting",
        Unit::Count,
        "Requests that wait for the limit now."
    );
    describe_gauge!(
        "rate_limiter.keys",
        Unit::Count,
        "Keys in the table of limiters."
    );
    describe_counter!(
        "rate_limiter.evictions",
        Unit::Count,
        "Keys that were evicted from the table of limiters."
    );
    describe_counter!(
        "rate_limiter.overflows",
        Unit::Count,
        "Calls for keys that found no room in the table of limiters."
    );
}
