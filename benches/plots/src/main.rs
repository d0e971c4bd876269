//! `tidegate-plots FOLDER [--check]`, which `plot.sh` describes.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use tidegate_plots::{docs, draw, for_docs, shown_in_docs};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (folder, check) = match arguments.as_slice() {
        [folder] => (folder, false),
        [folder, flag] if flag == "--check" => (folder, true),
        _ => {
            eprintln!("usage: plot.sh FOLDER [--check]");
            return ExitCode::from(2);
        }
    };
    match run(Path::new(folder), check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, check: bool) -> Result<(), String> {
    let pictures = draw(folder).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    for (name, picture) in &pictures {
        match picture {
            Some(svg) => files.push((folder.join("plots").join(name), svg.clone())),
            None => eprintln!("{name}: left out, its numbers are not in the folder"),
        }
    }
    let shown = shown_in_docs().map_err(|error| error.to_string())?;
    if shown.is_some() && folder.canonicalize().ok() == shown {
        let docs_files = for_docs(&pictures).into_iter();
        files.extend(docs_files.map(|(name, content)| (docs().join(name), content)));
    }
    let mut stale = Vec::new();
    for (path, content) in files {
        if !check {
            let folder = path.parent().expect("a file in a folder");
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, content));
            written.map_err(|error| format!("{}: {error}", path.display()))?;
        } else if fs::read_to_string(&path).ok() != Some(content) {
            stale.push(path.display().to_string());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("does not show these numbers: {}", stale.join(", ")))
}
