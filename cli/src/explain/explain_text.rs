//! Prints an explanation as text.

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSplitter};

use super::exactness::Exactness;
use super::explanation::{Explanation, INTERVALS};
use crate::picture::numbers::{counted, grouped, plain, span};

const BOLD: Style = Style::new().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// The width of the names on the left.
const NAME: usize = 14;

/// Returns the text, in lines of at most `width` columns where possible.
pub fn text(explanation: &Explanation, width: usize) -> String {
    let period = period(&explanation.quota);
    let rates = INTERVALS.iter().zip(explanation.rates);
    let rates: Vec<String> = rates
        .filter(|((unit, _), _)| *unit != period)
        .map(|((unit, _), rate)| format!("{} per {unit}", plain(rate)))
        .collect();
    let max = explanation.max_admitted.map(grouped);
    let digits = max.iter().map(String::len).max().unwrap_or(0);
    let max = INTERVALS.iter().zip(max);
    let max: String = max
        .map(|((unit, _), max)| format!("{max:>digits$} in any {unit}\n"))
        .collect();
    let rate = grouped(explanation.rate);
    let per_period = explanation.max_per_period;
    let memory = &explanation.memory;
    let items = [
        ("rate", format!("{rate} per {period}: {}", rates.join(", "))),
        (
            "burst",
            format!(
                "{} at once after a pause",
                counted(explanation.burst, "request")
            ),
        ),
        (
            "spacing",
            format!(
                "{} between requests once the burst is used up",
                span(explanation.spacing)
            ),
        ),
        (
            "refill time",
            format!("{} from empty to full", span(explanation.refill_time)),
        ),
        (
            "at most",
            format!(
                "{max}both ends included: the burst and the refill; without one of its ends, one \
                 request fewer where a token comes at that end"
            ),
        ),
        (
            "comparison",
            format!(
                "in any {period}, both ends included, this bucket admits at most {}; a fixed window \
                 of {rate} at most {}, around its edge; a sliding window of {rate} at most {}",
                grouped(per_period.bucket),
                grouped(per_period.fixed_window),
                grouped(per_period.sliding_window)
            ),
        ),
        ("exactness", exactness(explanation.exactness)),
        (
            "memory",
            format!(
                "a bucket has {} bytes, a sliding window {} and {} per slot (64 or more); a key \
                 takes {} bytes in a `FixedKeyed`, and {} to {} in a `Keyed` by address, as \
                 measured on 2026-11-24",
                memory.bucket,
                memory.window,
                memory.slot,
                memory.fixed_key,
                memory.key[0],
                memory.key[1]
            ),
        ),
    ];
    let mut text = format!("{BOLD}{}{BOLD:#}\n\n", explanation.quota);
    for (name, words) in items {
        // In a narrow terminal the words are below the name.
        text += &if width < 50 {
            format!("{BOLD}{name}{BOLD:#}\n  {}\n", wrap(&words, width, 2))
        } else {
            format!(
                "{BOLD}{name:NAME$}{BOLD:#} {}\n",
                wrap(&words, width, NAME + 1)
            )
        };
    }
    for warning in &explanation.warnings {
        text += &format!("\n{YELLOW}note{YELLOW:#}  {}\n", wrap(warning, width, 6));
    }
    text
}

fn exactness(exactness: Exactness) -> String {
    if exactness.rounds_each_interval {
        return "never early; with a burst of 1 the bucket is full after every wait and restarts, \
                so each spacing is rounded up to a nanosecond of the clock"
            .to_owned();
    }
    if exactness.exact {
        return "exact: the rate is not rounded, and no error adds up".to_owned();
    }
    format!(
        "never early, at most {} ns late; the delay does not add up while the bucket is in use",
        exactness.max_late_ns
    )
}

/// The period of a quota in words, such as `minute` or `2 hours`.
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

/// Wraps words and indents all lines but the first.
fn wrap(words: &str, width: usize, indent: usize) -> String {
    let options = Options::new(width.saturating_sub(indent).max(20))
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(words, options).join(&format!("\n{:indent$}", ""))
}

#[cfg(test)]
mod tests {
    use super::{period, wrap};

    #[test]
    fn periods_are_words() {
        let quotas = ["100/min burst 20", "5/2hour", "3/s", "1/1500ms"];
        let periods = quotas.map(period);
        assert_eq!(periods, ["minute", "2 hours", "second", "1500 ms"]);
    }

    #[test]
    fn wrapped_lines_are_indented() {
        let words = "  1 in any second\nabcdefghijklmnopqrstuvwxyz and four-letter words";
        let wrapped =
            "  1 in any second\n   abcdefghijklmnopqrstuvwxyz\n   and four-letter\n   words";
        assert_eq!(wrap(words, 0, 3), wrapped);
    }
}
