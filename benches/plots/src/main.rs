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
    let plots = folder.join("plots");
    if !check {
        fs::create_dir_all(&plots).map_err(|error| format!("{}: {error}", plots.display()))?;
    }
    let mut stale = Vec::new();
    for (name, picture) in pictures {
        let Some(svg) = picture else {
            eprintln!("{name}: left out, its numbers are not in the folder");
            continue;
        };
        let path = plots.join(name);
        if !check {
            fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
        } else if fs::read_to_string(&path).ok() != Some(svg) {
            stale.push(name);
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "not the pictures of these numbers: {}",
            stale.join(", ")
        ))
    }
}
