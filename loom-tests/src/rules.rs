//! What texts say about mutants is true.

use std::fs;
use std::path::{Path, PathBuf};

use crate::mutant::NAMES;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let files = paths.flat_map(|path| {
        if path.is_dir() {
            sources(&path)
        } else {
            vec![path]
        }
    });
    files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// Each model and the mutants that fail it or pass, with whether they pass, by the list of its
/// file.
fn listed(topic: &str, text: &str) -> Vec<(String, Vec<(String, bool)>)> {
    let (_, list) = text
        .split_once("mutant::tests! {")
        .expect("a list of tests");
    let models = list.split('}').filter_map(|part| part.rsplit_once('{'));
    let models = models.map(|(before, mutants)| {
        let model = before.split_whitespace().last().expect("a model");
        let pairs = mutants.split(',').filter_map(|pair| pair.split_once(':'));
        let pairs = pairs.map(|(name, outcome)| (name.trim(), outcome.trim() == "passes"));
        let known = pairs.filter(|(name, _)| NAMES.contains(&&*format!("{topic}::{name}")));
        let known = known.map(|(name, passes)| (name.to_owned(), passes));
        (model.to_owned(), known.collect())
    });
    models.collect()
}

fn topics() -> Vec<String> {
    let mut topics: Vec<_> = NAMES
        .iter()
        .map(|name| name.split_once("::").expect("a topic").0.to_owned())
        .collect();
    topics.dedup();
    topics
}

#[test]
fn every_mutant_has_a_test() {
    let mut tested = Vec::new();
    for topic in topics() {
        let text = read(&here().join(format!("src/{topic}.rs")));
        for (_, mutants) in listed(&topic, &text) {
            tested.extend(
                mutants
                    .into_iter()
                    .map(|(name, _)| format!("{topic}::{name}")),
            );
        }
    }
    for name in NAMES {
        assert!(
            tested.contains(&(*name).to_owned()),
            "no model runs on {name}"
        );
    }
}

#[test]
fn first_line_of_a_model_names_what_it_kills() {
    for topic in topics() {
        let text = read(&here().join(format!("src/{topic}.rs")));
        for (model, mutants) in listed(&topic, &text) {
            let (before, _) = text.split_once(&format!("fn {model}()")).expect("a model");
            let lines: Vec<_> = before
                .lines()
                .rev()
                .take_while(|line| line.starts_with("///"))
                .collect();
            let first: Vec<_> = lines
                .into_iter()
                .rev()
                .take_while(|line| *line != "///")
                .collect();
            for (mutant, _) in mutants.into_iter().filter(|(_, passes)| !passes) {
                let named = first
                    .iter()
                    .any(|line| line.contains(&format!("`{mutant}`")));
                assert!(named, "{topic}::{model} kills {mutant}");
            }
        }
    }
}

/// Module docs put the names of mutants in parentheses and say where mutants are, or name a mutant
/// as `mutants::topic::name`.
#[test]
fn shipped_sources_name_mutants_that_exist() {
    let known: Vec<_> = NAMES.iter().map(|name| name.rsplit("::").next()).collect();
    for folder in ["../src", "../redis/src"] {
        for file in sources(&here().join(folder)) {
            let text = read(&file);
            let mut names: Vec<_> = text.split("`mutants::").skip(1).map(up_to_quote).collect();
            let docs = text.lines().map_while(|line| line.strip_prefix("//!"));
            let docs = docs.collect::<String>();
            if docs.contains("loom-tests/src/mutants") {
                let groups = docs
                    .split('(')
                    .skip(1)
                    .filter_map(|part| part.split(')').next());
                let quoted = groups.flat_map(|group| group.split('`').skip(1).step_by(2));
                names.extend(quoted.filter(|name| name.contains('_') && is_snake_case(name)));
            }
            for name in names {
                let last = name.rsplit("::").next();
                assert!(
                    known.contains(&last),
                    "{}: no mutant {name}",
                    file.display()
                );
            }
        }
    }
}

fn up_to_quote(text: &str) -> &str {
    text.split('`').next().unwrap_or_default()
}

fn is_snake_case(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}
