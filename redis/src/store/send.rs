//! A script is sent once, or again where the server says that it has not run.

use core::time::Duration;

use redis::{RedisError, Value};

use super::RedisStore;
use crate::script::{ErrorClass, Script, ScriptArgs, classify};

const MOST_TRIES: u32 = 8;

/// See the [module](self) documentation.
pub(super) async fn send(
    store: &RedisStore,
    script: &Script,
    keys: &[Vec<u8>],
    arguments: &ScriptArgs,
) -> Result<Value, RedisError> {
    let mut known = true;
    let mut tries = 0;
    loop {
        tries += 1;
        let command = script.command(known, keys, arguments);
        let in_flight = store.inner.counts.sent(known);
        let mut connection = store.connection();
        let result = connection.run(&command).await;
        drop(in_flight);
        let error = match result.and_then(Value::extract_error) {
            Err(error) if tries < MOST_TRIES => error,
            other => return other,
        };
        match classify(&error) {
            ErrorClass::Unknown if known => known = false,
            // The connection asks a node for the new owner, which may not have heard of it yet; the first time it mostly has.
            ErrorClass::Moved if connection.is_cluster() => pause(tries - 1).await,
            ErrorClass::Ask => return ask(store, script, keys, arguments, error).await,
            // Milliseconds: the server moves a few small keys.
            ErrorClass::Soon => pause(tries).await,
            _ => return Err(error),
        }
    }
}

async fn pause(ms: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(ms))).await;
}

/// Asks the node that is about to have the key.
#[cfg(feature = "cluster")]
async fn ask(
    store: &RedisStore,
    script: &Script,
    keys: &[Vec<u8>],
    arguments: &ScriptArgs,
    error: RedisError,
) -> Result<Value, RedisError> {
    use crate::lease::leased_token_bucket::nanos;
    use crate::sync::Ordering::Relaxed;

    let inner = &store.inner;
    let now = RedisStore::now();
    // Relaxed: an instant that guards nothing.
    let (Some((node, _)), true) = (error.redirect_node(), now >= inner.unroutable.load(Relaxed))
    else {
        return Err(error);
    };
    // As text: that node may not know the script, and to ask again one would have to say so again.
    let command = script.command(false, keys, arguments);
    let in_flight = inner.counts.sent(false);
    let result = store.connection().run_asking(&command, node).await;
    drop(in_flight);
    match result {
        // A node that owns nothing yet is one that the connection does not know. Each attempt makes it connect to all others anew.
        Some(Err(unknown)) if unknown.kind() == redis::ErrorKind::ClusterConnectionNotFound => {
            // Relaxed: as above.
            inner
                .unroutable
                .store(now.saturating_add(nanos(inner.probe_interval)), Relaxed);
            Err(error)
        }
        Some(result) => result,
        None => Err(error),
    }
}

#[cfg(not(feature = "cluster"))]
#[expect(clippy::unused_async, reason = "a cluster is asked")]
async fn ask(
    _: &RedisStore,
    _: &Script,
    _: &[Vec<u8>],
    _: &ScriptArgs,
    error: RedisError,
) -> Result<Value, RedisError> {
    Err(error)
}
