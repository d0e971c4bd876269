//! Limits of all kinds.

use core::fmt;

use super::stored_api::StoredApi;
use super::stored_bucket::StoredBucket;
use super::stored_semaphore::StoredSemaphore;
use super::stored_window::StoredWindow;

/// A limit as the server stores it, at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredLimit {
    /// A token bucket, by itself or as one limit of several.
    Bucket(StoredBucket),
    /// A sliding window, by itself or as one limit of several.
    Window(StoredWindow),
    /// A semaphore.
    Semaphore(StoredSemaphore),
    /// The state of an API limiter. Its limits are windows and buckets beside it.
    Api(StoredApi),
}

/// What a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StoredKind {
    /// A token bucket.
    Bucket,
    /// A sliding window.
    Window,
    /// A semaphore.
    Semaphore,
    /// An API limiter.
    Api,
}

impl fmt::Display for StoredKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bucket => "bucket",
            Self::Window => "window",
            Self::Semaphore => "semaphore",
            Self::Api => "API limiter",
        })
    }
}

impl StoredLimit {
    /// Returns its kind.
    pub const fn kind(&self) -> StoredKind {
        match self {
            Self::Bucket(_) => StoredKind::Bucket,
            Self::Window(_) => StoredKind::Window,
            Self::Semaphore(_) => StoredKind::Semaphore,
            Self::Api(_) => StoredKind::Api,
        }
    }

    /// Returns its key on the server.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Bucket(bucket) => &bucket.key,
            Self::Window(window) => &window.key,
            Self::Semaphore(semaphore) => &semaphore.key,
            Self::Api(api) => &api.key,
        }
    }

    /// Whether something of it is used: a bucket is not full, permits of a window count, nodes hold
    /// permits of a semaphore or wait for some. An API limiter counts as used while it is stored,
    /// for its totals.
    pub const fn is_used(&self) -> bool {
        match self {
            Self::Bucket(bucket) => !bucket.full_in.is_zero(),
            Self::Window(window) => window.used > 0,
            Self::Semaphore(semaphore) => !semaphore.nodes.is_empty(),
            Self::Api(_) => true,
        }
    }

    /// Returns the bucket, if it is one.
    pub const fn bucket(&self) -> Option<&StoredBucket> {
        match self {
            Self::Bucket(bucket) => Some(bucket),
            _ => None,
        }
    }

    /// Returns the window, if it is one.
    pub const fn window(&self) -> Option<&StoredWindow> {
        match self {
            Self::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Returns the semaphore, if it is one.
    pub const fn semaphore(&self) -> Option<&StoredSemaphore> {
        match self {
            Self::Semaphore(semaphore) => Some(semaphore),
            _ => None,
        }
    }

    /// Returns the state of the API limiter, if it is one.
    pub const fn api(&self) -> Option<&StoredApi> {
        match self {
            Self::Api(api) => Some(api),
            _ => None,
        }
    }
}
