//! Draws column charts with characters.

use anstyle::Style;

use crate::picture::numbers::ratio;

/// The characters of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Unicode blocks in eighths.
    Blocks,
    /// ASCII.
    Ascii,
}

impl Charset {
    /// The character set of the locale: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set.
    pub fn from_env() -> Self {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
        let mut values = names.filter_map(|name| std::env::var(name).ok());
        match values.find(|value| !value.is_empty()) {
            Some(locale) => Self::from_locale(&locale),
            // Windows has no locale variables, and its terminals support UTF-8.
            None if cfg!(windows) => Self::Blocks,
            None => Self::Ascii,
        }
    }

    /// Blocks for UTF-8 locales such as `de_DE.UTF-8` or `C.utf8`, otherwise ASCII.
    pub fn from_locale(locale: &str) -> Self {
        let locale = locale.to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") {
            Self::Blocks
        } else {
            Self::Ascii
        }
    }
}

/// The fill levels of a character: empty, eighths or thirds, full.
const fn levels(charset: Charset) -> &'static [char] {
    match charset {
        Charset::Blocks => &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Charset::Ascii => &[' ', '.', ':', '#'],
    }
}

/// Returns the lines of a column chart, from top to bottom. A column of `max` fills all lines. Any
/// count above zero is visible.
pub fn columns(counts: &[u64], max: u64, lines: usize, charset: Charset) -> Vec<String> {
    let levels = levels(charset);
    let per_line = levels.len() - 1;
    let height = |count: &u64| {
        #[expect(clippy::cast_precision_loss, reason = "a few lines")]
        let exact = ratio(*count, max).min(1.0) * (per_line * lines) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the levels of all lines"
        )]
        let rounded = exact.round() as usize;
        rounded.max(usize::from(*count > 0))
    };
    let heights: Vec<usize> = counts.iter().map(height).collect();
    let line = |below: usize| {
        let filled = heights
            .iter()
            .map(|height| height.saturating_sub(below).min(per_line));
        filled.map(|level| levels[level]).collect()
    };
    (0..lines)
        .rev()
        .map(|number| line(number * per_line))
        .collect()
}

/// Joins the lines of [`columns`] into styled text. A scale of `label_width` columns precedes each
/// line, with `label` in the first. Empty lines at the top are omitted.
pub fn labelled(lines: &[String], style: Style, label: &str, label_width: usize) -> String {
    let lines = lines.iter().map(|line| line.trim_end()).enumerate();
    let visible = lines.skip_while(|(_, line)| line.is_empty());
    visible
        .map(|(number, line)| {
            let label = if number == 0 { label } else { "" };
            format!("{label:>label_width$} {style}{line}{style:#}\n")
        })
        .collect()
}

/// Returns the marks for "some refused" and "all refused".
pub const fn refusal_marks(charset: Charset) -> [char; 2] {
    match charset {
        Charset::Blocks => ['·', '×'],
        Charset::Ascii => ['-', 'x'],
    }
}

/// Returns a mark per column: none, some or all requests were refused.
pub fn marks(admitted: &[u64], refused: &[u64], charset: Charset) -> String {
    let [some, all] = refusal_marks(charset);
    let mark = |(admitted, refused): (&u64, &u64)| match (admitted, refused) {
        (_, 0) => ' ',
        (0, _) => all,
        _ => some,
    };
    admitted.iter().zip(refused).map(mark).collect()
}

/// Returns the axis below a chart, and a line with the labels of its ends.
pub fn axis(width: usize, left: &str, right: &str, charset: Charset) -> [String; 2] {
    let [start, line, end] = match charset {
        Charset::Blocks => ["└", "─", "┘"],
        Charset::Ascii => ["+", "-", "+"],
    };
    let middle = line.repeat(width.saturating_sub(2));
    let room = width.saturating_sub(left.chars().count());
    let labels = if right.chars().count() < room {
        format!("{left}{right:>room$}")
    } else {
        left.to_owned()
    };
    [format!("{start}{middle}{end}"), labels]
}

#[cfg(test)]
mod tests {
    use super::Charset::{self, Ascii, Blocks};
    use super::{axis, columns, marks};

    #[test]
    fn heights_are_proportional() {
        let blocks = columns(&[0, 1, 4, 8, 16], 16, 2, Blocks);
        assert_eq!(blocks, ["    █", " ▁▄██"]);
        assert_eq!(columns(&[0, 1, 3, 6], 6, 2, Ascii), ["   #", " .##"]);
        assert_eq!(columns(&[1], 1_000_000, 1, Blocks), ["▁"]);
        assert_eq!(columns(&[0, 0], 0, 1, Blocks), ["  "]);
    }

    #[test]
    fn marks_and_axis() {
        assert_eq!(marks(&[3, 1, 0, 0], &[0, 2, 2, 0], Blocks), " ·× ");
        assert_eq!(axis(9, "0 s", "9 s", Ascii), ["+-------+", "0 s   9 s"]);
        assert_eq!(axis(5, "0 s", "9 s", Ascii)[1], "0 s");
    }

    #[test]
    fn charset_depends_on_locale() {
        for locale in ["en_US.UTF-8", "C.utf8", "de_AT.UTF-8@euro"] {
            assert_eq!(Charset::from_locale(locale), Charset::Blocks);
        }
        for locale in ["", "C", "POSIX", "en_US.ISO-8859-1"] {
            assert_eq!(Charset::from_locale(locale), Charset::Ascii);
        }
    }
}
