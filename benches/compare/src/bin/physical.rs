//! `physical FOLDER [--quick]`, which `../physical.sh` builds, runs and describes.
//!
//! For `../instructions.sh`, `physical` lists the rows, and `physical ROW CALLS` makes calls.

use std::process::ExitCode;

use tidegate::DefaultClock;
use tidegate_compare::command::fill_folder;
use tidegate_compare::physical::{Effort, ROWS, run};

/// The function whose instructions callgrind counts.
#[inline(never)]
fn counted(mut make_calls: impl FnMut(usize), calls: usize) {
    make_calls(calls);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            for row in ROWS {
                println!("{}", row.name);
            }
            return ExitCode::SUCCESS;
        }
        [name, calls] => {
            let row = ROWS.iter().find(|row| row.name == *name);
            if let (Some(row), Ok(calls)) = (row, calls.parse()) {
                DefaultClock::calibrate();
                counted((row.make)(), calls);
                return ExitCode::SUCCESS;
            }
        }
        _ => {}
    }
    fill_folder("physical", Effort::FULL, Effort::QUICK, run)
}
