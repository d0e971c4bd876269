//! Reads several files as one, merged by time.
//!
//! Of rotated files, a shell hands over the newest first. Files of several servers cover the same
//! hours. So the first time of each file is read in advance, a file is opened when the others have
//! reached it, and the next event is the earliest of the open files. Files that do not overlap are
//! never open together.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use super::Event;
use super::event_parser::EventParser;
use super::input::is_regular;
use super::source::{Shared, Source, first_time};
use crate::failure::Failure;

/// How many files are open at the same time. The events of further ones are kept in memory.
const MAX_OPEN: usize = 64;

/// Where the events of a file come from.
enum Events {
    File(Box<Source>),
    Memory(std::vec::IntoIter<Event>),
}

impl Events {
    fn next(&mut self, shared: &mut Shared) -> Result<Option<Event>, Failure> {
        match self {
            Self::File(source) => source.next_event(shared),
            Self::Memory(events) => Ok(events.next()),
        }
    }
}

/// A file that has been opened, and its next event.
struct Open {
    events: Events,
    next: Event,
}

/// Reads files one after the other, in the given order.
///
/// # Errors
///
/// As [`Source::next_event`], and if a file cannot be opened.
pub fn read_in_turn(
    paths: &[PathBuf],
    shared: &mut Shared,
    mut emit: impl FnMut(Event),
) -> Result<(), Failure> {
    for path in paths {
        let mut source = Source::open(path, &shared.diagnostics)?;
        while let Some(event) = source.next_event(shared)? {
            emit(event);
        }
    }
    Ok(())
}

/// Reads files merged by time. Lines may be out of order within a `span` of nanoseconds.
///
/// # Errors
///
/// As [`Source::next_event`], and if a file cannot be opened. All files are opened once before the
/// first event.
pub fn read_merged(
    paths: &[PathBuf],
    span: u64,
    new_parser: impl Fn() -> EventParser,
    shared: &mut Shared,
    mut emit: impl FnMut(Event),
) -> Result<(), Failure> {
    let mut open: Vec<Open> = Vec::new();
    let mut waiting = Vec::new();
    for path in paths {
        if is_regular(path) {
            // Lines before the first one's time may follow it.
            let start = first_time(path, new_parser(), &mut shared.header)?.saturating_sub(span);
            waiting.push((start, path));
        } else {
            // A pipe can be read only once.
            add(&mut open, path, shared)?;
        }
    }
    // The last is the next to be opened.
    waiting.sort_by_key(|(start, _)| Reverse(*start));
    loop {
        let earliest = (0..open.len()).min_by_key(|index| open[*index].next.time);
        if let Some((start, path)) = waiting.last()
            && earliest.is_none_or(|index| *start <= open[index].next.time)
        {
            add(&mut open, path, shared)?;
            waiting.pop();
            continue;
        }
        let Some(earliest) = earliest else {
            return Ok(());
        };
        let others = open
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != earliest);
        let others = others.map(|(_, other)| other.next.time);
        let starts = waiting.last().map(|(start, _)| *start);
        let until = others.chain(starts).min().unwrap_or(u64::MAX);
        let Open { events, next } = &mut open[earliest];
        emit(*next);
        let rest = loop {
            match events.next(shared)? {
                Some(event) if event.time < until => emit(event),
                other => break other,
            }
        };
        match rest {
            Some(event) => *next = event,
            None => drop(open.remove(earliest)),
        }
    }
}

fn add(open: &mut Vec<Open>, path: &Path, shared: &mut Shared) -> Result<(), Failure> {
    let mut source = Box::new(Source::open(path, &shared.diagnostics)?);
    let Some(next) = source.next_event(shared)? else {
        return Ok(());
    };
    let mut events = Events::File(source);
    if open.len() >= MAX_OPEN {
        let mut rest = Vec::new();
        while let Some(event) = events.next(shared)? {
            rest.push(event);
        }
        // A file is nearly in order, so the merge takes its events as they come.
        events = Events::Memory(rest.into_iter());
    }
    open.push(Open { events, next });
    Ok(())
}
