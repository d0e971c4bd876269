//! Reads what a query of a dashboard asks Prometheus for.

/// A metric in a query: its name, and the labels that choose among its series.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

/// A label, the operator, and the value or regular expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// A part of a query that has no `or`: its metrics, and the labels that it keeps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) selectors: Vec<Selector>,
    pub(crate) grouping: Vec<String>,
}

/// Functions and operators that queries may use.
const WORDS: [&str; 4] = ["histogram_quantile", "max", "rate", "sum"];

/// Reads a query. Only as much of the language as the dashboard needs: all else is an error.
pub(crate) fn read(query: &str) -> Vec<Part> {
    query.split(" or ").map(read_part).collect()
}

fn read_part(text: &str) -> Part {
    let mut part = Part::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            if word == "by" {
                let labels = enclosed(&mut rest, " (", ')');
                let labels = labels.split(',').map(|label| label.trim().to_owned());
                part.grouping.extend(labels);
            } else if !WORDS.contains(&word) {
                let matchers = enclosed(&mut rest, "{", '}');
                let matchers = matchers.split(", ").map(matcher).collect();
                let metric = word.to_owned();
                part.selectors.push(Selector { metric, matchers });
            }
        } else if first == '[' {
            assert_eq!(enclosed(&mut rest, "[", ']'), "$__rate_interval", "{text}");
        } else {
            let is_known = "(), /.".contains(first) || first.is_ascii_digit();
            assert!(is_known, "{first:?} in {text}");
            rest = &rest[1..];
        }
    }
    assert!(!part.selectors.is_empty(), "{text}");
    part
}

/// Takes what is between two marks from the front of `rest`.
fn enclosed<'a>(rest: &mut &'a str, open: &str, close: char) -> &'a str {
    let inside = rest.strip_prefix(open);
    let inside = inside.unwrap_or_else(|| panic!("no {open:?} before {rest}"));
    let (inside, after) = inside.split_once(close).expect("closed");
    *rest = after;
    inside
}

fn matcher(text: &str) -> Matcher {
    let (label, value) = text.split_once('"').expect("a quoted value");
    let value = value.strip_suffix('"').expect("the end of the value");
    let end = label.find(['=', '!']).expect("an operator");
    let (label, operator) = label.split_at(end);
    assert!(["=", "!=", "=~", "!~"].contains(&operator), "{text}");
    Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn reader_finds_metrics_and_labels() {
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    let query = "histogram_quantile(0.5, sum by (a, le) (rate(x_bucket{a=~\"b|c\", d!=\"\"}\
        [$__rate_interval]))) or max by (a) (x{quantile=\"0.5\"})";
    let parts = [
        Part {
            selectors: vec![Selector {
                metric: "x_bucket".to_owned(),
                matchers: vec![matcher("a", "=~", "b|c"), matcher("d", "!=", "")],
            }],
            grouping: vec!["a".to_owned(), "le".to_owned()],
        },
        Part {
            selectors: vec![Selector {
                metric: "x".to_owned(),
                matchers: vec![matcher("quantile", "=", "0.5")],
            }],
            grouping: vec!["a".to_owned()],
        },
    ];
    assert_eq!(read(query), parts);
}
