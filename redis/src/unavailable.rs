//! The error of a call that the server did not answer.

use crate::base_key::BaseKey;
use crate::error::AcquireError;
use crate::store::{CallFailure, RedisStore};

/// Returns the error of a call that no policy admits, with the cause and when to ask again.
pub(crate) fn unavailable(
    store: &RedisStore,
    base: &BaseKey,
    failure: CallFailure,
) -> AcquireError {
    let (retry_after, cause) = match failure {
        CallFailure::BreakerOpen(until) => (RedisStore::wait_for_probe(until), store.last_error()),
        CallFailure::Failed(error) => (store.retry_after(base), Some(error)),
        CallFailure::Overloaded => return AcquireError::Overloaded,
    };
    AcquireError::Unavailable { retry_after, cause }
}
