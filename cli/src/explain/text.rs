//! The explanation in words.

use anstyle::{AnsiColor, Style};

use super::{Explanation, INTERVALS, Memory};
use crate::picture::numbers::{counted, grouped, plain, span};
use crate::picture::put;

const BOLD: Style = Style::new().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// Of what stands to the left.
const NAME: usize = 14;

/// The text, in lines of at most `width` columns where its words allow it.
pub fn words(explanation: &Explanation, width: usize) -> String {
    let Explanation { rate, burst, .. } = *explanation;
    let mut text = String::new();
    put(
        &mut text,
        format_args!("{BOLD}{}{BOLD:#}\n\n", explanation.quota),
    );
    let mut item = |name: &str, words: &str| entry(&mut text, name, words, width);

    let per = INTERVALS.iter().zip(explanation.sustained);
    let own = period(&explanation.quota);
    let rates: Vec<String> = per
        .filter(|((unit, _), _)| *unit != own)
        .map(|((unit, _), rate)| format!("{} per {unit}", plain(rate)))
        .collect();
    item(
        "rate",
        &format!("{} per {}: {}", grouped(rate), own, rates.join(", ")),
    );
    item(
        "burst",
        &format!("{} at once after a pause", counted(burst, "request")),
    );
    item(
        "spacing",
        &format!(
            "{} between requests once the burst is used up",
            span(explanation.spacing)
        ),
    );
    item(
        "full again",
        &format!(
            "{} after the burst was used up",
            span(explanation.time_to_full)
        ),
    );
    let most = explanation.most.map(grouped);
    let digits = most.iter().map(String::len).max().unwrap_or(0);
    let most = INTERVALS.iter().zip(most);
    let most: Vec<String> = most
        .map(|((unit, _), most)| format!("{most:>digits$} in any {unit}"))
        .collect();
    item(
        "at most",
        &format!(
            "{}\nboth ends included: the burst, and what flows in",
            most.join("\n")
        ),
    );
    let compared = explanation.in_a_period;
    item(
        "beside others",
        &format!(
            "in any {} this bucket admits up to {}; a fixed window of {} up to {}, around its edge; a sliding window of {} no more than {}",
            period(&explanation.quota),
            grouped(compared.bucket),
            grouped(rate),
            grouped(compared.fixed_window),
            grouped(rate),
            grouped(compared.sliding_window)
        ),
    );
    item("exactness", &exactness(explanation));
    let Memory {
        bucket,
        window,
        slot,
        fixed_key,
        key: [least, most],
    } = explanation.memory;
    item(
        "memory",
        &format!(
            "{bucket} bytes for one bucket, {window} and {slot} per slot (64 or more) for a sliding window: the sizes of the types here. For \
             each key {fixed_key} bytes in a `FixedKeyed`, {least} to {most} in a `Keyed` by address: the crate's record of 2026-11-24"
        ),
    );
    for warning in &explanation.warnings {
        put(&mut text, format_args!("\n{YELLOW}note{YELLOW:#}"));
        let lines = wrapped(warning, width.saturating_sub(6).max(20));
        put(&mut text, format_args!("  {}\n", lines.join("\n      ")));
    }
    text
}

fn exactness(explanation: &Explanation) -> String {
    let exactness = explanation.exactness;
    if exactness.starts_anew {
        return "never early; with a burst of 1 the bucket is full after every wait, and starts anew: each spacing is rounded up to a \
                nanosecond of the clock"
            .to_owned();
    }
    if exactness.exact {
        return "exact: the rate is not rounded, and nothing adds up".to_owned();
    }
    let late = exactness.late_at_most_ns;
    format!("never early, at most {late} ns late; that does not add up while the bucket is in use")
}

/// What stands behind the slash: `minute`, `2 hour`.
fn period(quota: &str) -> String {
    let after = quota.split_once('/').map_or(quota, |(_, after)| after);
    let period = after
        .split_once(" burst")
        .map_or(after, |(period, _)| period);
    let digits = period.chars().take_while(char::is_ascii_digit).count();
    let (count, unit) = period.split_at(digits);
    let unit = match unit {
        "s" => "second",
        "min" => "minute",
        unit => unit,
    };
    let plural = if unit.len() > 2 { "s" } else { "" };
    if count.is_empty() {
        unit.to_owned()
    } else {
        format!("{count} {unit}{plural}")
    }
}

/// A name, and words beside it, or below it where there is little room.
fn entry(text: &mut String, name: &str, words: &str, width: usize) {
    let indent = if width < 50 { 2 } else { NAME + 1 };
    let lines = wrapped(words, width.saturating_sub(indent).max(20));
    let lines = lines.join(&format!("\n{:indent$}", ""));
    if width < 50 {
        put(text, format_args!("{BOLD}{name}{BOLD:#}\n  {lines}\n"));
    } else {
        put(text, format_args!("{BOLD}{name:NAME$}{BOLD:#} {lines}\n"));
    }
}

fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (number, line) in words.lines().enumerate() {
        if number > 0 {
            lines.push(String::new());
        }
        // What is put in order by blanks at its beginning keeps them.
        let words = line.trim_start();
        let blanks = line.len() - words.len();
        wrap(&mut lines, &format!("{:blanks$}", ""), words, width);
    }
    lines
}

fn wrap(lines: &mut Vec<String>, blanks: &str, words: &str, width: usize) {
    for (number, word) in words.split(' ').enumerate() {
        let last = lines.last_mut();
        match last {
            Some(line) if number == 0 => {
                line.push_str(blanks);
                line.push_str(word);
            }
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{period, wrapped};

    #[test]
    fn periods_are_words() {
        let quotas = ["100/min burst 20", "5/2hour", "3/s", "1/1500ms"];
        assert_eq!(
            quotas.map(period),
            ["minute", "2 hours", "second", "1500 ms"]
        );
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrapped("aa bb cc d", 5), ["aa bb", "cc d"]);
        assert_eq!(wrapped("longer than it", 4), ["longer", "than", "it"]);
    }
}
