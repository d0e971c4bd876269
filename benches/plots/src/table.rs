//! Reads a record's files, and says where one of them is wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use tinyjson::JsonValue;

/// A file, the line if it is about one, and what is wrong.
#[derive(Debug)]
pub struct Error {
    file: PathBuf,
    line: Option<u64>,
    what: String,
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

/// A CSV file with a head.
pub struct Table {
    file: PathBuf,
    columns: HashMap<String, usize>,
    rows: Vec<(u64, csv::StringRecord)>,
}

/// A line of it.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    line: u64,
    cells: &'a csv::StringRecord,
}

impl Table {
    /// Reads `name` in the folder, which has to have these columns; nothing if it is not there.
    pub fn read(folder: &Path, name: &str, columns: &[&str]) -> Result<Option<Self>, Error> {
        let file = folder.join(name);
        let wrong = |line, what| Error {
            file: file.clone(),
            line,
            what,
        };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(None, error.to_string())),
        };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let head = reader
            .headers()
            .map_err(|error| wrong(Some(1), error.to_string()))?
            .clone();
        let known: HashMap<String, usize> = head.iter().map(str::to_owned).zip(0..).collect();
        if let Some(missing) = columns.iter().find(|column| !known.contains_key(**column)) {
            return Err(wrong(Some(1), format!("no column \"{missing}\"")));
        }
        let mut rows = Vec::new();
        for row in reader.records() {
            let row = row.map_err(|error| wrong(None, error.to_string()))?;
            let line = row.position().map_or(0, csv::Position::line);
            if row.len() != head.len() {
                let what = format!("{} cells, but the head has {}", row.len(), head.len());
                return Err(wrong(Some(line), what));
            }
            rows.push((line, row));
        }
        if rows.is_empty() {
            return Err(wrong(None, "no rows".to_owned()));
        }
        Ok(Some(Self {
            file,
            columns: known,
            rows,
        }))
    }

    /// All lines but the head.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row {
            table: self,
            line: *line,
            cells,
        })
    }

    /// The head, in its order.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<(&str, usize)> = self
            .columns
            .iter()
            .map(|(name, at)| (name.as_str(), *at))
            .collect();
        columns.sort_by_key(|(_, at)| *at);
        columns.into_iter().map(|(name, _)| name).collect()
    }

    /// About the whole file.
    pub fn wrong(&self, what: impl Into<String>) -> Error {
        Error {
            file: self.file.clone(),
            line: None,
            what: what.into(),
        }
    }
}

impl<'a> Row<'a> {
    /// The cell of a column that [`Table::read`] asked for.
    pub fn text(self, column: &str) -> &'a str {
        let cell = self
            .table
            .columns
            .get(column)
            .and_then(|&at| self.cells.get(at));
        cell.unwrap_or_default()
    }

    /// The same, which has to be a number that is not negative.
    pub fn number(self, column: &str) -> Result<f64, Error> {
        let text = self.text(column);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(self.wrong(format!("{column} is \"{text}\", not a number from 0 up"))),
        }
    }

    /// The same, and more than 0.
    pub fn positive(self, column: &str) -> Result<f64, Error> {
        let number = self.number(column)?;
        if number > 0.0 {
            Ok(number)
        } else {
            Err(self.wrong(format!("{column} is 0")))
        }
    }

    /// The same, whole, and small enough to count with.
    pub fn count(self, column: &str) -> Result<u32, Error> {
        let text = self.text(column);
        text.parse()
            .map_err(|_| self.wrong(format!("{column} is \"{text}\", not a whole number")))
    }

    fn wrong(self, what: String) -> Error {
        Error {
            file: self.table.file.clone(),
            line: Some(self.line),
            what,
        }
    }
}

/// Where the numbers are from.
pub struct Machine {
    facts: HashMap<String, String>,
}

impl Machine {
    /// Reads `machine.json`.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let file = folder.join("machine.json");
        let wrong = |what| Error {
            file: file.clone(),
            line: None,
            what,
        };
        let text = fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        let json: JsonValue = text
            .parse()
            .map_err(|error: tinyjson::JsonParseError| wrong(error.to_string()))?;
        let JsonValue::Object(members) = json else {
            return Err(wrong("not an object".to_owned()));
        };
        let text = |value| {
            if let JsonValue::String(text) = value {
                text
            } else {
                String::new()
            }
        };
        let facts: HashMap<String, String> = members
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect();
        for name in ["cpu", "cores", "date", "commit"] {
            if facts.get(name).is_none_or(String::is_empty) {
                return Err(wrong(format!("does not say its {name}")));
            }
        }
        Ok(Self { facts })
    }

    fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// The line below a picture.
    pub fn caption(&self) -> String {
        let cores = self.fact("cores");
        let cores = if cores == "1" {
            "1 core".to_owned()
        } else {
            format!("{cores} cores")
        };
        let day = self.fact("date").split('T').next().unwrap_or_default();
        let commit: String = self.fact("commit").chars().take(10).collect();
        let mut caption = format!("{}, {cores}", self.fact("cpu"));
        if self.fact("hypervisor") == "true" {
            caption += ", virtual";
        }
        caption += &format!(" · {day} · commit {commit}");
        if self.fact("uncommitted_changes") == "true" {
            caption += " and changes";
        }
        let rustc: Vec<&str> = self.fact("rustc").split(' ').take(2).collect();
        if !rustc.is_empty() {
            caption += &format!(" · {}", rustc.join(" "));
        }
        if self.fact("quick") == "true" {
            caption += " · A QUICK RUN: PROVES NOTHING";
        }
        caption
    }
}
