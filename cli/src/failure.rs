//! Why the program ends early, and with which exit code.

use std::fmt::Display;
use std::io;

/// Why the program ends early.
#[derive(Debug)]
pub enum Failure {
    /// Something is wrong with what is read or written: exit code 1.
    Problem(String),
    /// The arguments do not fit together: exit code 2.
    Usage(String),
    /// Whoever reads our output has gone (`| head`): nothing to say, exit code 0.
    Closed,
}

impl Failure {
    /// A problem with a file: `name: what`.
    pub fn at(name: impl Display, what: impl Display) -> Self {
        Self::Problem(format!("{name}: {what}"))
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Problem(_) => 1,
            Self::Usage(_) => 2,
            Self::Closed => 0,
        }
    }

    /// What to tell; nothing if nobody listens.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Problem(text) | Self::Usage(text) => Some(text),
            Self::Closed => None,
        }
    }

    /// What became of writing to `name`.
    pub fn writing(name: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::at(name, format_args!("cannot be written: {}", told(error)))
    }
}

/// An error of the operating system without its number.
pub fn told(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
