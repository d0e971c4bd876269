//! Which limit is meant, and by which quota or limit it is counted.

use clap::Args;
use tidegate::Quota;
use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{LimitDetails, StoredBucket};

use super::words::failed;
use crate::failure::Failure;
use crate::values;

/// Names one limit.
#[derive(Clone, Debug, Args)]
pub(super) struct LimitArgs {
    /// The name of the limiter, such as `uploads`, or a key as `ls` prints it, such as
    /// `user:{alice}`
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// The key in the table of that name
    #[arg(long, value_name = "TEXT")]
    pub(super) key: Option<String>,
    /// The name of the limit, if the limiter has several
    #[arg(long, value_name = "NAME")]
    pub(super) limit: Option<String>,
}

/// The quota, or the limit, that nodes are built with.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct QuotaArgs {
    /// The quota that nodes are built with, to count tokens by. The server knows it only if it was
    /// changed since
    #[arg(long, value_name = "QUOTA", value_parser = values::quota)]
    pub(super) quota: Option<Quota>,
}

/// What nodes are built with, to say how much of a limit is used.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct CountArgs {
    #[command(flatten)]
    pub(super) quota: QuotaArgs,
    /// The limit that nodes give a window or a semaphore. The server does not know it
    #[arg(long, value_name = "N")]
    pub(super) permits: Option<u64>,
}

impl LimitArgs {
    /// Returns the key on the server.
    ///
    /// # Errors
    ///
    /// If a key of the server is given, and parts of a name as well.
    pub(super) fn key(&self, store: &RedisStore) -> Result<Vec<u8>, Failure> {
        if !self.name.contains('{') {
            let key = self.key.as_deref().map(str::as_bytes);
            return Ok(store.bucket_key(&self.name, key, self.limit.as_deref()));
        }
        if self.key.is_some() || self.limit.is_some() {
            let message = format!(
                "`{}` is a whole key: leave --key and --limit out",
                self.name
            );
            return Err(Failure::Usage(message));
        }
        let mut key = store.bucket_key("", None, None);
        key.truncate(key.len() - "{%}".len());
        if !self.name.as_bytes().starts_with(&key) {
            key.extend_from_slice(self.name.as_bytes());
            return Ok(key);
        }
        Ok(self.name.clone().into_bytes())
    }

    /// Returns the key on the server, and what is stored there. A name without a limit of its own
    /// may be that of an API limiter.
    ///
    /// # Errors
    ///
    /// As [`key`](Self::key), and if the server does not answer.
    pub(super) async fn find(
        &self,
        store: &RedisStore,
    ) -> Result<(Vec<u8>, Option<LimitDetails>), Failure> {
        let key = self.key(store)?;
        let found = store.inspect(&key).await.map_err(failed)?;
        let is_name = !self.name.contains('{') && self.key.is_none() && self.limit.is_none();
        if found.is_none() && is_name {
            let of_api = store.api_key(&self.name);
            let found = store.inspect(&of_api).await.map_err(failed)?;
            if found.is_some() {
                return Ok((of_api, found));
            }
        }
        Ok((key, found))
    }
}

impl QuotaArgs {
    /// Returns the newest quota: the one that the server has, or the one that is given.
    pub(super) fn of(self, bucket: &StoredBucket) -> Option<Quota> {
        bucket.quota.or(self.quota)
    }

    /// Returns how many tokens the bucket has, if its quota is known.
    pub(super) fn available(self, bucket: &StoredBucket) -> Result<Option<u64>, Failure> {
        let available = self.of(bucket).map(|quota| bucket.available(quota));
        let available = available.transpose();
        available.map_err(|error| Failure::Usage(error.to_string()))
    }
}
