//! `tidegate-plots FOLDER [--check]`; `plot.sh` says what it does.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

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
    let pictures = tidegate_plots::draw(folder).map_err(|error| error.to_string())?;
    let mut output = Output {
        check,
        stale: Vec::new(),
    };
    let plots = folder.join("plots");
    output.folder(&plots)?;
    for (name, picture) in &pictures {
        match picture {
            Some(svg) => output.file(&plots.join(name), svg)?,
            None => eprintln!("{name}: left out, its numbers are not in the folder"),
        }
    }
    // Other folders than the latest record may hold anything.
    let shown = tidegate_plots::shown_in_docs().map_err(|error| error.to_string())?;
    if folder.canonicalize().ok() == shown && shown.is_some() {
        let docs = tidegate_plots::docs();
        output.folder(&docs)?;
        for (name, content) in tidegate_plots::for_docs(&pictures) {
            output.file(&docs.join(name), &content)?;
        }
    }
    output.end()
}

/// Files that are written, or compared with what they should be.
struct Output {
    check: bool,
    stale: Vec<String>,
}

impl Output {
    fn folder(&self, path: &Path) -> Result<(), String> {
        if self.check {
            return Ok(());
        }
        fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn file(&mut self, path: &Path, content: &str) -> Result<(), String> {
        if !self.check {
            return fs::write(path, content)
                .map_err(|error| format!("{}: {error}", path.display()));
        }
        if fs::read_to_string(path).ok().as_deref() != Some(content) {
            self.stale.push(path.display().to_string());
        }
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        if self.stale.is_empty() {
            return Ok(());
        }
        let stale = self.stale.join(", ");
        Err(format!("not the pictures of these numbers: {stale}"))
    }
}
