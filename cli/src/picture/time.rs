//! Formats dates, and places the marks of a time axis.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::numbers::plain;

/// Steps between marks, in seconds, as on clocks and calendars.
const STEPS: [f64; 27] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
];
const DAY: f64 = 86_400.0;

/// A mark on a time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Seconds since 1970.
    pub at: f64,
    /// Its label.
    pub label: String,
    /// A second line of the label: at the first mark, and where a day or a year begins.
    pub date: Option<String>,
}

/// Formats an instant in UTC, to the second, or to the millisecond if it has a fraction.
pub fn instant(seconds: f64) -> String {
    let format = if is_whole(seconds, 1.0) {
        "%Y-%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S%.3f"
    };
    dated(seconds, format).unwrap_or_else(|| format!("{} s since 1970", plain(seconds)))
}

/// Formats an instant; `None` outside the years of the calendar.
fn dated(seconds: f64, format: &str) -> Option<String> {
    if !seconds.is_finite() || seconds.abs() > 2.5e11 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let millis = (seconds * 1e3).round() as i64;
    let time = Timestamp::from_millisecond(millis).ok()?;
    Some(time.to_zoned(TimeZone::UTC).strftime(format).to_string())
}

/// Returns about `most` marks from `first` to `last`.
pub fn ticks(first: f64, last: f64, most: u32) -> Vec<Tick> {
    let length = last - first;
    if !length.is_finite()
        || length <= 0.0
        || dated(first, "%Y").is_none()
        || dated(last, "%Y").is_none()
    {
        return Vec::new();
    }
    let rough = length / f64::from(most.max(1));
    let days = [
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 1e4, 1e5, 1e6,
    ]
    .map(|days| days * DAY);
    let step = STEPS
        .into_iter()
        .chain(days)
        .find(|step| *step >= rough)
        .unwrap_or(length);
    let format = match step {
        DAY.. => "%b %-d",
        60.0.. => "%H:%M",
        1.0.. => "%H:%M:%S",
        _ => "%H:%M:%S%.3f",
    };
    let mut ticks = Vec::new();
    let mut number = (first / step).ceil();
    while number * step <= last {
        let at = number * step;
        let starts = ticks.is_empty() || (step < DAY && is_whole(at, DAY));
        let year = if step < DAY { "%Y-%m-%d" } else { "%Y" };
        // With steps of days, a second line appears where the year changes.
        let starts = starts || step >= DAY && dated(at, "%Y") != dated(at - step, "%Y");
        ticks.push(Tick {
            at,
            label: dated(at, format).unwrap_or_default(),
            date: starts.then(|| dated(at, year).unwrap_or_default()),
        });
        number += 1.0;
    }
    ticks
}

fn is_whole(seconds: f64, unit: f64) -> bool {
    let units = seconds / unit;
    (units - units.round()).abs() * unit < 5e-4
}

#[cfg(test)]
mod tests {
    use super::{instant, ticks};

    #[test]
    fn instants_show_utc() {
        assert_eq!(instant(0.0), "1970-01-01 00:00:00");
        assert_eq!(instant(1_790_000_000.25), "2026-09-21 14:13:20.250");
        assert_eq!(instant(1e18), "1,000,000,000,000,000,000 s since 1970");
        assert_eq!(instant(f64::NAN), "- s since 1970");
    }

    #[test]
    fn marks_are_round_and_dated() {
        let day = ticks(1_789_948_800.0, 1_790_035_200.0, 6);
        let labels: Vec<&str> = day.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["00:00", "06:00", "12:00", "18:00", "00:00"]);
        assert_eq!(day[0].date.as_deref(), Some("2026-09-21"));
        assert_eq!(
            (day[1].date.as_deref(), day[4].date.as_deref()),
            (None, Some("2026-09-22"))
        );
        let short = ticks(0.5, 2.0, 6);
        assert_eq!(short[0].label, "00:00:00.500");
    }

    #[test]
    fn every_interval_has_few_marks() {
        for (first, length) in [
            (0.0, 1e-3),
            (1.7e9, 0.3),
            (1.7e9, 59.0),
            (1.7e9, 4e4),
            (-1e9, 3e6),
            (0.0, 2e11),
        ] {
            let ticks = ticks(first, first + length, 6);
            assert!(ticks.len() <= 7, "{length}: {}", ticks.len());
            assert!(
                ticks
                    .iter()
                    .all(|tick| tick.at >= first && tick.at <= first + length)
            );
        }
        assert!(ticks(0.0, f64::INFINITY, 6).is_empty() && ticks(f64::NAN, 1.0, 6).is_empty());
        assert!(ticks(1e19, 1e20, 6).is_empty());
    }
}
