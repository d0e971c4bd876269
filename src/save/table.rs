//! The records of a saved table: a header, the keys, and an end.

use super::error::{RestoreError, RestoreTableError};
use super::saved::{Elapsed, VERSION};
use super::unix_time::UnixTime;

/// A record of a saved table of keys.
///
/// A table is saved as a stream of records: a header, one record for each key in use, and an end.
/// So a table of any size is written and read without a copy of it in memory. Write the records one
/// by one in any format, such as a line of JSON for each. A stream without its end is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TableRecord<K, S> {
    /// The first record.
    Header(TableHeader<S>),
    /// A key, and the state of its limiter.
    Key(K, S),
    /// The last record, with the number of keys.
    End(u64),
}

/// The first record of a saved table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct TableHeader<S> {
    version: u32,
    at: UnixTime,
    kind: TableKind,
    /// The limiter of keys without room, if it was used.
    shared: Option<S>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub(crate) enum TableKind {
    #[cfg_attr(
        not(any(feature = "std", feature = "serde")),
        expect(dead_code, reason = "of a type that needs std")
    )]
    Keyed,
    Fixed {
        sets: u64,
        /// The table's hash of a known key. It differs if the seed does.
        check: u32,
    },
}

impl<S> TableHeader<S> {
    pub(crate) const fn new(at: UnixTime, kind: TableKind, shared: Option<S>) -> Self {
        Self {
            version: VERSION,
            at,
            kind,
            shared,
        }
    }

    /// Returns when the table was saved, by the wall clock.
    pub const fn at(&self) -> UnixTime {
        self.at
    }
}

/// Writes the records of a table.
pub(crate) struct TableWriter<W> {
    write: W,
    keys: u64,
}

impl<W> TableWriter<W> {
    pub(crate) fn start<K, S, E>(mut write: W, header: TableHeader<S>) -> Result<Self, E>
    where
        W: FnMut(TableRecord<K, S>) -> Result<(), E>,
    {
        write(TableRecord::Header(header))?;
        Ok(Self { write, keys: 0 })
    }

    pub(crate) fn key<K, S, E>(&mut self, key: K, state: S) -> Result<(), E>
    where
        W: FnMut(TableRecord<K, S>) -> Result<(), E>,
    {
        self.keys += 1;
        (self.write)(TableRecord::Key(key, state))
    }

    /// Writes the end, and returns the number of keys.
    pub(crate) fn end<K, S, E>(mut self) -> Result<u64, E>
    where
        W: FnMut(TableRecord<K, S>) -> Result<(), E>,
    {
        (self.write)(TableRecord::End(self.keys))?;
        Ok(self.keys)
    }
}

/// Reads the records of a table, and checks that all of them are there.
pub(crate) struct TableReader<I, S> {
    records: I,
    keys: u64,
    pub(crate) elapsed: Elapsed,
    pub(crate) kind: TableKind,
    pub(crate) shared: Option<S>,
}

impl<I, K, S, E> TableReader<I, S>
where
    I: Iterator<Item = Result<TableRecord<K, S>, E>>,
{
    pub(crate) fn start(mut records: I, now: UnixTime) -> Result<Self, RestoreTableError<E>> {
        match records.next() {
            Some(Ok(TableRecord::Header(header))) => Ok(Self {
                records,
                keys: 0,
                elapsed: Elapsed::since(header.version, header.at, now)?,
                kind: header.kind,
                shared: header.shared,
            }),
            Some(Err(error)) => Err(RestoreTableError::Source(error)),
            Some(Ok(_)) | None => Err(RestoreError::NoHeader.into()),
        }
    }

    /// The next key, or `None` once the end was read.
    pub(crate) fn next_key(&mut self) -> Result<Option<(K, S)>, RestoreTableError<E>> {
        match self.records.next() {
            Some(Ok(TableRecord::Key(key, state))) => {
                self.keys += 1;
                Ok(Some((key, state)))
            }
            Some(Ok(TableRecord::End(keys))) if keys == self.keys => match self.records.next() {
                None => Ok(None),
                Some(Ok(_)) => Err(RestoreError::TrailingRecords.into()),
                Some(Err(error)) => Err(RestoreTableError::Source(error)),
            },
            // Keys were lost on the way.
            Some(Ok(TableRecord::End(keys))) if keys > self.keys => {
                Err(RestoreError::Truncated.into())
            }
            Some(Ok(_)) => Err(RestoreError::TrailingRecords.into()),
            Some(Err(error)) => Err(RestoreTableError::Source(error)),
            None => Err(RestoreError::Truncated.into()),
        }
    }
}
