//! What a server stores: lists of limits of all kinds, their levels, and changes by hand.
//!
//! For operators and their tools. The program `tidegate` of the crate `tidegate-cli` shows all of
//! this: `tidegate redis ls`, `show`, `reset` and `set`.
//!
//! | kind | shown | changed |
//! |---|---|---|
//! | [bucket](StoredBucket) | level, leases, a changed quota | filled up, charged, its quota |
//! | [window](StoredWindow) | permits that count, and until when | reset |
//! | [semaphore](StoredSemaphore) | permits held, by which nodes, and until when | no |
//! | [API limiter](StoredApi) | pause, calls in flight, totals, what the provider told | resumed |
//!
//! The limits of an API limiter are windows and buckets beside it: `tidegate:{model}:?minute`,
//! `:?tokens`. The server does not know the limits of windows and semaphores, nor the quota of a
//! bucket that was never changed. Only the nodes do.
//!
//! ```no_run
//! use tidegate::Quota;
//! use tidegate_redis::RedisStore;
//! use tidegate_redis::inspect::{ScanCursor, StoredLimit};
//!
//! # async fn example(store: RedisStore) -> Result<(), Box<dyn std::error::Error>> {
//! // The limits of users that are used.
//! let mut cursor = ScanCursor::default();
//! loop {
//!     let page = store.scan("user:*", cursor, 1_000).await?;
//!     for limit in &page.limits {
//!         match limit {
//!             StoredLimit::Bucket(it) => println!("{:?}: full in {:?}", it.key, it.full_in),
//!             StoredLimit::Window(it) => println!("{:?}: {} permits", it.key, it.used),
//!             other => println!("{:?}: {}", other.key(), other.kind()),
//!         }
//!     }
//!     let Some(next) = page.next else { break };
//!     cursor = next;
//! }
//!
//! // Forgives what alice has used.
//! let key = store.bucket_key("user", Some(b"alice"), None);
//! if let Some(found) = store.inspect(&key).await? {
//!     if let Some(bucket) = found.limit.bucket() {
//!         println!("{:?} tokens", bucket.available(Quota::per_minute(100)));
//!     }
//!     store.reset_key(&key).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Access
//!
//! Besides the [rights of limiters](crate#deployment), the user needs `+scan` for lists and `+pttl`
//! for each limit. A list with API limiters needs `+zcount`, which their nodes have. A reset of one
//! needs all rights of its nodes. With `+memory|usage` (before Redis 7.0 `+memory`) the memory of
//! a key is told, too.
//!
//! # Cost for the server
//!
//! `KEYS` is never used. A page of a scan is one `SCAN`, and one short script per limit found, of
//! some 10 microseconds; of a semaphore or an API limiter with many nodes, it sends 58 bytes and
//! more for each node. So it can run while the server decides for others.

mod changes;
mod inspect_error;
mod key_part;
mod numbers;
mod reset;
mod scan;
mod stored_api;
mod stored_bucket;
mod stored_limit;
mod stored_semaphore;
mod stored_window;

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use redis::{FromRedisValue, RedisError, Value};

use crate::api::{ENDS, STATE};
use crate::base_key::BaseKey;
use crate::script::{self, INSPECT, ScriptArgs, ScriptCall};
use crate::store::RedisStore;
use key_part::KeyPart;
use stored_bucket::HEAD_SIZE;

pub use inspect_error::InspectError;
pub use scan::{ParseCursorError, ScanCursor, ScanPage};
pub use stored_api::{StoredApi, StoredUnit, StoredView};
pub use stored_bucket::{StoredBucket, StoredLease};
pub use stored_limit::{StoredKind, StoredLimit};
pub use stored_semaphore::{StoredHold, StoredSemaphore};
pub use stored_window::StoredWindow;

/// A limit with all that the server knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitDetails {
    /// The limit.
    pub limit: StoredLimit,
    /// The leases that nodes have on a bucket, without those that have ended.
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
    in_flight: u64,
}

impl RedisStore {
    /// Returns the server's key of a bucket, window or semaphore: of a name, or of a key in the
    /// table of that name; and of one limit if its limits have names.
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

    /// Returns the server's key of an API limiter, such as `tidegate:{model}:?api`.
    pub fn api_key(&self, name: &str) -> Vec<u8> {
        self.bucket_key(name, None, Some(STATE))
    }

    /// Returns what the server stores of a limit, by its [key](Self::bucket_key); `None` if it
    /// stores nothing, so that the limit is unused. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`InspectError::NotALimit`] if the key holds something else; otherwise if the server does
    /// not answer.
    pub async fn inspect(&self, key: &[u8]) -> Result<Option<LimitDetails>, InspectError> {
        let read = self.read_key(key, 0).await?;
        let Some(limit) = read.limit(key)? else {
            return Ok(None);
        };
        let leases = match limit {
            StoredLimit::Bucket(_) => StoredBucket::read_leases(&read.value, read.now_us),
            _ => Vec::new(),
        };
        Ok(Some(LimitDetails {
            limit,
            leases,
            expires_in: read.expires_in,
            memory: read.memory,
            time: UNIX_EPOCH + Duration::from_micros(read.now_us),
        }))
    }

    /// Reads a limit without the leases of nodes. `None` if the key is gone.
    async fn read_limit(&self, key: &[u8]) -> Result<Option<StoredLimit>, InspectError> {
        let size = match KeyPart::of(key) {
            KeyPart::ApiState => 0,
            _ => HEAD_SIZE,
        };
        self.read_key(key, size).await?.limit(key)
    }

    /// Reads the first `size` bytes of a value, or all for 0.
    async fn read_key(&self, key: &[u8], size: usize) -> Result<Inspected, InspectError> {
        let mut keys = vec![key.to_vec()];
        if let Some(start) = key.strip_suffix(STATE.as_bytes())
            && KeyPart::of(key) == KeyPart::ApiState
        {
            keys.push([start, ENDS.as_bytes()].concat());
        }
        let mut arguments = ScriptArgs::default();
        arguments.number(size as u64);
        let call = ScriptCall {
            script: &INSPECT,
            keys: &keys,
            arguments,
        };
        let base = BaseKey::of_stored(key);
        let reply = self.run_and_read(&base, &call, Inspected::read).await;
        reply.map_err(|failure| InspectError::of_call(self, failure))
    }
}

impl Inspected {
    fn read(reply: Value) -> Result<Self, RedisError> {
        type Reply = (u64, u64, Vec<u8>, i64, i64, u64);
        let (seconds, us, value, ttl, memory, in_flight) = Reply::from_redis_value(reply)?;
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
            in_flight,
        })
    }

    /// Reads the limit; `None` if nothing is stored.
    fn limit(&self, key: &[u8]) -> Result<Option<StoredLimit>, InspectError> {
        if !self.exists {
            return Ok(None);
        }
        let (value, now) = (&*self.value, self.now_us);
        // The first bytes tell the kinds apart: a bucket's are those of an instant, and with a
        // letter that would be above 2^53.
        let limit = match (KeyPart::of(key), value.first()) {
            (KeyPart::ApiState, _) => {
                StoredApi::read(key, value, now, self.in_flight).map(StoredLimit::Api)
            }
            (KeyPart::ApiCalls | KeyPart::Internal, _) => None,
            (_, Some(b'W')) => StoredWindow::read(key, value, now).map(StoredLimit::Window),
            (_, Some(b'S')) => StoredSemaphore::read(key, value, now).map(StoredLimit::Semaphore),
            _ => StoredBucket::read(key, value, now).map(StoredLimit::Bucket),
        };
        limit.map(Some).ok_or(InspectError::NotALimit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Whatever a key holds, reading it ends, and says at most what the value can hold.
        #[test]
        fn any_value_is_read_without_a_panic(
            mark in prop::sample::select(&[b'W', b'S', 1, 0][..]),
            rest in prop::collection::vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..900),
            is_api: bool,
            now_us in 0_u64..1 << 53,
        ) {
            let key: &[u8] = if is_api { b"tidegate:{x}:?api" } else { b"tidegate:{x}" };
            let value = [&[mark][..], &rest].concat();
            let most_nodes = value.len() / 58;
            let read = Inspected {
                exists: true,
                now_us,
                value,
                expires_in: None,
                memory: None,
                in_flight: 0,
            };
            match read.limit(key) {
                Ok(None) => panic!("something is stored"),
                Ok(Some(StoredLimit::Window(window))) => {
                    prop_assert!(mark == b'W' && window.used < 1 << 48);
                    prop_assert!(window.first_ends_in <= window.last_ends_in);
                }
                Ok(Some(StoredLimit::Semaphore(semaphore))) => {
                    prop_assert!(mark == b'S' && semaphore.nodes.len() <= most_nodes);
                }
                Ok(Some(StoredLimit::Api(api))) => {
                    prop_assert!(is_api && api.views.len() < 256);
                }
                Ok(Some(StoredLimit::Bucket(_))) => prop_assert!(mark < 2 && !is_api),
                Err(error) => prop_assert!(matches!(error, InspectError::NotALimit)),
            }
        }
    }
}
