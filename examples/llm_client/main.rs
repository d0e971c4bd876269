//! A client that keeps to the request and token limits of a language model's provider.
//!
//! ```text
//! cargo run --release --features tokio,http --example llm_client
//! ```
//!
//! The provider is a fake on loopback (`provider.rs`) that streams its answers. The same prompts
//! are sent three times: all at once, paced by an `ApiRateLimiter`, and paced while another program
//! drains the account.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "this program needs std"
)]

mod provider;

use axum::http::{Request, Response, StatusCode};
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tidegate::{ApiRateLimiter, RateLimitConfig, TokenPermit, TokenUsage};
use tokio::time::Instant;

use crate::provider::{Event, Prompt};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const PROMPTS: u32 = 60;
/// The tokens of the largest prompt and its answer.
const LARGEST: u64 = 600;
/// Calls that are under way at the same time.
const MAX_IN_FLIGHT: u64 = 8;

/// The provider allows 1,200 requests and 300,000 tokens per minute, 20 and 10,000 of them at
/// once. The bursts are smaller here, because calls that leave one after the other can arrive
/// together: up to `MAX_IN_FLIGHT`.
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 1_200,
    requests_per_hour: 72_000,
    burst_size: 20 - MAX_IN_FLIGHT,
    tokens_per_minute: 300_000,
    token_burst_size: Some(10_000 - MAX_IN_FLIGHT * LARGEST),
    max_in_flight: Some(MAX_IN_FLIGHT),
    // Callers wait in a queue, so only the first one tries again.
    enable_backoff: false,
    ..RateLimitConfig::DEFAULT
};

/// A client of the provider. All callers share its limiter.
struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    url: String,
    limiter: ApiRateLimiter,
}

impl Client {
    /// Sends a prompt when the limits allow it, and sends it again if the provider refuses.
    async fn complete(&self, prompt: Prompt) -> Result<Answer> {
        let estimate = TokenUsage::new(prompt.input_tokens.into(), prompt.max_tokens.into());
        loop {
            // Fails at once if the estimate exceeds a limit.
            let mut permit = self.limiter.acquire_tokens(estimate).await?;
            // From here on the provider may charge, even if this future is dropped.
            permit.commit();
            let response = self.post(prompt).await?;
            // What remains, for as long as the provider says. A refusal pauses all callers.
            permit.observe_response(response.status(), response.headers());
            match response.status() {
                StatusCode::OK => {
                    let body = response.into_body();
                    return Ok(Answer { permit, body });
                }
                StatusCode::TOO_MANY_REQUESTS => permit.settle(0),
                status => return Err(format!("the provider answered {status}").into()),
            }
        }
    }

    async fn post(&self, prompt: Prompt) -> Result<Response<Incoming>> {
        let request = Request::post(&self.url)
            .header("content-type", "application/json")
            .body(Full::from(serde_json::to_vec(&prompt)?))?;
        Ok(self.http.request(request).await?)
    }
}

/// An answer that is still streamed, in any task. Its call stays in flight until the end. If it is
/// dropped before, the whole estimate stays charged.
struct Answer {
    permit: TokenPermit,
    body: Incoming,
}

impl Answer {
    /// Receives the text, and settles the call with the tokens that it used.
    async fn text(mut self) -> Result<String> {
        let mut text = String::new();
        let mut received = Vec::new();
        while let Some(frame) = self.body.frame().await {
            received.extend(frame?.into_data().unwrap_or_default());
            while let Some(end) = received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = received.drain(..=end).collect();
                match serde_json::from_slice(&line)? {
                    Event::Text(piece) => text.push_str(&piece),
                    Event::Usage { input, output } => {
                        let used = TokenUsage::new(input.into(), output.into());
                        self.permit.settle(used);
                        return Ok(text);
                    }
                }
            }
        }
        Err("the provider ended an answer early".into())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    println!("{:30}{:>9}{:>9}{:>9}", "", "answered", "refused", "seconds");
    let (_, refused) = run("unpaced", false, None).await?;
    if refused == 0 {
        return Err("the provider did not keep to its limits".into());
    }
    if run("paced", true, None).await? != (PROMPTS, 0) {
        return Err("the paced client was refused or not answered".into());
    }
    let (answered, refused) = run("paced, account drained once", true, Some(30)).await?;
    if answered != PROMPTS || refused == 0 {
        return Err("the paced client did not repeat the refused calls".into());
    }
    println!("\nThe paced client got all answers, and no refusal on its own account.");
    Ok(())
}

/// Sends all prompts to a new provider, and returns how often it answered and refused.
async fn run(name: &str, is_paced: bool, drained_before: Option<u32>) -> Result<(u32, u32)> {
    let (address, account) = provider::start(drained_before).await?;
    let client = Client {
        http: HttpClient::builder(TokioExecutor::new()).build_http(),
        url: format!("http://{address}/v1/messages"),
        limiter: ApiRateLimiter::new(CONFIG)?,
    };
    let start = Instant::now();
    try_join_all((0..PROMPTS).map(async |number| -> Result<()> {
        let prompt = Prompt {
            input_tokens: 100 + number % 100,
            max_tokens: 400,
        };
        if is_paced {
            let answer = client.complete(prompt).await?;
            tokio::spawn(answer.text()).await??;
        } else {
            client.post(prompt).await?.collect().await?;
        }
        Ok(())
    }))
    .await?;
    let seconds = start.elapsed().as_secs_f64();
    let account = provider::lock(&account);
    let (answered, refused) = (account.answered, account.refused);
    println!("{name:30}{answered:>9}{refused:>9}{seconds:>9.1}");
    Ok((answered, refused))
}
