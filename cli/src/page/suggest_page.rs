//! The page of `suggest`.

use maud::{Markup, html};

use super::shell::{MAX_COLUMNS, fact, figure, foreign, page};
use crate::picture::curve_within;
use crate::picture::key::shown;
use crate::picture::noun::{capitalized, noun, nouns};
use crate::picture::numbers::{counted, grouped, percent};
use crate::suggest::reason::{reason, too_short};
use crate::suggest::suggestions::{Choice, Class, Suggestions};

/// Returns the page.
pub fn html(found: &Suggestions) -> String {
    let content = html! {
        h1 { "Which limit to choose" }
        @match &found.recommended {
            Some(recommended) => (recommendation(found, recommended)),
            None => p.lead { "There was no request, so no limit is recommended." },
        }
        h2 { "How it was counted" }
        ul.how { @for note in notes(found) { li { (note) } } }
    };
    page("Which limit to choose", &content)
}

fn recommendation(found: &Suggestions, recommended: &Choice) -> Markup {
    let hit = format!("{} hit", capitalized(nouns(&found.by)));
    let of_keys = html! {
        "of " (grouped(found.keys)) ": " (percent(recommended.keys_refused, found.keys))
    };
    let of_requests = html! {
        "of " (grouped(found.requests)) ": " (percent(recommended.refused, found.requests))
    };
    let most = grouped(recommended.max_per_minute);
    let of_one = html! { "of one " (noun(&found.by)) };
    let label = "What each limit would refuse";
    html! {
        p.lead { (found.noticed(recommended).sentence()) }
        p.quiet { (reason(found, recommended)) }
        @if let Some(warning) = too_short(found) { p { (warning) } }
        dl.facts {
            (fact("blue", "Recommended", &recommended.limit, &html! { "by " (shown(&found.by, 40)) }))
            (fact("red", "Refused", &grouped(recommended.refused), &of_requests))
            (fact("", &hit, &grouped(recommended.keys_refused), &of_keys))
            (fact("", "At most in a minute", &most, &of_one))
        }
        h2 { "Limits to choose from" }
        (choices(found, recommended))
        @if !found.classes.is_empty() {
            h2 { "Classes" }
            (classes(found))
        }
        h2 { (label) }
        (figure(label, curve_within(found, false), curve_within(found, true)))
    }
}

fn number(number: u64) -> Markup {
    html! { td data-sort=(number) { (grouped(number)) } }
}

/// A number that a phone has no room for.
fn extra(number: u64) -> Markup {
    html! { td.extra data-sort=(number) { (grouped(number)) } }
}

fn share(share: f64, part: u64, of: u64) -> Markup {
    html! { td data-sort=(format!("{share:.6}")) { (percent(part, of)) } }
}

fn choices(found: &Suggestions, recommended: &Choice) -> Markup {
    let row = |choice: &Choice, note: &str| {
        let is_best = choice.limit == recommended.limit && note.is_empty();
        html! {
            tr.best[is_best] {
                td.name {
                    (choice.limit)
                    @if is_best { " " span.note { "recommended" } }
                    @if !note.is_empty() { " " span.note { (note) } }
                }
                (extra(choice.refused))
                (share(choice.share, choice.refused, found.requests))
                (extra(choice.keys_refused))
                (share(choice.keys_share, choice.keys_refused, found.keys))
                (number(choice.max_per_minute))
            }
        }
    };
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th.name scope="col" { "Limit" }
                        th.extra scope="col" { "Refused" }
                        th scope="col" { "Requests refused" }
                        th.extra scope="col" { "Hit" }
                        th scope="col" { (capitalized(nouns(&found.by))) " hit" }
                        th scope="col" { "Most per minute" }
                    }
                }
                tbody {
                    @for choice in &found.ladder { (row(choice, "")) }
                    @for choice in &found.others { (row(choice, "")) }
                    @for choice in &found.given { (row(choice, "given")) }
                }
            }
        }
    }
}

fn classes(found: &Suggestions) -> Markup {
    let row = |class: &Class| {
        let with = class.with_recommended.as_ref();
        let refused = with.map_or(0, |choice| choice.refused);
        let hit = with.map_or(0, |choice| choice.keys_refused);
        let alone = class
            .recommended
            .as_ref()
            .map(|choice| choice.limit.as_str());
        html! {
            tr {
                td.name { (foreign(&class.name)) }
                (extra(class.keys))
                (number(class.requests))
                (number(refused))
                (extra(hit))
                td { (alone.unwrap_or("-")) }
            }
        }
    };
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th.name scope="col" { "Class" }
                        th.extra scope="col" { (capitalized(nouns(&found.by))) }
                        th scope="col" { "Requests" }
                        th scope="col" { "Refused" }
                        th.extra scope="col" { "Hit" }
                        th scope="col" { "Limit by itself" }
                    }
                }
                tbody { @for class in &found.classes { (row(class)) } }
            }
        }
    }
}

/// What the numbers mean, and what they do not contain.
fn notes(found: &Suggestions) -> Vec<Markup> {
    let by = shown(&found.by, MAX_COLUMNS);
    let mut notes = vec![
        html! {
            (counted(found.requests, "request")) " of " (counted(found.keys, noun(&found.by)))
            " by " (by) " were sent through the limiters of the crate " code { "tidegate" }
            ", at their times in the log. A refused request was not charged, and was not sent again."
        },
        html! {
            "A bucket such as " code { "100/min burst 20" } " admits 20 requests at once, and "
            "refills at 100 per minute. A window of 100/min admits at most 100 in any minute."
        },
    ];
    if found.skipped > 0 {
        let lines = counted(found.skipped, "line");
        notes.push(html! { (lines) " could not be read or had no key. No number contains them." });
    }
    if found.late > 0 {
        let lines = counted(found.late, "line");
        notes.push(html! { (lines) " came later than the reordering allows." });
    }
    notes
}
