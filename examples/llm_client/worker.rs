//! A worker: takes one piece after the other and calls the provider.

use std::sync::Arc;

use axum::http::StatusCode;
use tidegate::TokenUsage;

use crate::connection::{BoxError, Connection};
use crate::message::{Answer, Prompt};
use crate::pacer::Pacer;
use crate::tally::Tally;
use crate::work::Work;

pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) work: Arc<Work>,
    /// Without one, it sends what it has at once, and gives up what is refused.
    pub(crate) pacer: Option<Arc<Pacer>>,
}

impl Worker {
    pub(crate) async fn run(self) -> Result<Tally, BoxError> {
        let Self {
            mut connection,
            work,
            pacer,
        } = self;
        let mut tally = Tally::default();
        while let Some(prompt) = work.next() {
            match &pacer {
                Some(pacer) => send_paced(&mut connection, pacer, &prompt, &mut tally).await?,
                None => send_at_once(&mut connection, &prompt, &mut tally).await?,
            }
        }
        Ok(tally)
    }
}

/// Until it is done.
async fn send_paced(
    connection: &mut Connection,
    pacer: &Pacer,
    prompt: &Prompt,
    tally: &mut Tally,
) -> Result<(), BoxError> {
    loop {
        let (mut permit, permitted) = pacer.permit(prompt).await?;
        tally.permits.push(permitted);
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
                let limiter = pacer.limiter();
                limiter.observe_response(StatusCode::OK, response.headers());
                tally.answered(&answer);
                return Ok(());
            }
            StatusCode::TOO_MANY_REQUESTS => {
                // First, so that nobody is let through with the tokens that come back.
                tally.pauses.push(pacer.pause(response.headers())?);
                permit.settle(0);
                tally.refused += 1;
            }
            status => return Err(format!("the provider answered {status}").into()),
        }
    }
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
