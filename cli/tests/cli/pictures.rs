//! Pictures and pages are well-formed, contain the numbers of the report, and are inert for any
//! key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};
use sha2::{Digest, Sha256};
use tidegate_cli::report::Report;
use tidegate_cli::terminal::{Charset, timeline};
use tidegate_cli::{page, picture};

use crate::sample_report::{HOSTILE, ORDINARY, empty, report};

/// The sums of the counts in the tooltips of a picture.
fn tooltip_sums(tree: &Document<'_>) -> (u64, u64) {
    let mut sums = (0, 0);
    for title in tree
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")))
    {
        let text = title.text().unwrap_or_default().replace(',', "");
        let words: Vec<&str> = text.split_whitespace().collect();
        let before = |name: &str| {
            words
                .iter()
                .position(|word| *word == name)
                .and_then(|at| words[at - 1].parse::<u64>().ok())
        };
        if let (Some(admitted), Some(refused)) = (before("admitted"), before("refused")) {
            sums = (sums.0 + admitted, sums.1 + refused);
        }
    }
    sums
}

fn texts(tree: &Document<'_>) -> String {
    tree.descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn tooltips_contain_the_timeline() {
    let mut many = report(&ORDINARY);
    many.timeline.admitted = (0..5_000).map(|at| at % 7).collect();
    many.timeline.refused = (0..5_000).map(|at| at % 3).collect();
    for report in [report(&ORDINARY), many] {
        let svg = picture::timeline_svg(&report);
        let tree = Document::parse(&svg).unwrap();
        let sums = (
            report.timeline.admitted.iter().sum(),
            report.timeline.refused.iter().sum(),
        );
        assert_eq!(tooltip_sums(&tree), sums);
        assert!(svg.len() < 150_000, "{}", svg.len());
    }
}

#[test]
fn numbers_of_the_report_are_shown() {
    let report = report(&ORDINARY);
    let svg = picture::timeline_svg(&report);
    let text = texts(&Document::parse(&svg).unwrap());
    for expected in [
        "10,878 admitted",
        "923 refused (7.8%)",
        "600 of 4,000 (15.0%)",
        "203.0.113.7",
        "100/min burst 20",
        "2026-09-21",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    let page = page::html(&report);
    for expected in [
        "10,878",
        "92.2%",
        "of 2,317: 0.26%",
        "100/min burst 47",
        "3 lines could not",
        "1 line came later",
        "48.5 s",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn output_is_deterministic() {
    assert_eq!(
        picture::timeline_svg(&report(&HOSTILE)),
        picture::timeline_svg(&report(&HOSTILE))
    );
    assert_eq!(page::html(&report(&HOSTILE)), page::html(&report(&HOSTILE)));
}

/// Converts a page to XML, whose parsers are stricter than browsers: closes void elements, and
/// drops scripts and styles.
fn page_as_xml(page: &str) -> String {
    let start = page.find("<html").unwrap();
    let mut xml = page[start..].to_owned();
    let metas: Vec<usize> = xml.match_indices("<meta").map(|(at, _)| at).collect();
    for at in metas.into_iter().rev() {
        let end = at + xml[at..].find('>').unwrap();
        xml.insert(end, '/');
    }
    for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
        let from = xml.find(open).unwrap() + open.len();
        let to = from + xml[from..].find(close).unwrap();
        xml.replace_range(from..to, "");
    }
    xml
}

/// The names of elements and attributes.
fn skeleton(text: &str) -> Vec<String> {
    let tree = Document::parse(text).unwrap();
    let elements = tree.descendants().filter(Node::is_element);
    let names = elements.map(|node| {
        let attributes = node.attributes().map(|attribute| attribute.name());
        let names: Vec<&str> = [node.tag_name().name()]
            .into_iter()
            .chain(attributes)
            .collect();
        names.join(" ")
    });
    names.collect()
}

#[test]
fn hostile_keys_are_inert() {
    let harmless: Vec<String> = HOSTILE
        .iter()
        .map(|key| "a".repeat(key.len().max(1)))
        .collect();
    let harmless: Vec<&str> = harmless.iter().map(String::as_str).collect();
    let (bad, good) = (report(&HOSTILE), report(&harmless));
    assert_eq!(
        skeleton(&picture::timeline_svg(&bad)),
        skeleton(&picture::timeline_svg(&good))
    );
    let page = page::html(&bad);
    assert_eq!(
        skeleton(&page_as_xml(&page)),
        skeleton(&page_as_xml(&page::html(&good)))
    );
    assert_eq!(page.matches("<script").count(), 1);
    for output in [
        page,
        picture::timeline_svg(&bad),
        timeline(&bad, 80, Charset::Blocks),
    ] {
        assert!(!output.contains(['\u{202e}', '\u{202c}', '\u{200b}', '\0', '\u{ffff}', '\r']));
    }
}

#[test]
fn hostile_limits_are_inert() {
    let hostile = Report {
        limits: vec!["</title><script>x</script>".into()],
        by: "<b>\"'".into(),
        sufficient_quota: Some("<i>".into()),
        ..report(&ORDINARY)
    };
    let page = page::html(&hostile);
    assert_eq!(
        skeleton(&page_as_xml(&page)),
        skeleton(&page_as_xml(&page::html(&report(&ORDINARY))))
    );
    Document::parse(&picture::timeline_svg(&hostile)).unwrap();
}

#[test]
fn long_keys_are_truncated() {
    let long = "<".repeat(1 << 20);
    let report = report(&[&long]);
    assert!(page::html(&report).len() < 150_000 && picture::timeline_svg(&report).len() < 100_000);
}

/// The page loads nothing, and its policy allows no other script.
#[test]
fn page_is_self_contained() {
    let page = page::html(&report(&ORDINARY));
    for outside in ["src=", "href=", "url(", "@import", "//evil", "on load"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let script = page
        .split("<script>")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
    assert!(
        page.contains(&format!("script-src 'sha256-{hash}'")),
        "the hash is {hash}"
    );
}

#[test]
fn extreme_reports_are_drawn() {
    let extreme = [
        empty(),
        Report {
            first: Some(f64::NAN),
            last: Some(f64::INFINITY),
            ..report(&ORDINARY)
        },
        Report {
            first: Some(-1e300),
            ..report(&ORDINARY)
        },
        Report {
            requests: u64::MAX,
            admitted: u64::MAX,
            keys: 0,
            ..report(&ORDINARY)
        },
    ];
    for mut report in extreme {
        for step in [report.timeline.step, 0.0, f64::INFINITY, 1e-9] {
            report.timeline.step = step;
            Document::parse(&picture::timeline_svg(&report)).unwrap();
            Document::parse(&page_as_xml(&page::html(&report))).unwrap();
            timeline(&report, 40, Charset::Ascii);
        }
        report.timeline.admitted = vec![u64::MAX; 3];
        report.timeline.refused = vec![u64::MAX];
        Document::parse(&picture::timeline_svg(&report)).unwrap();
    }
}

#[test]
fn charts_fit_the_terminal() {
    for width in 0..200 {
        for charset in [Charset::Blocks, Charset::Ascii] {
            let text = timeline(&report(&ORDINARY), width, charset);
            let text = anstream::adapter::strip_str(&text).to_string();
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width.max(38), "{width}: {longest}\n{text}");
            assert!(charset == Charset::Blocks || text.is_ascii());
        }
    }
}
