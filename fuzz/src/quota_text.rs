//! Quotas as text, against a second reader of the documented form and against quotas made from numbers.

mod grammar;

use std::time::Duration;

use crate::bytes::Bytes;
use crate::quotas;
use crate::replay::Target;
use grammar::{Fault, Meaning};
use tidegate::{ParseQuotaErrorKind, Quota};

/// This target.
pub const TARGET: Target = Target {
    name: "quota_text",
    check,
};

/// Runs one input: text as it is, or, if it begins with a control character, a text of the documented form made from it.
///
/// # Panics
///
/// If the crate's reader and the oracle disagree.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((..b' ', rest)) => check_written(&mut Bytes::new(rest)),
        _ => check_text(&String::from_utf8_lossy(data)),
    }
}

/// Any text is read as the second reader does, or refused with a place in it.
fn check_text(text: &str) {
    let parsed: Result<Quota, _> = text.parse();
    match (parsed, grammar::read(text)) {
        (Ok(quota), Ok(meaning)) => {
            assert_means(quota, meaning);
            assert_round_trip(quota);
        }
        (Err(error), Err(fault)) => {
            assert!(
                text.is_char_boundary(error.offset()),
                "{text:?}: {error}, which is no place in it"
            );
            assert!(error.to_string().ends_with(&error.offset().to_string()));
            match (error.kind(), fault) {
                (ParseQuotaErrorKind::Quota(found), Fault::Quota(expected)) => {
                    assert_eq!(found, expected, "{text:?}");
                }
                (ParseQuotaErrorKind::Quota(_), Fault::Text) | (_, Fault::Quota(_)) => {
                    unreachable!("{text:?}: {error}, not {fault:?}")
                }
                _ => {}
            }
        }
        (parsed, meaning) => unreachable!("{text:?}: {parsed:?}, not {meaning:?}"),
    }
}

fn assert_means(quota: Quota, meaning: Meaning) {
    assert_eq!(quota.rate(), meaning.rate);
    assert_eq!(quota.period(), Duration::from_nanos(meaning.period));
    assert_eq!(quota.capacity(), meaning.burst);
}

/// What is printed means the same, and is printed the same.
fn assert_round_trip(quota: Quota) {
    let text = quota.to_string();
    assert_eq!(text.parse(), Ok(quota), "{text}");
    assert_eq!(
        grammar::read(&text).map(|meaning| assert_means(quota, meaning)),
        Ok(()),
        "{text}"
    );
}

/// A quota, written in one of the many ways that the form allows, is read as that quota.
fn check_written(bytes: &mut Bytes<'_>) {
    const UNITS: [(&str, u64); 12] = [
        ("ns", 1),
        ("NanoSeconds", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("Sec", 1_000_000_000),
        ("m", 60_000_000_000),
        ("MIN", 60_000_000_000),
        ("minutes", 60_000_000_000),
        ("hr", 3_600_000_000_000),
        ("hours", 3_600_000_000_000),
        ("days", 86_400_000_000_000),
    ];
    let (rate, period, burst) = (bytes.number(), bytes.number(), bytes.number());
    let (unit, nanos) = bytes.pick(&UNITS);
    // A number of units that fits.
    let many = period % (u64::MAX / nanos).saturating_add(1);
    let period = many * nanos;

    let mut text = space(bytes);
    text += &count(bytes, rate);
    // Apart, since letters behind digits are one word: `5k req`, not `5kreq`.
    text += bytes.pick(&["", " r", " req", "\tRequests", "  tokens"]);
    text += &space(bytes);
    text += bytes.pick(&["/", " per ", "\tPER\u{a0}"]);
    text += &space(bytes);
    if many != 1 || bytes.bool() {
        text += &digits(bytes, many);
        text += &space(bytes);
    }
    text += unit;
    let has_burst = bytes.bool();
    if has_burst {
        text += bytes.pick(&[" burst ", " Burst=", " burst = ", "\nBURST"]);
        text += &count(bytes, burst);
        text += &space(bytes);
    }

    let burst = if has_burst { burst } else { rate };
    let expected = quotas::construct(rate, period, burst);
    let parsed = text.parse::<Quota>().map_err(|error| match error.kind() {
        ParseQuotaErrorKind::Quota(error) => error,
        other => unreachable!("{text:?} is well formed: {other:?}"),
    });
    assert_eq!(parsed, expected, "{text:?}");
    check_text(&text);
}

fn space(bytes: &mut Bytes<'_>) -> String {
    bytes.pick(&["", "", " ", "  ", "\t", "\u{2003}"]).into()
}

/// A number with `_` between some of its digits, and perhaps leading zeros.
fn digits(bytes: &mut Bytes<'_>, number: u64) -> String {
    let mut places = bytes.byte();
    let mut text = String::new();
    if places & 128 != 0 {
        text += "0_0";
    }
    for digit in number.to_string().chars() {
        if places & 1 != 0 && !text.is_empty() {
            text.push('_');
        }
        text.push(digit);
        places >>= 1;
    }
    text
}

/// Digits, with `k` or `M` for thousands and millions where that is possible.
fn count(bytes: &mut Bytes<'_>, number: u64) -> String {
    let (factor, suffix) = bytes.pick(&[(1, ""), (1_000, "k"), (1_000, "K"), (1_000_000, "M")]);
    if number.is_multiple_of(factor) {
        digits(bytes, number / factor) + suffix
    } else {
        digits(bytes, number)
    }
}
