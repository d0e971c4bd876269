//! Paces a `reqwest` client with a middleware: acquire, send, observe, retry, settle.
//!
//! ```text
//! cargo run --release --manifest-path examples/packages/reqwest/Cargo.toml
//! ```
//!
//! Eight tasks call a fake provider on loopback (`provider.rs`), which counts for itself.

mod provider;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Extensions, StatusCode};
use reqwest::{Client, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{self as middleware, ClientBuilder, ClientWithMiddleware};
use reqwest_middleware::{Error, Middleware, Next};
use tidegate::{ApiRateLimiter, RateLimitConfig, TokenEstimate, TokenPermit, TokenUsage};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::provider::{Prompt, Usage};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Sends calls within the limits of an API, and again if its server refuses them.
///
/// Attach it last: middlewares before it that send a request several times are then paced, too.
struct Paced {
    limiter: ApiRateLimiter,
    retries: u32,
}

#[async_trait::async_trait]
impl Middleware for Paced {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> middleware::Result<Response> {
        let estimate = extensions.get().copied().unwrap_or(TokenEstimate::from(0));
        let mut retries = self.retries;
        loop {
            // Also waits out a pause after a refusal. Timeouts of reqwest begin after it.
            let permit = self.limiter.acquire_tokens(estimate).await;
            let mut permit = permit.map_err(Error::middleware)?;
            // `None` if the body is a stream, which can be sent once only.
            let copy = request.try_clone();
            // From here on the provider may count the call, even if this future is dropped.
            permit.commit();
            let mut response = match next.clone().run(request, extensions).await {
                Err(error) if error.is_connect() => {
                    permit.settle(0); // nothing was sent
                    return Err(error);
                }
                sent => sent?,
            };
            permit.observe_response(response.status(), response.headers());
            if !is_refusal(response.status()) {
                let permit = CallPermit(Arc::new(Mutex::new(Some(permit))));
                response.extensions_mut().insert(permit);
                return Ok(response);
            }
            permit.settle(0);
            let refusal = with_whole_body(response).await?;
            self.limiter.observe_body(refusal.status(), refusal.body());
            match copy {
                Some(copy) if retries > 0 => request = copy,
                _ => return Ok(refusal.into()),
            }
            retries -= 1;
        }
    }
}

/// 529 is Anthropic's status for "overloaded".
fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
}

async fn with_whole_body(response: Response) -> middleware::Result<http::Response<Vec<u8>>> {
    let url = response.url().clone();
    let builder = http::Response::builder().status(response.status()).url(url);
    let headers = response.headers().clone();
    let body = response.bytes().await?.to_vec();
    let mut response = builder.body(body).map_err(Error::middleware)?;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The permit of a call, in the extensions of its response. If it stays there, the estimate counts
/// as used.
#[derive(Clone)]
struct CallPermit(Arc<Mutex<Option<TokenPermit>>>);

impl CallPermit {
    fn take_from(response: &Response) -> Option<TokenPermit> {
        let Self(permit) = response.extensions().get()?;
        permit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

const TASKS: u64 = 8;
const CALLS_PER_TASK: u64 = 13;
/// The most tokens of a call.
const LARGEST: u64 = 300;

/// What the provider allows in any second is the rate here, a burst, and the calls under way: those
/// that leave one after the other can arrive together.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 40 * 60,
    burst_size: provider::REQUESTS - 40 - TASKS,
    tokens_per_minute: 12_000 * 60,
    token_burst_size: Some(provider::TOKENS - 12_000 - TASKS * LARGEST),
    ..RateLimitConfig::UNLIMITED
};

/// Makes a call, and settles it with the tokens that it used.
async fn call(client: &ClientWithMiddleware, url: &str, input: u64) -> Result<()> {
    let max_output = LARGEST - input;
    let most = TokenUsage::new(input, max_output);
    let request = client.post(url).json(&Prompt { input, max_output });
    let request = request.with_extension(TokenEstimate::from(most));
    let response = request.send().await?.error_for_status()?;
    let permit = CallPermit::take_from(&response).ok_or("taken before")?;
    let usage: Usage = response.json().await?;
    permit.settle(TokenUsage::new(usage.input, usage.output));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let (address, account) = provider::start().await?;
    let url = format!("http://{address}/v1/messages");
    let limiter = ApiRateLimiter::new(CONFIG)?;
    let paced = Paced {
        limiter: limiter.clone(),
        retries: 3,
    };
    // A proxy of the environment does not reach loopback.
    let client = Client::builder().no_proxy().build()?;
    let client = ClientBuilder::new(client).with(paced).build();

    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (client, url) = (client.clone(), url.clone());
        tasks.spawn(async move {
            for number in 0..CALLS_PER_TASK {
                call(&client, &url, 100 + number).await?;
            }
            Result::Ok(())
        });
    }
    let ends = tasks.join_all().await;
    ends.into_iter().collect::<Result<()>>()?;
    let elapsed = start.elapsed();

    // Nothing listens there any more, so this call uses nothing.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let failed = call(&client, &format!("http://{closed}"), 100).await;
    assert!(failed.is_err());

    let account = account.lock().await;
    let (admitted, refused) = (account.admitted, account.refused);
    let [requests, tokens] = account.busiest();
    println!("{admitted} calls answered, {refused} refused and repeated, in {elapsed:.1?}");
    println!("busiest second: {requests} requests and {tokens} tokens");
    assert_eq!(admitted, TASKS * CALLS_PER_TASK);
    // One by the overloaded server, and once at most to each task when the account was drained.
    assert!((2..=1 + TASKS).contains(&refused), "{refused} refused");
    assert!(requests <= provider::REQUESTS && tokens <= provider::TOKENS);
    assert_eq!(limiter.stats().total_tokens_used, account.tokens);
    Ok(())
}
