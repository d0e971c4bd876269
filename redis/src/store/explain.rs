//! Adds to a server's error what the server or its user lacks.

use redis::RedisError;
use tokio::time::Instant;

use super::store_inner::StoreInner;
use crate::missing::{self, Missing};
use crate::server_info::Identity;
use crate::time;

/// For a call that was sent at `start`, whose time limit holds for a question about the server,
/// too.
pub(super) async fn explain(store: &StoreInner, error: RedisError, start: Instant) -> RedisError {
    match missing::suspected(&error) {
        Some(Missing::Right) => {
            let is_cluster = store.connection().is_cluster();
            missing::right(&error, &store.prefix, is_cluster)
        }
        Some(Missing::Version) => {
            let rest = store.timeout.saturating_sub(start.elapsed());
            let identity = tokio::time::timeout(rest, identity(store)).await;
            missing::version(error, &identity.unwrap_or_default())
        }
        None => error,
    }
}

/// Asks the server at most once per probe interval.
async fn identity(store: &StoreInner) -> Identity {
    let mut known = store.identity.lock().await;
    let max_age = time::nanos(store.probe_interval);
    match &*known {
        Some((at, identity)) if time::now().saturating_sub(*at) < max_age => identity.clone(),
        _ => {
            let identity = Identity::of(&mut store.connection()).await;
            *known = Some((time::now(), identity.clone()));
            identity
        }
    }
}
