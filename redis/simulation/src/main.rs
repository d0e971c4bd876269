//! `fleet FOLDER [--quick]`, which `../fleet.sh` builds, runs and describes.

use std::path::Path;
use std::process::ExitCode;

use tidegate_simulation::report::fill;
use tidegate_simulation::scenarios::Effort;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, effort, flag) = match arguments.as_slice() {
        [folder] => (folder, Effort::Full, ""),
        [folder, flag] if flag == "--quick" => (folder, Effort::Quick, " --quick"),
        _ => {
            eprintln!("usage: fleet FOLDER [--quick]");
            return ExitCode::from(2);
        }
    };
    // The record keeps the command of the script, without its folder.
    match fill(
        Path::new(folder),
        effort,
        &format!("./fleet.sh FOLDER{flag}"),
    ) {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("not as it must be:\n{}", wrong.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::FAILURE
        }
    }
}
