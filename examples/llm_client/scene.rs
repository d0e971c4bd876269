//! The work, sent once in one of three ways, each to a provider of its own.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tidegate::{ApiRateLimiter, Clock, MonotonicClock, RateLimitStats};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::account::{Account, Counts};
use crate::connection::{BoxError, Connection};
use crate::limits::{CONFIG, QUOTAS, WORKERS};
use crate::provider;
use crate::tally::Tally;
use crate::work::Work;
use crate::worker::Worker;

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) is_paced: bool,
    /// Before which of our requests another tenant takes all tokens that are left.
    pub(crate) tenant_before: &'static [u64],
}

pub(crate) const SCENES: [Scene; 3] = [
    Scene {
        name: "unpaced",
        is_paced: false,
        tenant_before: &[],
    },
    Scene {
        name: "paced",
        is_paced: true,
        tenant_before: &[],
    },
    Scene {
        name: "paced, shared",
        is_paced: true,
        // The first time in the middle of the burst at the start, when all workers have a call under way.
        tenant_before: &[4, 100],
    },
];

/// What came of a scene.
pub(crate) struct Outcome {
    pub(crate) scene: &'static Scene,
    pub(crate) elapsed: Duration,
    /// By the workers.
    pub(crate) tally: Tally,
    /// By the provider.
    pub(crate) counts: Counts,
    /// By the limiter, if there was one.
    pub(crate) stats: Option<RateLimitStats>,
}

impl Scene {
    pub(crate) async fn play(&'static self) -> Result<Outcome, BoxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // Before the account is made, so that it cannot have given more than this time allows.
        let start = MonotonicClock.now();
        let account = Arc::new(Account::new(QUOTAS, self.tenant_before));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(provider::serve(listener, Arc::clone(&account), stopped));

        let work = Arc::new(Work::default());
        // On the clock that the provider reads. Between machines, clocks that drift apart would need some head-room more.
        let limiter = || ApiRateLimiter::with_clock(CONFIG, MonotonicClock);
        let limiter = self.is_paced.then(limiter).transpose()?.map(Arc::new);
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(Worker {
                connection: Connection::open(address).await?,
                work: Arc::clone(&work),
                limiter: limiter.clone(),
            });
        }
        // All at once.
        let mut running: JoinSet<_> = workers.into_iter().map(Worker::run).collect();
        let mut tally = Tally::default();
        while let Some(counted) = running.join_next().await {
            tally.add(counted??);
        }
        let elapsed = MonotonicClock.now() - start;

        // All connections are closed, so the server has nothing to wait for.
        drop(stop);
        server.await??;
        Ok(Outcome {
            scene: self,
            elapsed,
            tally,
            counts: account.counts(),
            stats: limiter.map(|limiter| limiter.stats()),
        })
    }
}
