//! Time limits of connections.

use core::time::Duration;

#[cfg(feature = "sentinel")]
use redis::AsyncConnectionConfig;

/// How long to wait for a connection, and for a reply on it.
#[derive(Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
}

impl Timeouts {
    /// For connections that never reconnect by themselves.
    #[cfg(feature = "sentinel")]
    pub(super) fn config(self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect))
            .set_response_timeout(Some(self.response))
    }
}
