//! The files in `mutants/`: which texts of the shipped source a mutant replaces.

use std::fs;
use std::path::Path;

/// One edit of a mutant.
#[derive(Clone, Debug)]
pub struct Edit {
    /// `topic::name`, where the topic is the name of the file that describes the mutant.
    pub mutant: String,
    /// The path of the source file from the root of the repository.
    pub file: String,
    /// The function in which the text is looked for.
    pub function: String,
    /// The variables that the text binds and later code uses, if it consists of `let` statements: `(a, b)`.
    pub bindings: Option<String>,
    pub find: String,
    pub replace: String,
}

/// Reads all files of a folder.
///
/// # Panics
///
/// If a line is none of `# comment`, `mutant name`, `@@ file function (bindings)`, `-shipped`, `+edited`.
pub fn read(folder: &Path) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    for path in paths {
        let topic = path
            .file_stem()
            .expect("a file")
            .to_str()
            .expect("a plain name");
        parse(
            &fs::read_to_string(&path).expect("readable"),
            topic,
            &mut edits,
        );
    }
    edits
}

fn parse(text: &str, topic: &str, edits: &mut Vec<Edit>) {
    let mut mutant = String::new();
    let mut of_this_file = Vec::<Edit>::new();
    for (number, line) in text.lines().enumerate() {
        let here = || format!("mutants/{topic}.diff:{}", number + 1);
        if let Some(name) = line.strip_prefix("mutant ") {
            mutant = format!("{topic}::{}", name.trim());
        } else if let Some(place) = line.strip_prefix("@@ ") {
            let (place, bindings) = match place.split_once('(') {
                Some((place, names)) => (place, Some(format!("({names}"))),
                None => (place, None),
            };
            let [file, function] = place.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{}: not `@@ file function`: {line}", here());
            };
            of_this_file.push(Edit {
                mutant: mutant.clone(),
                file: file.to_owned(),
                function: function.to_owned(),
                bindings,
                find: String::new(),
                replace: String::new(),
            });
        } else if let Some(edit) = of_this_file.last_mut()
            && let Some(text) = line.strip_prefix('-')
        {
            edit.find += text;
            edit.find += "\n";
        } else if let Some(edit) = of_this_file.last_mut()
            && let Some(text) = line.strip_prefix('+')
        {
            edit.replace += text;
            edit.replace += "\n";
        } else if !line.is_empty() && !line.starts_with('#') {
            panic!("{}: not understood: {line}", here());
        }
    }
    for edit in &of_this_file {
        assert!(
            !edit.mutant.is_empty(),
            "mutants/{topic}.diff: an edit without a mutant"
        );
        assert!(
            !edit.find.trim().is_empty(),
            "{}: replaces nothing",
            edit.mutant
        );
    }
    edits.append(&mut of_this_file);
}

/// The source text of a constant with all names.
pub fn names(edits: &[Edit]) -> String {
    let mut names: Vec<&str> = edits.iter().map(|edit| &*edit.mutant).collect();
    names.dedup();
    format!("pub(crate) const NAMES: &[&str] = &{names:?};\n")
}
