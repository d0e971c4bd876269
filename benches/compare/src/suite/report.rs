//! The files that come out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

pub(super) struct Report {
    folder: PathBuf,
    tables: String,
}

/// Something to be written into a cell: so many digits behind the point.
pub(super) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    // "-0.0" reads like less than nothing.
    let nothing = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    text.trim_start_matches(|c| nothing && c == '-').to_owned()
}

/// A table of cells: each has the row and the column that it belongs to, and both are in the order in which they come first.
pub(super) fn pivot(
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
                rows.last_mut().expect("it is there")
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
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let (folder, tables) = (folder.to_owned(), String::new());
        Ok(Self { folder, tables })
    }

    /// Writes `name.csv`, and the same as a table under a title.
    pub(super) fn table(
        &mut self,
        name: &str,
        title: &str,
        text: &str,
        head: &[&str],
        rows: Vec<Vec<String>>,
    ) -> io::Result<()> {
        self.csv(name, head, &rows)?;
        let bold = |row: Vec<String>| row.iter().map(|cell| super::bold(cell)).collect();
        let rows: Vec<_> = rows.into_iter().map(bold).collect();
        self.markdown(title, text, head, &rows);
        Ok(())
    }

    pub(super) fn csv(&self, name: &str, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let mut csv = head.join(",") + "\n";
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
            csv += &(cells.join(",") + "\n");
        }
        self.file(&format!("{name}.csv"), &csv)
    }

    pub(super) fn markdown(
        &mut self,
        title: &str,
        text: &str,
        head: &[impl AsRef<str>],
        rows: &[Vec<String>],
    ) {
        let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
        let rule = "---|".repeat(head.len());
        let tables = &mut self.tables;
        write!(
            tables,
            "## {title}\n\n{text}\n\n| {} |\n|{rule}\n",
            head.join(" | ")
        )
        .expect(ROOM);
        for row in rows {
            writeln!(tables, "| {} |", row.join(" | ")).expect(ROOM);
        }
        tables.push('\n');
    }

    pub(super) fn text(&mut self, text: &str) {
        self.tables += text;
    }

    pub(super) fn file(&self, name: &str, content: &str) -> io::Result<()> {
        fs::write(self.folder.join(name), content)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.file("tables.md", &(self.tables.trim_end().to_owned() + "\n"))
    }
}

const ROOM: &str = "a string has room";

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
    fn nothing_has_no_sign() {
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(number(-0.06, 1), "-0.1");
        assert_eq!(number(-0.4, 0), "0");
        assert_eq!(number(10.0, 0), "10");
    }

    #[test]
    fn cells_find_their_places() {
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
