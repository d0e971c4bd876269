//! Reads the events of one file.

use std::io::Read;
use std::path::Path;

use super::Event;
use super::diagnostics::Diagnostics;
use super::event_parser::{EventParser, FileState, SkipReason};
use super::input;
use super::interner::KeyInterner;
use super::line_reader::{Line, LineReader};
use super::slice::{Slice, SliceState};
use crate::failure::{Failure, describe};

/// How many lines of a file are searched for its first time before it is read.
const SEARCHED_LINES: u64 = 1_000;

/// How a line begins that names the columns of the lines that follow.
const HEADER: &[u8] = b"#Fields:";
/// A file is reversed if its times fall more than this many times as often as they rise.
const MIN_FALLS: u64 = 9;

/// What all files share.
#[derive(Debug)]
pub struct Shared {
    /// The parser.
    pub parser: EventParser,
    /// The keys.
    pub keys: KeyInterner,
    /// Which requests count.
    pub slice: Slice,
    /// Counts and messages.
    pub diagnostics: Diagnostics,
    /// Lines without a key.
    pub without_key: u64,
    /// Files that could not be read to their end.
    pub damaged: Vec<String>,
    /// The last line that named columns. Of a log in several files, only the first may have one.
    pub header: Vec<u8>,
    /// Files whose times fall from line to line.
    pub reversed: Vec<String>,
}

/// A file that is being read.
pub struct Source {
    name: String,
    reader: LineReader<Box<dyn Read>>,
    state: FileState,
    sliced: SliceState,
    order: Order,
    has_begun: bool,
}

/// How the times of a file change from one event to the next.
#[derive(Debug, Default)]
struct Order {
    last: u64,
    rises: u64,
    falls: u64,
}

impl Order {
    #[inline]
    fn add(&mut self, time: u64) {
        self.rises += u64::from(time > self.last);
        self.falls += u64::from(time < self.last);
        self.last = time;
    }

    /// Whether the newest line comes first. The first event counts as a rise.
    const fn is_reversed(&self) -> bool {
        self.falls > self.rises.saturating_mul(MIN_FALLS)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(path: &Path, diagnostics: &Diagnostics) -> Result<Self, Failure> {
        let opened = input::open(path, diagnostics)?;
        Ok(Self {
            name: input::name(path),
            reader: if opened.is_json_stream {
                LineReader::of_json_stream(opened.reader)
            } else {
                LineReader::new(opened.reader)
            },
            state: FileState::default(),
            sliced: SliceState::default(),
            order: Order::default(),
            has_begun: false,
        })
    }

    /// Returns the next event, or `None` at the end. Lines that are no events are counted. A file
    /// that cannot be read further ends there, and is counted as damaged.
    ///
    /// # Errors
    ///
    /// With `strict`, if a line is unreadable or the file is damaged. If too many lines have no
    /// address: then the log was misunderstood.
    #[inline]
    pub fn next_event(&mut self, shared: &mut Shared) -> Result<Option<Event>, Failure> {
        if !std::mem::replace(&mut self.has_begun, true) && !shared.header.is_empty() {
            let header = &shared.header;
            // A header is no request, whatever it says.
            let _ = shared
                .parser
                .parse(header, &mut self.state, &mut shared.keys);
            shared.slice.skip(header, &mut self.sliced);
        }
        loop {
            let line = match self.reader.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    if self.order.is_reversed() {
                        shared.reversed.push(self.name.clone());
                    }
                    return Ok(None);
                }
                Err(error) => {
                    let problem = format!("{}: cannot be read: {}", self.name, describe(&error));
                    shared.diagnostics.add_damaged(&problem)?;
                    shared.damaged.push(problem);
                    return Ok(None);
                }
            };
            shared.diagnostics.count_line();
            let event = match line {
                // Some editors begin a UTF-8 file with a byte order mark.
                Line::Text([0xef, 0xbb, 0xbf, text @ ..] | text) => {
                    let event = shared.parser.parse(text, &mut self.state, &mut shared.keys);
                    if let Ok(event) = event {
                        self.order.add(event.time);
                        let (sliced, keys) = (&mut self.sliced, &shared.keys);
                        let Some(event) = shared.slice.apply(text, event, sliced, keys) else {
                            continue;
                        };
                        return Ok(Some(event));
                    }
                    if text.starts_with(HEADER) {
                        text.clone_into(&mut shared.header);
                    }
                    shared.slice.skip(text, &mut self.sliced);
                    event
                }
                Line::TooLong => Err(SkipReason::Unreadable("longer than 1 MiB")),
            };
            match event {
                Ok(event) => return Ok(Some(event)),
                Err(reason) => self.skip(reason, shared)?,
            }
        }
    }

    #[cold]
    fn skip(&self, reason: SkipReason, shared: &mut Shared) -> Result<(), Failure> {
        match reason {
            SkipReason::NoRequest => Ok(()),
            SkipReason::NoKey => {
                shared.without_key += 1;
                Ok(())
            }
            SkipReason::Unreadable(reason) => {
                let judge = shared.parser.judge();
                if judge.is_hopeless() {
                    return Err(Failure::Problem(judge.objection().unwrap_or_default()));
                }
                let line = self.reader.number();
                shared.diagnostics.add_unreadable(&self.name, line, reason)
            }
        }
    }
}

/// Returns the time of the first event of a file whose columns are those of a `header`, or of its
/// own header, which it then takes; or 0 if there is none in its first lines.
///
/// # Errors
///
/// If the file cannot be opened.
pub fn first_time(
    path: &Path,
    mut parser: EventParser,
    header: &mut Vec<u8>,
) -> Result<u64, Failure> {
    let mut source = Source::open(path, &Diagnostics::new(None, true, false))?;
    let mut keys = KeyInterner::default();
    let _ = parser.parse(header, &mut source.state, &mut keys);
    for _ in 0..SEARCHED_LINES {
        // A file that is damaged before its first event is read at once, and then reported.
        let Ok(Some(line)) = source.reader.next_line() else {
            break;
        };
        if let Line::Text([0xef, 0xbb, 0xbf, text @ ..] | text) = line {
            if text.starts_with(HEADER) {
                text.clone_into(header);
            }
            if let Ok(event) = parser.parse(text, &mut source.state, &mut keys) {
                return Ok(event.time);
            }
        }
    }
    Ok(0)
}
