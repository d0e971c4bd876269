//! The report as an HTML page. It needs no network, no script and no other file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::picture::key::shown;
use crate::picture::numbers::{counted, grouped, percent, ratio, span};
use crate::picture::stream_within;
use crate::picture::svg::{DARK, LIGHT, style_within};
use crate::picture::time::instant;
use crate::report::{Key, Report};

const STYLE: &str = include_str!("page/style.css");
/// Sorts the table. The page is complete without it.
const SCRIPT: &str = include_str!("page/script.js");
/// The policy allows the script above by its SHA-256, and no other script that a log may contain.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src \
    'sha256-rXtBIGc0u+A0wfZZluh1KYcSEEUaAXFsiRucji6CGtw='; base-uri 'none'; form-action 'none'";
/// The most columns of a text from a log.
const MAX_COLUMNS: usize = 160;

/// Returns the page.
pub fn html(report: &Report) -> String {
    let limits = shown(&report.limits.join(" and "), MAX_COLUMNS);
    let style = format!(
        "\n:root{{{LIGHT}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{DARK}}}}}\n{}{STYLE}",
        style_within()
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (limits) ": replay" }
                style { (PreEscaped(style)) }
            }
            body {
                main {
                    h1 { "What the limit would have done" }
                    p.limits { code { (limits) } " by " code { (shown(&report.by, 40)) } }
                    p.quiet { (time_span(report)) }
                    @for warning in &report.warnings {
                        p.warning role="alert" { strong { "Warning: " } (shown(warning, 400)) }
                    }
                    (facts(report))
                    h2 { "Over time" }
                    figure.wide tabindex="0" aria-label="Admitted and refused over time" {
                        (PreEscaped(stream_within(report)))
                    }
                    (worst_keys(report))
                    h2 { "How it was counted" }
                    ul.how { @for note in notes(report) { li { (note) } } }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Text from a log: escaped, of bounded length, and with its own text direction.
fn foreign(text: &str) -> Markup {
    html! { bdi { code { (shown(text, MAX_COLUMNS)) } } }
}

fn time_span(report: &Report) -> String {
    match (report.first, report.last) {
        (Some(first), Some(last)) => {
            let length = span((last - first).max(0.0));
            format!("{} to {} UTC ({length})", instant(first), instant(last))
        }
        _ => "No request was replayed.".to_owned(),
    }
}

/// The main numbers, each in a box.
fn facts(report: &Report) -> Markup {
    let fact = |color: &str, name: &str, value: &str, note: Markup| {
        html! {
            div class=(color) {
                dt { (name) }
                dd { (value) }
                @if !note.0.is_empty() { dd.note { (note) } }
            }
        }
    };
    let share = |part: u64, of: u64| html! { (percent(part, of)) };
    let (requests, keys) = (report.requests, report.keys);
    let admitted_share = share(report.admitted, requests);
    let keys_share = html! { "of " (grouped(keys)) ": " (percent(report.keys_refused, keys)) };
    html! {
        dl.facts {
            (fact("", "Requests", &grouped(requests), html! {}))
            (fact("blue", "Admitted", &grouped(report.admitted), admitted_share))
            (fact("red", "Refused", &grouped(report.refused), share(report.refused, requests)))
            (fact("", "Keys with refusals", &grouped(report.keys_refused), keys_share))
            @if let Some(streak) = &report.longest_streak {
                (fact("", "Longest streak of refusals", &grouped(streak.refusals), html! {
                    (foreign(&streak.key)) " from " (instant(streak.from)) " UTC for "
                    (span((streak.to - streak.from).max(0.0)))
                }))
            }
            @if let Some(quota) = &report.sufficient_quota {
                (fact("", "Smallest burst without refusals", &shown(quota, MAX_COLUMNS), html! {
                    "at the same rate"
                }))
            }
        }
    }
}

/// The table of the most refused keys.
fn worst_keys(report: &Report) -> Markup {
    let has_burst = report.worst.iter().any(|key| key.required_burst.is_some());
    html! {
        @if report.worst.is_empty() {
            h2 { "Keys" }
            p { "No requests were refused." }
        } @else {
            h2 { "Most refused keys" }
            div.wide {
                table {
                    thead {
                        tr {
                            th.name scope="col" { "Key" }
                            th scope="col" { "Requests" }
                            th scope="col" { "Refused" }
                            th scope="col" { "Share" }
                            th scope="col" { "Longest streak" }
                            @if has_burst { th scope="col" { "Required burst" } }
                            th scope="col" { "First refused (UTC)" }
                        }
                    }
                    tbody { @for key in &report.worst { (key_row(key, has_burst)) } }
                }
            }
        }
    }
}

/// A row of the table. `data-sort` is the value by which the script sorts.
fn key_row(key: &Key, has_burst: bool) -> Markup {
    let number = |number: u64| html! { td data-sort=(number) { (grouped(number)) } };
    let share = format!("{:.6}", ratio(key.refused, key.requests));
    html! {
        tr {
            td.name { (foreign(&key.key)) }
            (number(key.requests))
            (number(key.refused))
            td data-sort=(share) { (percent(key.refused, key.requests)) }
            (number(key.longest_streak))
            @if has_burst { (number(key.required_burst.unwrap_or(0))) }
            @match key.first_refused.filter(|first| first.is_finite()) {
                Some(first) => td data-sort=(format!("{first:.3}")) { (instant(first)) },
                None => td data-sort="" {},
            }
        }
    }
}

/// What the numbers mean, and what they do not contain.
fn notes(report: &Report) -> Vec<Markup> {
    let limits = match report.by.as_str() {
        "none" => "One limit applied to all requests together.".to_owned(),
        by => format!(
            "Each key ({}) had its own limits, unused at its first request.",
            shown(by, 40)
        ),
    };
    let mut notes = vec![
        html! {
            (limits) " A refused request was not charged. It is assumed that the client did not "
            "retry because of the refusal."
        },
        html! {
            "The limiters of the crate " code { "tidegate" } " decided about each request at its "
            "time in the log."
        },
    ];
    if report.skipped > 0 {
        let lines = counted(report.skipped, "line");
        notes.push(html! { (lines) " could not be read or had no key. No number contains them." });
    }
    if report.late > 0 {
        notes.push(html! {
            (counted(report.late, "line")) " came later than the reordering allows. The limiters "
            "decided about them at the latest time before."
        });
    }
    if report.sufficient_quota.is_some() {
        notes.push(html! {
            "The smallest burst without refusals would have refused no request of this log at the "
            "same rate."
        });
    }
    if !report.timeline.admitted.is_empty() {
        notes.push(html! {
            "Requests were counted in steps of " (span(report.timeline.step)) ". The picture "
            "merges adjacent steps if there are many."
        });
    }
    notes
}
