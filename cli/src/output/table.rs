//! Tables that fit the terminal.

use std::fmt::Write;

use anstyle::Style;

/// A table: a column is as wide as its widest cell, and one column gives way if there is not enough room.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// The column that is cut where it must be; it stands to the left, and all others to the right.
    yields: usize,
}

/// The least width of the column that gives way.
const LEAST: usize = 8;

impl Table {
    /// A table with a head. The column of number `yields` gives way.
    pub fn new(head: &[&str], yields: usize) -> Self {
        Self {
            rows: vec![head.iter().map(ToString::to_string).collect()],
            yields,
        }
    }

    /// Another row, of as many cells as the head has.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text, in at most `width` columns if that can be done.
    pub fn text(&self, width: usize) -> String {
        let columns = self.rows[0].len();
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        let all = widths.iter().sum::<usize>() + 2 * columns;
        if let Some(yields) = widths.get_mut(self.yields) {
            let over = all.saturating_sub(width);
            *yields = yields.saturating_sub(over).max(LEAST.min(*yields));
        }
        let bold = Style::new().bold();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let cell = cut(cell, *width);
                // Writing to a string does not fail.
                let _ = if column == self.yields {
                    write!(line, "  {cell:<width$}")
                } else {
                    write!(line, "  {cell:>width$}")
                };
            }
            let line = line.trim_end();
            let _ = if number == 0 {
                writeln!(text, "{bold}{line}{bold:#}")
            } else {
                writeln!(text, "{line}")
            };
        }
        text
    }
}

/// At most `width` characters, the last of which says if there are more.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_column_yields() {
        let mut table = Table::new(&["key", "n"], 0);
        table.row(vec!["a rather long key".to_owned(), "12345".to_owned()]);
        let text = table.text(80);
        assert!(text.ends_with("  a rather long key  12345\n"), "{text}");
        let text = table.text(20);
        assert!(text.ends_with("  a rather l…  12345\n"), "{text}");
        let text = table.text(1);
        assert!(text.ends_with("  a rathe…  12345\n"), "{text}");
    }
}
