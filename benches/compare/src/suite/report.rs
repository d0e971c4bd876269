//! Writes the files of the suite.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub(crate) struct Report {
    folder: PathBuf,
    /// The name of the file with all tables.
    name: &'static str,
    tables: RefCell<String>,
}

/// Formats a number with `digits` decimals.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    // Without the sign of "-0.0".
    let is_zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    text.trim_start_matches(|c| is_zero && c == '-').to_owned()
}

/// Makes a table of cells, each with its row and its column. Both keep the order of the cells.
pub(crate) fn pivot(
    corner: &str,
    cells: &[(String, String, String)],
) -> (Vec<String>, Vec<Vec<String>>) {
    let (mut head, mut rows) = (vec![corner.to_owned()], Vec::<Vec<String>>::new());
    for (row, column, cell) in cells {
        let at = head.iter().position(|known| known == column);
        let at = at.unwrap_or_else(|| {
            head.push(column.clone());
            head.len() - 1
        });
        let row = match rows.iter().position(|known| known[0] == *row) {
            Some(found) => &mut rows[found],
            None => {
                rows.push(vec![row.clone()]);
                rows.last_mut().expect("just added")
            }
        };
        row.resize(row.len().max(at + 1), String::new());
        row[at].clone_from(cell);
    }
    for row in &mut rows {
        row.resize(head.len(), String::new());
    }
    (head, rows)
}

impl Report {
    pub(crate) fn new(folder: &Path, name: &'static str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            name,
            tables: RefCell::default(),
        })
    }

    /// Writes `name.csv`, and adds the same as a table under a title.
    pub(crate) fn table(
        &self,
        name: &str,
        title: &str,
        text: &str,
        header: &str,
        rows: Vec<Vec<String>>,
    ) -> io::Result<()> {
        self.csv(name, header, &rows)?;
        let bold = |row: Vec<String>| row.iter().map(|cell| super::bold(cell)).collect();
        let rows: Vec<_> = rows.into_iter().map(bold).collect();
        self.markdown(title, text, &header.split(',').collect::<Vec<_>>(), &rows);
        Ok(())
    }

    /// Writes `name.csv`. The header is its first line.
    pub(crate) fn csv(&self, name: &str, header: &str, rows: &[Vec<String>]) -> io::Result<()> {
        let mut csv = format!("{header}\n");
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
            csv += &(cells.join(",") + "\n");
        }
        self.file(&format!("{name}.csv"), &csv)
    }

    pub(crate) fn markdown(
        &self,
        title: &str,
        text: &str,
        head: &[impl AsRef<str>],
        rows: &[Vec<String>],
    ) {
        let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
        let rule = "---|".repeat(head.len());
        let head = head.join(" | ");
        let mut table = format!("## {title}\n\n{text}\n\n| {head} |\n|{rule}\n");
        for row in rows {
            table += &format!("| {} |\n", row.join(" | "));
        }
        self.text(&(table + "\n"));
    }

    pub(crate) fn text(&self, text: &str) {
        *self.tables.borrow_mut() += text;
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> io::Result<()> {
        fs::write(self.folder.join(name), content)
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.file(
            self.name,
            &(self.tables.borrow().trim_end().to_owned() + "\n"),
        )
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{number, pivot, quoted};

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(number(-0.06, 1), "-0.1");
        assert_eq!(number(-0.4, 0), "0");
        assert_eq!(number(10.0, 0), "10");
    }

    #[test]
    fn pivot_places_each_cell() {
        let cell = |row: &str, column: &str, cell: &str| (row.into(), column.into(), cell.into());
        let cells = [
            cell("a", "x", "1"),
            cell("b", "y", "2"),
            cell("a", "y", "3"),
        ];
        let (head, rows) = pivot("of", &cells);
        assert_eq!(head, ["of", "x", "y"]);
        assert_eq!(rows, [["a", "1", "3"], ["b", "", "2"]]);
    }

    #[test]
    fn cells_with_commas_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
