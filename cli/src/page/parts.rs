//! The parts of a page that are made of numbers.

use super::LONGEST;
use crate::picture::escape::escaped;
use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped, span as spanned};
use crate::picture::numbers::{percent as percent_text, ratio};
use crate::picture::put;
use crate::picture::time::instant;
use crate::report::{Key, Report};

/// A text from a log: inert, of bounded length, and of a direction of its own.
fn foreign(text: &str) -> String {
    format!("<bdi><code>{}</code></bdi>", escaped(&shown(text, LONGEST)))
}

/// A share as HTML: it may be `<0.01%`.
fn percent(part: u64, of: u64) -> String {
    escaped(&percent_text(part, of))
}

/// From when to when.
pub(super) fn span(report: &Report) -> String {
    match (report.first, report.last) {
        (Some(first), Some(last)) => {
            let length = spanned((last - first).max(0.0));
            format!("{} to {} UTC ({length})", instant(first), instant(last))
        }
        _ => "No request was replayed.".to_owned(),
    }
}

/// The numbers that count, one in a box each.
pub(super) fn facts(report: &Report) -> String {
    let Report {
        requests,
        admitted,
        refused,
        keys,
        keys_refused,
        ..
    } = *report;
    let mut boxes = fact("", "Requests", &grouped(requests), "");
    boxes += &fact(
        "blue",
        "Admitted",
        &grouped(admitted),
        &percent(admitted, requests),
    );
    boxes += &fact(
        "red",
        "Refused",
        &grouped(refused),
        &percent(refused, requests),
    );
    let of = format!("of {}: {}", grouped(keys), percent(keys_refused, keys));
    boxes += &fact("", "Keys refused something", &grouped(keys_refused), &of);
    if let Some(streak) = &report.longest_streak {
        let length = spanned((streak.to - streak.from).max(0.0));
        let note = format!(
            "{} from {} UTC for {length}",
            foreign(&streak.key),
            instant(streak.from)
        );
        boxes += &fact(
            "",
            "Longest run of refusals",
            &grouped(streak.refusals),
            &note,
        );
    }
    if let Some(tightest) = &report.tightest {
        let quota = escaped(&shown(tightest, LONGEST));
        boxes += &fact(
            "",
            "Smallest burst that refuses nobody",
            &quota,
            "at the same rate",
        );
    }
    format!("<dl class=\"facts\">\n{boxes}</dl>\n")
}

/// `note` is HTML.
fn fact(color: &str, name: &str, number: &str, note: &str) -> String {
    let note = if note.is_empty() {
        String::new()
    } else {
        format!("<dd class=\"note\">{note}</dd>")
    };
    format!("<div class=\"{color}\"><dt>{name}</dt><dd>{number}</dd>{note}</div>\n")
}

/// The table of keys.
pub(super) fn worst(report: &Report) -> String {
    if report.worst.is_empty() {
        return "<h2>Keys</h2>\n<p>No key was refused anything.</p>\n".to_owned();
    }
    let bursts = report.worst.iter().any(|key| key.burst_needed.is_some());
    let burst = if bursts {
        "<th scope=\"col\">Burst needed</th>"
    } else {
        ""
    };
    let rows: String = report.worst.iter().map(|key| row(key, bursts)).collect();
    format!(
        "<h2>Keys that were refused most</h2>\n<div class=\"wide\">\n<table>\n<thead><tr><th scope=\"col\" class=\"name\">Key</th>\
         <th scope=\"col\">Requests</th><th scope=\"col\">Refused</th><th scope=\"col\">Share</th><th scope=\"col\">Longest run</th>\
         {burst}<th scope=\"col\">First refused (UTC)</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

fn row(key: &Key, bursts: bool) -> String {
    let mut cells = format!("<td class=\"name\">{}</td>", foreign(&key.key));
    let mut cell = |sort: String, text: &str| {
        put(
            &mut cells,
            format_args!("<td data-sort=\"{sort}\">{text}</td>"),
        );
    };
    cell(key.requests.to_string(), &grouped(key.requests));
    cell(key.refused.to_string(), &grouped(key.refused));
    let share = ratio(key.refused, key.requests);
    cell(format!("{share:.6}"), &percent(key.refused, key.requests));
    cell(key.longest_streak.to_string(), &grouped(key.longest_streak));
    if bursts {
        cell(
            key.burst_needed.unwrap_or(0).to_string(),
            &key.burst_needed.map_or_else(String::new, grouped),
        );
    }
    let first = key.first_refused.filter(|first| first.is_finite());
    cell(
        first.map_or_else(String::new, |first| format!("{first:.3}")),
        &first.map_or_else(String::new, instant),
    );
    format!("<tr>{cells}</tr>\n")
}

/// What the numbers mean, and what is not in them.
pub(super) fn how(report: &Report) -> String {
    let by = match report.by.as_str() {
        "none" => "One limit stood for all requests together.".to_owned(),
        by => format!(
            "Each key ({}) had a limit of its own, full at its first request.",
            escaped(&shown(by, 40))
        ),
    };
    let mut items = vec![
        format!("{by} A refused request was charged nothing, and its client is taken not to have asked again because of it."),
        "Requests were decided by the limiters of the crate <code>tidegate</code>, as of the times in the log.".to_owned(),
    ];
    if report.skipped > 0 {
        items.push(format!(
            "{} could not be read or had no key, and are in no number here.",
            counted(report.skipped, "line")
        ));
    }
    if report.late > 0 {
        let late = counted(report.late, "line");
        items.push(format!("{late} came later than the replay waits for, and were decided as of the latest time before."));
    }
    if report.tightest.is_some() {
        items.push("The smallest burst is that of the same rate with which no request of this log would be refused.".to_owned());
    }
    if !report.timeline.admitted.is_empty() {
        let step = spanned(report.timeline.step);
        items.push(format!("Times were counted in steps of {step}; the picture adds up neighbours where there are many."));
    }
    let mut list = String::new();
    for item in &items {
        put(&mut list, format_args!("<li>{item}</li>\n"));
    }
    format!("<ul class=\"how\">\n{list}</ul>\n")
}
