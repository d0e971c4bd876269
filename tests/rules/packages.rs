//! A README reads the same in its package: what it links to comes along.

use alloc::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};
use std::process::Command;

use crate::report;

/// Returns the targets of links and pictures, as in `[text](target)` and `src="target"`.
fn targets(markdown: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (start, end) in [
        ("](", ')'),
        ("src=\"", '"'),
        ("href=\"", '"'),
        ("srcset=\"", '"'),
    ] {
        for (at, _) in markdown.match_indices(start) {
            let target = &markdown[at + start.len()..];
            found.extend(target.split(end).next());
        }
    }
    // Definitions: `[label]: target`.
    for line in markdown.lines().filter(|line| line.starts_with('[')) {
        found.extend(line.split_once("]: ").map(|(_, target)| target.trim()));
    }
    found
}

/// Returns a link's file, without `./` and the anchor; `None` for addresses and anchors alone.
fn relative(target: &str) -> Option<&str> {
    let file = target.split('#').next()?.trim_start_matches("./");
    (!file.is_empty() && !file.contains("://") && !file.starts_with("mailto:")).then_some(file)
}

#[test]
fn links_of_readmes_are_in_their_packages() {
    let mut found = Vec::new();
    for (package, folder) in [
        ("tidegate", "."),
        ("tidegate-cli", "cli"),
        ("tidegate-macros", "macros"),
        ("tidegate-redis", "redis"),
    ] {
        let list = Command::new(env!("CARGO"))
            .args([
                "package",
                "--list",
                "--allow-dirty",
                "--offline",
                "--package",
                package,
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(
            list.status.success(),
            "{}",
            String::from_utf8_lossy(&list.stderr)
        );
        let list = String::from_utf8(list.stdout).expect("names in UTF-8");
        let list: BTreeSet<&Path> = list.lines().map(Path::new).collect();
        assert!(list.contains(Path::new("Cargo.toml")), "{list:?}");
        if !list.contains(Path::new("README.md")) {
            continue;
        }
        let readme = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join("README.md");
        let readme = fs::read_to_string(readme).expect("readable");
        for file in targets(&readme).into_iter().filter_map(relative) {
            let path = Path::new(file);
            let stays = !path.components().any(|part| part == Component::ParentDir);
            if !stays || !list.iter().any(|packaged| packaged.starts_with(path)) {
                found.push(format!(
                    "{package}: README.md links to {file}, which the package lacks"
                ));
            }
        }
    }
    report(&found);
}

#[test]
fn finder_sees_links_and_pictures() {
    let markdown = "A [link](src/lib.rs#L1), ![picture](./a.svg), [page](https://docs.rs), \
        [here](#top).\n<img src=\"b.svg\">\n\n[label]: c.md";
    let files: Vec<_> = targets(markdown).into_iter().filter_map(relative).collect();
    assert_eq!(files, ["src/lib.rs", "a.svg", "b.svg", "c.md"]);
}
