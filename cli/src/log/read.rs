//! Reads logs from end to end.

use std::path::PathBuf;

use tidegate::Ipv6Prefix;

use super::Event;
use super::detect::{Format, Lines, Unusable};
use super::input::{self, Position};
use super::intern::Keys;
use super::key::By;
use super::lines::Split;
use super::mishaps::Mishaps;
use super::progress::Progress;
use super::reorder::Reorder;
use crate::failure::{Failure, told};

/// What is read, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// In the order in which they are read; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The format of all of them.
    pub format: Format,
    /// What each key is.
    pub by: By,
    /// How long the prefix of an IPv6 network is.
    pub prefix: Ipv6Prefix,
    /// The name of the time in JSON logs.
    pub time_field: Option<String>,
    /// Within how many nanoseconds lines are put in order.
    pub reorder: u64,
    /// Whether the first line that cannot be read is the end.
    pub strict: bool,
    /// Whether there is no bar.
    pub quiet: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The keys.
    pub keys: Keys,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// Lines that have no key.
    pub without_key: u64,
    /// Lines that were late: see [`Reorder`].
    pub late: u64,
}

/// Reads all files, and hands out the events in the order of time.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` a line.
pub fn read(options: &Options, mut give: impl FnMut(Event)) -> Result<Read, Failure> {
    let progress = Progress::new(input::size(&options.files), options.quiet);
    let position = Position::default();
    let mut lines = Lines::new(
        options.format,
        options.by.clone(),
        options.prefix,
        options.time_field.as_deref(),
    );
    let mut mishaps = Mishaps::new(options.strict);
    let mut reorder = Reorder::new(options.reorder);
    let mut read = Read::default();
    let mut count = 0;
    for path in &options.files {
        let name = input::name(path);
        let mut split = Split::new(input::open(path, &position)?);
        lines.next_file();
        loop {
            let line = split.next_line();
            let line = line.map_err(|error| {
                Failure::at(&name, format_args!("cannot be read: {}", told(&error)))
            })?;
            let Some(line) = line else { break };
            count += 1;
            progress.line(count, || position.bytes());
            let event = match line.text {
                Some(text) if is_blank(text) => continue,
                Some(text) => lines.read(without_mark(text, line.number), &mut read.keys),
                None => Err(Unusable::Unreadable("longer than a mebibyte")),
            };
            match event {
                Ok(event) => reorder.push(event, &mut give),
                Err(Unusable::NoKey) => read.without_key += 1,
                Err(Unusable::Unreadable(why)) => {
                    mishaps.add(&progress, &name, line.number, why)?;
                }
            }
        }
    }
    reorder.finish(&mut give);
    mishaps.summary(&progress);
    read.unreadable = mishaps.count();
    read.late = reorder.late();
    Ok(read)
}

/// A line with nothing on it is no request and no mistake.
const fn is_blank(text: &[u8]) -> bool {
    text.trim_ascii_start().is_empty()
}

/// Without the mark with which some editors begin a file of UTF-8.
fn without_mark(text: &[u8], number: u64) -> &[u8] {
    if number == 1 {
        text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
    } else {
        text
    }
}
