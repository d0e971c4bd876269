//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anstyle::AnsiColor;

use crate::failure::Failure;
use crate::picture::key::lines_shown;

/// Whether a file argument stands for standard input or output.
pub fn is_stdio(path: &Path) -> bool {
    path == Path::new("-")
}

/// Prints text. Its styles are dropped if `NO_COLOR` is set or the output is not a terminal.
///
/// # Errors
///
/// As [`write()`].
pub fn print(text: &str) -> Result<(), Failure> {
    write_to(
        anstream::AutoStream::auto(io::stdout().lock()),
        text.as_bytes(),
    )
}

/// Prints a value as JSON.
///
/// # Errors
///
/// As [`write()`].
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::at("JSON", error))?;
    write(format!("{json}\n").as_bytes())
}

/// Writes a text that quotes a log to standard output. On a terminal, it obeys none of it.
///
/// # Errors
///
/// As [`write()`].
pub fn write_quoting(bytes: &[u8]) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        let text = String::from_utf8_lossy(bytes);
        return write(lines_shown(&text).as_bytes());
    }
    write(bytes)
}

/// Writes bytes to standard output.
///
/// # Errors
///
/// [`Failure::Closed`] if the reader has closed the pipe, or a problem if writing fails.
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    write_to(io::stdout().lock(), bytes)
}

fn write_to(mut stream: impl Write, bytes: &[u8]) -> Result<(), Failure> {
    let written = stream.write_all(bytes).and_then(|()| stream.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::writing("standard output", &error),
    })
}

/// Prints a message on standard error. A closed standard error is not a failure. What a terminal
/// would obey appears as its number, because messages quote logs.
pub fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "tidegate: {}", lines_shown(text));
}

/// Prints a warning about the results on standard error, in color on a terminal.
pub fn caution(text: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    let mut stream = anstream::AutoStream::auto(io::stderr());
    let _ = writeln!(
        stream,
        "tidegate: {style}warning{style:#}: {}",
        lines_shown(text)
    );
}

/// The width of the output in columns: `COLUMNS`, or that of the terminal, or 100.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|text| text.parse().ok());
    let terminal = || {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        io::stdout().is_terminal().then(|| usize::from(width.0))
    };
    columns.or_else(terminal).unwrap_or(100).max(20)
}
