//! A worker, which takes one piece of work after the other and calls the provider.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use core::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use tidegate::{ApiRateLimiter, Clock, MonotonicClock, Timestamp, TokenUsage};

use crate::connection::Connection;
use crate::provider::{Answer, Prompt};
use crate::work::{PIECES, piece};

pub(crate) type Limiter = ApiRateLimiter<MonotonicClock>;

/// This much of a pause may be over before it holds for all workers.
pub(crate) const SLACK: Duration = Duration::from_millis(20);

/// What the workers counted.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) refused: u64,
    /// Tokens that were used.
    pub(crate) tokens: u64,
    /// The pieces that were answered.
    pub(crate) done: Vec<u32>,
    /// When the limiter admitted calls.
    pub(crate) admitted_at: Vec<Timestamp>,
    pub(crate) pauses: Vec<Pause>,
}

/// A pause that a worker set for all workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    /// The pause was computed from this instant or a later one.
    read_at: Timestamp,
    /// From here on, the pause holds for all workers.
    in_force_at: Timestamp,
    end: Timestamp,
}

impl Pause {
    /// Returns whether the worker was held up while it set the pause, which then was too short.
    pub(crate) fn is_late(&self) -> bool {
        self.in_force_at - self.read_at > SLACK
    }

    pub(crate) fn forbids(&self, admitted_at: Timestamp) -> bool {
        (self.in_force_at..self.end).contains(&admitted_at)
    }
}

impl Tally {
    fn answered(&mut self, body: &[u8]) -> TokenUsage {
        let Answer { piece, usage } = serde_json::from_slice(body).unwrap();
        self.tokens += usage.total();
        self.done.push(piece);
        TokenUsage::new(usage.input_tokens, usage.output_tokens)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.refused += other.refused;
        self.tokens += other.tokens;
        self.done.extend(other.done);
        self.admitted_at.extend(other.admitted_at);
        self.pauses.extend(other.pauses);
    }
}

pub(crate) struct Worker {
    pub(crate) connection: Connection,
    /// The next piece of work. Relaxed: each number is given out once and guards nothing else.
    pub(crate) next: Arc<AtomicU32>,
    /// Without a limiter, the worker sends at once and gives up what is refused.
    pub(crate) limiter: Option<Arc<Limiter>>,
}

impl Worker {
    pub(crate) async fn run(mut self) -> Tally {
        let mut tally = Tally::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= PIECES {
                return tally;
            }
            let prompt = piece(number);
            match self.limiter.clone() {
                Some(limiter) => self.send_paced(&limiter, &prompt, &mut tally).await,
                None => self.send_at_once(&prompt, &mut tally).await,
            }
        }
    }

    /// Sends a prompt until it is answered.
    async fn send_paced(&mut self, limiter: &Limiter, prompt: &Prompt, tally: &mut Tally) {
        let estimate = TokenUsage::new(prompt.input_tokens, prompt.max_tokens);
        loop {
            let mut permit = limiter.acquire_tokens(estimate).await.unwrap();
            tally.admitted_at.push(permit.admitted_at());
            permit.commit();
            tally.sent += 1;
            let response = self.connection.send(prompt).await;
            if response.status() == StatusCode::OK {
                // Before the headers, which count the unused tokens already.
                permit.settle(tally.answered(response.body()));
                limiter.observe_response(StatusCode::OK, response.headers());
                return;
            }
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            // Before the tokens come back, so that no worker gets them without the pause.
            tally.pauses.push(pause(limiter, response.headers()));
            permit.settle(0);
            tally.refused += 1;
        }
    }

    async fn send_at_once(&mut self, prompt: &Prompt, tally: &mut Tally) {
        tally.sent += 1;
        let response = self.connection.send(prompt).await;
        match response.status() {
            StatusCode::OK => drop(tally.answered(response.body())),
            status => {
                assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
                tally.refused += 1;
            }
        }
    }
}

/// Pauses all workers for as long as the provider says.
fn pause(limiter: &Limiter, headers: &HeaderMap) -> Pause {
    let seconds = headers[header::RETRY_AFTER].to_str().unwrap();
    let wait = Duration::from_secs(seconds.parse().unwrap());
    let read_at = MonotonicClock.now();
    limiter.observe_response(StatusCode::TOO_MANY_REQUESTS, headers);
    // SeqCst: the pause holds for all workers before the clock is read. No partner here; the
    // limiter's own operations are on the other side.
    fence(Ordering::SeqCst);
    Pause {
        read_at,
        in_force_at: MonotonicClock.now(),
        end: read_at + wait,
    }
}
