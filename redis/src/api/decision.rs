//! What the script answers to a call, and the status that callers get.

use core::time::Duration;

use tidegate::__fleet::{self as fleet, Help, Refusal};
use tidegate::{LimitKind, RateLimitConfig, RateLimitStats, RateLimitStatus};

use super::fleet_limit::FleetLimit;

/// Requests, tokens, input tokens, output tokens.
pub(super) const UNITS: usize = 4;

/// A reply of the script's `decide`.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) refusal: Option<Refused>,
    in_flight: u64,
    requests: u64,
    tokens: u64,
    forfeited: u64,
    unreadable: u64,
    /// What responses leave of each unit; the largest number if none counts.
    told: [u64; UNITS],
    /// The limits that it was made with.
    pub(super) limits: Box<[FleetLimit]>,
    /// What each of them has left.
    available: Vec<u64>,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// By the limit with this index.
    Limit(usize, Duration),
    Pause(Duration),
    Provider(Duration),
    InFlight,
    /// It was canceled before it arrived.
    Canceled,
}

impl Refused {
    /// The time until the same call can succeed, if it is known.
    pub(super) const fn wait(self) -> Option<Duration> {
        match self {
            Self::Limit(_, wait) | Self::Pause(wait) | Self::Provider(wait) => Some(wait),
            Self::InFlight | Self::Canceled => None,
        }
    }
}

impl Decision {
    pub(super) fn read(reply: &[i64], limits: Box<[FleetLimit]>) -> Option<Self> {
        let [
            admitted,
            reason,
            wait,
            in_flight,
            requests,
            tokens,
            forfeited,
            unreadable,
            rest @ ..,
        ] = reply
        else {
            return None;
        };
        let number = |n: i64| u64::try_from(n).ok();
        let (told, available) = rest.split_at_checked(UNITS)?;
        let wait = Duration::from_micros(number(*wait)?);
        let refusal = match *reason {
            _ if *admitted == 1 => None,
            -1 => Some(Refused::Pause(wait)),
            -2 => Some(Refused::Provider(wait)),
            -3 => Some(Refused::InFlight),
            -4 => Some(Refused::Canceled),
            index => {
                let index = usize::try_from(index).ok()?.checked_sub(1)?;
                (index < limits.len()).then_some(Refused::Limit(index, wait))
            }
        };
        if *admitted != 1 && refusal.is_none() {
            return None;
        }
        let mut units = [u64::MAX; UNITS];
        for (unit, told) in units.iter_mut().zip(told) {
            // No view of it counts where it is negative.
            *unit = number(*told).unwrap_or(u64::MAX);
        }
        let pairs = limits.iter().zip(available.chunks_exact(2));
        let available = pairs.map(|(limit, pair)| {
            let [us, num] = pair else { return None };
            Some(limit.available(number(*us)?, number(*num)?))
        });
        let available: Vec<u64> = available.collect::<Option<_>>()?;
        (available.len() == limits.len()).then_some(Self {
            refusal,
            in_flight: number(*in_flight)?,
            requests: number(*requests)?,
            tokens: number(*tokens)?,
            forfeited: number(*forfeited)?,
            unreadable: number(*unreadable)?,
            told: units,
            limits,
            available,
        })
    }

    /// Requests and tokens that are left, as a status tells them.
    pub(super) fn remaining(&self) -> Remaining {
        let [told_requests, told_tokens @ ..] = self.told;
        let fewest = |counts_tokens| {
            let of_kind = self
                .limits
                .iter()
                .zip(&self.available)
                .filter(|(limit, _)| {
                    // Without the burst, which is back soon.
                    limit.counts_tokens == counts_tokens && limit.kind != LimitKind::Burst
                });
            let fewest = of_kind.map(|(_, available)| *available).min();
            fewest.unwrap_or(RateLimitConfig::NO_LIMIT)
        };
        Remaining {
            requests: fewest(false).min(told_requests),
            tokens: told_tokens.into_iter().fold(fewest(true), u64::min),
        }
    }

    pub(super) fn stats(&self) -> RateLimitStats {
        let [requests, tokens, ..] = self.told;
        let available = |kind| {
            let mut all = self.limits.iter().zip(&self.available);
            let (_, available) = all.find(|(limit, _)| limit.kind == kind)?;
            Some(*available)
        };
        let or_told =
            |kind, told: u64| available(kind).map_or(told, |available| available.min(told));
        let mut stats = fleet::no_stats();
        stats.total_requests = self.requests;
        stats.total_tokens_used = self.tokens;
        stats.requests_remaining_minute = or_told(LimitKind::Minute, requests);
        stats.requests_remaining_hour = or_told(LimitKind::Hour, u64::MAX);
        stats.requests_remaining_day = available(LimitKind::Day);
        stats.burst_remaining = or_told(LimitKind::Burst, requests);
        stats.tokens_remaining_minute = or_told(LimitKind::Tokens, tokens);
        stats.tokens_remaining_day = available(LimitKind::TokensPerDay);
        stats.in_flight = self.in_flight;
        stats.forfeited = self.forfeited;
        stats.unreadable = self.unreadable;
        stats
    }
}

/// What is left in all, as a status tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remaining {
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

impl Remaining {
    pub(super) const fn free(self) -> RateLimitStatus {
        fleet::free_status(self.requests, self.tokens)
    }

    /// The status of a refused call. `most_in_flight` is the number in the configuration.
    pub(super) fn limited(
        self,
        refused: Refused,
        backoff: Duration,
        limits: &[FleetLimit],
        most_in_flight: u64,
    ) -> RateLimitStatus {
        let (kind, name, limit) = match refused {
            Refused::Limit(index, _) => {
                let limit = &limits[index];
                (limit.kind, limit.name, limit.stated)
            }
            Refused::Pause(_) => (LimitKind::Pause, None, 0),
            Refused::Provider(_) => (LimitKind::Provider, None, 0),
            Refused::InFlight => (LimitKind::InFlight, None, most_in_flight),
            Refused::Canceled => (LimitKind::Queue, None, 0),
        };
        let help = refused.wait().map_or(Help::Release, Help::Wait);
        let refusal = Refusal {
            kind,
            name,
            limit,
            help,
        };
        fleet::limited_status(refusal, backoff, self.requests, self.tokens)
    }

    /// The status of a call that asks for more than a limit can ever give.
    pub(super) fn never(self, limit: &FleetLimit) -> RateLimitStatus {
        let refusal = Refusal {
            kind: limit.kind,
            name: limit.name,
            limit: limit.capacity,
            help: Help::Never,
        };
        fleet::limited_status(refusal, Duration::ZERO, self.requests, self.tokens)
    }

    /// The status of a call that is still behind others of its node.
    pub(super) fn behind_others(self) -> RateLimitStatus {
        let refusal = Refusal {
            kind: LimitKind::Queue,
            name: None,
            limit: 0,
            help: Help::Release,
        };
        fleet::limited_status(refusal, Duration::ZERO, self.requests, self.tokens)
    }
}
