//! Parses timestamps of logs into nanoseconds since 1970.
//!
//! * `17/May/2015:10:05:03 +0000`, the format of Apache and nginx.
//! * RFC 3339, such as `2015-05-17T10:05:03.25Z`. Without an offset it is UTC.
//! * A number since 1970, with any fraction. A whole part of up to 11 digits is seconds, of 12 to
//!   14 milliseconds, of 15 to 17 microseconds, and a longer one nanoseconds.
//!
//! A leap second counts as the second before it. Times before 1970 and after 2262 are errors.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

const SECOND: u64 = 1_000_000_000;

/// The latest time that a window can represent.
const LATEST: u64 = i64::MAX as u64;

/// Parses timestamps.
///
/// It remembers the last minute in Apache's format, because most lines share it with the line
/// before.
#[derive(Debug, Default)]
pub struct TimestampParser {
    /// A time without its seconds, such as `17/May/2015:10:05: +0000`, and its value.
    minute: Option<([u8; 24], u64)>,
}

impl TimestampParser {
    /// Returns the time, or `None` if the format is unknown or the time out of range.
    pub fn parse(&mut self, text: &[u8]) -> Option<u64> {
        // Only the length of `17/May/2015:10:05:03 +0000` is checked here, the rest by the parser.
        if text.len() == 26 && text[2] == b'/' {
            self.parse_apache(text)
        } else {
            parse_other(text.trim_ascii())
        }
    }

    fn parse_apache(&mut self, text: &[u8]) -> Option<u64> {
        let mut minute = [0; 24];
        minute[..18].copy_from_slice(&text[..18]);
        minute[18..].copy_from_slice(&text[20..]);
        let start = match self.minute {
            Some((last, start)) if last == minute => start,
            _ => {
                let parsed = strtime::parse("%d/%b/%Y:%H:%M: %z", minute).ok()?;
                let start = nanos(parsed.to_timestamp().ok()?)?;
                self.minute = Some((minute, start));
                start
            }
        };
        let seconds = parse_digits(&text[18..20]).filter(|seconds| *seconds <= 60)?;
        start.checked_add(seconds.min(59) * SECOND)
    }
}

/// Parses digits, without a sign.
fn parse_digits(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    let unsigned = text.starts_with(|first: char| first.is_ascii_digit());
    text.parse().ok().filter(|_| unsigned)
}

fn nanos(time: jiff::Timestamp) -> Option<u64> {
    let nanos = u64::try_from(time.as_nanosecond()).ok()?;
    (nanos <= LATEST).then_some(nanos)
}

fn parse_other(text: &[u8]) -> Option<u64> {
    if let Some(time) = parse_unix(text).or_else(|| parse_scientific(text)) {
        return Some(time);
    }
    let text = str::from_utf8(text).ok()?;
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return nanos(time);
    }
    // A date alone would put a whole day into one instant.
    if text.len() < "2015-05-17T10:05:03".len() {
        return None;
    }
    let civil: DateTime = text.parse().ok()?;
    nanos(Offset::UTC.to_timestamp(civil).ok()?)
}

/// Parses a number since 1970, exactly to the nanosecond.
fn parse_unix(text: &[u8]) -> Option<u64> {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = parse_digits(whole)?;
    let places = match value {
        0..=99_999_999_999 => 9_usize,
        100_000_000_000..=99_999_999_999_999 => 6,
        100_000_000_000_000..=99_999_999_999_999_999 => 3,
        _ => 0,
    };
    let digits = fraction.iter().map(|digit| digit - b'0');
    let digits = digits.chain(std::iter::repeat(0)).take(places);
    let value = digits.fold(u128::from(value), |value, digit| {
        value * 10 + u128::from(digit)
    });
    u64::try_from(value).ok().filter(|nanos| *nanos <= LATEST)
}

/// Parses a number such as `1.431857103e9`, as some programs print floats.
fn parse_scientific(text: &[u8]) -> Option<u64> {
    if !text.first()?.is_ascii_digit() || memchr::memchr2(b'e', b'E', text).is_none() {
        return None;
    }
    let seconds: f64 = str::from_utf8(text).ok()?.parse().ok()?;
    let time = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    let nanos = u64::try_from(time.as_nanos()).ok()?;
    (nanos <= LATEST).then_some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_timestamps() {
        let mut parser = TimestampParser::default();
        let expected = 1_431_857_103 * SECOND;
        for (text, nanos) in [
            ("17/May/2015:10:05:03 +0000", 0),
            ("17/May/2015:12:05:03 +0200", 0),
            ("17/May/2015:05:35:03 -0430", 0),
            ("2015-05-17T10:05:03Z", 0),
            ("2015-05-17T12:05:03+02:00", 0),
            ("2015-05-17 10:05:03", 0),
            ("1431857103", 0),
            ("1431857103.000", 0),
            ("1431857103000", 0),
            ("1431857103000000", 0),
            ("1431857103000000000", 0),
            ("1.431857103e9", 0),
            ("1431857103.25", SECOND / 4),
            ("1431857103123.5", 123_500_000),
            ("2015-05-17T10:05:03.123456789Z", 123_456_789),
        ] {
            for _ in 0..2 {
                assert_eq!(
                    parser.parse(text.as_bytes()),
                    Some(expected + nanos),
                    "{text}"
                );
            }
        }
        let leap = parser.parse(b"31/Dec/2016:23:59:60 +0000");
        assert!(leap.is_some());
        assert_eq!(leap, parser.parse(b"31/Dec/2016:23:59:59 +0000"));
    }

    #[test]
    fn invalid_timestamps() {
        let mut parser = TimestampParser::default();
        for text in [
            "",
            "-",
            ".5",
            "31/Feb/2015:10:05:03 +0000",
            "17/Mai/2015:10:05:03 +0000",
            "17/May/2015:10:05:61 +0000",
            "17/May/2015:25:05:03 +0000",
            "17/May/2015:10:05:03 *0000",
            "17/May/1915:10:05:03 +0000",
            "2015-05-17",
            "9999-05-17T10:05:03Z",
            "99999999999999999999",
            "-5",
            "1e400",
            "NaN",
            "yesterday",
        ] {
            for _ in 0..2 {
                assert_eq!(parser.parse(text.as_bytes()), None, "{text}");
            }
        }
    }
}
