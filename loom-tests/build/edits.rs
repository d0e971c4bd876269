//! The files in `src/mutants/`: which texts of the shipped sources a mutant replaces.

use std::fs;
use std::path::Path;

/// One edit of a mutant.
pub struct Edit {
    /// `topic::name`, where the topic is the name of the file that describes the mutant.
    pub mutant: String,
    /// The path of the source file from the root of the repository.
    pub file: String,
    /// The function in which the text is searched.
    pub function: String,
    /// The variables that the text binds and later code uses, if it consists of `let` statements:
    /// `(a, b)`.
    pub bindings: Option<String>,
    pub find: String,
    pub replace: String,
}

/// Reads all files of a folder.
///
/// # Panics
///
/// If a line is none of `# comment`, `mutant name`, `@@ file function (bindings)`, `-shipped`,
/// `+edited`.
pub fn read(folder: &Path) -> Vec<Edit> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    let mut edits = Vec::new();
    for path in paths {
        let topic = path.file_stem().expect("a file").to_string_lossy();
        let text = fs::read_to_string(&path).expect("readable");
        parse(&text, &topic, &mut edits);
    }
    edits
}

fn parse(text: &str, topic: &str, edits: &mut Vec<Edit>) {
    let mut mutant = String::new();
    for (index, line) in text.lines().enumerate() {
        let bad = || -> ! { panic!("src/mutants/{topic}.diff:{}: misplaced: {line}", index + 1) };
        let last = edits.last_mut().filter(|edit| edit.mutant == mutant);
        if line.is_empty() || line.starts_with('#') {
            // A comment.
        } else if let Some(name) = line.strip_prefix("mutant ") {
            mutant = format!("{topic}::{name}");
        } else if let Some(place) = line.strip_prefix("@@ ") {
            let mut words = place.splitn(3, ' ').map(str::to_owned);
            let (Some(file), Some(function)) = (words.next(), words.next()) else {
                bad()
            };
            edits.push(Edit {
                mutant: mutant.clone(),
                file,
                function,
                bindings: words.next(),
                find: String::new(),
                replace: String::new(),
            });
        } else {
            let Some(edit) = last else { bad() };
            let (text, line) = match line.split_at(1) {
                ("-", line) => (&mut edit.find, line),
                ("+", line) => (&mut edit.replace, line),
                _ => bad(),
            };
            text.push_str(line);
            text.push('\n');
        }
    }
}

/// Returns the source text of a constant with all names.
pub fn names(edits: &[Edit]) -> String {
    let mut names: Vec<&str> = edits.iter().map(|edit| &*edit.mutant).collect();
    names.dedup();
    format!("pub(crate) const NAMES: &[&str] = &{names:?};\n")
}
