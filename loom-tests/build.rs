//! Copies the shipped sources to the build folder, with all mutants in them.
//!
//! A mutant is one or more edits of shipped code. Each edit becomes a choice at run time, `if
//! is("name") { edited } else { shipped }`, so that one build holds every mutant. The text that an
//! edit replaces must occur exactly once in the function that the edit names, or the build fails.

#[path = "build/code.rs"]
mod code;
#[path = "build/edits.rs"]
mod edits;
#[path = "build/mutate.rs"]
mod mutate;

use std::path::{Path, PathBuf};
use std::{env, fs, mem};

use edits::Edit;

/// The files of tidegate-redis that the models need. The whole crate would bring a client and a
/// runtime along.
const REDIS: [&str; 6] = [
    "breaker.rs",
    "lease/last_refusal.rs",
    "lease/local_lease.rs",
    "semaphore/hold_deadline.rs",
    "sync.rs",
    "unreported.rs",
];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let repository = here.parent().expect("inside the repository");

    let mutants = here.join("src/mutants");
    println!("cargo::rerun-if-changed={}", mutants.display());
    let mut edits = edits::read(&mutants);
    fs::write(out.join("mutants.rs"), edits::names(&edits)).expect("writable");

    let source = repository.join("src");
    println!("cargo::rerun-if-changed={}", source.display());
    copy_folder(
        &source,
        &out.join("tidegate"),
        "tidegate",
        "src",
        &mut edits,
    );

    let mut modules = String::new();
    for path in REDIS {
        let from = repository.join("redis/src").join(path);
        println!("cargo::rerun-if-changed={}", from.display());
        let file = path.rsplit('/').next().expect("a name");
        let to = out.join("redis").join(file);
        copy_file(
            &from,
            &to,
            "redis",
            &format!("redis/src/{path}"),
            &mut edits,
        );
        modules += &format!("pub mod {};\n", file.trim_end_matches(".rs"));
    }
    fs::write(out.join("redis/lib.rs"), modules).expect("writable");

    for edit in &edits {
        error(&format!(
            "mutant {}: there is no file {}",
            edit.mutant, edit.file
        ));
    }
}

/// Fails the build after all edits were tried.
fn error(message: &str) {
    println!("cargo::error={message}");
}

fn copy_folder(from: &Path, to: &Path, root: &str, name: &str, edits: &mut Vec<Edit>) {
    for entry in fs::read_dir(from).expect("a source folder") {
        let entry = entry.expect("readable");
        let file = entry.file_name().into_string().expect("a plain name");
        let (to, name) = (to.join(&file), format!("{name}/{file}"));
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to, root, &name, edits);
        } else if file.ends_with(".rs") {
            copy_file(&entry.path(), &to, root, &name, edits);
        }
    }
}

/// Copies a file and applies the edits of it, which leave the list.
fn copy_file(from: &Path, to: &Path, root: &str, name: &str, edits: &mut Vec<Edit>) {
    let text = fs::read_to_string(from).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut here, elsewhere) = mem::take(edits)
        .into_iter()
        .partition::<Vec<_>, _>(|edit| edit.file == name);
    *edits = elsewhere;
    fs::create_dir_all(to.parent().expect("a file")).expect("writable");
    fs::write(to, mutate::mutate(&text, root, &mut here)).expect("writable");
}
