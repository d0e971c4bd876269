//! Draws a small folder, and checks the messages about wrong files.

use std::path::{Path, PathBuf};
use std::{env, fs};

use tidegate_plots::{Picture, docs, draw, for_docs, in_readme, shown_in_docs};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sample")
}

/// `UPDATE=1` rewrites `tests/sample/plots`. Look at the pictures before you commit them.
#[test]
fn sample_is_drawn_as_before() {
    for (name, picture) in draw(&sample()).expect("a good folder") {
        let svg = picture.expect(name);
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

/// Each picture in a record shows the numbers beside it.
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

/// The crate's documentation shows six pictures, each of the latest record that has it, and their
/// style.
#[test]
fn documentation_shows_the_latest_records() {
    let mut names = vec!["style.html"];
    for (name, picture) in draw(&sample()).expect("a good folder") {
        if for_docs(&[(name, picture)]).len() == 1 {
            continue; // the style alone
        }
        let record = shown_in_docs(name).expect("readable").expect(name);
        let pictures = draw(&record).unwrap_or_else(|error| panic!("{error}"));
        let files = for_docs(&pictures);
        let shown = files
            .iter()
            .filter(|(file, _)| [name, "style.html"].contains(file));
        for (name, content) in shown {
            let kept = fs::read_to_string(docs().join(name)).unwrap_or_default();
            assert!(kept == *content, "{name}: run plot.sh {}", record.display());
        }
        names.push(name);
    }
    assert_eq!(names.len(), 7, "a picture is left out");
    let count = fs::read_dir(docs()).expect("a folder").count();
    assert_eq!(count, names.len(), "files that belong to no picture");
}

#[test]
fn readmes_show_the_latest_records() {
    let mut shown = 0;
    for (name, _) in draw(&sample()).expect("a good folder") {
        let Some(path) = in_readme(name) else {
            continue;
        };
        let record = shown_in_docs(name).expect("readable").expect(name);
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let drawn = fs::read_to_string(record.join("plots").join(name)).expect(name);
        assert!(kept == drawn, "{name}: run plot.sh {}", record.display());
        shown += 1;
    }
    assert_eq!(shown, 1);
}

#[test]
fn pictures_are_small_well_formed_and_self_contained() {
    for (name, picture) in draw(&sample()).expect("a good folder") {
        let svg = picture.expect("drawn");
        let document =
            roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(svg.len() < 60_000, "{name}: {} bytes", svg.len());
        // An <img> loads nothing else, and a README shows nothing else.
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
        let caption =
            "Made-up <CPU> & co, 4 cores, virtual · 2026-01-02 · commit 0123456789 · rustc 1.95.0";
        let mut captions = texts().filter_map(|text| text.text());
        assert!(captions.any(|text| text.contains(caption)), "{name}");
        for text in texts() {
            let at = |axis: &str| text.attribute(axis).and_then(|at| at.parse::<f64>().ok());
            let (x, y) = (at("x").expect("a number"), at("y").expect("a number"));
            assert!(
                (0.0..800.0).contains(&x) && y > 0.0,
                "{name}: {:?}",
                text.text()
            );
        }
        // A coordinate that is no number is written as 0, where no picture has anything.
        for node in document.descendants() {
            let starts_at_zero = |path: &str| path.starts_with("M0 ") || path.contains("L0 ");
            let path = node.attribute("d").is_some_and(starts_at_zero);
            let place = ["x", "y", "cx", "cy"].map(|axis| node.attribute(axis));
            assert!(!path && !place.contains(&Some("0")), "{name}: {node:?}");
        }
        // The style sheet has every class.
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

/// A copy of the sample with another text in one file.
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
        // A remainder in a folder for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file, its text with `/` for the end of a line, and the message.
const MISTAKES: &str = r#"
throughput.csv | | throughput.csv, line 1: no column "limiter"
throughput.csv | limiter,calls,threads/a,admit,1/ | throughput.csv, line 1: no column "median_ns"
throughput.csv | THROUGHPUT | throughput.csv: no rows
throughput.csv | THROUGHPUTa,admit,1,10/b,admit,1/ | throughput.csv, line 3: 3 cells, but the header has 4
throughput.csv | THROUGHPUTa,admit,1,ten/ | throughput.csv, line 2: median_ns is "ten", not a number from 0 up
throughput.csv | THROUGHPUTa,admit,1,0/ | throughput.csv, line 2: median_ns is 0
throughput.csv | THROUGHPUTa,admit,-1,10/ | throughput.csv, line 2: threads is "-1", not a whole number
throughput.csv | THROUGHPUTa,part,1,10/ | throughput.csv: no rows of calls to admit or refuse
latency.csv | calls,limiter,p50,p90,p99,p99.9/admit,a,1,2,NaN,4/ | latency.csv, line 2: p99 is "NaN", not a number from 0 up
shaping.csv | time_ms,offered,a/20,1,1/20,1,1/ | shaping.csv: time_ms does not grow at 20
shaping.csv | time_ms,offered,a/20,1,1/ | shaping.csv: one instant is no traffic
shaping.csv | time_ms,offered,a/0,1,x/20,1,1/ | shaping.csv, line 2: a is "x", not a whole number
waits_goodput.csv | limiter,patience,median/a,0,1/ | waits_goodput.csv, line 2: patience is 0
waits_goodput.csv | limiter,patience,median/a,1,x/ | waits_goodput.csv, line 2: median is "x", not a number from 0 up
adaptive.csv | second,limit/0,100/ | adaptive.csv, line 1: no column "adaptive answered"
adaptive.csv | ADAPTIVE0,100,1,2,3,4/0,100,1,2,3,4/ | adaptive.csv: second does not grow at 0
adaptive.csv | ADAPTIVE0,0,1,2,3,4/ | adaptive.csv, line 2: limit is 0
adaptive.csv | ADAPTIVE0,100,1,2,3,x/ | adaptive.csv, line 2: backoff alone refused is "x", not a whole number
fleet.csv | scenario,nodes,demand,busy/a,1,1,1/ | fleet.csv: no fleets that are all alike
fleet.csv | scenario,nodes,demand,busy/all alike,0,1,1/ | fleet.csv, line 2: nodes is 0
fleet_in_time.csv | ms/0/ | fleet_in_time.csv: no column of a fleet
fleet_in_time.csv | ms,a/0,1/0,1/ | fleet_in_time.csv: ms does not grow at 0
fleet_in_time.csv | ms,a/0,-1/ | fleet_in_time.csv, line 2: a is "-1", not a number from 0 up
growth.csv | curve,limiter,calls,x/keys,a,b,1/ | growth.csv, line 1: no column "lower_quartile_ns"
growth.csv | GROWTHkeys,a,b,0,1/ | growth.csv, line 2: x is 0
growth.csv | GROWTHkeys,a,b,10,x/ | growth.csv, line 2: lower_quartile_ns is "x", not a number from 0 up
growth.csv | GROWTHkeys,a,b,10,1/ | growth.csv: no rows of the curve "slots"
machine.json | {"cpu": "a"} | machine.json: does not name its cores
machine.json | [] | machine.json: not an object
"#;

#[test]
fn mistakes_are_reported_with_their_line() {
    let header = "limiter,calls,threads,median_ns\n";
    let adaptive = "second,limit,adaptive answered,adaptive refused,backoff alone answered,\
                    backoff alone refused\n";
    for (at, case) in MISTAKES.trim().lines().enumerate() {
        let parts: Vec<&str> = case.split('|').map(str::trim).collect();
        let [file, text, expected] = parts.as_slice() else {
            panic!("{case}")
        };
        let text = text.replace("THROUGHPUT", header);
        let text = text.replace("GROWTH", "curve,limiter,calls,x,lower_quartile_ns\n");
        let text = text.replace("ADAPTIVE", adaptive).replace('/', "\n");
        let copy = Copy::with(&format!("wrong-{at}"), file, &text);
        assert_eq!(copy.drawn().expect_err(case), *expected);
    }
    let copy = Copy::with("json", "machine.json", "{");
    assert!(
        copy.drawn()
            .expect_err("no json")
            .starts_with("machine.json: ")
    );
}

#[test]
fn pictures_without_numbers_are_left_out() {
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
