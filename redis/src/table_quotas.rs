//! Where a table keeps quotas that were changed, and when a node asks for them.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::base_key::BaseKey;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::time;

/// Begins the name of a quota's key, where the name of a limit would be.
const QUOTA_KEY: &str = "?quota";

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) struct TableQuotas {
    pub(crate) base: BaseKey,
    /// One for each limit.
    pub(crate) keys: Vec<Vec<u8>>,
    /// How old what this node knows may be; zero if it never asks.
    max_age: Duration,
    /// Set once the server has answered for the first time.
    first: OnceCell<()>,
    /// When to ask next, in nanoseconds.
    next: AtomicU64,
}

/// The key of the quota of a limit, among the keys of its table.
pub(crate) fn quota_key(base: &BaseKey, limit: Option<&str>) -> Vec<u8> {
    match limit {
        None => base.limit_key(Some(QUOTA_KEY)),
        Some(limit) => base.limit_key(Some(&format!("{QUOTA_KEY}:{limit}"))),
    }
}

impl TableQuotas {
    pub(crate) fn new(
        base: BaseKey,
        limits: impl Iterator<Item = Option<Arc<str>>>,
        max_age: Duration,
    ) -> Self {
        Self {
            keys: limits
                .map(|limit| quota_key(&base, limit.as_deref()))
                .collect(),
            base,
            max_age,
            first: OnceCell::new(),
            next: AtomicU64::new(0),
        }
    }

    /// Runs `ask`, if it is time to. Until the server has answered once, all calls wait for that:
    /// any quota may have been changed before this node began.
    pub(crate) async fn ask_in_time<E>(&self, ask: impl AsyncFnOnce() -> Result<(), E>) {
        if self.max_age.is_zero() {
            return;
        }
        if self.first.initialized() {
            if self.claim() {
                let _ = ask().await;
            }
            return;
        }
        let first = self.first.get_or_try_init(async || {
            self.claim();
            ask().await
        });
        // Without an answer, the call itself finds out what is wrong.
        let _ = first.await;
    }

    /// Returns whether this call is the one that asks now.
    fn claim(&self) -> bool {
        let now = time::now();
        // Relaxed: an instant that guards no other memory. Of several calls, one exchanges it.
        let next = self.next.load(Relaxed);
        let after = now.saturating_add(time::nanos(self.max_age));
        now >= next
            && self
                .next
                .compare_exchange(next, after, Relaxed, Relaxed)
                .is_ok()
    }
}
