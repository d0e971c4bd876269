//! Columns of characters.

use super::Charset;
use crate::picture::numbers::ratio;

/// Parts of a character from the bottom up: none, eighths or thirds, all.
const fn levels(charset: Charset) -> &'static [char] {
    match charset {
        Charset::Blocks => &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Charset::Ascii => &[' ', '.', ':', '#'],
    }
}

/// Lines of characters, the highest first: columns that stand on one ground, of which `most` fills all lines. What is more than nothing
/// is seen.
pub fn columns(counts: &[u64], most: u64, lines: usize, charset: Charset) -> Vec<String> {
    let levels = levels(charset);
    let parts = levels.len() - 1;
    let all = parts * lines;
    let height = |count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a few lines")]
        let exact = ratio(count, most).min(1.0) * all as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most all parts"
        )]
        let rounded = exact.round() as usize;
        if count > 0 { rounded.max(1) } else { 0 }
    };
    let heights: Vec<usize> = counts.iter().copied().map(height).collect();
    let line = |below: usize| {
        heights
            .iter()
            .map(|height| levels[height.saturating_sub(below).min(parts)])
            .collect()
    };
    (0..lines)
        .rev()
        .map(|line_number| line(line_number * parts))
        .collect()
}

/// A mark for each column: nothing refused, some, all.
pub fn marks(admitted: &[u64], refused: &[u64], charset: Charset) -> String {
    let [some, all] = match charset {
        Charset::Blocks => ['·', '×'],
        Charset::Ascii => ['-', 'x'],
    };
    let mark = |(admitted, refused): (&u64, &u64)| match (admitted, refused) {
        (_, 0) => ' ',
        (0, _) => all,
        _ => some,
    };
    admitted.iter().zip(refused).map(mark).collect()
}

/// A ground with a mark at both ends, and what stands below them, to the left and to the right.
pub fn ground(width: usize, left: &str, right: &str, charset: Charset) -> [String; 2] {
    let [corner, line, end] = match charset {
        Charset::Blocks => ['└', '─', '┘'],
        Charset::Ascii => ['+', '-', '+'],
    };
    let middle: String = std::iter::repeat_n(line, width.saturating_sub(2)).collect();
    let room = width.saturating_sub(left.chars().count());
    let below = if right.chars().count() < room {
        format!("{left}{right:>room$}")
    } else {
        left.to_owned()
    };
    [format!("{corner}{middle}{end}"), below]
}

#[cfg(test)]
mod tests {
    use super::{columns, ground, marks};
    use crate::terminal::Charset::{Ascii, Blocks};

    #[test]
    fn columns_are_as_high_as_their_numbers() {
        assert_eq!(
            columns(&[0, 1, 4, 8, 16], 16, 2, Blocks),
            ["    █", " ▁▄██"]
        );
        assert_eq!(columns(&[0, 1, 3, 6], 6, 2, Ascii), ["   #", " .##"]);
        assert_eq!(columns(&[1], 1_000_000, 1, Blocks), ["▁"]);
        assert_eq!(columns(&[0, 0], 0, 1, Blocks), ["  "]);
    }

    #[test]
    fn marks_tell_some_from_all() {
        assert_eq!(marks(&[3, 1, 0, 0], &[0, 2, 2, 0], Blocks), " ·× ");
        assert_eq!(ground(9, "0 s", "9 s", Ascii), ["+-------+", "0 s   9 s"]);
        assert_eq!(ground(5, "0 s", "9 s", Ascii)[1], "0 s");
    }
}
