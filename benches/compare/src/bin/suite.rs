//! Every limiter side by side: `suite FOLDER [--quick]`. `../suite.sh` builds it, runs it, and says what is in the folder.

use std::path::Path;
use std::process::ExitCode;

use tidegate_compare::suite::{Effort, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let mut folders = arguments.iter().filter(|argument| *argument != "--quick");
    let (Some(folder), None) = (folders.next(), folders.next()) else {
        eprintln!("usage: suite FOLDER [--quick]");
        return ExitCode::from(2);
    };
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    // Of the script, without where it writes.
    let command = if quick {
        "./suite.sh FOLDER --quick"
    } else {
        "./suite.sh FOLDER"
    };
    match run(Path::new(folder), effort, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::FAILURE
        }
    }
}
