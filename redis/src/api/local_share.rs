//! What this node admits without the server: its share of each limit.

use core::num::NonZeroU32;
use std::sync::Arc;

use tidegate::{ApiRateLimiter, RateLimitConfig, SlidingWindow, TokenBucket};

use super::fleet_limit::{ApiLimit, FleetLimit};
use crate::error::BuildError;
use crate::local_shares::{ApiShare, part, share};

/// See the [module](self) documentation.
#[derive(Clone, Debug)]
pub(super) struct LocalShare {
    pub(super) limiter: ApiRateLimiter,
    /// The shares of shared limits, by their names.
    shared: Vec<(&'static str, Arc<TokenBucket>)>,
    nodes: NonZeroU32,
}

/// The numbers of one of `nodes`.
fn divided(config: &RateLimitConfig, nodes: u64) -> Result<RateLimitConfig, BuildError> {
    let part = |number: u64| match number {
        RateLimitConfig::NO_LIMIT => Ok(number),
        _ if number < nodes => Err(BuildError::TooManyNodes),
        _ => Ok(number / nodes),
    };
    let optional = |number: Option<u64>| number.map(part).transpose();
    Ok(RateLimitConfig {
        requests_per_minute: part(config.requests_per_minute)?,
        requests_per_hour: part(config.requests_per_hour)?,
        requests_per_day: optional(config.requests_per_day)?,
        tokens_per_minute: part(config.tokens_per_minute)?,
        token_burst_size: optional(config.token_burst_size)?,
        tokens_per_day: optional(config.tokens_per_day)?,
        input_tokens_per_minute: optional(config.input_tokens_per_minute)?,
        output_tokens_per_minute: optional(config.output_tokens_per_minute)?,
        // A burst of one is as small as it gets.
        burst_size: match config.burst_size {
            RateLimitConfig::NO_LIMIT => RateLimitConfig::NO_LIMIT,
            burst => (burst / nodes).max(1),
        },
        max_in_flight: optional(config.max_in_flight)?,
        ..*config
    })
}

/// Makes the share of one of `nodes`.
fn share_of(limit: &FleetLimit, nodes: NonZeroU32) -> Result<ApiShare, BuildError> {
    Ok(if let Some(quota) = limit.quota() {
        ApiShare::Bucket(Arc::new(TokenBucket::new(share(quota, nodes)?)))
    } else {
        let (permits, length) = (part(limit.capacity, nodes), limit.length());
        ApiShare::Window(Arc::new(SlidingWindow::new(permits, length)?))
    })
}

impl LocalShare {
    pub(super) fn new(
        config: &RateLimitConfig,
        shared: &[ApiLimit],
        nodes: NonZeroU32,
    ) -> Result<Self, BuildError> {
        let config = divided(config, nodes.get().into())?;
        let mut builder = ApiRateLimiter::builder(config);
        let mut buckets = Vec::new();
        for live in shared {
            let limit = live.now();
            let (Some(name), Some(common)) = (limit.name, &live.shares) else {
                continue;
            };
            let share = common.get(nodes, || share_of(&limit, nodes))?;
            builder = match share {
                ApiShare::Window(window) => builder.shared(name, window),
                ApiShare::Bucket(bucket) => {
                    buckets.push((name, Arc::clone(&bucket)));
                    if limit.counts_tokens {
                        builder.shared_tokens(name, bucket)
                    } else {
                        builder.shared(name, bucket)
                    }
                }
            };
        }
        let limiter = builder.build().map_err(BuildError::Config)?;
        Ok(Self {
            limiter,
            shared: buckets,
            nodes,
        })
    }

    /// Changes the shares of shared limits whose quotas have changed. What is left of them stays.
    pub(super) fn follow_quotas(&self, limits: &[FleetLimit]) {
        for (name, bucket) in &self.shared {
            let mut all = limits.iter();
            let limit = all.find(|limit| limit.name == Some(*name));
            // A share that is too small stays as it was.
            if let Some(Ok(share)) = limit
                .and_then(FleetLimit::quota)
                .map(|quota| share(quota, self.nodes))
                && bucket.quota() != share
            {
                bucket.set_quota(share);
            }
        }
    }

    /// Charges what the server has admitted, or as much of it as is left, so that a busy node does
    /// not begin an outage with a full burst.
    pub(super) fn follow(&self, tokens: tidegate::TokenUsage) {
        let admitted = self.limiter.try_acquire();
        let left = admitted.tokens_remaining;
        let charged = if tokens.total() <= left {
            tokens
        } else {
            left.into()
        };
        self.limiter.record_tokens(charged);
    }
}
