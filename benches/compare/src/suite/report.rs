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
    format!("{value:.digits$}")
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
        head: &[&str],
        rows: &[Vec<String>],
    ) {
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
    use super::quoted;

    #[test]
    fn cells_with_commas_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
