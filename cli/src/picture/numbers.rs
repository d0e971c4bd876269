//! Formats numbers for readers.

/// Formats a number with separators: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number with its noun: `1 request`, `2 requests`.
pub fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// Formats a share: `1.3%`. Only zero is `0%`, and only the whole is `100%`.
pub fn percent(part: u64, of: u64) -> String {
    if part == 0 || of == 0 {
        return "0%".to_owned();
    }
    if part >= of {
        return "100%".to_owned();
    }
    let percent = ratio(part, of) * 100.0;
    if percent < 0.01 {
        "<0.01%".to_owned()
    } else if percent > 99.99 {
        ">99.99%".to_owned()
    } else if !(1.0..=99.0).contains(&percent) {
        format!("{percent:.2}%")
    } else {
        format!("{percent:.1}%")
    }
}

/// Divides two numbers; returns 0 if `of` is 0.
#[expect(clippy::cast_precision_loss, reason = "for pictures and shares")]
pub fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 {
        0.0
    } else {
        part as f64 / of as f64
    }
}

/// Formats a label of an axis: `500`, `20 k`, `1.5 M`.
pub fn short(number: u64) -> String {
    let (unit, name) = match number {
        0..10_000 => return grouped(number),
        10_000..1_000_000 => (1_000, "k"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        _ => (1_000_000_000, "G"),
    };
    let text = format!("{:.2}", ratio(number, unit));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} {name}")
}

/// Formats a number with four significant digits, or with all digits before the point.
pub fn plain(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return if number == 0.0 { "0" } else { "-" }.to_owned();
    }
    let magnitude = number.abs().log10().floor();
    if magnitude < -6.0 {
        return format!("{number:.3e}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 9"
    )]
    let digits = (3.0 - magnitude).clamp(0.0, 9.0) as usize;
    let text = format!("{number:.digits$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}")
}

const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];

/// Formats a duration in its two largest units: `2 d 3 h`, `1 min 20 s`, `1.5 s`, `250 ms`.
pub fn span(seconds: f64) -> String {
    if !seconds.is_finite() || seconds <= 0.0 {
        return "0 s".to_owned();
    }
    if seconds < 60.0 {
        let (unit, name) = match seconds {
            1.0.. => (1.0, "s"),
            1e-3.. => (1e-3, "ms"),
            1e-6.. => (1e-6, "us"),
            _ => (1e-9, "ns"),
        };
        let text = plain(seconds / unit);
        return format!("{text} {name}");
    }
    let at = UNITS
        .iter()
        .position(|(unit, _)| seconds >= *unit)
        .unwrap_or(0);
    let ((large, large_name), (small, small_name)) = (UNITS[at], UNITS[at + 1]);
    // Rounded first, so that a minute never shows 60 seconds.
    let smalls = (seconds / small).round();
    let per = (large / small).round();
    let (larges, rest) = ((smalls / per).floor(), smalls % per);
    if rest == 0.0 {
        format!("{} {large_name}", plain(larges))
    } else {
        format!("{} {large_name} {rest:.0} {small_name}", plain(larges))
    }
}

/// Returns about `wanted` round numbers from 0 to at most `most`, in steps of 1, 2 or 5 and zeros.
pub fn ticks(most: u64, wanted: u64) -> Vec<u64> {
    let rough = most / wanted.max(1);
    let steps =
        (0..20).flat_map(|power| [1, 2, 5].map(|one| 10_u64.pow(power).saturating_mul(one)));
    let step = steps.into_iter().find(|step| *step > rough);
    let step = step.unwrap_or(u64::MAX);
    (0..=most / step).map(|tick| tick * step).collect()
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped, percent, plain, short, span, ticks};

    #[test]
    fn numbers_have_separators_and_units() {
        assert_eq!(
            [0, 999, 1_000, 12_345_678].map(grouped),
            ["0", "999", "1,000", "12,345,678"]
        );
        assert_eq!(
            [counted(1, "request"), counted(2, "request")],
            ["1 request", "2 requests"]
        );
        assert_eq!(
            [7, 9_999, 10_000, 1_500_000, 3_000_000_000].map(short),
            ["7", "9,999", "10 k", "1.5 M", "3 G"]
        );
        assert_eq!(
            [0.0, 0.1, 33.333_33, 1_234_567.0, 0.001_23, 100.0].map(plain),
            ["0", "0.1", "33.33", "1,234,567", "0.00123", "100"]
        );
    }

    #[test]
    fn shares_never_round_to_zero_or_all() {
        let shares = [
            (0, 5),
            (5, 5),
            (1, 1_000_000),
            (999_999, 1_000_000),
            (1, 8),
            (1, 400),
        ];
        let shown = shares.map(|(part, of)| percent(part, of));
        assert_eq!(shown, ["0%", "100%", "<0.01%", ">99.99%", "12.5%", "0.25%"]);
    }

    #[test]
    fn spans_have_two_units() {
        let spans = [
            0.0, 0.25, 1.5, 60.0, 80.0, 119.999, 7_200.0, 93_600.0, 90_061.0, 0.000_1,
        ];
        let shown = spans.map(span).join(", ");
        let expected =
            "0 s, 250 ms, 1.5 s, 1 min, 1 min 20 s, 2 min, 2 h, 1 d 2 h, 1 d 1 h, 100 us";
        assert_eq!(shown, expected);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(10, 5), [0, 5, 10]);
        assert_eq!(ticks(3, 4), [0, 1, 2, 3]);
        for most in (0..20_000).chain([u64::MAX / 2, u64::MAX]) {
            let ticks = ticks(most, 4);
            assert!((1..=5).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(most == 0 || ticks.len() > 1, "{most}");
        }
    }
}
