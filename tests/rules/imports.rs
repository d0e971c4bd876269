//! Files of a crate do not import each other in a cycle.
//!
//! An edge goes from a file to the file that defines what it names, so re-exports are followed. A
//! re-export is an edge of its own file only if that file also uses the name. Code for tests is
//! left out.

mod sources;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use crate::{files, report};
use sources::{Graph, Sources};

/// Returns a shortest cycle through each file that is in one, without files already shown.
fn cycles(graph: &Graph<'_>) -> Vec<String> {
    let mut shown = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in graph.keys() {
        if shown.contains(start) {
            continue;
        }
        if let Some(cycle) = cycle_through(start, graph) {
            let edges = cycle.windows(2).map(|edge| {
                let import = &graph[edge[0]][edge[1]];
                format!("  {} imports {import} of {}", edge[0], edge[1])
            });
            cycles.push(edges.collect::<Vec<_>>().join("\n"));
            shown.extend(cycle);
        }
    }
    cycles
}

/// Searches breadth first; the cycle begins and ends with `start`.
fn cycle_through<'a>(start: &'a str, graph: &Graph<'a>) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if *next == start {
                let mut cycle = vec![start, file];
                while let Some(before) = came_from.get(cycle[cycle.len() - 1]) {
                    cycle.push(before);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Imports that close a cycle and still have to go: crate, file, and the file that it imports.
const REMAINING: [(&str, &str, &str); 3] = [
    ("cli/src", "picture/svg.rs", "picture.rs"),
    ("src", "api/limits.rs", "api/config.rs"),
    ("src", "api/limits.rs", "api/usual.rs"),
];

#[test]
fn crates_have_no_import_cycle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "redis/src", "cli/src", "macros/src"] {
        let source = root.join(folder);
        let read = |path: &Path| {
            let name = path.strip_prefix(&source).expect("below the folder");
            let text = fs::read_to_string(path).expect("readable");
            (name.to_str().expect("UTF-8").replace('\\', "/"), text)
        };
        let files = files(&source, &["rs"]);
        let sources = files.iter().map(|path| read(path)).collect();
        let sources = Sources::new(&sources);
        let mut graph = sources.graph();
        for (_, from, to) in REMAINING.iter().filter(|remaining| remaining.0 == folder) {
            let edge = graph.get_mut(from).and_then(|edges| edges.remove(to));
            if edge.is_none() {
                found.push(format!(
                    "{folder}/{from} no longer imports {to}: shorten `REMAINING`"
                ));
            }
        }
        let cycles = cycles(&graph).into_iter();
        found.extend(cycles.map(|cycle| format!("a cycle in {folder}:\n{cycle}")));
    }
    report(&found);
}

fn cycles_of(files: &[(&str, &str)]) -> Vec<String> {
    let owned = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    cycles(&Sources::new(&owned.collect()).graph())
}

#[test]
fn finder_shows_each_import_of_a_cycle() {
    let cycles = cycles_of(&[
        ("lib.rs", "mod one; mod two;"),
        (
            "one.rs",
            "use crate::two::{Second, Other as Another}; pub(crate) struct First;",
        ),
        ("two.rs", "pub(crate) struct Second(super::one::First);"),
    ]);
    let expected = "  one.rs imports crate::two::Second of two.rs\n  \
        two.rs imports super::one::First of one.rs";
    assert_eq!(cycles, [expected]);
}

#[test]
fn finder_follows_re_exports_and_parents() {
    let through_root = [
        (
            "lib.rs",
            "mod one; mod two; pub use one::First; pub use two::*;",
        ),
        ("one.rs", "pub struct First(crate::Second);"),
        (
            "two.rs",
            "pub struct Second; fn f() { crate::First::new() }",
        ),
    ];
    assert_eq!(cycles_of(&through_root).len(), 1);
    let through_parent = [
        ("lib.rs", "mod one;"),
        (
            "one.rs",
            "mod part; pub use part::Part; pub struct One(Part);",
        ),
        (
            "one/part.rs",
            "pub struct Part; impl From<super::One> for Part {}",
        ),
    ];
    assert_eq!(cycles_of(&through_parent).len(), 1);
    let parent_only_re_exports = [
        ("lib.rs", "mod one;"),
        ("one.rs", "mod part; pub use part::Part; pub struct One;"),
        (
            "one/part.rs",
            "pub struct Part; impl From<super::One> for Part {}",
        ),
    ];
    assert_eq!(cycles_of(&parent_only_re_exports), [] as [&str; 0]);
}

#[test]
fn finder_ignores_tests_and_comments() {
    let one_way = [
        ("lib.rs", "mod one; mod two; /* use one::First; */"),
        (
            "one.rs",
            "use crate::two::Second; pub struct First; #[cfg(test)] mod tests;",
        ),
        ("one/tests.rs", "use super::First;"),
        (
            "two.rs",
            "/// [`crate::one::First`]
             pub struct Second; #[cfg(test)] mod tests { use crate::one::First; }",
        ),
    ];
    assert_eq!(cycles_of(&one_way), [] as [&str; 0]);
}
