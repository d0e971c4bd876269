//! Times as logs write them, to nanoseconds since 1970.
//!
//! * `17/May/2015:10:05:03 +0000`, as Apache and nginx write it;
//! * RFC 3339, such as `2015-05-17T10:05:03.25Z`; without an offset it is taken to be UTC;
//! * seconds since 1970, with any fraction; a whole part of 12 to 14 digits is milliseconds, of 15 to 17 microseconds, of more
//!   nanoseconds.
//!
//! A leap second is the second before it. Times before 1970 and after 2262 are errors.

use jiff::civil::DateTime;
use jiff::tz::Offset;

const SECOND: u64 = 1_000_000_000;

/// The latest time: windows know no later one.
const LATEST: u64 = i64::MAX as u64;

/// The length of `17/May/2015:10:05:03 +0000`.
const APACHE: usize = 26;
/// That of its part up to the seconds.
const MINUTE: usize = 18;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Reads times, and remembers the last: most lines share their minute, if not their second.
#[derive(Debug, Default)]
pub struct Times {
    /// Of the last time in Apache's form: all but its seconds, and what they are added to.
    minute: Option<([u8; MINUTE], [u8; 6], u64)>,
    /// The last time in another form.
    text: Vec<u8>,
    value: Option<u64>,
}

impl Times {
    /// The time in `text`, or nothing if there is none in a known form.
    pub fn read(&mut self, text: &[u8]) -> Option<u64> {
        if text.len() == APACHE && text[2] == b'/' && text[MINUTE - 1] == b':' {
            return self.apache(text);
        }
        if self.value.is_some() && self.text == text {
            return self.value;
        }
        let value = other(text);
        self.text.clear();
        // A hostile line may be long, and no time is.
        if text.len() <= 64 {
            self.text.extend_from_slice(text);
            self.value = value;
        } else {
            self.value = None;
        }
        value
    }

    fn apache(&mut self, text: &[u8]) -> Option<u64> {
        let (minute, rest) = text.split_first_chunk::<MINUTE>()?;
        let (seconds, zone) = rest.split_first_chunk::<2>()?;
        let zone: [u8; 6] = zone.try_into().ok()?;
        let seconds = digits(seconds)?;
        if seconds > 60 {
            return None;
        }
        let start = match &self.minute {
            Some((last, last_zone, start)) if last == minute && *last_zone == zone => *start,
            _ => {
                let start = apache_minute(minute, zone)?;
                self.minute = Some((*minute, zone, start));
                start
            }
        };
        start.checked_add(seconds.min(59) * SECOND)
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut value = 0_u64;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    Some(value)
}

fn small<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    T::try_from(digits(text)?).ok()
}

/// `17/May/2015:10:05:` and ` +0000`.
fn apache_minute(text: &[u8; MINUTE], zone: [u8; 6]) -> Option<u64> {
    if text[6] != b'/' || text[11] != b':' || text[14] != b':' || zone[0] != b' ' {
        return None;
    }
    let month = MONTHS.iter().position(|name| **name == text[3..6])? + 1;
    let minute = DateTime::new(
        small(&text[7..11])?,
        i8::try_from(month).ok()?,
        small(&text[..2])?,
        small(&text[12..14])?,
        small(&text[15..17])?,
        0,
        0,
    );
    let (hours, minutes): (i32, i32) = (small(&zone[2..4])?, small(&zone[4..6])?);
    let seconds = hours * 3_600 + minutes * 60;
    let seconds = match zone[1] {
        b'+' => seconds,
        b'-' => -seconds,
        _ => return None,
    };
    let offset = Offset::from_seconds(seconds).ok()?;
    nanos(offset.to_timestamp(minute.ok()?).ok()?)
}

fn nanos(time: jiff::Timestamp) -> Option<u64> {
    u64::try_from(time.as_nanosecond())
        .ok()
        .filter(|nanos| *nanos <= LATEST)
}

fn other(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    unix(text).or_else(|| {
        let text = str::from_utf8(text).ok()?;
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return nanos(time);
        }
        // Only a date and a time: a date alone would put a whole day into one instant.
        if text.len() < "2015-05-17T10:05:03".len() {
            return None;
        }
        let civil: DateTime = text.parse().ok()?;
        nanos(Offset::UTC.to_timestamp(civil).ok()?)
    })
}

/// Seconds, or what the number of digits says, with any fraction. Exact to the nanosecond, which a float would not be.
fn unix(text: &[u8]) -> Option<u64> {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return scientific(text);
    }
    let Some(value) = digits(whole) else {
        return scientific(text);
    };
    let places = match value {
        0..=99_999_999_999 => 9_usize,
        100_000_000_000..=99_999_999_999_999 => 6,
        100_000_000_000_000..=99_999_999_999_999_999 => 3,
        _ => 0,
    };
    let mut value = u128::from(value);
    for place in 0..places {
        let digit = fraction.get(place).map_or(0, |byte| byte - b'0');
        value = value * 10 + u128::from(digit);
    }
    u64::try_from(value).ok().filter(|nanos| *nanos <= LATEST)
}

/// `1.431857103e9`, as some programs print floats.
fn scientific(text: &[u8]) -> Option<u64> {
    if !text.first()?.is_ascii_digit() || memchr::memchr2(b'e', b'E', text).is_none() {
        return None;
    }
    let seconds: f64 = str::from_utf8(text).ok()?.parse().ok()?;
    let value = seconds * 1e9;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "compared before"
    )]
    (0.0..LATEST as f64)
        .contains(&value)
        .then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let mut times = Times::default();
        let expected = 1_431_857_103 * SECOND;
        for text in [
            "17/May/2015:10:05:03 +0000",
            "17/May/2015:12:05:03 +0200",
            "17/May/2015:05:35:03 -0430",
            "2015-05-17T10:05:03Z",
            "2015-05-17T12:05:03+02:00",
            "2015-05-17 10:05:03",
            "1431857103",
            "1431857103.000",
            "1431857103000",
            "1431857103000000",
            "1431857103000000000",
            "1.431857103e9",
        ] {
            for _ in 0..2 {
                assert_eq!(times.read(text.as_bytes()), Some(expected), "{text}");
            }
        }
        assert_eq!(times.read(b"1431857103.25"), Some(expected + SECOND / 4));
        assert_eq!(times.read(b"1431857103123.5"), Some(expected + 123_500_000));
        assert_eq!(
            times.read(b"2015-05-17T10:05:03.123456789Z"),
            Some(expected + 123_456_789)
        );
        let leap = times.read(b"31/Dec/2016:23:59:60 +0000");
        assert_eq!(leap, times.read(b"31/Dec/2016:23:59:59 +0000"));
    }

    #[test]
    fn no_times() {
        let mut times = Times::default();
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
                assert_eq!(times.read(text.as_bytes()), None, "{text}");
            }
        }
    }
}
