//! The simulated limiters of `shape` keep their bounds.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use proptest::prelude::*;
use roxmltree::Document;
use serde_json::Value;
use tidegate::Quota;
use tidegate_cli::explain::max_admitted;
use tidegate_cli::replay::limits::WindowLimit;
use tidegate_cli::shape::{self, Pattern, Shape, ShapeArgs, Traffic, svg, text};
use tidegate_cli::terminal::Charset;

use crate::{cases, program};

fn traffic() -> impl Strategy<Value = Traffic> {
    let pattern = prop::sample::select(Pattern::value_variants());
    let parts = (pattern, 1_u32..800, 1_u64..20_000_000_000, any::<u64>());
    parts.prop_map(|(pattern, count, nanos, seed)| Traffic {
        pattern,
        count,
        nanos,
        seed,
    })
}

/// The most admissions in any interval of this length, both ends included.
fn max_within(times: &[u64], length: u64) -> u64 {
    let within = |start: usize| {
        let later = times[start..].iter();
        later
            .take_while(|time| **time - times[start] <= length)
            .count()
    };
    (0..times.len()).map(within).max().unwrap_or(0) as u64
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn bounds_hold(
        traffic in traffic(),
        rate in 1_u64..40,
        burst in 1_u64..40,
        limit in 1_u64..40,
        seconds in 1_u64..4,
    ) {
        let quota = Quota::per_second(rate).burst(burst);
        let window = Quota::new(limit, Duration::from_secs(seconds)).unwrap();
        let window = WindowLimit::new(window).unwrap();
        let shape = Shape::new(quota, &[window], traffic).unwrap();
        let admitted = |number: usize| -> Vec<u64> {
            let decided = shape.arrivals.iter().zip(&shape.series[number].decisions);
            decided.filter(|(_, admitted)| **admitted).map(|(time, _)| *time).collect()
        };
        let (bucket, windowed, both) = (admitted(0), admitted(1), admitted(2));
        for length in [0, 1_000_000, 300_000_000, 1_000_000_000, 5_000_000_000] {
            let bound = max_admitted(quota, length);
            prop_assert!(max_within(&bucket, length) <= bound);
            prop_assert!(max_within(&both, length) <= bound);
        }
        // One nanosecond less than the window, which does not count requests of exactly its length.
        let length = seconds * 1_000_000_000 - 1;
        prop_assert!(max_within(&windowed, length) <= limit);
        prop_assert!(max_within(&both, length) <= limit);
        for series in &shape.series {
            prop_assert_eq!(series.admitted + series.refused, shape.arrivals.len() as u64);
        }
        prop_assert_eq!(shape.series[1].max_in_interval, max_within(&windowed, length));
        prop_assert_eq!(shape.series[0].max_in_interval, max_within(&bucket, length));

        let picture = svg(&shape);
        prop_assert_eq!(&picture, &svg(&Shape::new(quota, &[window], traffic).unwrap()));
        Document::parse(&picture).unwrap();
        let count = format!("{} admitted", shape.series[2].admitted);
        prop_assert!(picture.contains(&count));
        prop_assert!(text(&shape, 80, Charset::Blocks).contains(&count));
    }

    #[test]
    fn text_fits_the_terminal(traffic in traffic(), width in 40..160_usize) {
        let quota = Quota::per_second(10);
        let shape = Shape::new(quota, &[WindowLimit::new(quota).unwrap()], traffic).unwrap();
        let text = text(&shape, width, Charset::Ascii);
        let text = anstream::adapter::strip_str(&text).to_string();
        prop_assert!(text.is_ascii());
        prop_assert!(text.lines().all(|line| line.len() <= width), "{}", text);
    }
}

#[derive(Debug, Parser)]
struct ShapeCommand {
    #[command(flatten)]
    args: ShapeArgs,
}

/// Parses arguments for the quota `10/s`.
fn parse(args: &[&str]) -> Result<ShapeArgs, clap::Error> {
    let args = ["shape", "--quota", "10/s burst 5"].iter().chain(args);
    ShapeCommand::try_parse_from(args).map(|command| command.args)
}

#[test]
fn arguments() {
    let args = ["--window", "20/s", "--rate", "30/s", "--for", "10s"];
    let shape = shape::shape(&parse(&args).unwrap()).unwrap();
    assert_eq!(shape.length, Duration::from_secs(10));
    assert_eq!((shape.arrivals.len(), shape.series.len()), (300, 3));
    // By default three times the rate of the quota, for five of its periods, with a window like it.
    let shape = shape::shape(&parse(&[]).unwrap()).unwrap();
    assert_eq!(shape.arrivals.len(), 150);
    assert_eq!(shape.windows, ["10/s"]);
    for invalid in [
        ["--window", "5/s burst 2"],
        ["--for", "3"],
        ["--for", "3s burst 1"],
        ["--rate", "x"],
        ["--pattern", "x"],
    ] {
        assert!(parse(&invalid).is_err(), "{invalid:?}");
    }
    for (rate, length, message) in [
        ("1M/s", "1d", "more than 1000000"),
        ("1/d", "1ns", "no request"),
        ("1/d", "0", "no request"),
        ("1/d", "999999d", "146 years"),
    ] {
        let args = parse(&["--rate", rate, "--for", length]).unwrap();
        let failure = shape::shape(&args).unwrap_err();
        let text = failure.message().unwrap();
        assert!(failure.code() == 2 && text.contains(message), "{text}");
    }
}

#[test]
fn output_depends_on_locale_and_arguments() {
    let shape = ["shape", "--quota", "10/s burst 5"];
    let print = |args: &[&str], locale: &str| {
        let mut command = program::command(args);
        let ran = program::run_command(command.env("LC_ALL", locale).env("COLUMNS", "60"), b"");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    };
    let (ascii, blocks) = (print(&shape, "C"), print(&shape, "C.UTF-8"));
    assert!(ascii.is_ascii() && blocks.contains(['█', '▁']));
    for text in [ascii, blocks] {
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
    }
    Document::parse(&print(&[&shape[..], &["--svg", "-"]].concat(), "C")).unwrap();
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&print(&[args, &["--json"]].concat(), "C")).unwrap()
    };
    assert_eq!(json(&shape)["arrivals"].as_array().map(Vec::len), Some(150));
    let explained = json(&["explain", "100/min burst 20"]);
    assert_eq!(explained["max_admitted"][1], 120);
    assert_eq!(explained["exactness"]["exact"], true);
}
