//! Reads the files of a record, and names the file and line of a mistake.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde_json::{Map, Value};

/// A mistake: its file, its line if it has one, and what is wrong.
#[derive(Debug)]
pub struct Error {
    file: PathBuf,
    line: Option<u64>,
    what: String,
}

impl Error {
    fn new(file: &Path, line: Option<u64>, what: impl ToString) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Error {}

/// A CSV file with a header.
pub struct Table {
    file: PathBuf,
    header: csv::StringRecord,
    columns: HashMap<String, usize>,
    rows: Vec<csv::StringRecord>,
}

/// A row of a table.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    cells: &'a csv::StringRecord,
}

impl Table {
    /// Reads `name` in the folder; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a table with these columns and at least one row.
    pub fn read(folder: &Path, name: &str, columns: &[&str]) -> Result<Option<Self>, Error> {
        let file = folder.join(name);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(&file, None, error)),
        };
        // Flexible: the check below names the line of a row of another length.
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = reader.headers();
        let header = header
            .map_err(|error| Error::new(&file, Some(1), error))?
            .clone();
        let known: HashMap<String, usize> = header.iter().map(str::to_owned).zip(0..).collect();
        if let Some(missing) = columns.iter().find(|column| !known.contains_key(**column)) {
            return Err(Error::new(
                &file,
                Some(1),
                format!("no column \"{missing}\""),
            ));
        }
        let mut rows = Vec::new();
        for row in reader.records() {
            let row = row.map_err(|error| Error::new(&file, None, error))?;
            if row.len() != header.len() {
                let what = format!("{} cells, but the header has {}", row.len(), header.len());
                return Err(Error::new(
                    &file,
                    row.position().map(csv::Position::line),
                    what,
                ));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(Error::new(&file, None, "no rows"));
        }
        Ok(Some(Self {
            file,
            header,
            columns: known,
            rows,
        }))
    }

    /// Returns all rows below the header.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { table: self, cells })
    }

    /// Returns the names of the columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.header.iter()
    }

    /// Makes an error about the whole file.
    pub fn wrong(&self, what: impl ToString) -> Error {
        Error::new(&self.file, None, what)
    }
}

impl<'a> Row<'a> {
    /// Returns the text of a cell.
    pub fn text(self, column: &str) -> &'a str {
        let at = self.table.columns.get(column);
        at.and_then(|&at| self.cells.get(at)).unwrap_or_default()
    }

    /// Returns a number of at least 0.
    ///
    /// # Errors
    ///
    /// Fails if the cell holds anything else.
    pub fn number(self, column: &str) -> Result<f64, Error> {
        let text = self.text(column);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(self.wrong(format!("{column} is \"{text}\", not a number from 0 up"))),
        }
    }

    /// Returns a number above 0.
    ///
    /// # Errors
    ///
    /// Fails if the cell holds anything else.
    pub fn positive(self, column: &str) -> Result<f64, Error> {
        let number = self.number(column)?;
        if number > 0.0 {
            Ok(number)
        } else {
            Err(self.wrong(format!("{column} is 0")))
        }
    }

    /// Returns a whole number.
    ///
    /// # Errors
    ///
    /// Fails if the cell holds anything else.
    pub fn count(self, column: &str) -> Result<u32, Error> {
        let text = self.text(column);
        text.parse()
            .map_err(|_| self.wrong(format!("{column} is \"{text}\", not a whole number")))
    }

    fn wrong(self, what: String) -> Error {
        let line = self.cells.position().map(csv::Position::line);
        Error::new(&self.table.file, line, what)
    }
}

/// The machine that measured the numbers.
pub struct Machine {
    facts: Map<String, Value>,
}

impl Machine {
    /// Reads `machine.json`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or lacks a fact of the caption.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let file = folder.join("machine.json");
        let wrong = |what: &dyn fmt::Display| Error::new(&file, None, what);
        let text = fs::read_to_string(&file).map_err(|error| wrong(&error))?;
        let json = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let Value::Object(facts) = json else {
            return Err(wrong(&"not an object"));
        };
        let machine = Self { facts };
        for name in ["cpu", "cores", "date", "commit"] {
            if machine.fact(name).is_empty() {
                return Err(wrong(&format_args!("does not name its {name}")));
            }
        }
        Ok(machine)
    }

    fn fact(&self, name: &str) -> &str {
        let fact = self.facts.get(name).and_then(Value::as_str);
        fact.unwrap_or_default()
    }

    /// Returns the line below a picture.
    pub fn caption(&self) -> String {
        let cores = self.fact("cores");
        let plural = if cores == "1" { "" } else { "s" };
        let mut caption = format!("{}, {cores} core{plural}", self.fact("cpu"));
        if self.fact("hypervisor") == "true" {
            caption += ", virtual";
        }
        let day = self.fact("date").split('T').next().unwrap_or_default();
        let commit: String = self.fact("commit").chars().take(10).collect();
        caption += &format!(" · {day} · commit {commit}");
        if self.fact("uncommitted_changes") == "true" {
            caption += " and changes";
        }
        let rustc: Vec<&str> = self.fact("rustc").split(' ').take(2).collect();
        caption += &format!(" · {}", rustc.join(" "));
        if self.fact("quick") == "true" {
            caption += " · A QUICK RUN: PROVES NOTHING";
        }
        caption
    }
}
