//! Prints tables that fit the terminal.

use anstyle::Style;

use crate::picture::key::{shown, width};

/// The minimum width of the key column.
const MIN_KEY_WIDTH: usize = 8;

/// A table. One column holds keys. It is left-aligned and truncated if the table is too wide.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    key_column: usize,
}

impl Table {
    /// Begins a table with a header.
    pub fn new(header: &[&str], key_column: usize) -> Self {
        Self {
            rows: vec![header.iter().map(ToString::to_string).collect()],
            key_column,
        }
    }

    /// Adds a row with as many cells as the header.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Returns the text, in at most `columns` columns if possible.
    pub fn text(&self, columns: usize) -> String {
        let mut widths = vec![0; self.rows[0].len()];
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = cell_width(cell).max(*widest);
            }
        }
        let excess = (widths.iter().sum::<usize>() + 2 * widths.len()).saturating_sub(columns);
        let key_width = &mut widths[self.key_column];
        *key_width = key_width
            .saturating_sub(excess)
            .max(MIN_KEY_WIDTH.min(*key_width));
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let cell = match cell.as_str() {
                    "" => String::new(),
                    cell => shown(cell, *width),
                };
                let padding = " ".repeat(width.saturating_sub(cell_width(&cell)));
                line += &if column == self.key_column {
                    format!("  {cell}{padding}")
                } else {
                    format!("  {padding}{cell}")
                };
            }
            let line = line.trim_end();
            let style = if number == 0 {
                Style::new().bold()
            } else {
                Style::new()
            };
            text += &format!("{style}{line}{style:#}\n");
        }
        text
    }
}

fn cell_width(cell: &str) -> usize {
    cell.chars().map(width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_truncated_to_fit() {
        let mut table = Table::new(&["key", "n"], 0);
        table.row(vec!["a rather long key".to_owned(), "12345".to_owned()]);
        table.row(vec!["漢字".to_owned(), String::new()]);
        for (columns, expected) in [
            (80, "  a rather long key  12345\n  漢字\n"),
            (20, "  a rather l…  12345\n  漢字\n"),
            (1, "  a rathe…  12345\n  漢字\n"),
        ] {
            let text = table.text(columns);
            assert!(text.ends_with(expected), "{text}");
        }
    }
}
