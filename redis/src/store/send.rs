//! Sends a script, and sends it again only where the server says that it has not run.

use core::time::Duration;

use redis::{RedisError, Value};

use super::store_inner::StoreInner;
use crate::error_class::{ErrorClass, classify};
use crate::script::ScriptCall;

const MAX_ATTEMPTS: u32 = 8;

/// See the [module](self) documentation.
pub(super) async fn send(store: &StoreInner, call: &ScriptCall<'_>) -> Result<Value, RedisError> {
    let mut by_digest = true;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let command = call.command(by_digest);
        let in_flight = store.observer.counters.sent(by_digest);
        let mut connection = store.connection();
        let result = connection.run(&command).await;
        drop(in_flight);
        let error = match result.and_then(Value::extract_error) {
            Err(error) if attempts < MAX_ATTEMPTS => error,
            other => return other,
        };
        match classify(&error) {
            ErrorClass::UnknownScript if by_digest => by_digest = false,
            // The connection asks a node for the new owner. That node may not know it yet, but
            // usually does the first time.
            ErrorClass::Moved if connection.is_cluster() => pause(attempts - 1).await,
            #[cfg(feature = "cluster")]
            ErrorClass::Ask => return send_asking(store, call, error).await,
            // Milliseconds: the server moves a few small keys.
            ErrorClass::TryAgain => pause(attempts).await,
            _ => return Err(error),
        }
    }
}

async fn pause(ms: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(ms))).await;
}

/// Sends a call to the node that is about to own its keys, named in the redirection.
#[cfg(feature = "cluster")]
async fn send_asking(
    store: &StoreInner,
    call: &ScriptCall<'_>,
    redirection: RedisError,
) -> Result<Value, RedisError> {
    use crate::sync::Ordering::Relaxed;
    use crate::time;

    let now = time::now();
    // Relaxed: an instant that guards no other memory.
    let is_blocked = now < store.unknown_nodes_until.load(Relaxed);
    let (Some((node, _)), false) = (redirection.redirect_node(), is_blocked) else {
        return Err(redirection);
    };
    // As text: the node may not have the script, and each attempt would need another `ASKING`.
    let command = call.command(false);
    let in_flight = store.observer.counters.sent(false);
    let result = store.connection().run_asking(&command, node).await;
    drop(in_flight);
    match result {
        // The connection does not know a node that owns no slot yet. Each attempt makes it
        // reconnect to all others.
        Some(Err(unknown)) if unknown.kind() == redis::ErrorKind::ClusterConnectionNotFound => {
            let until = now.saturating_add(time::nanos(store.probe_interval));
            // Relaxed: as above.
            store.unknown_nodes_until.store(until, Relaxed);
            Err(redirection)
        }
        Some(result) => result,
        None => Err(redirection),
    }
}
