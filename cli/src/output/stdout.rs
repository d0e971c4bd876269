//! Standard output: coloured only for people, and quiet when nobody reads on.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

const NAME: &str = "standard output";

/// Writes text with styles; without them if `NO_COLOR` is set, or nobody looks.
///
/// # Errors
///
/// [`Failure::Closed`] if the reader has gone, a problem if there is no space.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stream = anstream::AutoStream::auto(io::stdout().lock());
    let written = stream.write_all(text.as_bytes());
    written
        .and_then(|()| stream.flush())
        .map_err(|error| Failure::writing(NAME, &error))
}

/// Writes bytes as they are.
///
/// # Errors
///
/// As [`print()`].
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stream = io::stdout().lock();
    let written = stream.write_all(bytes);
    written
        .and_then(|()| stream.flush())
        .map_err(|error| Failure::writing(NAME, &error))
}

/// How many columns there are: of a terminal its own, or 100.
pub fn width() -> usize {
    let terminal = io::stdout()
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(io::stdout()))
        .flatten();
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let width = columns.or_else(|| terminal.map(|(width, _)| usize::from(width.0)));
    width.unwrap_or(100).max(20)
}
