//! Reads the values of header fields: numbers, durations and dates.

use alloc::format;
use core::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp as WallClock};

/// Seconds since 1970 from which a number is a date. As a duration it would be 31 years.
const FIRST_EPOCH_SECOND: u64 = 1_000_000_000;

/// Milliseconds since 1970 from which a number is a date in milliseconds. In seconds it would be
/// 31 000 years away.
const FIRST_EPOCH_MILLISECOND: u64 = FIRST_EPOCH_SECOND * 1_000;

/// The values of a field, without those that are not text.
pub(super) fn texts<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok().map(str::trim))
}

/// A number without a sign or a fraction. One that does not fit counts as the largest.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    // `parse` would accept a sign.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `1s`, `6m0s`, `20ms`, `1h2m3.5s`. A number alone is seconds, and may have a fraction.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = whole_number(text) {
        return Some(Duration::from_secs(seconds));
    }
    // jiff requires a unit after fractional seconds.
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let unit = if is_number { "s" } else { "" };
    let parsed: SignedDuration = format!("{text}{unit}").parse().ok()?;
    Duration::try_from(parsed).ok()
}

/// The instants that dates in a response are measured from.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerTime {
    now: SystemTime,
    /// Whether the response has told it.
    is_told: bool,
}

impl ServerTime {
    /// The time in the field `Date`, so that a wrong clock of this machine does no harm. Without
    /// that, the time of this machine.
    pub(super) fn of(headers: &HeaderMap, wall_clock: SystemTime) -> Self {
        let date = texts(headers, "date").find_map(|text| httpdate::parse_http_date(text).ok());
        Self {
            now: date.unwrap_or(wall_clock),
            is_told: date.is_some(),
        }
    }

    /// The `Date` of the response in seconds since 1970.
    pub(super) fn date(self) -> Option<u64> {
        let since = self.now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        self.is_told.then_some(since.as_secs())
    }

    /// The time until a date; zero if it has passed.
    fn until(self, date: SystemTime) -> Duration {
        date.duration_since(self.now).unwrap_or_default()
    }

    /// The time until `since_epoch`.
    fn until_epoch(self, since_epoch: Duration) -> Duration {
        SystemTime::UNIX_EPOCH
            .checked_add(since_epoch)
            .map_or(Duration::MAX, |date| self.until(date))
    }

    /// The time until a date of any form in RFC 9110: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday,
    /// 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
    fn until_http_date(self, text: &str) -> Option<Duration> {
        Some(self.until(httpdate::parse_http_date(text).ok()?))
    }

    /// The time until a date of RFC 3339.
    fn until_rfc3339(self, text: &str) -> Option<Duration> {
        let date: WallClock = text.parse().ok()?;
        // A date before 1970 has passed.
        let since_epoch = u64::try_from(date.as_nanosecond()).unwrap_or(0);
        Some(self.until_epoch(Duration::from_nanos(since_epoch)))
    }

    /// `Retry-After`: a date, or seconds. A list, made of a field that was sent repeatedly, means
    /// its longest.
    pub(super) fn retry_after(self, text: &str) -> Option<Duration> {
        self.until_http_date(text).or_else(|| {
            text.split(',')
                .filter_map(|part| duration(part.trim()))
                .max()
        })
    }

    /// The time until a reset in any form that is in use: a duration, seconds, seconds or
    /// milliseconds since 1970, RFC 3339, an HTTP date.
    pub(super) fn until_reset(self, text: &str) -> Option<Duration> {
        let Some(duration) = duration(text) else {
            return self
                .until_rfc3339(text)
                .or_else(|| self.until_http_date(text));
        };
        Some(match duration.as_secs() {
            FIRST_EPOCH_MILLISECOND.. => self.until_epoch(duration / 1_000),
            FIRST_EPOCH_SECOND.. => self.until_epoch(duration),
            _ => duration,
        })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::time::SystemTime;

    use super::{ServerTime, duration};

    /// A server's time in seconds since 1970.
    fn at(seconds: u64) -> ServerTime {
        ServerTime {
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            is_told: true,
        }
    }

    #[test]
    fn durations_of_go_and_plain_seconds_are_read() {
        let millis = |millis| Some(Duration::from_millis(millis));
        for (text, expected) in [
            ("1s", millis(1_000)),
            ("6m0s", millis(360_000)),
            ("12h0m0s", millis(43_200_000)),
            ("2m59.56s", millis(179_560)),
            ("20ms", millis(20)),
            ("7", millis(7_000)),
            ("1.5", millis(1_500)),
            ("1e3", None),
            ("-1s", None),
            ("", None),
            (".", None),
            ("s", None),
        ] {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn dates_of_all_forms_are_read() {
        let in_37_seconds = Some(Duration::from_secs(37));
        // 1994-11-06T08:49:00Z.
        let server = at(784_111_740);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(server.retry_after(text), in_37_seconds, "{text}");
            assert_eq!(server.until_reset(text), in_37_seconds, "{text}");
        }
        assert_eq!(server.until_reset("1994-11-06T08:49:37Z"), in_37_seconds);
        assert_eq!(server.until_reset("37"), in_37_seconds);

        let server = at(1_795_521_600);
        assert_eq!(server.until_reset("1795521637"), in_37_seconds);
        assert_eq!(server.until_reset("1795521637000"), in_37_seconds);
        assert_eq!(server.until_reset("1795521600"), Some(Duration::ZERO));
        let overflow = "99999999999999999999999999";
        assert!(server.until_reset(overflow) > Some(Duration::from_secs(1 << 50)));
    }

    #[test]
    fn a_list_means_its_longest() {
        let retry_after = |text| at(0).retry_after(text).map(|wait| wait.as_secs());
        assert_eq!(retry_after("120, 120"), Some(120));
        assert_eq!(retry_after("3, 5,soon"), Some(5));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after(","), None);
    }
}
