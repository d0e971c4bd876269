//! Tasks that call limiters as often as they can until they are stopped.

use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::sync::Arc;

use tidegate_redis::{AcquireError, LeasedTokenBucket, LimitStats, RedisKeyed, RedisTokenBucket};
use tokio::task::JoinHandle;

use super::admission::{Admission, now_ns};

/// What a task calls.
pub(crate) enum Target {
    Bucket(RedisTokenBucket),
    Keyed(Box<RedisKeyed>, String),
    Leased(LeasedTokenBucket),
}

impl Target {
    pub(crate) async fn try_acquire(&self, permits: u64) -> Result<(), AcquireError> {
        match self {
            Self::Bucket(bucket) => bucket.try_acquire(permits).await.map(drop),
            Self::Keyed(keyed, key) => keyed.try_acquire(key, permits).await.map(drop),
            Self::Leased(leased) => leased.try_acquire(permits),
        }
    }

    pub(crate) fn stats(&self) -> LimitStats {
        match self {
            Self::Bucket(bucket) => bucket.stats(),
            Self::Keyed(keyed, _) => keyed.stats(),
            Self::Leased(leased) => leased.limit_stats(),
        }
    }
}

/// A running load, with one task per target.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Admission>>>,
}

impl Load {
    /// Each task passes the errors of its calls to `check`, which may panic.
    pub(crate) fn start(
        targets: impl IntoIterator<Item = Target>,
        check: fn(&AcquireError),
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |target: Target| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut admissions = Vec::new();
                // Relaxed: the flag publishes no other memory.
                while !stop.load(Relaxed) {
                    let start_ns = now_ns();
                    match target.try_acquire(1).await {
                        Ok(()) => admissions.push(Admission::since(start_ns, 1)),
                        Err(error) => {
                            check(&error);
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                admissions
            })
        };
        let tasks = targets.into_iter().map(start).collect();
        Self { stop, tasks }
    }

    /// Returns the admissions of each task.
    pub(crate) async fn stop(self) -> Vec<Vec<Admission>> {
        // Relaxed: the flag publishes no other memory; the joins below do.
        self.stop.store(true, Relaxed);
        let mut admissions = Vec::new();
        for task in self.tasks {
            admissions.push(task.await.unwrap());
        }
        admissions
    }
}
