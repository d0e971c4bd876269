//! Lists of limits, a page at a time.

use core::fmt;
use core::future::Future;
use core::str::FromStr;

use redis::{FromRedisValue, RedisError};
use tokio::task::JoinSet;

use super::inspect_error::InspectError;
use super::key_part::KeyPart;
use super::stored_limit::StoredLimit;
use crate::base_key::escaped_prefix;
use crate::store::RedisStore;

/// Where a list goes on: the place in a server's keys and, in a cluster, which server it is.
///
/// The default is the beginning. Its text, such as `0-4096`, can be kept between runs of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScanCursor {
    node: usize,
    position: u64,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanPage {
    /// The limits found, in no order.
    pub limits: Vec<StoredLimit>,
    /// The keys that hold something else.
    pub others: Vec<Vec<u8>>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<ScanCursor>,
}

/// A text that is no [`ScanCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCursorError;

impl fmt::Display for ParseCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a cursor such as `0-4096`")
    }
}

impl core::error::Error for ParseCursorError {}

impl fmt::Display for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node, self.position)
    }
}

impl FromStr for ScanCursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (node, position) = text.split_once('-').ok_or(ParseCursorError)?;
        let (Ok(node), Ok(position)) = (node.parse(), position.parse()) else {
            return Err(ParseCursorError);
        };
        Ok(Self { node, position })
    }
}

/// Limits are read by so many calls at the same time.
const READERS: usize = 64;

impl RedisStore {
    /// Returns a page of the limits that the server stores: buckets that are not full, windows and
    /// semaphores with permits that count, and API limiters with each of their limits. Changes
    /// nothing. Some that are [unused](StoredLimit::is_used) may be stored, too.
    ///
    /// `pattern` is a glob of Redis, which the key must match after the
    /// [prefix](crate::StoreBuilder::prefix) and its colon: `*` for all, `user:*` for a table,
    /// `{uploads}`. A page looks at about `count` keys of all that the server has, so it may be
    /// empty although others follow. A limit may come twice, and one that was made or removed
    /// meanwhile may be missing.
    ///
    /// In a cluster, all masters are asked, one after the other in the order of their addresses.
    /// If the masters change between two pages, begin again.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or a [right](crate::inspect#access) is missing.
    pub async fn scan(
        &self,
        pattern: &str,
        cursor: ScanCursor,
        count: u32,
    ) -> Result<ScanPage, InspectError> {
        let masters = self.within_time(self.connection().masters()).await?;
        let node = masters.get(cursor.node).map(String::as_str);
        let mut command = redis::cmd("SCAN");
        command
            .arg(cursor.position)
            .arg("MATCH")
            .arg(full_pattern(self.prefix(), pattern))
            .arg("COUNT")
            .arg(count.max(1));
        let mut connection = self.connection();
        let reply = self.within_time(connection.run_at(node, &command)).await?;
        let reply = reply.extract_error();
        let read = reply.and_then(|reply| Ok(<(u64, Vec<Vec<u8>>)>::from_redis_value(reply)?));
        let (position, keys) = read.map_err(InspectError::of_error)?;
        let mut page = self.read_all(keys).await?;
        page.next = if position > 0 {
            Some(ScanCursor { position, ..cursor })
        } else {
            let node = cursor.node + 1;
            let position = 0;
            (node < masters.len()).then_some(ScanCursor { node, position })
        };
        Ok(page)
    }

    async fn read_all(&self, keys: Vec<Vec<u8>>) -> Result<ScanPage, InspectError> {
        let mut page = ScanPage::default();
        let mut keys = keys
            .into_iter()
            .filter(|key| !KeyPart::of(key).is_internal());
        let mut readers = JoinSet::new();
        loop {
            while readers.len() < READERS
                && let Some(key) = keys.next()
            {
                let store = self.clone();
                readers.spawn(async move {
                    let read = store.read_limit(&key).await;
                    (key, read)
                });
            }
            let Some(reader) = readers.join_next().await else {
                return Ok(page);
            };
            // A reader does not panic, and only this function ends one.
            let Ok((key, read)) = reader else { continue };
            match read {
                Ok(Some(limit)) => page.limits.push(limit),
                Ok(None) => {}
                Err(InspectError::NotALimit) => page.others.push(key),
                Err(error) => return Err(error),
            }
        }
    }

    /// Awaits a command that is no script, as long as a call.
    async fn within_time<T>(
        &self,
        command: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, InspectError> {
        let result = tokio::time::timeout(self.timeout(), command).await;
        let result = result.unwrap_or_else(|_| {
            let timed_out = std::io::ErrorKind::TimedOut;
            Err(std::io::Error::from(timed_out).into())
        });
        result.map_err(InspectError::of_error)
    }
}

/// The glob for whole keys: the prefix means itself.
fn full_pattern(prefix: &str, pattern: &str) -> Vec<u8> {
    let mut full = Vec::new();
    for byte in escaped_prefix(prefix) {
        if b"*?[]^\\".contains(&byte) {
            full.push(b'\\');
        }
        full.push(byte);
    }
    full.push(b':');
    full.extend_from_slice(pattern.as_bytes());
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_from_their_texts() {
        for (node, position) in [(0, 0), (3, u64::MAX)] {
            let cursor = ScanCursor { node, position };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "-", "1", "1-", "-1", "a-1", "1-2-3", "1-x"] {
            assert_eq!(text.parse::<ScanCursor>(), Err(ParseCursorError), "{text}");
        }
    }

    #[test]
    fn prefix_means_itself() {
        assert_eq!(full_pattern("tidegate", "user:*"), b"tidegate:user:*");
        assert_eq!(full_pattern("a*[b]", "*"), b"a\\*\\[b\\]:*");
        assert_eq!(full_pattern("a{b", "?"), b"a%7Bb:?");
    }
}
