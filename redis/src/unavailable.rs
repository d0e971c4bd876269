//! The error of a call that the server did not answer.

use core::time::Duration;

use redis::RedisError;

use crate::base_key::BaseKey;
use crate::error::AcquireError;
use crate::store::{CallFailure, RedisStore};

/// Returns the error of a call that no policy admits, with the cause and when to ask again.
pub(crate) fn unavailable(
    store: &RedisStore,
    base: &BaseKey,
    failure: CallFailure,
) -> AcquireError {
    match outage(store, base, failure) {
        Some((retry_after, cause)) => AcquireError::Unavailable { retry_after, cause },
        None => AcquireError::Overloaded,
    }
}

/// Returns when to ask again, and the cause if it is known; `None` if the call was not sent because
/// too many wait.
pub(crate) fn outage(
    store: &RedisStore,
    base: &BaseKey,
    failure: CallFailure,
) -> Option<(Duration, Option<RedisError>)> {
    match failure {
        CallFailure::BreakerOpen(until) => {
            Some((RedisStore::wait_for_probe(until), store.last_error()))
        }
        CallFailure::Failed(error) => Some((store.retry_after(base), Some(error))),
        CallFailure::Overloaded => None,
    }
}
