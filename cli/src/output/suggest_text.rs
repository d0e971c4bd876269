//! Prints the result of `suggest` as text.

use anstyle::{AnsiColor, Style};

use super::diagnostics::{diagnostics, earlier_refusals};
use super::table::Table;
use super::wrap::{indented, wrapped};
use crate::picture::key::shown;
use crate::picture::noun::{noun, nouns};
use crate::picture::numbers::{counted, grouped, percent};
use crate::suggest::reason::{reason, too_short};
use crate::suggest::suggestions::{Choice, Class, Suggestion, Suggestions};
use crate::terminal::{Charset, curve};

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
/// The most columns of a name of a class.
const NAME: usize = 24;

/// The suggested limits, in at most `width` columns where possible.
pub fn text(found: &Suggestions, width: usize, charset: Charset, exact: bool) -> String {
    let Some(recommended) = &found.recommended else {
        return format!("{}nothing to recommend\n", counts(found, width));
    };
    let sentence = found.noticed(recommended).sentence();
    let sentence = match sentence.strip_prefix("None") {
        Some(rest) => format!("none{rest}"),
        None => sentence,
    };
    let limit = &recommended.limit;
    let mut text = wrapped(&format!("With the recommended {limit}, {sentence}"), width);
    text = text.replacen(limit, &format!("{GREEN}{limit}{GREEN:#}"), 1);
    text += &wrapped(&reason(found, recommended), width);
    if let Some(warning) = too_short(found) {
        text += &wrapped(&warning, width);
    }
    text += &format!("\n{}", counts(found, width));
    text += &format!("\n{}", table(found, recommended, width, charset));
    if !found.classes.is_empty() {
        text += &format!("\n{}", classes(found, width));
    }
    let curve = curve(found, width, charset);
    if !curve.is_empty() {
        text += &format!("\n{BOLD}What each limit would refuse{BOLD:#}\n{curve}");
    }
    if exact {
        text += &format!("\n{}", smallest(found, width));
    }
    text
}

/// What was counted.
fn counts(found: &Suggestions, width: usize) -> String {
    let mut text = format!(
        "{} of {} by {}{}\n",
        counted(found.requests, "request"),
        counted(found.keys, noun(&found.by)),
        shown(&found.by, usize::MAX),
        diagnostics(found.skipped, found.late, found.left_out)
    );
    if let Some(earlier) = earlier_refusals(found.answered_429) {
        text += &wrapped(&earlier, width);
    }
    text
}

/// The limits to choose from. The recommended one is marked.
fn table(found: &Suggestions, recommended: &Choice, width: usize, charset: Charset) -> String {
    let has_keys = found.by != "none";
    let of_keys = format!("{} hit", nouns(&found.by));
    let mut header = vec!["  limit", "refused", "share"];
    if has_keys {
        header.extend([of_keys.as_str(), "share"]);
    }
    header.push("per minute");
    let mark = match charset {
        Charset::Blocks => '→',
        Charset::Ascii => '>',
    };
    let mut table = Table::new(&header, 0);
    let is_given = |choice: &Choice| found.given.iter().any(|given| given.limit == choice.limit);
    let mut add = |choice: &Choice, sign: char| {
        let mut row = vec![
            format!("{sign} {}", choice.limit),
            grouped(choice.refused),
            percent(choice.refused, found.requests),
        ];
        if has_keys {
            row.push(grouped(choice.keys_refused));
            row.push(percent(choice.keys_refused, found.keys));
        }
        row.push(grouped(choice.max_per_minute));
        table.row(row);
    };
    for choice in &found.ladder {
        let is_best = choice.limit == recommended.limit;
        add(
            choice,
            match is_given(choice) {
                _ if is_best => mark,
                true => '*',
                false => ' ',
            },
        );
    }
    for choice in &found.others {
        add(choice, if is_given(choice) { '*' } else { ' ' });
    }
    let mut shown = found.ladder.iter().chain(&found.others).collect::<Vec<_>>();
    for choice in &found.given {
        // A limit that was given twice, or is there already, has one row.
        if !shown.iter().any(|other| other.limit == choice.limit) {
            shown.push(choice);
            add(choice, '*');
        }
    }
    let one = noun(&found.by);
    let given = if found.given.is_empty() {
        ""
    } else {
        "; * given"
    };
    let note =
        format!("{mark} recommended{given}; per minute: the most that a limit admits of one {one}");
    table.text(width) + &indented(&note, width)
}

/// What the recommended limit refuses of each class, and the limit that suits it alone.
fn classes(found: &Suggestions, width: usize) -> String {
    let keys = nouns(&found.by);
    let header = ["class", keys, "requests", "refused", "hit", "alone"];
    let mut table = Table::new(&header, 0);
    for class in &found.classes {
        let Class {
            with_recommended,
            recommended,
            ..
        } = class;
        let count = |count: fn(&Choice) -> u64| {
            with_recommended
                .as_ref()
                .map_or_else(String::new, |choice| grouped(count(choice)))
        };
        let alone = recommended.as_ref().map(|choice| choice.limit.clone());
        table.row(vec![
            shown(&class.name, NAME),
            grouped(class.keys),
            grouped(class.requests),
            count(|choice| choice.refused),
            count(|choice| choice.keys_refused),
            alone.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let note = format!(
        "refused, hit: requests and {keys} of the class, with the recommended limit; alone: the \
         limit for the class by itself"
    );
    table.text(width) + &indented(&note, width)
}

/// The smallest quotas, round or not.
fn smallest(found: &Suggestions, width: usize) -> String {
    let of_keys = format!("{} hit", nouns(&found.by));
    let header = [
        "smallest quota",
        "refused",
        "share",
        of_keys.as_str(),
        "burst for none",
        "worst",
    ];
    let mut table = Table::new(&header, 0);
    for Suggestion {
        quota,
        refused,
        keys_refused,
        required_burst,
        worst,
        ..
    } in &found.suggestions
    {
        let worst = worst.as_ref().map(|worst| shown(&worst.key, 18));
        table.row(vec![
            quota.clone(),
            grouped(*refused),
            percent(*refused, found.requests),
            grouped(*keys_refused),
            grouped(*required_burst),
            worst.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.text(width)
}
