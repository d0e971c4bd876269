//! The text format of Prometheus:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a series, by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// What was scraped.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// The types of metrics by name.
    pub(crate) types: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Exposition {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((name, help)) = described(line, "# HELP ") {
                assert_eq!(parsed.helps.insert(name, help), None, "{line}");
            } else if let Some((name, kind)) = described(line, "# TYPE ") {
                assert_eq!(parsed.types.insert(name, kind), None, "{line}");
            } else {
                parsed.samples.push(sample(line));
            }
        }
        parsed
    }

    /// Adds what another server showed.
    pub(crate) fn extend(&mut self, other: Self) {
        self.types.extend(other.types);
        self.helps.extend(other.helps);
        self.samples.extend(other.samples);
    }

    /// Returns the labels of all series with this name.
    pub(crate) fn series(&self, name: &str) -> Vec<&Labels> {
        let series = self.samples.iter().filter(|sample| sample.0 == name);
        series.map(|(_, labels, _)| labels).collect()
    }

    /// Returns the value of the series with exactly these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter();
        let labels: Labels = labels
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect();
        let mut found = self
            .samples
            .iter()
            .filter(|sample| sample.0 == name && sample.1 == labels);
        let (.., value) = found.next().unwrap_or_else(|| {
            let series = self.series(name);
            panic!("no {name} with {labels:?} among {series:?}")
        });
        assert_eq!(found.next(), None, "a series is there twice");
        *value
    }

    /// Returns the metric that a sample belongs to: a histogram has samples with other names.
    fn metric<'a>(&self, sample: &'a str) -> &'a str {
        let suffixes = ["_bucket", "_sum", "_count"];
        let metric = suffixes.iter().find_map(|it| sample.strip_suffix(it));
        metric
            .filter(|metric| self.types.contains_key(*metric))
            .unwrap_or(sample)
    }

    /// Checks that every metric has a type and a help text, and that all series of a name have the
    /// same labels.
    pub(crate) fn check_forms(&self) {
        let mut labels_of = BTreeMap::<&str, BTreeSet<Vec<&String>>>::new();
        for (name, labels, _) in &self.samples {
            let metric = self.metric(name);
            assert!(self.types.contains_key(metric), "{metric} has no type");
            assert!(!self.helps[metric].is_empty(), "{metric} has no help text");
            let labels = labels.keys().collect();
            labels_of.entry(name).or_default().insert(labels);
        }
        for (name, labels) in labels_of {
            // The quantiles of a summary are beside its sum and count, which have other names.
            assert_eq!(labels.len(), 1, "{name} has series with {labels:?}");
        }
    }
}

fn described(line: &str, prefix: &str) -> Option<(String, String)> {
    let (name, text) = line.strip_prefix(prefix)?.split_once(' ')?;
    Some((name.to_owned(), text.to_owned()))
}

/// Reads `name{label="value",label="value"} 1`. No label of ours has a quote in it.
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), Labels::new(), value);
    };
    let labels = labels.strip_suffix("\"}").expect("labels end");
    let labels = labels.split("\",").map(|label| {
        let (label, value) = label.split_once("=\"").expect("a label");
        (label.to_owned(), value.to_owned())
    });
    (name.to_owned(), labels.collect(), value)
}
