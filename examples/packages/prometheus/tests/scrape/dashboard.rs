//! The dashboard shows metrics that exist, by labels that they have.

use std::collections::{BTreeMap, BTreeSet};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tidegate_example_prometheus::exporter;

use crate::exposition::Exposition;
use crate::queries::{self, Part};
use crate::{LIMITS, scrape_after_searches, status, with_server};

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../../../grafana/tidegate.json")).expect("JSON")
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    let text = value[name].as_str();
    text.unwrap_or_else(|| panic!("no {name} in {value}"))
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value[name].as_array();
    list.unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// What servers show whose exporters write waits as a histogram and as a summary.
fn scraped() -> Exposition {
    let mut scraped = Exposition::default();
    for exporter in [exporter().expect("buckets"), PrometheusBuilder::new()] {
        with_server(exporter, LIMITS, async |server| {
            assert_eq!(status(server, "/report", None).await, 200);
            let shown = scrape_after_searches(server).await;
            shown.check_forms();
            scraped.extend(shown);
        });
    }
    scraped
}

/// Panels with a title and their queries.
fn queries(dashboard: &Value) -> Vec<(&str, &Value)> {
    let panels = list(dashboard, "panels").iter();
    let queries = panels.flat_map(|panel| {
        let targets = list(panel, "targets").iter();
        targets.map(|target| (text(panel, "title"), target))
    });
    queries.collect()
}

/// The labels in a legend such as `{{limiter}} {{outcome}}`.
fn legend(target: &Value) -> BTreeSet<&str> {
    let parts = text(target, "legendFormat").split("{{").skip(1);
    let labels = parts.map(|part| part.split("}}").next().expect("the end of a label"));
    labels.collect()
}

/// Checks that a part of a query asks for what is scraped.
fn check(title: &str, part: &Part, scraped: &Exposition) {
    for selector in &part.selectors {
        let name = &selector.metric;
        let series = scraped.series(name);
        assert!(!series.is_empty(), "{title}: no metric {name}");
        let has = |label: &String| series.iter().all(|labels| labels.contains_key(label));
        for label in &part.grouping {
            assert!(has(label), "{title}: {name} has no label {label}");
        }
        for matcher in &selector.matchers {
            let (label, value) = (&matcher.label, &matcher.value);
            assert!(has(label), "{title}: {name} has no label {label}");
            if ["$limiter", "$store", ""].contains(&value.as_str()) {
                continue;
            }
            for value in value.split('|') {
                let mut values = series.iter().map(|labels| &labels[label]);
                assert!(
                    values.any(|other| other == value),
                    "{title}: no {name} has {label}={value}"
                );
            }
        }
    }
}

/// Checks that the dashboard asks for what is scraped, and shows all of it.
pub(crate) fn check_queries(dashboard: &Value, scraped: &Exposition) {
    let mut shown = BTreeSet::new();
    for (title, target) in queries(dashboard) {
        let parts = queries::read(text(target, "expr"));
        for part in &parts {
            check(title, part, scraped);
            let metrics = part.selectors.iter().map(|selector| &selector.metric);
            shown.extend(metrics.cloned());
            let kept: BTreeSet<&str> = part.grouping.iter().map(String::as_str).collect();
            assert!(legend(target).is_subset(&kept), "{title}: {target}");
        }
    }
    // And the other way around: a metric that is added needs a panel.
    for (metric, kind) in &scraped.types {
        let is_shown = match kind.as_str() {
            "histogram" => shown.contains(&format!("{metric}_bucket")),
            _ => shown.contains(metric),
        };
        assert!(is_shown, "no panel shows {metric}");
    }
}

#[test]
fn queries_ask_for_what_servers_show() {
    check_queries(&dashboard(), &scraped());
}

/// The list of limiters comes from all metrics, because tables and layers have different names.
#[test]
fn variables_are_a_data_source_and_the_limiters() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"], "list");
    let variables: BTreeMap<_, _> = variables.iter().map(|it| (text(it, "name"), it)).collect();
    assert_eq!(variables.len(), 2);
    let datasource = variables["datasource"];
    assert_eq!(
        (text(datasource, "type"), text(datasource, "query")),
        ("datasource", "prometheus")
    );
    let limiter = variables["limiter"];
    let query = "label_values({__name__=~\"rate_limiter_.+\"}, limiter)";
    assert_eq!(text(&limiter["query"], "query"), query);
    let scraped = scraped();
    for metric in scraped.types.keys() {
        assert!(metric.starts_with("rate_limiter_"), "{metric}");
        let series = scraped.series(metric);
        let without = series.iter().find(|labels| !labels.contains_key("limiter"));
        assert_eq!(without, None);
    }
}

#[test]
fn panels_have_places_of_their_own() {
    check_places(&dashboard());
}

/// Checks that no panel covers another one, and that all have the chosen data source.
pub(crate) fn check_places(dashboard: &Value) {
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in list(dashboard, "panels") {
        let title = text(panel, "title");
        assert!(
            ids.insert(panel["id"].as_u64().expect("a number")),
            "{title}"
        );
        let place = |side: &str| panel["gridPos"][side].as_u64().expect("a number");
        for x in place("x")..place("x") + place("w") {
            assert!(x < 24, "{title} is beyond Grafana's 24 columns");
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} covers another panel");
            }
        }
        let mut sources = list(panel, "targets").to_vec();
        sources.push(panel.clone());
        for source in sources {
            let source = &source["datasource"];
            let found = (text(source, "type"), text(source, "uid"));
            assert_eq!(found, ("prometheus", "${datasource}"), "{title}");
        }
    }
}
