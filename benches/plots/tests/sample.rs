//! The pictures of a small folder, and what is said about files that are wrong.

use std::path::{Path, PathBuf};
use std::{env, fs};

use tidegate_plots::{Picture, docs, draw, for_docs, shown_in_docs};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sample")
}

/// The sample's pictures; `UPDATE=1` makes those in `tests/sample/plots` anew, which is to be looked at.
#[test]
fn the_sample_is_drawn_as_ever() {
    for (name, picture) in draw(&sample()).expect("a good folder") {
        let svg = picture.unwrap_or_else(|| panic!("{name} is left out"));
        let path = sample().join("plots").join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &svg).expect("writable");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            svg == expected,
            "{name} changed: look at it, and run this test with UPDATE=1"
        );
    }
}

/// Pictures that are in the records are those of their numbers.
#[test]
fn records_show_their_numbers() {
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("../record");
    for record in fs::read_dir(records).expect("a folder") {
        let record = record.expect("readable").path();
        if record.join("plots").is_dir() {
            for (name, picture) in draw(&record).unwrap_or_else(|error| panic!("{error}")) {
                let kept = fs::read_to_string(record.join("plots").join(name)).ok();
                assert!(
                    kept == picture,
                    "{}: run plot.sh again for {name}",
                    record.display()
                );
            }
        }
    }
}

/// The crate's documentation shows the latest record, and all of its pictures.
#[test]
fn documentation_shows_the_latest_record() {
    let record = shown_in_docs().expect("readable").expect("a record");
    let files = for_docs(&draw(&record).unwrap_or_else(|error| panic!("{error}")));
    for (name, content) in &files {
        let kept = fs::read_to_string(docs().join(name)).unwrap_or_default();
        assert!(kept == *content, "{name}: run plot.sh {}", record.display());
    }
    let count = fs::read_dir(docs()).expect("a folder").count();
    assert_eq!(count, files.len(), "files of no picture");
    assert_eq!(count, 5, "a picture is left out");
}

#[test]
fn pictures_are_small_well_formed_and_alone() {
    for (name, picture) in draw(&sample()).expect("a good folder") {
        let svg = picture.expect("drawn");
        let document =
            roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(svg.len() < 60_000, "{name}: {} bytes", svg.len());
        assert!(
            !svg.contains("NaN") && !svg.contains("inf "),
            "{name} has a place that is none"
        );
        // What an <img> does not load, and a README does not show.
        assert!(
            !svg.contains("href") && !svg.contains("url(") && !svg.contains("@import"),
            "{name}"
        );
        assert!(svg.contains("prefers-color-scheme:dark"), "{name}");

        let texts = || {
            document
                .descendants()
                .filter(|node| node.has_tag_name("text"))
        };
        let said =
            |what: &str| texts().any(|text| text.text().is_some_and(|text| text.contains(what)));
        assert!(
            said(
                "Made-up <CPU> & co, 4 cores, virtual · 2026-01-02 · commit 0123456789 · rustc 1.95.0"
            ),
            "{name}"
        );
        for text in texts() {
            let at = |axis: &str| text.attribute(axis).and_then(|at| at.parse::<f64>().ok());
            let (x, y) = (at("x").expect("a place"), at("y").expect("a place"));
            assert!(
                (0.0..800.0).contains(&x) && y > 0.0,
                "{name}: {:?}",
                text.text()
            );
        }
        // Every class is one of the style sheet.
        let classes = document
            .descendants()
            .filter_map(|node| node.attribute("class"));
        for class in classes.flat_map(|classes| classes.split(' ')) {
            assert!(
                svg.contains(&format!(".{class}{{")),
                "{name}: no style for {class}"
            );
        }
    }
}

/// A copy of the sample in which `file` says something else.
struct Copy(PathBuf);

impl Copy {
    fn with(test: &str, file: &str, text: &str) -> Self {
        let name = format!("tidegate-plots-{}-{test}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("writable");
        for entry in fs::read_dir(sample()).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_file() {
                fs::copy(&path, folder.join(path.file_name().expect("a file"))).expect("writable");
            }
        }
        fs::write(folder.join(file), text).expect("writable");
        Self(folder)
    }

    fn drawn(&self) -> Result<Vec<Picture>, String> {
        let folder = format!("{}/", self.0.display());
        draw(&self.0).map_err(|error| error.to_string().replace(&folder, ""))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left in a folder for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let throughput = "limiter,calls,threads,median_ns\n";
    let shaping = "time_ms,offered,a\n";
    let latency = "calls,limiter,p50,p90,p99,p99.9\n";
    let cases = [
        (
            "throughput.csv",
            "",
            "throughput.csv, line 1: no column \"limiter\"",
        ),
        (
            "throughput.csv",
            "limiter,calls,threads\na,admit,1\n",
            "throughput.csv, line 1: no column \"median_ns\"",
        ),
        ("throughput.csv", throughput, "throughput.csv: no rows"),
        (
            "throughput.csv",
            &format!("{throughput}a,admit,1,10\nb,admit,1\n"),
            "throughput.csv, line 3: 3 cells, but the head has 4",
        ),
        (
            "throughput.csv",
            &format!("{throughput}a,admit,1,ten\n"),
            "throughput.csv, line 2: median_ns is \"ten\", not a number from 0 up",
        ),
        (
            "throughput.csv",
            &format!("{throughput}a,admit,1,0\n"),
            "throughput.csv, line 2: median_ns is 0",
        ),
        (
            "throughput.csv",
            &format!("{throughput}a,admit,-1,10\n"),
            "throughput.csv, line 2: threads is \"-1\", not a whole number",
        ),
        (
            "throughput.csv",
            &format!("{throughput}a,part,1,10\n"),
            "throughput.csv: no rows of calls to admit or refuse",
        ),
        (
            "latency.csv",
            &format!("{latency}admit,a,1,2,NaN,4\n"),
            "latency.csv, line 2: p99 is \"NaN\", not a number from 0 up",
        ),
        (
            "shaping.csv",
            &format!("{shaping}20,1,1\n20,1,1\n"),
            "shaping.csv: time_ms does not grow at 20",
        ),
        (
            "shaping.csv",
            &format!("{shaping}20,1,1\n"),
            "shaping.csv: one instant is no traffic",
        ),
        (
            "shaping.csv",
            &format!("{shaping}0,1,x\n20,1,1\n"),
            "shaping.csv, line 2: a is \"x\", not a whole number",
        ),
        (
            "machine.json",
            "{\"cpu\": \"a\"}",
            "machine.json: does not say its cores",
        ),
        ("machine.json", "[]", "machine.json: not an object"),
    ];
    for (at, (file, text, expected)) in cases.into_iter().enumerate() {
        let copy = Copy::with(&format!("wrong-{at}"), file, text);
        assert_eq!(copy.drawn().expect_err(text), expected);
    }
    let copy = Copy::with("json", "machine.json", "{");
    assert!(
        copy.drawn()
            .expect_err("no json")
            .starts_with("machine.json: ")
    );
}

#[test]
fn what_is_not_there_is_left_out() {
    let copy = Copy::with(
        "missing",
        "machine.json",
        &fs::read_to_string(sample().join("machine.json")).expect("there"),
    );
    fs::remove_file(copy.0.join("keyed_memory.csv")).expect("there");
    fs::remove_file(copy.0.join("shaping.csv")).expect("there");
    let drawn = copy.drawn().expect("a good folder");
    let left_out = drawn.iter().filter(|(_, picture)| picture.is_none());
    let left_out: Vec<&str> = left_out.map(|(name, _)| *name).collect();
    assert_eq!(left_out, ["shaping.svg", "keyed.svg"]);
}
