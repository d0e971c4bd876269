//! The values of header fields: numbers, and items of structured fields (RFC 9651).

use alloc::vec::Vec;
use core::time::Duration;

use http::HeaderValue;

use crate::snapshot::{QuotaUnit, Snapshot};

// What is counted, where it is not requests over time (section 4.1.2 of the draft).
const CONCURRENT_REQUESTS: &[u8] = br#";qu="concurrent-requests""#;
const CONTENT_BYTES: &[u8] = br#";qu="content-bytes""#;

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MOST: u64 = 999_999_999_999_999;

/// Rounds up to whole seconds, at least 1.
pub(super) fn seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}

/// The numbers below this have texts that need no allocation.
const SMALL: usize = 1_000;

/// The numbers below [`SMALL`], each as three digits.
static DIGITS: [u8; 3 * SMALL] = digits();

#[expect(clippy::cast_possible_truncation, reason = "digits")]
const fn digits() -> [u8; 3 * SMALL] {
    let mut digits = [b'0'; 3 * SMALL];
    let mut number = 0;
    while number < SMALL {
        digits[3 * number] += (number / 100) as u8;
        digits[3 * number + 1] += (number / 10 % 10) as u8;
        digits[3 * number + 2] += (number % 10) as u8;
        number += 1;
    }
    digits
}

/// The value of a field that is a number.
pub(super) fn number(number: u64) -> HeaderValue {
    small_number(number).unwrap_or_else(|| {
        let mut text = Text::EMPTY;
        text.prepend_number(number);
        text.value()
    })
}

/// The value of a field that is a number below [`SMALL`]. It refers to the static digits.
pub(super) fn small_number(number: u64) -> Option<HeaderValue> {
    let number = usize::try_from(number).ok().filter(|it| *it < SMALL)?;
    let digits = &DIGITS[3 * number..3 * number + 3];
    let digits = core::str::from_utf8(&digits[leading_zeros(number)..]);
    digits.ok().map(HeaderValue::from_static)
}

/// How many of the three digits of a number are leading zeros.
const fn leading_zeros(number: usize) -> usize {
    if number < 10 {
        2
    } else if number < 100 {
        1
    } else {
        0
    }
}

/// A short text that is written from its end to its start, as the digits of a number are found.
///
/// It is copied once, into an allocation of its exact length. A [`HeaderValue`] needs a second
/// allocation for any other.
struct Text {
    bytes: [u8; Self::CAPACITY],
    start: usize,
}

impl Text {
    const CAPACITY: usize = 96;

    const EMPTY: Self = Self {
        bytes: [0; Self::CAPACITY],
        start: Self::CAPACITY,
    };

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes()).expect("printable ASCII")
    }

    fn prepend(&mut self, bytes: &[u8]) {
        let start = self.start - bytes.len();
        self.bytes[start..self.start].copy_from_slice(bytes);
        self.start = start;
    }

    fn prepend_number(&mut self, number: u64) {
        let mut rest = number;
        loop {
            #[expect(clippy::cast_possible_truncation, reason = "less than 1 000")]
            let last = (rest % SMALL as u64) as usize;
            self.prepend(&DIGITS[3 * last..3 * last + 3]);
            rest /= SMALL as u64;
            if rest == 0 {
                self.start += leading_zeros(last);
                return;
            }
        }
    }

    /// Prepends an integer parameter of an item.
    fn prepend_parameter(&mut self, key: u8, number: u64) {
        self.prepend_number(number.min(MOST));
        self.prepend(&[b';', key, b'=']);
    }
}

/// The parameters of an item in `RateLimit-Policy`.
fn policy_parameters(snapshot: &Snapshot) -> Text {
    let mut text = Text::EMPTY;
    let (unit, has_window) = match snapshot.unit {
        QuotaUnit::Requests => (b"".as_slice(), true),
        QuotaUnit::ContentBytes => (CONTENT_BYTES, true),
        QuotaUnit::ConcurrentRequests => (CONCURRENT_REQUESTS, false),
    };
    text.prepend(unit);
    if has_window {
        text.prepend_parameter(b'w', seconds(snapshot.refill_time));
    }
    text.prepend_parameter(b'q', snapshot.capacity);
    text
}

/// The parameters of an item in `RateLimit`.
fn limit_parameters(available: u64, next_permit_in: Option<Duration>) -> Text {
    let mut text = Text::EMPTY;
    if let Some(wait) = next_permit_in {
        text.prepend_parameter(b't', seconds(wait));
    }
    text.prepend_parameter(b'r', available);
    text
}

/// Adds a limit to the list of `RateLimit-Policy`, and returns where its name ends.
pub(super) fn put_policy(list: &mut Vec<u8>, name: &str, snapshot: &Snapshot) -> usize {
    put_item(list, name, policy_parameters(snapshot).as_bytes())
}

/// Adds a limit to the list of `RateLimit`.
pub(super) fn put_limit(
    list: &mut Vec<u8>,
    name: &str,
    available: u64,
    next_permit_in: Option<Duration>,
) {
    let parameters = limit_parameters(available, next_permit_in);
    put_item(list, name, parameters.as_bytes());
}

/// The value of `RateLimit` for one limit, whose name is quoted already.
pub(super) fn limit(
    quoted: &[u8],
    available: u64,
    next_permit_in: Option<Duration>,
) -> HeaderValue {
    let mut text = limit_parameters(available, next_permit_in);
    if quoted.len() <= text.start {
        text.prepend(quoted);
        text.value()
    } else {
        list_value([quoted, text.as_bytes()].concat())
    }
}

/// The value of a list that was put together.
pub(super) fn list_value(list: Vec<u8>) -> HeaderValue {
    HeaderValue::try_from(list).expect("printable ASCII")
}

/// Adds an item to a list of a structured field: a string with parameters. Returns where the string
/// ends. The length is computed first, because a `HeaderValue` takes over a buffer of exact length
/// without copying it.
fn put_item(list: &mut Vec<u8>, name: &str, parameters: &[u8]) -> usize {
    // Escaped and replaced characters change the length, which costs another allocation.
    let comma: &[u8] = if list.is_empty() { b"" } else { b", " };
    list.reserve_exact(comma.len() + 2 + name.len() + parameters.len());
    list.extend_from_slice(comma);
    list.push(b'"');
    if name.bytes().all(is_plain) {
        list.extend_from_slice(name.as_bytes());
    } else {
        for character in name.chars() {
            match character {
                '"' | '\\' => list.extend([b'\\', character as u8]),
                ' '..='~' => list.push(character as u8),
                // Only printable ASCII is allowed in strings (RFC 9651, section 3.3.3).
                _ => list.push(b'?'),
            }
        }
    }
    list.push(b'"');
    let end = list.len();
    list.extend_from_slice(parameters);
    end
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}
