//! Checks that the server could decide now.

use core::time::Duration;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;

use super::{CallFailure, PROBE_KEY, RedisStore};
use crate::base_key::BaseKey;
use crate::ping_error::PingError;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::server_info::{Identity, ServerInfo};

/// The year 2015, before the first version with all that the scripts need.
const EARLIEST_S: u64 = 1_420_070_400;

/// See [`RedisStore::ping`].
pub(super) async fn ping(store: &RedisStore) -> Result<ServerInfo, PingError> {
    let mut round_trip = Duration::ZERO;
    let mut time = Duration::ZERO;
    for base in one_key_per_breaker(store) {
        let call = ScriptCall {
            script: &script::PING,
            keys: &[base.limit_key(Some(PROBE_KEY))],
            arguments: ScriptArgs::default(),
        };
        let start = Instant::now();
        let reply = store.run(&base, &call).await;
        let reply = reply.map_err(|failure| match failure {
            CallFailure::Failed(error) => PingError::new(error),
            CallFailure::Overloaded => PingError::Overloaded,
            CallFailure::BreakerOpen(_) => match store.last_error() {
                Some(error) => PingError::new(error),
                None => PingError::Unreachable { cause: None },
            },
        })?;
        round_trip = round_trip.max(start.elapsed());
        let number = |index: usize| reply.get(index).and_then(|&n| u64::try_from(n).ok());
        let (Some(seconds), Some(us)) = (number(0), number(1)) else {
            return Err(PingError::new(script::unexpected_reply()));
        };
        time = Duration::from_secs(seconds).saturating_add(Duration::from_micros(us));
        if seconds < EARLIEST_S {
            let time = UNIX_EPOCH + time;
            return Err(PingError::WrongClock { time });
        }
    }
    let mut connection = store.inner.connection();
    let identity = Identity::of(&mut connection);
    let identity = tokio::time::timeout(store.inner.timeout, identity).await;
    let Identity {
        kind,
        version,
        role,
    } = identity.unwrap_or_default();
    Ok(ServerInfo {
        round_trip,
        time: UNIX_EPOCH + time,
        kind,
        version,
        role,
    })
}

/// One key for a server, and in a cluster one in each range of slots, so that every node is asked.
fn one_key_per_breaker(store: &RedisStore) -> Vec<BaseKey> {
    let mut keys: Vec<Option<BaseKey>> = store.inner.breakers.iter().map(|_| None).collect();
    for number in 0_u32.. {
        if keys.iter().all(Option::is_some) {
            break;
        }
        let base = store.base_key(&number.to_string(), None);
        let index = store.inner.breaker_index(&base);
        keys[index].get_or_insert(base);
    }
    keys.into_iter().flatten().collect()
}
