//! `throughput FOLDER [--quick]`, which `../suite.sh` builds with fat LTO, runs and describes.

use std::process::ExitCode;

use tidegate_compare::command::fill_folder;
use tidegate_compare::suite::{Effort, run_fat};

fn main() -> ExitCode {
    fill_folder("suite", Effort::FULL, Effort::QUICK, run_fat)
}
