//! What responses tell of the provider's limits, for all nodes.

use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use tidegate::__fleet::{self as fleet, Told, ToldLimit};
use tidegate::RateLimitConfig;
use tokio::runtime::Handle;

use super::RedisApiRateLimiter;
use super::call_costs::countable;
use super::call_id::CallId;
use super::core::Core;
use super::delivery::{CallEnding, Delivery, deliver_step};
use super::fleet_limit::{FleetLimit, micros};
use super::token_permit::RedisTokenPermit;
use crate::script::ScriptArgs;

/// How long it is worth telling the server what a response told: the period of most limits.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest name of a limit that the server keeps.
const LONGEST_NAME: usize = 255;

/// The response to one call.
struct Observation {
    /// The call, and whether it ends for what remains after it.
    call: Option<(CallId, bool)>,
    /// What the script does with a pause.
    kind: &'static [u8],
    told: Told,
}

impl Observation {
    /// The arguments at this age.
    fn arguments(&self, config: &RateLimitConfig, age: Duration) -> ScriptArgs {
        let Told {
            limits,
            date,
            pause,
            unreadable,
            ..
        } = &self.told;
        let left = |time: Duration| micros(time.saturating_sub(age));
        let mut arguments = ScriptArgs::default();
        arguments.bytes(b"observe");
        match self.call {
            Some((id, ends)) => arguments.bytes(&id.to_bytes()).number(ends.into()),
            None => arguments.bytes(b"").number(0),
        };
        let (base, most) = if config.enable_backoff {
            (config.backoff_base, config.backoff_max)
        } else {
            (Duration::ZERO, Duration::ZERO)
        };
        let (known, unknown): (Vec<_>, Vec<_>) = limits
            .iter()
            .partition(|limit| limit.name.len() <= LONGEST_NAME);
        arguments
            .bytes(self.kind)
            // A pause that is over by now pauses no more, but is no backoff either.
            .number(pause.map_or(0, |pause| left(pause).max(1)))
            .number(micros(base))
            .number(micros(most))
            .number(fastrand::u64(0..=1 << 30))
            .number(unreadable.saturating_add(unknown.len() as u64).min(1 << 32))
            .number(date.unwrap_or(0))
            .number(known.len() as u64);
        for ToldLimit {
            name,
            unit,
            remaining,
            lasts,
            flow,
        } in known
        {
            let (amount, period) = flow.map_or((0, 1), |flow| {
                (countable(flow.amount), micros(flow.period).max(1))
            });
            arguments
                .number(*unit as u64 + 1)
                .number(countable(*remaining))
                .number(left(*lasts))
                .number(amount)
                .number(period)
                .bytes(name.as_bytes());
        }
        arguments
    }
}

fn observe(core: &Arc<Core>, observation: Observation, runtime: &Handle) -> Delivery {
    let config = core.config;
    let arguments = move |_: &[FleetLimit], age| observation.arguments(&config, age);
    let done = |_: &[i64]| CallEnding::Done;
    deliver_step(core, PATIENCE, Box::new(arguments), done, runtime)
}

fn observe_response(
    core: &Arc<Core>,
    call: Option<CallId>,
    status: StatusCode,
    headers: &HeaderMap,
    runtime: &Handle,
) -> Delivery {
    if let Some(share) = &core.share {
        share.limiter.observe_response(status, headers);
    }
    let told = fleet::read_response(status, headers, &core.config, SystemTime::now());
    let observation = Observation {
        // A refused call is not in what remains, and ends when it is settled.
        call: call.map(|id| (id, status.is_success())),
        kind: if told.is_refusal {
            b"refusal"
        } else {
            b"answer"
        },
        told,
    };
    observe(core, observation, runtime)
}

impl RedisApiRateLimiter {
    /// Takes what a provider's response tells of its limits, for all nodes. See
    /// [`tidegate::ApiRateLimiter::observe_response`] for what is read and what it means, and use
    /// [`RedisTokenPermit::observe_response`] for a call with a permit.
    ///
    /// It is sent in the background, for a minute at most. The returned future tells when the
    /// server has taken it, and need not be awaited.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn observe_response(&self, status: StatusCode, headers: &HeaderMap) -> Delivery {
        observe_response(&self.core, None, status, headers, &Handle::current())
    }

    /// Takes the wait that the body of a refusal tells, as
    /// [`tidegate::ApiRateLimiter::observe_body`], for all nodes.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn observe_body(&self, status: StatusCode, body: impl AsRef<[u8]>) -> Delivery {
        let body = body.as_ref();
        if let Some(share) = &self.core.share {
            share.limiter.observe_body(status, body);
        }
        let runtime = Handle::current();
        let mut last = Delivery::ready(CallEnding::Done);
        let Some((pause, headers)) = fleet::read_refusal_body(status, body) else {
            return last;
        };
        if pause.is_some() {
            let told = Told {
                limits: Vec::new(),
                date: None,
                is_refusal: true,
                pause,
                unreadable: 0,
            };
            let observation = Observation {
                call: None,
                kind: b"body",
                told,
            };
            last = observe(&self.core, observation, &runtime);
        }
        if !headers.is_empty() {
            last = observe_response(&self.core, None, status, &headers, &runtime);
        }
        last
    }
}

impl RedisTokenPermit {
    /// Takes what the response to this call tells, for all nodes, before the permit is settled. The
    /// call then does not count as one in flight against what remains after it. Marks the request
    /// as sent.
    ///
    /// See [`tidegate::TokenPermit::observe_response`]. The order in which this and the end of the
    /// permit arrive at the server does not matter.
    pub fn observe_response(&mut self, status: StatusCode, headers: &HeaderMap) -> Delivery {
        self.commit();
        let call = Some(self.id());
        observe_response(self.core(), call, status, headers, self.runtime())
    }
}
