//! Shapes keep the bounds of their limiters.

#![allow(clippy::std_instead_of_core, reason = "a test on an operating system")]

use std::time::Duration;

use clap::{Parser, ValueEnum};
use proptest::prelude::*;
use roxmltree::Document;
use tidegate::Quota;
use tidegate_cli::explain::most_in;
use tidegate_cli::shape::{self, Pattern, Shape, Traffic, Window, drawn, svg};
use tidegate_cli::terminal::Charset;

fn traffic() -> impl Strategy<Value = Traffic> {
    let pattern = prop::sample::select(Pattern::value_variants());
    (pattern, 1_u32..800, 1_u64..20_000_000_000, any::<u64>()).prop_map(
        |(pattern, count, nanos, seed)| Traffic {
            pattern,
            count,
            nanos,
            seed,
        },
    )
}

/// The most in any interval of that length, both ends included, over all pairs of admissions.
fn most(times: &[u64], length: u64) -> usize {
    let within = |start: usize| {
        times[start..]
            .iter()
            .take_while(|time| **time - times[start] <= length)
            .count()
    };
    (0..times.len()).map(within).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bounds_hold(traffic in traffic(), rate in 1_u64..40, burst in 1_u64..40, limit in 1_u64..40, seconds in 1_u64..4) {
        let quota = Quota::per_second(rate).burst(burst);
        let window = Window::of(Quota::new(limit, Duration::from_secs(seconds)).unwrap()).unwrap();
        let shape = Shape::of(quota, &[window], traffic).unwrap();
        let admitted = |number: usize| -> Vec<u64> {
            let decided = shape.arrivals.iter().zip(&shape.series[number].decisions);
            decided.filter(|(_, admitted)| **admitted).map(|(time, _)| *time).collect()
        };
        let (bucket, windowed, both) = (admitted(0), admitted(1), admitted(2));
        for length in [0, 1_000_000, 300_000_000, 1_000_000_000, 5_000_000_000] {
            let bound = most_in(quota, length);
            prop_assert!(most(&bucket, length) as u64 <= bound && most(&both, length) as u64 <= bound);
        }
        // A nanosecond less than its length: who is exactly a window older has left.
        let length = seconds * 1_000_000_000 - 1;
        prop_assert!(most(&windowed, length) as u64 <= limit && most(&both, length) as u64 <= limit);
        for series in &shape.series {
            prop_assert_eq!(series.admitted + series.refused, shape.arrivals.len() as u64);
        }
        prop_assert_eq!(shape.series[1].most, most(&windowed, length) as u64);
        prop_assert_eq!(shape.series[0].most, most(&bucket, length) as u64);

        let picture = svg(&shape);
        prop_assert_eq!(&picture, &svg(&Shape::of(quota, &[window], traffic).unwrap()));
        Document::parse(&picture).unwrap();
        let said = format!("{} admitted", shape.series[2].admitted);
        prop_assert!(picture.contains(&said) && drawn(&shape, 80, Charset::Blocks).contains(&said));
    }

    #[test]
    fn terminals_are_wide_enough(traffic in traffic(), width in 40..160_usize) {
        let quota = Quota::per_second(10);
        let shape = Shape::of(quota, &[Window::of(quota).unwrap()], traffic).unwrap();
        let text = drawn(&shape, width, Charset::Ascii);
        let text = anstream::adapter::strip_str(&text).to_string();
        prop_assert!(text.is_ascii());
        prop_assert!(text.lines().all(|line| line.len() <= width), "{}", text);
    }
}

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: shape::Args,
}

fn parsed(words: &[&str]) -> Result<shape::Args, clap::Error> {
    let words = std::iter::once(&"shape").chain(words);
    Command::try_parse_from(words).map(|command| command.args)
}

#[test]
fn arguments() {
    let args = parsed(&[
        "--quota",
        "10/s burst 5",
        "--window",
        "20/s",
        "--rate",
        "30/s",
        "--for",
        "10s",
    ])
    .unwrap();
    let shape = shape::shape(&args).unwrap();
    assert_eq!(
        (shape.arrivals.len(), shape.series.len(), shape.length),
        (300, 3, Duration::from_secs(10))
    );
    // Three times the quota, for five of its periods, and a window like it.
    let shape = shape::shape(&parsed(&["--quota", "10/s burst 5"]).unwrap()).unwrap();
    assert_eq!(
        (shape.arrivals.len(), shape.windows),
        (150, vec!["10/s".to_owned()])
    );
    for wrong in [
        ["--window", "5/s burst 2"],
        ["--for", "3"],
        ["--for", "3s burst 1"],
        ["--rate", "x"],
        ["--pattern", "x"],
    ] {
        assert!(
            parsed(&[&["--quota", "10/s"][..], &wrong[..]].concat()).is_err(),
            "{wrong:?}"
        );
    }
    let refused = |words: &[&str]| shape::shape(&parsed(words).unwrap()).unwrap_err();
    assert!(
        refused(&["--quota", "10/s", "--rate", "1M/s", "--for", "1d"])
            .message()
            .unwrap()
            .contains("at most 1000000")
    );
    assert!(
        refused(&["--quota", "1/d", "--for", "1ns"])
            .message()
            .unwrap()
            .contains("not one")
    );
}

/// What the program prints where its output is no terminal.
fn printed(words: &[&str], locale: &str) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
    program
        .args(words)
        .env("LC_ALL", locale)
        .env("COLUMNS", "60");
    let output = program.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_locale_says_which_characters_there_are() {
    let words = ["shape", "--quota", "10/s burst 5"];
    let (ascii, blocks) = (printed(&words, "C"), printed(&words, "C.UTF-8"));
    assert!(ascii.is_ascii() && blocks.contains(['█', '▁']));
    for text in [&ascii, &blocks] {
        assert!(
            !text.contains('\u{1b}') && text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
    }
    let picture = printed(&[&words[..], &["--svg", "-"]].concat(), "C");
    Document::parse(&picture).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&printed(&[&words[..], &["--json"]].concat(), "C")).unwrap();
    assert_eq!(json["arrivals"].as_array().map(Vec::len), Some(150));
    let json: serde_json::Value =
        serde_json::from_str(&printed(&["explain", "100/min burst 20", "--json"], "C")).unwrap();
    assert_eq!(
        (&json["most"][1], &json["exactness"]["exact"]),
        (&120.into(), &true.into())
    );
}
