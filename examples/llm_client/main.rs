//! A client that keeps to the request and token limits of a language model's provider.
//!
//! ```text
//! cargo run --release --features tokio,tower,http --example llm_client
//! ```
//!
//! The provider is a fake on loopback (`provider.rs`) that streams its answers. The same prompts
//! are sent all at once, paced by an `ApiRateLimiter`, and paced while another program drains the
//! account.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "this program needs std"
)]

mod provider;

use axum::http::{Request, StatusCode};
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tidegate::layer::{ApiClient, ApiClientLayer, ResponsePermit};
use tidegate::{ApiRateLimiter, RateLimitConfig, TokenPermit, TokenUsage};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

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

type Http = HttpClient<HttpConnector, Full<Bytes>>;

/// A client of the provider. All callers share its limiter.
struct Client {
    url: String,
    unpaced: Http,
    /// Waits, sends, believes what responses say, and sends refused requests again.
    paced: ApiClient<Http>,
}

impl Client {
    fn new(url: String) -> Result<Self> {
        let unpaced = HttpClient::builder(TokioExecutor::new()).build_http();
        let paced = ApiClientLayer::new(ApiRateLimiter::new(CONFIG)?)
            .estimate(|request| {
                let most = request.extension::<TokenUsage>();
                most.copied().unwrap_or_default().into()
            })
            .layer(unpaced.clone());
        Ok(Self {
            url,
            unpaced,
            paced,
        })
    }

    /// Sends a prompt when the limits allow it, and sends it again if the provider refuses.
    async fn complete(&self, prompt: Prompt) -> Result<Answer> {
        let mut request = self.request(prompt)?;
        let most = TokenUsage::new(prompt.input_tokens.into(), prompt.max_tokens.into());
        request.extensions_mut().insert(most);
        // Fails at once if that exceeds a limit.
        let response = self.paced.clone().oneshot(request).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("the provider answered {}", response.status()).into());
        }
        let permit = ResponsePermit::take_from(&response).ok_or("taken before")?;
        let body = response.into_body();
        Ok(Answer { permit, body })
    }

    fn request(&self, prompt: Prompt) -> Result<Request<Full<Bytes>>> {
        let request = Request::post(&self.url).header("content-type", "application/json");
        Ok(request.body(Full::from(serde_json::to_vec(&prompt)?))?)
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
    let client = Client::new(format!("http://{address}/v1/messages"))?;
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
            let request = client.request(prompt)?;
            client.unpaced.request(request).await?.collect().await?;
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
