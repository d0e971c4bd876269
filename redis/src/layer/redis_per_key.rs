//! The limits of each key of requests.

use core::fmt;

use tidegate::layer::{KeyExtractor, NoKey, RequestHead, SharedDecision, SharedGate};

use super::decision::decide;
use super::key_bytes::KeyBytes;
use crate::keyed::RedisKeyed;

/// Limits each key of requests on its own, on all nodes together: a [`RedisKeyed`] as a gate of
/// [`RateLimitLayer::shared`](tidegate::layer::RateLimitLayer::shared).
///
/// All nodes must make the same key of the same client. An
/// [`ApiKey`](tidegate::layer::ApiKey) has a random secret of its own in each process, so give it a
/// [`digester`](tidegate::layer::ApiKey::digester) with a secret that all nodes have. [`KeyBytes`]
/// says what the server stores.
///
/// ```no_run
/// use tidegate::layer::{ApiKey, RateLimitLayer};
/// use tidegate::{KeyDigester, Quota};
/// use tidegate_redis::{RedisKeyed, RedisPerKey, RedisStore};
///
/// # fn example(secret: [u8; 16]) -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1/")?;
/// let quotas = [("second", Quota::per_second(20)), ("day", Quota::per_day(10_000))];
/// let clients = RedisKeyed::new(&store, "client", quotas)?;
/// let client = ApiKey::bearer().digester(KeyDigester::with_secret(secret));
/// let layer = RateLimitLayer::shared(RedisPerKey::new(clients, client));
/// # drop(layer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisPerKey<T, E> {
    table: T,
    extractor: E,
    is_optional: bool,
}

impl<T, E> RedisPerKey<T, E>
where
    T: AsRef<RedisKeyed>,
    E: KeyExtractor<Key: KeyBytes>,
{
    /// Limits each key that `extractor` finds. The table may be behind an `Arc`.
    pub const fn new(table: T, extractor: E) -> Self {
        Self {
            table,
            extractor,
            is_optional: false,
        }
    }

    /// Lets requests without a key pass, as
    /// [`PerKey::optional`](tidegate::layer::PerKey::optional) does.
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }

    /// Returns the table.
    pub fn table(&self) -> &RedisKeyed {
        self.table.as_ref()
    }
}

impl<T, E> SharedGate for RedisPerKey<T, E>
where
    T: AsRef<RedisKeyed> + Send + Sync + 'static,
    E: KeyExtractor<Key: KeyBytes> + Send + Sync + 'static,
{
    /// The key on the server. `None` if keys are optional and the request has none.
    type Key = Option<Vec<u8>>;

    fn find(&self, request: &RequestHead<'_>) -> Result<Option<Vec<u8>>, NoKey> {
        match self.extractor.extract(request) {
            Ok(key) => Ok(Some(key.to_bytes())),
            Err(why) if self.is_optional && why.is_absent() => Ok(None),
            Err(why) => Err(why),
        }
    }

    async fn decide(&self, key: &Option<Vec<u8>>, n: u64) -> SharedDecision {
        let Some(key) = key else {
            return SharedDecision::admitted();
        };
        let table = self.table();
        decide(table.limits(), &table.buckets(key), n).await
    }
}

/// Omits the extractor, because closures do not implement `Debug`.
impl<T: fmt::Debug, E> fmt::Debug for RedisPerKey<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPerKey")
            .field("table", &self.table)
            .field("is_optional", &self.is_optional)
            .finish_non_exhaustive()
    }
}
