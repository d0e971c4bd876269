//! `tidegate-plots FOLDER [--check]`, which `plot.sh` describes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use tidegate_plots::{docs, draw, for_docs, in_readme, shown_in_docs};

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
    if !check {
        write(files)?;
        files = Vec::new();
    }
    // After the pictures of the record, which may be the first of their name.
    let own = folder.canonicalize().ok();
    for (name, content) in for_docs(&pictures) {
        let shown = shown_in_docs(name).map_err(|error| error.to_string())?;
        if name == "style.html" || (shown.is_some() && shown == own) {
            files.push((docs().join(name), content));
        }
    }
    for (name, picture) in &pictures {
        let shown = shown_in_docs(name).map_err(|error| error.to_string())?;
        if let (Some(path), Some(svg)) = (in_readme(name), picture)
            && shown.is_some()
            && shown == own
        {
            files.push((path, svg.clone()));
        }
    }
    if !check {
        return write(files);
    }
    let stale = files.into_iter().filter_map(|(path, content)| {
        let kept = fs::read_to_string(&path).ok();
        (kept != Some(content)).then(|| path.display().to_string())
    });
    let stale: Vec<String> = stale.collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("does not show these numbers: {}", stale.join(", ")))
}

fn write(files: Vec<(PathBuf, String)>) -> Result<(), String> {
    for (path, content) in files {
        let folder = path.parent().expect("a file in a folder");
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, content));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
