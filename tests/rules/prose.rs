//! Docs and comments fit 100 columns, and use everyday words.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{files, report};

const COLUMNS: usize = 100;

/// Words that made sentences hard to read: name the caller, a waiter, another thread instead.
const WORDS: [&str; 9] = [
    "anybody",
    "everybody",
    "nobody",
    "somebody",
    "whoever",
    // Private names of the first version.
    "mishap",
    "mishaps",
    "newcomer",
    "prospect",
];

const FOLDERS: [&str; 11] = [
    "benches",
    "cli",
    "examples",
    "fuzz",
    "loom-tests",
    "macros",
    "redis",
    "scripts",
    "src",
    "tests",
    ".ci",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the repository's files of these kinds, without records, which keep their words.
fn repository_files(extensions: &[&str]) -> Vec<PathBuf> {
    let here = fs::read_dir(root()).expect("the repository");
    let top = here.map(|entry| entry.expect("readable").path());
    let is_kind = |path: &PathBuf| {
        path.extension()
            .is_some_and(|it| extensions.iter().any(|kind| it == *kind))
    };
    let mut found: Vec<_> = top.filter(|path| path.is_file() && is_kind(path)).collect();
    for folder in FOLDERS {
        found.extend(files(&root().join(folder), extensions));
    }
    let records = root().join("benches/record");
    found.retain(|path| !path.starts_with(&records));
    found
}

/// Returns the text after `//` or `#`, if this line has a comment.
fn comment<'a>(line: &'a str, extension: &str) -> Option<&'a str> {
    let start = if extension == "rs" { "//" } else { "#" };
    let line = line.trim_start();
    let text = line
        .strip_prefix(start)
        .or_else(|| line.split_once(&format!(" {start} ")).map(|(_, text)| text))?;
    Some(text.trim_start_matches(['/', '!', '#']).trim_start())
}

/// Tables, links and addresses cannot be broken.
fn cannot_break(text: &str) -> bool {
    let words = text.split_whitespace();
    text.starts_with('|')
        || text.starts_with("[`")
        || words
            .into_iter()
            .any(|word| word.contains("://") || word.contains("](") || word.contains("]: "))
}

#[test]
fn lines_fit_100_columns() {
    let mut found = Vec::new();
    for path in repository_files(&["rs", "md", "toml", "sh", "awk"]) {
        let extension = path
            .extension()
            .and_then(|it| it.to_str())
            .expect("has one");
        let text = fs::read_to_string(&path).expect("readable");
        // In a README, code keeps to the width, and a program's output is as it was printed.
        let mut block_is_output = None;
        for (number, line) in (1..).zip(text.lines()) {
            let prose = if extension == "md" {
                if line.starts_with("```") {
                    block_is_output = match block_is_output {
                        None => Some(!line.starts_with("```rust")),
                        Some(_) => None,
                    };
                }
                (block_is_output != Some(true)).then_some(line)
            } else {
                comment(line, extension)
            };
            let columns = line.chars().count();
            if columns > COLUMNS && prose.is_some_and(|prose| !cannot_break(prose)) {
                let path = path.strip_prefix(root()).expect("below the root");
                found.push(format!("{}:{number}: {columns} columns", path.display()));
            }
        }
    }
    report(&found);
}

#[test]
fn comments_use_everyday_words() {
    let mut found = Vec::new();
    for folder in ["src", "redis/src", "cli/src", "macros/src"] {
        for path in files(&root().join(folder), &["rs", "md"]) {
            let text = fs::read_to_string(&path).expect("readable");
            let markdown = path.extension().is_some_and(|it| it == "md");
            for (number, line) in (1..).zip(text.lines()) {
                let prose = if markdown {
                    Some(line)
                } else {
                    comment(line, "rs")
                };
                let prose = prose.unwrap_or_default().to_lowercase();
                let mut words =
                    prose.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
                if let Some(word) = words.find(|word| WORDS.contains(word)) {
                    let path = path.strip_prefix(root()).expect("below the root");
                    found.push(format!("{}:{number}: {word}", path.display()));
                }
            }
        }
    }
    report(&found);
}
