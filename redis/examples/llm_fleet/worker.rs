//! One worker of the fleet: it has more work than the provider allows, and asks the shared limiter
//! before each call.

use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tidegate::{RateLimitConfig, TokenUsage};
use tidegate_redis::{RedisApiRateLimiter, RedisStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What the organization has bought.
pub(crate) const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 1_200,
    burst_size: 120,
    tokens_per_minute: 1_200_000,
    token_burst_size: Some(200_000),
    max_in_flight: Some(12),
    ..RateLimitConfig::UNLIMITED
};

/// The calls that a worker makes at the same time.
pub(crate) const CALLS_AT_ONCE: u64 = 4;

/// How long a call counts as in flight whose worker has died.
const CALL_TTL: Duration = Duration::from_secs(5);

const PROMPT_TOKENS: u64 = 400;

/// The most that an answer may have, as `max_tokens` of a request.
pub(crate) const MOST_OUTPUT: u64 = 500;

/// The estimate of a call.
pub(crate) const ESTIMATE: TokenUsage = TokenUsage::new(PROMPT_TOKENS, MOST_OUTPUT);

pub(crate) fn limiter(redis: &str) -> Result<RedisApiRateLimiter, BoxError> {
    let store = RedisStore::builder()
        // More often than by default, so that a short demo shows the recovery.
        .probe_interval(Duration::from_millis(100))
        .timeout(Duration::from_secs(2))
        .connect(redis)
        .map_err(|error| format!("invalid address `{redis}`: {error}"))?;
    let builder = RedisApiRateLimiter::builder(&store, "model", CONFIG);
    Ok(builder.call_ttl(CALL_TTL).build()?)
}

/// Works until its input ends, which it also does when the demo dies.
pub(crate) async fn work(redis: &str, provider: &str, name: &str) -> Result<(), BoxError> {
    let limiter = limiter(redis)?;
    let stops = Arc::new(AtomicBool::new(false));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS_AT_ONCE {
        let (limiter, stops) = (limiter.clone(), Arc::clone(&stops));
        let (provider, name) = (provider.to_owned(), name.to_owned());
        calls.spawn(async move {
            // Relaxed: a flag that guards no memory.
            while !stops.load(Relaxed) {
                one_call(&limiter, &provider, &name).await;
            }
        });
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    stops.store(true, Relaxed);
    calls.join_all().await;
    limiter.delivered().await;
    Ok(())
}

/// Makes one call when the limiter admits it, and settles what it has used.
async fn one_call(limiter: &RedisApiRateLimiter, provider: &str, name: &str) {
    let patience = Duration::from_secs(1);
    let mut permit = match limiter.acquire_tokens(ESTIMATE).timeout(patience).await {
        Ok(permit) => permit,
        Err(error) => {
            // The limit server is down, or the patience was too short.
            let wait = error.retry_after().unwrap_or(patience);
            return sleep(wait.min(Duration::from_millis(50))).await;
        }
    };
    permit.commit();
    // Without an answer, the estimate counts as used.
    if let Ok(output) = call_provider(provider, name).await {
        permit.settle(TokenUsage::new(PROMPT_TOKENS, output));
    }
}

/// Calls the provider, and returns the output tokens that its answer reports.
async fn call_provider(provider: &str, name: &str) -> Result<u64, BoxError> {
    let mut stream = TcpStream::connect(provider).await?;
    let request = format!(
        "GET /{name}/{PROMPT_TOKENS} HTTP/1.1\r\nhost: provider\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (_, body) = response.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(body.trim().parse()?)
}
