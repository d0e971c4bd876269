//! Parsers for the values of arguments.

use std::time::Duration;

use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, SpanRelativeTo};
use tidegate::{Ipv6Prefix, ParseQuotaError, Quota};

use crate::picture::key::{shown, width};

pub mod nginx;
pub mod pattern;

/// A quota as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenQuota {
    /// The quota.
    pub quota: Quota,
    /// What a reader of nginx's notation may not expect.
    pub note: Option<String>,
    /// How many requests of the burst nginx admits without a delay; `None` if it delays none.
    pub nginx_delay: Option<u64>,
}

/// Parses a quota in the notation of this crate, or in nginx's.
///
/// # Errors
///
/// As [`quota`], and as [`nginx::parse`].
pub fn given_quota(text: &str) -> Result<GivenQuota, String> {
    if nginx::is_nginx(text) {
        let nginx::NginxLimit { quota, note, delay } = nginx::parse(text)?;
        return Ok(GivenQuota {
            quota,
            note: Some(note),
            nginx_delay: delay,
        });
    }
    Ok(GivenQuota {
        quota: quota(text)?,
        note: None,
        nginx_delay: None,
    })
}

/// Parses a quota.
///
/// # Errors
///
/// The message, and the text with a caret below the mistake.
pub fn quota(text: &str) -> Result<Quota, String> {
    text.parse().map_err(|error| with_caret(text, &error))
}

/// Parses the limit and length of a window: a quota without a burst.
///
/// # Errors
///
/// As [`quota`], and if there is a burst.
pub fn window_quota(text: &str) -> Result<Quota, String> {
    let quota = quota(text)?;
    if quota.capacity() == quota.rate() {
        Ok(quota)
    } else {
        Err("a window has no burst".to_owned())
    }
}

/// Parses a length of time such as `2m`, `90 s` or `0`.
///
/// # Errors
///
/// If the text is anything else, or the time is negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span = text.parse::<Span>();
    let time = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let time = time.ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "expected a time such as `2m`, `90s` or `0`".to_owned())
}

/// Parses the prefix length of an IPv6 network.
///
/// # Errors
///
/// If the length is not supported.
pub fn ipv6_prefix(text: &str) -> Result<Ipv6Prefix, String> {
    let bits = text.parse::<u8>().map_err(|error| error.to_string())?;
    Ipv6Prefix::new(bits).map_err(|error| error.to_string())
}

/// Parses a time zone: a name such as `Europe/Berlin`, or an offset such as `+05:30`.
///
/// # Errors
///
/// If the zone is not known.
pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    let text = text.trim();
    let offset = |format| {
        let offset = strtime::parse(format, text).ok()?.offset()?;
        is_in_use(offset).then(|| offset.to_time_zone())
    };
    let found = TimeZone::get(text).ok().or_else(|| offset("%z"));
    let found = found.or_else(|| offset("%:z"));
    found.ok_or_else(|| "expected a zone such as `Europe/Berlin`, `+05:30` or `UTC`".to_owned())
}

/// Whether an offset is within 18 hours, as those of all zones are.
pub const fn is_in_use(offset: Offset) -> bool {
    offset.seconds().abs() <= 18 * 3_600
}

/// The message, and below it the text with a caret at the mistake.
fn with_caret(text: &str, error: &ParseQuotaError) -> String {
    let message = error.to_string();
    let position = format!(" at byte {}", error.offset());
    let message = message.strip_suffix(&position).unwrap_or(&message);
    let before = text.get(..error.offset()).unwrap_or(text);
    // The caret must match the text as it is printed. `shown` prints empty text as `(empty)`.
    let printed = |text: &str| match text {
        "" => String::new(),
        text => shown(text, usize::MAX),
    };
    let columns: usize = printed(before).chars().map(width).sum();
    format!("{message}\n  {}\n  {:columns$}^", printed(text), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text from the caret on.
    fn text_at_caret(text: &str) -> String {
        let error = quota(text).unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[2].ends_with('^') && !lines[0].contains("byte"));
        let before = lines[2].chars().count() - 1;
        lines[1].chars().skip(before).collect()
    }

    #[test]
    fn carets_point_at_the_mistake() {
        for (text, expected) in [
            ("100/fortnight", "fortnight"),
            ("100/min burts 20", "burts 20"),
            ("100/min burst 0", "0"),
            ("0/s", "0/s"),
            ("100", ""),
            ("", ""),
            ("ten/s", "ten/s"),
            ("1/min bürst", "bürst"),
            ("5/0s", "0s"),
            ("5\t/\tfort", "fort"),
        ] {
            assert_eq!(text_at_caret(text), expected);
        }
        let wide = quota("5\u{3000}/漢").unwrap_err();
        assert!(wide.ends_with("  5\\u{3000}/漢\n            ^"), "{wide}");
    }

    #[test]
    fn time_zones() {
        let noon = jiff::civil::date(2024, 3, 9).at(12, 0, 0, 0);
        for (text, expected) in [
            ("UTC", "2024-03-09T12:00:00Z"),
            ("Europe/Berlin", "2024-03-09T11:00:00Z"),
            ("+05:30", "2024-03-09T06:30:00Z"),
            ("-0330", "2024-03-09T15:30:00Z"),
        ] {
            let time = time_zone(text).unwrap().to_timestamp(noon).unwrap();
            assert_eq!(time.to_string(), expected, "{text}");
        }
        for text in ["", "Berlin", "+", "5", "+18:01", "-2300"] {
            assert!(time_zone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("2m", 120_000),
            ("2 min", 120_000),
            ("90 s", 90_000),
            ("0", 0),
            ("0s", 0),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1500ms", 1_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "2", "2m burst 1", "2x", "-1s", "1 s x", "0 %"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
