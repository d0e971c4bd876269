//! Why a saved state cannot be restored.

use core::fmt;

/// The reason why a saved state cannot be restored.
///
/// A save that was written by this crate, and read back unchanged, has none of the first five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestoreError {
    /// The format has another version.
    UnknownVersion {
        /// The version of the save.
        version: u32,
    },
    /// The save was made in 1970, so the wall clock was not set, or after 2262.
    InvalidTime,
    /// A bucket has no capacity, or its tokens have no size.
    ZeroQuota,
    /// A level, a debt or a capacity is beyond what a bucket can have.
    LevelOutOfRange,
    /// A window has admissions that are older than it counts, or too many slots.
    InvalidSlots,
    /// The save is of another kind of limiter.
    WrongKind,
    /// The limiter is shared, such as an `Arc` that other combinations hold.
    Shared,
    /// A table's records do not begin with a header.
    NoHeader,
    /// A table's records end before the last key, so the save is not complete.
    Truncated,
    /// A table's records go on after their end, or their number is not that of the keys.
    TrailingRecords,
    /// A table has the same key twice, or the table that was to be filled holds it already.
    DuplicateKey,
    /// The table that was to be filled has no room for all keys that are in use.
    NoRoom,
    /// A [`FixedKeyed`](crate::FixedKeyed) table has another size, or its hasher another seed.
    DifferentTable,
    /// The save has a limiter for keys without room, and the table cannot make one without a key.
    /// `KeyedBuilder::shared` sets one.
    NoSharedLimiter,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownVersion { version } => {
                return write!(f, "unknown version of a saved state: {version}");
            }
            Self::InvalidTime => "the wall clock was not set when the state was saved",
            Self::ZeroQuota => "the saved bucket has no capacity",
            Self::LevelOutOfRange => "the saved level is out of range",
            Self::InvalidSlots => "the saved admissions are out of range",
            Self::WrongKind => "the saved state is of another kind of limiter",
            Self::Shared => "the limiter is shared",
            Self::NoHeader => "the saved table does not begin with a header",
            Self::Truncated => "the saved table is not complete",
            Self::TrailingRecords => "the saved table has records after its end",
            Self::DuplicateKey => "a key of the saved table comes twice",
            Self::NoRoom => "the table has no room for all saved keys",
            Self::DifferentTable => "the saved table has another size or another hasher",
            Self::NoSharedLimiter => "the table has no limiter for keys without room",
        })
    }
}

impl core::error::Error for RestoreError {}

/// The reason why a saved table cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestoreTableError<E> {
    /// A record could not be read.
    Source(E),
    /// A record cannot be restored.
    Restore(RestoreError),
}

impl<E> From<RestoreError> for RestoreTableError<E> {
    fn from(error: RestoreError) -> Self {
        Self::Restore(error)
    }
}

impl<E: fmt::Display> fmt::Display for RestoreTableError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => write!(f, "a record of the saved table: {error}"),
            Self::Restore(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for RestoreTableError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Source(error) => Some(error),
            Self::Restore(error) => Some(error),
        }
    }
}
