//! Asks before something is changed that cannot be undone.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Asks whether to go on, on standard error. Returns whether the answer was yes.
///
/// # Errors
///
/// If standard input is no terminal, so that there is no answer.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let message = format!("{question} Add --yes to do it without a question.");
        return Err(Failure::Usage(message));
    }
    let mut stderr = io::stderr();
    // Without the question, an empty answer still means no.
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = stdin.read_line(&mut answer);
    read.map_err(|error| Failure::at("standard input", error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
