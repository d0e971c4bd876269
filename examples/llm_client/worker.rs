//! A worker: takes one piece after the other and calls the provider.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use tidegate::{ApiRateLimiter, Clock, MonotonicClock, TokenUsage};

use crate::connection::{BoxError, Connection};
use crate::message::{Answer, Prompt};
use crate::tally::{Pause, Permitted, Tally};
use crate::work::Work;

type Limiter = ApiRateLimiter<MonotonicClock>;

pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) work: Arc<Work>,
    /// Without one, it sends what it has at once, and gives up what is refused.
    pub(crate) limiter: Option<Arc<Limiter>>,
}

impl Worker {
    pub(crate) async fn run(self) -> Result<Tally, BoxError> {
        let Self {
            mut connection,
            work,
            limiter,
        } = self;
        let mut tally = Tally::default();
        while let Some(prompt) = work.next() {
            match &limiter {
                Some(limiter) => send_paced(&mut connection, limiter, &prompt, &mut tally).await?,
                None => send_at_once(&mut connection, &prompt, &mut tally).await?,
            }
        }
        Ok(tally)
    }
}

/// Until it is done.
async fn send_paced(
    connection: &mut Connection,
    limiter: &Limiter,
    prompt: &Prompt,
    tally: &mut Tally,
) -> Result<(), BoxError> {
    let estimate = TokenUsage::new(prompt.input_tokens, prompt.max_tokens);
    loop {
        // In line, so that small calls do not pass a large one again and again. Fails only if it is too large for good.
        let mut permit = limiter.acquire_tokens(estimate).await?;
        tally.permits.push(Permitted(permit.admitted_at()));
        // Whatever happens now, the provider may have charged it.
        permit.commit();
        tally.sent += 1;
        let (response, body) = connection.send(prompt).await?;
        match response.status() {
            StatusCode::OK => {
                let answer: Answer = serde_json::from_slice(&body)?;
                let usage = answer.usage;
                // First, since the headers already tell what is left without the rest of the estimate.
                permit.settle(TokenUsage::new(usage.input_tokens, usage.output_tokens));
                limiter.observe_response(StatusCode::OK, response.headers());
                tally.answered(&answer);
                return Ok(());
            }
            StatusCode::TOO_MANY_REQUESTS => {
                // First, so that nobody is let through with the tokens that come back.
                tally.pauses.push(pause(limiter, response.headers())?);
                permit.settle(0);
                tally.refused += 1;
            }
            status => return Err(format!("the provider answered {status}").into()),
        }
    }
}

/// The provider refused: pauses all workers, for as long as it said.
fn pause(limiter: &Limiter, headers: &HeaderMap) -> Result<Pause, BoxError> {
    let retry_after = headers.get(header::RETRY_AFTER);
    let seconds: u64 = retry_after
        .ok_or("a 429 without Retry-After")?
        .to_str()?
        .parse()?;
    let read_at = MonotonicClock.now();
    limiter.observe_response(StatusCode::TOO_MANY_REQUESTS, headers);
    // The pause is there for all before the clock is read.
    fence(Ordering::SeqCst);
    Ok(Pause {
        read_at,
        in_force_at: MonotonicClock.now(),
        end: read_at + Duration::from_secs(seconds),
    })
}

async fn send_at_once(
    connection: &mut Connection,
    prompt: &Prompt,
    tally: &mut Tally,
) -> Result<(), BoxError> {
    tally.sent += 1;
    let (response, body) = connection.send(prompt).await?;
    match response.status() {
        StatusCode::OK => tally.answered(&serde_json::from_slice(&body)?),
        StatusCode::TOO_MANY_REQUESTS => tally.refused += 1,
        status => return Err(format!("the provider answered {status}").into()),
    }
    Ok(())
}
