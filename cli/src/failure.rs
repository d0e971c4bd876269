//! Why the program ends early, and with which exit code.

use std::fmt::Display;
use std::io;

/// Why the program ends early.
#[derive(Debug)]
pub enum Failure {
    /// Reading or writing failed: exit code 1.
    Problem(String),
    /// The arguments are invalid: exit code 2.
    Usage(String),
    /// The reader of the output closed the pipe, as `head` does: no message, exit code 0.
    Closed,
}

impl Failure {
    /// A problem with a file: `name: problem`.
    pub fn at(name: impl Display, problem: impl Display) -> Self {
        Self::Problem(format!("{name}: {problem}"))
    }

    /// A problem with writing a file.
    pub fn writing(name: impl Display, error: &io::Error) -> Self {
        Self::at(name, format_args!("cannot be written: {}", describe(error)))
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Problem(_) => 1,
            Self::Usage(_) => 2,
            Self::Closed => 0,
        }
    }

    /// The message, if there is one.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Problem(text) | Self::Usage(text) => Some(text),
            Self::Closed => None,
        }
    }
}

/// The text of an error, without the number that the operating system has for it.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
