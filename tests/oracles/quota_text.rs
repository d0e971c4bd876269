//! Compares quotas read from text with a second parser, and with quotas made from numbers.

mod grammar;

use core::time::Duration;

use super::bytes::Bytes;
use super::quotas;
use grammar::{GrammarError, ParsedQuota};
use tidegate::{ParseQuotaErrorKind, Quota};

/// Runs one input.
///
/// An input is a text. If it begins with a control character or a space, its bytes choose a text of
/// the documented form.
///
/// # Panics
///
/// Panics if the crate's parser and the oracle disagree.
pub(crate) fn check(data: &[u8]) {
    match data.split_first() {
        Some((..b' ', rest)) => check_valid_text(&mut Bytes::new(rest)),
        _ => check_text(&String::from_utf8_lossy(data)),
    }
}

/// Asserts that both parsers read `text` alike, or that both refuse it.
fn check_text(text: &str) {
    let parsed: Result<Quota, _> = text.parse();
    match (parsed, grammar::parse(text)) {
        (Ok(quota), Ok(expected)) => {
            assert_same(quota, expected);
            assert_round_trip(quota);
        }
        (Err(error), Err(expected)) => {
            assert!(
                text.is_char_boundary(error.offset()),
                "{text:?}: {error}, which is not between two characters"
            );
            assert!(error.to_string().ends_with(&error.offset().to_string()));
            let found = match error.kind() {
                ParseQuotaErrorKind::Quota(error) => GrammarError::Quota(error),
                _ => GrammarError::Text,
            };
            assert_eq!(found, expected, "{text:?}: {error}");
        }
        (parsed, expected) => unreachable!("{text:?}: {parsed:?}, not {expected:?}"),
    }
}

fn assert_same(quota: Quota, expected: ParsedQuota) {
    assert_eq!(quota.rate(), expected.rate);
    assert_eq!(quota.period(), Duration::from_nanos(expected.period));
    assert_eq!(quota.capacity(), expected.burst);
}

/// Asserts that both parsers read a printed quota as the same quota.
fn assert_round_trip(quota: Quota) {
    let text = quota.to_string();
    assert_eq!(text.parse(), Ok(quota), "{text}");
    assert_eq!(
        grammar::parse(&text).map(|expected| assert_same(quota, expected)),
        Ok(()),
        "{text}"
    );
}

/// Writes a quota in one of the many ways that the form allows, and asserts that it is read back.
fn check_valid_text(bytes: &mut Bytes<'_>) {
    const UNITS: [(&str, u64); 14] = [
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
        ("Weeks", 604_800_000_000_000),
        ("mo", 2_592_000_000_000_000),
    ];
    let (rate, period, burst) = (bytes.number(), bytes.number(), bytes.number());
    let (unit, nanos) = bytes.pick(&UNITS);
    // As many units as fit in 64 bits.
    let many = period % (u64::MAX / nanos).saturating_add(1);
    let period = many * nanos;

    let mut text = space(bytes);
    text += &count(bytes, rate);
    // Separated by a space, because adjacent letters are one word: `5k req`, not `5kreq`.
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

/// Writes a number with `_` between some of its digits, and perhaps leading zeros.
fn digits(bytes: &mut Bytes<'_>, number: u64) -> String {
    let mut underscores = bytes.byte();
    let mut text = String::new();
    if underscores & 128 != 0 {
        text += "0_0";
    }
    for digit in number.to_string().chars() {
        if underscores & 1 != 0 && !text.is_empty() {
            text.push('_');
        }
        text.push(digit);
        underscores >>= 1;
    }
    text
}

/// Writes a number, if possible with the suffix `k` or `M` for thousands or millions.
fn count(bytes: &mut Bytes<'_>, number: u64) -> String {
    let (factor, suffix) = bytes.pick(&[(1, ""), (1_000, "k"), (1_000, "K"), (1_000_000, "M")]);
    if number % factor == 0 {
        digits(bytes, number / factor) + suffix
    } else {
        digits(bytes, number)
    }
}
