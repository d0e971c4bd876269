//! Parses timestamps of logs into nanoseconds since 1970.
//!
//! * `17/May/2015:10:05:03 +0000`, the format of Apache and nginx, also with a fraction or without
//!   an offset, as HAProxy writes it.
//! * RFC 3339, such as `2015-05-17T10:05:03.25Z`, also with `+0000`, a comma before the fraction,
//!   slashes in the date, or without an offset.
//! * A number since 1970, with any fraction. A whole part of up to 11 digits is seconds, of 12 to
//!   14 milliseconds, of 15 to 17 microseconds, and a longer one nanoseconds.
//!
//! A time without an offset is in the zone of the parser. A leap second counts as the second before
//! it. Times before 1970 and after 2262 are errors.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::values::is_in_use;

const SECOND: u64 = 1_000_000_000;

/// The latest time that a window can represent.
const LATEST: u64 = i64::MAX as u64;

/// `17/May/2015:10:05:03`.
const APACHE_LENGTH: usize = 20;

/// Parses timestamps.
///
/// It remembers the last minute in Apache's format, because most lines share it with the line
/// before.
#[derive(Debug)]
pub struct TimestampParser {
    zone: TimeZone,
    /// A format as `strptime` has it, for logs with another.
    format: Option<String>,
    /// A time without its seconds, such as `17/May/2015:10:05: +0000`, and its value.
    minute: Option<([u8; 24], u64)>,
}

impl TimestampParser {
    /// Times without an offset are in this zone. With a `format`, times are parsed by it first.
    pub const fn new(zone: TimeZone, format: Option<String>) -> Self {
        Self {
            zone,
            format,
            minute: None,
        }
    }

    /// Returns the time, or `None` if the format is unknown or the time out of range.
    pub fn parse(&mut self, text: &[u8]) -> Option<u64> {
        if self.format.is_some() {
            let parsed = self.parse_format(text);
            return parsed.or_else(|| parse_number(text));
        }
        // Only the length of `17/May/2015:10:05:03 +0000` is checked here, the rest by the parser.
        if text.len() == 26 && text[2] == b'/' {
            self.parse_apache(text)
        } else {
            self.parse_other(text.trim_ascii())
        }
    }

    /// Whether a format was given.
    pub const fn has_format(&self) -> bool {
        self.format.is_some()
    }

    /// Returns the time of a date, a time of day and an offset that stand apart.
    pub fn parse_parts(&mut self, date: &[u8], time: &[u8], zone: &[u8]) -> Option<u64> {
        let mut text = Vec::with_capacity(40);
        text.extend_from_slice(date);
        // Apache writes a colon between the day and the time.
        let is_apache = self.format.is_none() && date.get(2) == Some(&b'/');
        text.push(if is_apache { b':' } else { b' ' });
        text.extend_from_slice(time);
        if is_offset(zone) {
            text.push(b' ');
            text.extend_from_slice(zone);
        }
        self.parse(&text)
    }

    fn parse_format(&self, text: &[u8]) -> Option<u64> {
        let format = self.format.as_ref()?;
        let parsed = strtime::parse(format, text).or_else(|_| {
            // The format may leave out the offset, which stands apart.
            strtime::parse(format!("{format} %z"), text)
        });
        let parsed = parsed.ok()?;
        match parsed.to_timestamp() {
            Ok(time) => nanos(time),
            Err(_) => self.civil(parsed.to_datetime().ok()?),
        }
    }

    fn parse_apache(&mut self, text: &[u8]) -> Option<u64> {
        let mut minute = [0; 24];
        minute[..18].copy_from_slice(&text[..18]);
        minute[18..].copy_from_slice(&text[20..]);
        let start = match self.minute {
            Some((last, start)) if last == minute => start,
            _ => {
                let start = self.apache_minute(minute)?;
                self.minute = Some((minute, start));
                start
            }
        };
        let seconds = parse_digits(&text[18..20]).filter(|seconds| *seconds <= 60)?;
        start.checked_add(seconds.min(59) * SECOND)
    }

    fn apache_minute(&self, minute: [u8; 24]) -> Option<u64> {
        if minute[18..] == NO_OFFSET {
            let parsed = strtime::parse("%d/%b/%Y:%H:%M:", &minute[..18]).ok()?;
            return self.civil(parsed.to_datetime().ok()?);
        }
        let parsed = strtime::parse("%d/%b/%Y:%H:%M: %z", minute).ok()?;
        if !is_in_use(parsed.offset()?) {
            return None;
        }
        nanos(parsed.to_timestamp().ok()?)
    }

    /// Parses Apache's format with a fraction or without an offset.
    fn parse_apache_fraction(&mut self, text: &[u8]) -> Option<u64> {
        let (civil, rest) = text.split_at_checked(APACHE_LENGTH)?;
        let digits = rest
            .iter()
            .take_while(|byte| matches!(byte, b'.' | b',' | b'0'..=b'9'));
        let (fraction, offset) = rest.split_at(digits.count());
        let mut whole = [0; 26];
        whole[..APACHE_LENGTH].copy_from_slice(civil);
        let offset = if offset.is_empty() {
            &NO_OFFSET
        } else {
            offset
        };
        whole[APACHE_LENGTH..].copy_from_slice(offset.get(..6).filter(|_| offset.len() == 6)?);
        let fraction = match fraction {
            [] => 0,
            [b'.' | b',', digits @ ..] => fraction_nanos(digits)?,
            _ => return None,
        };
        self.parse_apache(&whole)?.checked_add(fraction)
    }

    fn parse_other(&mut self, text: &[u8]) -> Option<u64> {
        if let Some(time) = parse_number(text) {
            return Some(time);
        }
        if text.get(2) == Some(&b'/') && text.get(11) == Some(&b':') {
            return self.parse_apache_fraction(text);
        }
        let text = str::from_utf8(text).ok()?;
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return nanos(time);
        }
        // A date alone would put a whole day into one instant.
        if text.len() < "2015-05-17T10:05:03".len() {
            return None;
        }
        if let Ok(civil) = text.parse::<DateTime>() {
            return self.civil(civil);
        }
        // The date and the time may be separated by a tab, the date by slashes, and the offset by a
        // space.
        let bytes = text.as_bytes();
        let is_slashed = bytes[4] == b'/' && bytes[7] == b'/';
        let offset = text
            .rsplit_once(' ')
            .filter(|(_, zone)| is_offset(zone.as_bytes()));
        if !is_slashed && offset.is_none() {
            return None;
        }
        let text = match offset {
            Some((civil, zone)) if civil.len() >= 19 => format!("{civil}{zone}"),
            _ => text.to_owned(),
        };
        let text = if is_slashed {
            text.replacen('/', "-", 2)
        } else {
            text
        };
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => nanos(time),
            Err(_) => self.civil(text.parse().ok()?),
        }
    }

    /// The time in the zone. A time that a change of clocks repeats is the first of the two.
    fn civil(&self, civil: DateTime) -> Option<u64> {
        nanos(self.zone.to_timestamp(civil).ok()?)
    }
}

/// Six bytes that stand for the offset of a time that has none.
const NO_OFFSET: [u8; 6] = *b" local";

/// Whether a text is an offset such as `+0530`, `-03:30` or `Z`.
pub fn is_offset(text: &[u8]) -> bool {
    match text {
        b"Z" => true,
        [b'+' | b'-', digits @ ..] => {
            matches!(digits.len(), 4 | 5)
                && digits
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b':')
        }
        _ => false,
    }
}

/// Whether a text is a time of day, such as `10:05:03`.
pub fn is_time_of_day(text: &[u8]) -> bool {
    text.len() >= 8
        && text[2] == b':'
        && text[5] == b':'
        && text[..2].iter().all(u8::is_ascii_digit)
}

fn parse_number(text: &[u8]) -> Option<u64> {
    parse_unix(text).or_else(|| parse_scientific(text))
}

/// Parses digits, without a sign.
fn parse_digits(text: &[u8]) -> Option<u64> {
    let value = text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        value.checked_mul(10)?.checked_add(digit.into())
    });
    value.filter(|_| !text.is_empty())
}

fn nanos(time: jiff::Timestamp) -> Option<u64> {
    let nanos = u64::try_from(time.as_nanosecond()).ok()?;
    (nanos <= LATEST).then_some(nanos)
}

/// The nanoseconds of the digits after a point. Digits after the ninth are cut off.
fn fraction_nanos(digits: &[u8]) -> Option<u64> {
    let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    let all = digits.iter().all(u8::is_ascii_digit) && !digits.is_empty();
    all.then(|| padded.fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
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
        let mut parser = TimestampParser::new(TimeZone::UTC, None);
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
            ("2015-05-17T10:05:03+0000", 0),
            ("2015-05-17T15:35:03+0530", 0),
            ("2015-05-17 10:05:03,250", SECOND / 4),
            ("2015-05-17 12:05:03.25 +0200", SECOND / 4),
            ("2015/05/17 10:05:03", 0),
            ("2015/05/17 12:05:03.25 +0200", SECOND / 4),
            ("17/May/2015:10:05:03", 0),
            ("17/May/2015:10:05:03.250", SECOND / 4),
            ("17/May/2015:12:05:03.250000 +0200", SECOND / 4),
            ("17/May/2015:12:05:03,25 +0200", SECOND / 4),
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
        let mut parser = TimestampParser::new(TimeZone::UTC, None);
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
            "17/May/2015:10:05:03 +02",
            "17/May/2015:10:05:03 +1801",
            "17/May/2015:10:05:03 -2300",
            "17/May/2015:10:05:03. +0200",
            "17/May/2015:10:05:0 +0200",
            "10:05:03",
        ] {
            for _ in 0..2 {
                assert_eq!(parser.parse(text.as_bytes()), None, "{text}");
            }
        }
    }

    #[test]
    fn zones_and_formats() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let mut parser = TimestampParser::new(berlin.clone(), None);
        let expected = Some(1_431_857_103 * SECOND);
        for text in [
            "17/May/2015:12:05:03",
            "2015-05-17 12:05:03",
            "2015-05-17T10:05:03Z",
            "17/May/2015:10:05:03 +0000",
            "1431857103",
        ] {
            assert_eq!(parser.parse(text.as_bytes()), expected, "{text}");
        }
        for (date, time, zone) in [
            ("2015-05-17", "12:05:03", ""),
            ("2015-05-17", "10:05:03", "Z"),
            ("17/May/2015", "12:05:03", "Europe"),
            ("17/May/2015", "10:05:03", "+0000"),
        ] {
            let parts = [date, time, zone].map(str::as_bytes);
            let parsed = parser.parse_parts(parts[0], parts[1], parts[2]);
            assert_eq!(parsed, expected, "{date} {time} {zone}");
        }
        let mut parser = TimestampParser::new(berlin, Some("%m/%d/%Y %H:%M:%S".to_owned()));
        for text in [
            "05/17/2015 12:05:03",
            "05/17/2015 10:05:03 +0000",
            "1431857103",
        ] {
            assert_eq!(parser.parse(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(parser.parse(b"17/May/2015:10:05:03 +0000"), None);
    }
}
