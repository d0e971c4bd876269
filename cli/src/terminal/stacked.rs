//! Stacks refused requests on admitted ones, on one scale.

use anstyle::{AnsiColor, Style};

use super::chart::{Charset, columns};
use crate::picture::numbers::ratio;

/// The style of admitted requests.
pub(super) const ADMITTED: Style = AnsiColor::Blue.on_default();
/// The style of refused requests.
pub(super) const REFUSED: Style = AnsiColor::Red.on_default();

/// The characters of an admitted and of a refused request. They differ without colors, too.
pub(super) const fn glyphs(charset: Charset) -> [char; 2] {
    match charset {
        Charset::Blocks => ['█', '▒'],
        Charset::Ascii => ['#', 'x'],
    }
}

/// Returns the lines of a chart from top to bottom. A column of `max` requests fills all lines.
///
/// Refused requests take whole characters, at least one where there are any. Below them, admitted
/// requests do so, too.
pub(super) fn stacked(
    counts: &[[u64; 2]],
    max: u64,
    lines: usize,
    charset: Charset,
) -> Vec<String> {
    let admitted: Vec<u64> = counts.iter().map(|[admitted, _]| *admitted).collect();
    let mut grid: Vec<Vec<char>> = columns(&admitted, max, lines, charset)
        .iter()
        .map(|line| line.chars().collect())
        .collect();
    let [full, refused_glyph] = glyphs(charset);
    for (column, [admitted, refused]) in counts.iter().enumerate() {
        if *refused == 0 {
            continue;
        }
        let whole = |count: u64| whole(count, max, lines);
        let top = whole(admitted.saturating_add(*refused)).max(1);
        let base = whole(*admitted).min(top - 1);
        // A count above zero is visible, if there is room.
        let base = base.max(usize::from(*admitted > 0 && top > 1));
        for (number, line) in grid.iter_mut().rev().enumerate() {
            line[column] = match number {
                _ if number < base => full,
                _ if number < top => refused_glyph,
                _ => ' ',
            };
        }
    }
    grid.iter()
        .map(|line| styled(line, refused_glyph))
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of lines"
)]
fn whole(count: u64, max: u64, lines: usize) -> usize {
    (ratio(count, max).min(1.0) * lines as f64).round() as usize
}

fn styled(line: &[char], refused: char) -> String {
    let end = line.iter().rposition(|glyph| *glyph != ' ');
    let line = &line[..end.map_or(0, |end| end + 1)];
    let runs = line.chunk_by(|one, other| (*one == refused) == (*other == refused));
    let runs = runs.map(|run| {
        let style = if run[0] == refused { REFUSED } else { ADMITTED };
        let glyphs: String = run.iter().collect();
        format!("{style}{glyphs}{style:#}")
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::{Charset, stacked};

    fn plain(counts: &[[u64; 2]], max: u64, lines: usize, charset: Charset) -> Vec<String> {
        let lines = stacked(counts, max, lines, charset);
        let plain = lines
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string());
        plain.collect()
    }

    #[test]
    fn refusals_stand_on_admissions() {
        let counts = [[4, 0], [2, 2], [0, 4], [3, 1], [0, 0], [1, 0]];
        let drawn = plain(&counts, 4, 4, Charset::Ascii);
        assert_eq!(drawn, ["#xxx", "#xx#", "##x#", "##x# #"]);
    }

    #[test]
    fn few_refusals_are_visible() {
        let counts = [[1_000, 1], [1, 0], [1, 1], [0, 1]];
        let drawn = plain(&counts, 1_001, 3, Charset::Blocks);
        assert_eq!(drawn, ["▒", "█", "█▁▒▒"]);
    }
}
