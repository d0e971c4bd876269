//! What a server stores: lists, levels and leases of buckets, and changes by hand.
//!
//! For operators and their tools. The program `tidegate` of the crate `tidegate-cli` shows all of
//! this: `tidegate redis ls`, `show`, `reset` and `set`.
//!
//! ```no_run
//! use tidegate::Quota;
//! use tidegate_redis::RedisStore;
//! use tidegate_redis::inspect::ScanCursor;
//!
//! # async fn example(store: RedisStore) -> Result<(), Box<dyn std::error::Error>> {
//! // The users whose buckets are not full.
//! let mut cursor = ScanCursor::default();
//! loop {
//!     let page = store.scan("user:*", cursor, 1_000).await?;
//!     for bucket in &page.buckets {
//!         println!("{:?}: full in {:?}", bucket.key, bucket.full_in);
//!     }
//!     let Some(next) = page.next else { break };
//!     cursor = next;
//! }
//!
//! // Forgives what alice has used.
//! let key = store.bucket_key("user", Some(b"alice"), None);
//! if let Some(found) = store.inspect(&key).await? {
//!     println!("{:?} tokens", found.bucket.available(Quota::per_minute(100)));
//!     store.reset_key(&key).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Access
//!
//! Besides the [rights of limiters](crate#deployment), the user needs `+scan` for lists and `+pttl`
//! for each bucket. With `+memory|usage` (before Redis 7.0 `+memory`) the memory of
//! a key is told, too.
//!
//! # Cost for the server
//!
//! `KEYS` is never used. A page of a scan is one `SCAN`, and one short script per bucket found, of
//! some 10 microseconds. So it can run while the server decides for others.

mod changes;
mod inspect_error;
mod scan;
mod stored_bucket;

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use redis::{FromRedisValue, RedisError, Value};

use crate::base_key::BaseKey;
use crate::script::{self, INSPECT, ScriptArgs, ScriptCall};
use crate::store::RedisStore;
use stored_bucket::HEAD_SIZE;

pub use inspect_error::InspectError;
pub use scan::{ParseCursorError, ScanCursor, ScanPage};
pub use stored_bucket::{StoredBucket, StoredLease};

/// A bucket with all that the server knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketDetails {
    /// Its level.
    pub bucket: StoredBucket,
    /// The leases of nodes, without those that have ended.
    pub leases: Vec<StoredLease>,
    /// When the server removes the key; `None` if never.
    pub expires_in: Option<Duration>,
    /// The memory of the key in bytes, if the user may ask for it.
    pub memory: Option<u64>,
    /// The server's clock at which all of this was so.
    pub time: SystemTime,
}

/// The reply of the script.
struct Inspected {
    exists: bool,
    now_us: u64,
    value: Vec<u8>,
    expires_in: Option<Duration>,
    memory: Option<u64>,
}

impl RedisStore {
    /// Returns the server's key of a bucket: of a name, or of a key in the table of that name; and
    /// of one limit if its limits have names.
    ///
    /// ```no_run
    /// # fn example(store: &tidegate_redis::RedisStore) {
    /// assert_eq!(store.bucket_key("uploads", None, None), b"tidegate:{uploads}");
    /// let day = store.bucket_key("user", Some(b"alice"), Some("day"));
    /// assert_eq!(day, b"tidegate:user:{alice}:day");
    /// # }
    /// ```
    pub fn bucket_key(&self, name: &str, key: Option<&[u8]>, limit: Option<&str>) -> Vec<u8> {
        self.base_key(name, key).limit_key(limit)
    }

    /// Returns what the server stores of a bucket, by its [key](Self::bucket_key); `None` if it
    /// stores nothing, so that the bucket is full or unused. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`InspectError::NotABucket`] if the key holds something else; otherwise if the server does
    /// not answer.
    pub async fn inspect(&self, key: &[u8]) -> Result<Option<BucketDetails>, InspectError> {
        let read = self.read_key(key, None).await?;
        if !read.exists {
            return Ok(None);
        }
        let bucket = StoredBucket::read(key, &read.value, read.now_us);
        let bucket = bucket.ok_or(InspectError::NotABucket)?;
        Ok(Some(BucketDetails {
            leases: StoredBucket::read_leases(&read.value, read.now_us),
            bucket,
            expires_in: read.expires_in,
            memory: read.memory,
            time: UNIX_EPOCH + Duration::from_micros(read.now_us),
        }))
    }

    /// Reads a bucket without the leases of nodes. `None` if the key is gone or no bucket.
    async fn read_head(&self, key: &[u8]) -> Result<Option<StoredBucket>, InspectError> {
        let read = match self.read_key(key, Some(HEAD_SIZE)).await {
            Err(InspectError::NotABucket) => return Ok(None),
            other => other?,
        };
        Ok(StoredBucket::read(key, &read.value, read.now_us))
    }

    /// Reads the first `size` bytes of a value, or all.
    async fn read_key(&self, key: &[u8], size: Option<usize>) -> Result<Inspected, InspectError> {
        let mut arguments = ScriptArgs::default();
        arguments.number(0);
        match size {
            Some(size) => arguments.number(size as u64 - 1),
            None => arguments.bytes(b"-1"),
        };
        let call = ScriptCall {
            script: &INSPECT,
            keys: &[key.to_vec()],
            arguments,
        };
        let base = BaseKey::of_stored(key);
        let reply = self.run_and_read(&base, &call, Inspected::read).await;
        reply.map_err(|failure| InspectError::of_call(self, failure))
    }
}

impl Inspected {
    fn read(reply: Value) -> Result<Self, RedisError> {
        type Reply = (u64, u64, Vec<u8>, i64, i64);
        let (seconds, us, value, ttl, memory) = Reply::from_redis_value(reply)?;
        let now_us = seconds
            .checked_mul(1_000_000)
            .and_then(|seconds| seconds.checked_add(us))
            .ok_or_else(script::unexpected_reply)?;
        Ok(Self {
            exists: ttl != -2,
            now_us,
            value,
            expires_in: u64::try_from(ttl).ok().map(Duration::from_millis),
            memory: u64::try_from(memory).ok(),
        })
    }
}
