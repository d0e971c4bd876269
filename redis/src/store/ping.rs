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

impl RedisStore {
    /// Checks that the server could decide now, and tells how far away it is and what it is.
    ///
    /// For readiness checks and the start of a program. It goes the way of every call: it waits for
    /// its turn and no longer than the [time limit](crate::StoreBuilder::timeout), fails at once
    /// while the server is known to be down, and runs a script that asks the time, reads a key and
    /// writes one, whose name ends with `:?probe` and which ends after a millisecond. It charges
    /// nothing. In a cluster it does so in all 64 ranges of slots, one after the other, so a single
    /// node that is down makes it fail.
    ///
    /// Kind, version and role are from another command, which every user may run. Where a proxy
    /// refuses it, they are `None`.
    ///
    /// ```no_run
    /// # async fn example(store: tidegate_redis::RedisStore) {
    /// match store.ping().await {
    ///     Ok(server) => println!("ready: {:?} {:?}", server.version, server.round_trip),
    ///     Err(error) => println!("not ready: {error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the server could not decide, with what is missing.
    pub async fn ping(&self) -> Result<ServerInfo, PingError> {
        let mut round_trip = Duration::ZERO;
        let mut time = Duration::ZERO;
        for base in one_key_per_breaker(self) {
            let call = ScriptCall {
                script: &script::PING,
                keys: &[base.limit_key(Some(PROBE_KEY))],
                arguments: ScriptArgs::default(),
            };
            let start = Instant::now();
            let reply = self.run(&base, &call).await;
            let reply = reply.map_err(|failure| match failure {
                CallFailure::Failed(error) => PingError::new(error),
                CallFailure::Overloaded => PingError::Overloaded,
                CallFailure::BreakerOpen(_) => match self.last_error() {
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
        let mut connection = self.inner.connection();
        let identity = Identity::of(&mut connection);
        let identity = tokio::time::timeout(self.inner.timeout, identity).await;
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
