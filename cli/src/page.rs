//! The report as an HTML page. It needs no network, no script and no other file.

pub mod shell;
pub mod suggest_page;

use maud::{Markup, html};

use crate::picture::key::shown;
use crate::picture::noun::{asked, capitalized, noun, nouns};
use crate::picture::numbers::{counted, grouped, percent, ratio, span};
use crate::picture::stream_within;
use crate::picture::time::instant;
use crate::report::{Key, Report};
use shell::{MAX_COLUMNS, fact, figure, foreign, page};

/// Returns the page.
pub fn html(report: &Report) -> String {
    let limits = shown(&report.limits.join(" and "), MAX_COLUMNS);
    let most = asked(report.max_per_minute, report.cost.as_deref());
    let label = "Admitted and refused over time";
    let content = html! {
        h1 { "What the limit would have done" }
        p.lead { (report.noticed().sentence()) }
        p.limits { code { (limits) } " by " code { (shown(&report.by, 40)) } }
        p.quiet {
            "At most " (most)
            @if report.by != "none" { " of one " (noun(&report.by)) }
            " in any minute. " (time_span(report))
        }
        @for warning in &report.warnings {
            p.warning role="alert" { strong { "Warning: " } (shown(warning, 400)) }
        }
        (facts(report))
        h2 { "Over time" }
        (figure(label, stream_within(report, false), stream_within(report, true)))
        (worst_keys(report))
        h2 { "How it was counted" }
        ul.how { @for note in notes(report) { li { (note) } } }
    };
    page(&format!("{limits}: replay"), &content)
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
    let share = |part: u64, of: u64| html! { (percent(part, of)) };
    let (requests, keys) = (report.requests, report.keys);
    let admitted_share = share(report.admitted, requests);
    let hit = format!("{} hit", capitalized(nouns(&report.by)));
    let keys_share = html! { "of " (grouped(keys)) ": " (percent(report.keys_refused, keys)) };
    html! {
        dl.facts {
            (fact("", "Requests", &grouped(requests), &html! {}))
            (fact("blue", "Admitted", &grouped(report.admitted), &admitted_share))
            (fact("red", "Refused", &grouped(report.refused), &share(report.refused, requests)))
            (fact("", &hit, &grouped(report.keys_refused), &keys_share))
            @if let Some(streak) = &report.longest_streak {
                (fact("", "Longest streak of refusals", &grouped(streak.refusals), &html! {
                    (foreign(&streak.key)) " from " (instant(streak.from)) " UTC for "
                    (span((streak.to - streak.from).max(0.0)))
                }))
            }
            @if let Some(quota) = &report.sufficient_quota {
                (fact("", sufficient_name(report), &shown(quota, MAX_COLUMNS), &html! {
                    "at the same rate"
                }))
            }
        }
    }
}

/// At a rate that the crate rounds, a smaller burst may do.
const fn sufficient_name(report: &Report) -> &'static str {
    if report.sufficient_is_smallest {
        "Smallest burst without refusals"
    } else {
        "Burst without refusals"
    }
}

/// The table of the most refused keys.
fn worst_keys(report: &Report) -> Markup {
    let has_burst = report.worst.iter().any(|key| key.required_burst.is_some());
    html! {
        @if report.worst.is_empty() {
            h2 { (capitalized(nouns(&report.by))) }
            p { "No requests were refused." }
        } @else {
            h2 { "Most refused " (nouns(&report.by)) }
            div.wide {
                table {
                    thead {
                        tr {
                            th.name scope="col" { (capitalized(noun(&report.by))) }
                            th scope="col" { "Requests" }
                            th scope="col" { "Refused" }
                            th scope="col" { "Share" }
                            th scope="col" { "Longest streak" }
                            @if has_burst { th.extra scope="col" { "Required burst" } }
                            th.extra scope="col" { "First refused (UTC)" }
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
    let burst = key.required_burst.unwrap_or(0);
    html! {
        tr {
            td.name { (foreign(&key.key)) }
            (number(key.requests))
            (number(key.refused))
            td data-sort=(share) { (percent(key.refused, key.requests)) }
            (number(key.longest_streak))
            @if has_burst {
                td.extra data-sort=(burst) { (grouped(burst)) }
            }
            @match key.first_refused.filter(|first| first.is_finite()) {
                Some(first) => td.extra data-sort=(format!("{first:.3}")) { (instant(first)) },
                None => td.extra data-sort="" {},
            }
        }
    }
}

/// What the numbers mean, and what they do not contain.
fn notes(report: &Report) -> Vec<Markup> {
    let limits = match report.by.as_str() {
        "none" => "One limit applied to all requests together.".to_owned(),
        by => format!(
            "Each {} ({}) had its own limits, unused at its first request.",
            noun(by),
            shown(by, 40)
        ),
    };
    let mut notes = vec![
        html! {
            (limits) " A refused request was not charged. "
            @match &report.retries {
                None => "It is assumed that the client did not retry because of the refusal.",
                Some(retries) => (retries.sentence()),
            }
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
            (sufficient_name(report)) ": it would have refused no request of this log at the "
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
