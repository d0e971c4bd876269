//! Draws what limits refuse: the limit to the right, shares upward, both on logarithmic scales.

use anstyle::{AnsiColor, Style};

use super::chart::{Charset, axis};
use crate::picture::decades::Decades;
use crate::picture::noun::nouns;
use crate::picture::numbers::{ratio, short};
use crate::suggest::suggestions::{Curve, Point, Suggestions};

/// The width of the scale on the left.
const LABEL: usize = 7;
/// About how many lines a chart has.
const LINES: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Empty,
    Recommended,
    Requests,
    Clients,
    Both,
}

/// Draws the curves in at most `width` columns. Empty without a curve that falls.
pub fn curve(found: &Suggestions, width: usize, charset: Charset) -> String {
    let Some(curve) = found.curve.as_ref().filter(|curve| curve.points.len() > 1) else {
        return String::new();
    };
    let room = width.saturating_sub(LABEL + 2).clamp(12, 100);
    let requests = |point: &Point| ratio(point.refused, found.requests);
    let clients = |point: &Point| ratio(point.keys_refused, found.keys);
    let has_clients = found.by != "none";
    let shares = curve
        .points
        .iter()
        .flat_map(|point| [requests(point), clients(point)]);
    let Some(decades) = Decades::new(shares) else {
        return String::new();
    };
    let per_decade = (LINES / decades.count()).max(1);
    let mut grid = Grid::new(room, decades, per_decade);
    let column = |rate: u64| column(curve, rate, room);
    let recommended = recommended_rate(found, curve);
    if let Some(rate) = recommended {
        grid.upright(column(rate));
    }
    for pair in curve.points.windows(2) {
        let columns = [column(pair[0].rate), column(pair[1].rate)];
        if has_clients {
            grid.between(
                columns,
                [clients(&pair[0]), clients(&pair[1])],
                Cell::Clients,
            );
        }
        grid.between(
            columns,
            [requests(&pair[0]), requests(&pair[1])],
            Cell::Requests,
        );
    }
    let mut text = String::new();
    for (number, line) in grid.lines.iter().enumerate() {
        let label = grid.label(number);
        text += format!("{label:>LABEL$} {}", styled(line, charset)).trim_end();
        text.push('\n');
    }
    let [line, _] = axis(room, "", "", charset);
    text += &format!("{:LABEL$} {line}\n", "");
    let last = curve.points.last().map_or(0, |point| point.rate);
    let marks = [Some(curve.points[0].rate), recommended, Some(last)];
    let marks = marks
        .into_iter()
        .flatten()
        .map(|rate| (column(rate), short(rate)));
    text += &format!(
        "{:LABEL$} {}\n",
        "",
        labels(&marks.collect::<Vec<_>>(), room)
    );
    text + &legend(found, curve, charset)
}

/// The rate of the recommended limit, which is a point of the curve.
fn recommended_rate(found: &Suggestions, curve: &Curve) -> Option<u64> {
    let limit = &found.recommended.as_ref()?.limit;
    let point = curve.points.iter().find(|point| point.limit == *limit)?;
    Some(point.rate)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a column of the chart"
)]
fn column(curve: &Curve, rate: u64, room: usize) -> usize {
    let [first, last] = [0, curve.points.len() - 1].map(|at| (curve.points[at].rate as f64).ln());
    let part = ((rate as f64).ln() - first) / (last - first).max(f64::MIN_POSITIVE);
    (part * (room - 1) as f64).round() as usize
}

/// The lines of a chart, the lowest of which is for zero.
struct Grid {
    decades: Decades,
    per_decade: usize,
    lines: Vec<Vec<Cell>>,
}

impl Grid {
    fn new(room: usize, decades: Decades, per_decade: usize) -> Self {
        let count = decades.count() * per_decade + 2;
        Self {
            decades,
            per_decade,
            lines: vec![vec![Cell::Empty; room]; count],
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a line of the chart"
    )]
    fn line(&self, share: f64) -> usize {
        let zero = self.lines.len() - 1;
        if share <= 0.0 {
            return zero;
        }
        let above = self.decades.position(share) * (zero - 1) as f64;
        (zero - 1) - (above.round() as usize).min(zero - 1)
    }

    fn label(&self, line: usize) -> String {
        let zero = self.lines.len() - 1;
        if line == zero {
            return "0".to_owned();
        }
        if line.is_multiple_of(self.per_decade) {
            self.decades.label(line / self.per_decade)
        } else {
            String::new()
        }
    }

    fn upright(&mut self, column: usize) {
        for line in &mut self.lines {
            line[column] = Cell::Recommended;
        }
    }

    /// Marks the columns from one point to the next, both included.
    #[expect(clippy::cast_precision_loss, reason = "columns of the chart")]
    fn between(&mut self, [from, to]: [usize; 2], [first, last]: [f64; 2], cell: Cell) {
        for column in from..=to {
            let part = (column - from) as f64 / (to - from).max(1) as f64;
            let share = match (column == to, last > 0.0) {
                (true, _) => last,
                (false, true) => first * (last / first.max(f64::MIN_POSITIVE)).powf(part),
                // There is no way down to zero on this scale.
                (false, false) if column == from => first,
                (false, false) => continue,
            };
            let line = self.line(share);
            let place = &mut self.lines[line][column];
            *place = match *place {
                Cell::Empty | Cell::Recommended => cell,
                there if there == cell => cell,
                _ => Cell::Both,
            };
        }
    }
}

const fn glyph(cell: Cell, charset: Charset) -> char {
    match (cell, charset) {
        (Cell::Empty, _) => ' ',
        (Cell::Recommended, Charset::Blocks) => '┊',
        (Cell::Requests, Charset::Blocks) => '●',
        (Cell::Clients, Charset::Blocks) => '○',
        (Cell::Both, Charset::Blocks) => '◉',
        (Cell::Recommended, Charset::Ascii) => '|',
        (Cell::Requests, Charset::Ascii) => 'r',
        (Cell::Clients, Charset::Ascii) => 'c',
        (Cell::Both, Charset::Ascii) => 'b',
    }
}

const fn style(cell: Cell) -> Style {
    match cell {
        Cell::Empty => Style::new(),
        Cell::Recommended => AnsiColor::Green.on_default(),
        Cell::Requests | Cell::Both => AnsiColor::Red.on_default(),
        Cell::Clients => AnsiColor::Blue.on_default(),
    }
}

fn styled(line: &[Cell], charset: Charset) -> String {
    let end = line.iter().rposition(|cell| *cell != Cell::Empty);
    let line = &line[..end.map_or(0, |end| end + 1)];
    let runs = line.chunk_by(|one, other| style(*one) == style(*other));
    let runs = runs.map(|run| {
        let style = style(run[0]);
        let glyphs: String = run.iter().map(|cell| glyph(*cell, charset)).collect();
        format!("{style}{glyphs}{style:#}")
    });
    runs.collect()
}

/// Writes labels below their columns, without those that do not fit.
fn labels(marks: &[(usize, String)], room: usize) -> String {
    let mut line = String::new();
    for (column, label) in marks {
        let width = label.chars().count();
        let start = column
            .saturating_sub(width / 2)
            .min(room.saturating_sub(width));
        let used = line.chars().count();
        if used == 0 || start > used {
            line += &" ".repeat(start - used);
            line += label;
        }
    }
    line
}

fn legend(found: &Suggestions, curve: &Curve, charset: Charset) -> String {
    let entry = |cell: Cell, text: &str| {
        let (style, glyph) = (style(cell), glyph(cell, charset));
        format!("{:LABEL$} {style}{glyph}{style:#} {text}\n", "")
    };
    let kind = curve
        .kind
        .replace('×', if charset == Charset::Ascii { "*" } else { "×" });
    let mut text = format!("{:LABEL$} N of {kind}\n", "");
    text += &entry(Cell::Requests, "share of requests refused");
    if found.by != "none" {
        let clients = format!("share of {} with a request refused", nouns(&found.by));
        text += &entry(Cell::Clients, &clients);
        text += &entry(Cell::Both, "both");
    }
    text + &entry(Cell::Recommended, "recommended")
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn labels_do_not_overlap() {
        let marks = |columns: [usize; 3]| {
            let texts = ["1", "50", "100"].map(str::to_owned);
            columns.into_iter().zip(texts).collect::<Vec<_>>()
        };
        assert_eq!(labels(&marks([0, 10, 19]), 20), "1        50      100");
        assert_eq!(labels(&marks([0, 1, 2]), 20), "1");
        assert_eq!(labels(&marks([0, 18, 19]), 20), "1                50");
    }
}
