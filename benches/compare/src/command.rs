//! What the programs in `bin` that fill a folder have in common.

use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Runs `NAME FOLDER [--quick]`: passes the folder, the effort and the command for the record to
/// `run`.
pub fn fill_folder<E>(
    name: &str,
    full: E,
    quick: E,
    run: impl FnOnce(&Path, E, &str) -> io::Result<()>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, effort, flag) = match arguments.as_slice() {
        [folder] => (folder, full, ""),
        [folder, flag] if flag == "--quick" => (folder, quick, " --quick"),
        _ => {
            eprintln!("usage: {name} FOLDER [--quick]");
            return ExitCode::from(2);
        }
    };
    // The record keeps the command of the script, without its folder.
    let command = format!("./{name}.sh FOLDER{flag}");
    match run(Path::new(folder), effort, &command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::FAILURE
        }
    }
}
