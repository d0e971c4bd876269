//! The states of API limiters, as `api_state.lua` writes them.

use core::fmt;
use core::time::Duration;

use super::numbers::Numbers;

const VERSION: u64 = 1;
const UNITS: usize = 4;
/// How long a node's claim counts after it has asked last.
const CLAIM_US: u64 = 3_000_000;
/// The most that a flow adds, as the scripts count it.
const MOST: u128 = 1 << 42;

/// The state of a [`RedisApiRateLimiter`](crate::RedisApiRateLimiter) at one instant. Each of its
/// limits is a window or a bucket with a key of its own, such as `tidegate:{model}:?minute`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredApi {
    /// The key on the server.
    pub key: Vec<u8>,
    /// How long all calls are still refused; `None` without a pause.
    pub pause_ends_in: Option<Duration>,
    /// The pauses in a row that no response asked for.
    pub pauses_in_a_row: u64,
    /// The calls that are in flight.
    pub in_flight: u64,
    /// The nodes that have waited for longer than a second.
    pub waiting_nodes: u64,
    /// The requests of all nodes. Totals are kept until no node has called for two days.
    pub total_requests: u64,
    /// The tokens of all nodes.
    pub total_tokens_used: u64,
    /// The permits of canceled requests that could not come back.
    pub forfeited: u64,
    /// The values in responses that could not be read.
    pub unreadable: u64,
    /// What responses have told of the provider's limits, and still counts.
    pub views: Vec<StoredView>,
}

/// What responses have told of one limit of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredView {
    /// The name of the limit in the responses.
    pub name: String,
    /// What it counts.
    pub unit: StoredUnit,
    /// What the last response told to remain.
    pub remaining: u64,
    /// What may be sent now: less than what remained by the calls sent since, and more by what the
    /// provider refills.
    pub left: u64,
    /// How long that counts.
    pub ends_in: Duration,
}

/// What a limit of a provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoredUnit {
    /// Requests.
    Requests,
    /// Tokens of input and output together.
    Tokens,
    /// Tokens of the input.
    InputTokens,
    /// Tokens of the output.
    OutputTokens,
}

impl fmt::Display for StoredUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
        })
    }
}

impl StoredApi {
    /// Reads a state at `now_us` on the server's clock; `None` if it is none.
    pub(super) fn read(key: &[u8], value: &[u8], now_us: u64, in_flight: u64) -> Option<Self> {
        let mut numbers = Numbers(value);
        (numbers.next(1)? == VERSION).then_some(())?;
        // A clock that has stepped back since the last write shifts what counts until an instant.
        let at = numbers.next(7)?.max(now_us);
        let (paused, pauses_in_a_row) = (numbers.next(7)?, numbers.next(4)?);
        numbers.next(7)?;
        let (total_requests, total_tokens_used) = (numbers.next(7)?, numbers.next(7)?);
        let (forfeited, unreadable) = (numbers.next(7)?, numbers.next(7)?);
        numbers.next(7)?;
        let mut sent = [0; UNITS];
        for of_unit in &mut sent {
            *of_unit = numbers.next(7)?;
        }
        let (view_count, claim_count) = (numbers.next(1)?, numbers.next(1)?);
        let views: Option<Vec<_>> = (0..view_count)
            .map(|_| StoredView::read(&mut numbers, at, sent))
            .collect();
        let mut waiting_nodes = 0;
        for _ in 0..claim_count {
            numbers.bytes(16)?;
            let asked = numbers.next(7)?;
            let needs = usize::try_from(numbers.next(1)?).ok()?;
            numbers.bytes(needs * 7)?;
            waiting_nodes += u64::from(asked.saturating_add(CLAIM_US) > at);
        }
        Some(Self {
            key: key.to_vec(),
            pause_ends_in: (paused > at).then(|| Duration::from_micros(paused - at)),
            pauses_in_a_row,
            in_flight,
            waiting_nodes,
            total_requests,
            total_tokens_used,
            forfeited,
            unreadable,
            views: views?.into_iter().flatten().collect(),
        })
    }
}

impl StoredView {
    /// `None` if the state cannot be read, and `Some(None)` if the view no longer counts.
    #[expect(
        clippy::option_option,
        reason = "the rest is read after a view that has ended"
    )]
    fn read(numbers: &mut Numbers<'_>, at: u64, sent: [u64; UNITS]) -> Option<Option<Self>> {
        let (unit, sent) = match numbers.next(1)? {
            1 => (StoredUnit::Requests, sent[0]),
            2 => (StoredUnit::Tokens, sent[1]),
            3 => (StoredUnit::InputTokens, sent[2]),
            4 => (StoredUnit::OutputTokens, sent[3]),
            _ => return None,
        };
        let (ceiling, since, ends) = (numbers.next_signed()?, numbers.next(7)?, numbers.next(7)?);
        let (amount, period) = (numbers.next(7)?, numbers.next(7)?);
        let remaining = numbers.next(7)?;
        numbers.next(7)?;
        let name = usize::try_from(numbers.next(1)?).ok()?;
        let name = String::from_utf8_lossy(numbers.bytes(name)?).into_owned();
        let passed = u128::from(at.saturating_sub(since));
        let flown = u128::from(amount) * passed / u128::from(period.max(1));
        let flown = i64::try_from(flown.min(MOST)).unwrap_or(i64::MAX);
        let left = ceiling
            .saturating_add(flown)
            .saturating_sub_unsigned(sent)
            .max(0);
        Some((ends > at).then(|| Self {
            name,
            unit,
            remaining,
            left: left.unsigned_abs(),
            ends_in: Duration::from_micros(ends - at),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::numbers::bytes;
    use super::*;

    const NOW: u64 = 1_790_000_000_000_000;

    fn read(value: &[u8]) -> Option<StoredApi> {
        StoredApi::read(b"key", value, NOW, 3)
    }

    fn head(last: u64, paused: u64, views: u64, claims: u64) -> Vec<u8> {
        let mut value = bytes(&[(1, 1), (last, 7), (paused, 7), (2, 4), (paused, 7)]);
        value.extend(bytes(&[(40, 7), (9_000, 7), (5, 7), (6, 7), (NOW, 7)]));
        value.extend(bytes(&[(2, 7), (700, 7), (300, 7), (400, 7)]));
        value.extend(bytes(&[(views, 1), (claims, 1)]));
        assert_eq!(value.len(), 91);
        value
    }

    fn view(unit: u64, ceiling: i64, ends: u64, flow: (u64, u64), name: &str) -> Vec<u8> {
        let ceiling = ceiling.cast_unsigned() & ((1 << 56) - 1);
        let mut value = bytes(&[(unit, 1), (ceiling, 7), (NOW - 1_000, 7), (ends, 7)]);
        value.extend(bytes(&[(flow.0, 7), (flow.1, 7), (12, 7), (0, 7)]));
        value.extend(bytes(&[(name.len() as u64, 1)]));
        value.extend(name.as_bytes());
        value
    }

    #[test]
    fn pause_totals_views_and_claims_are_read() {
        let claim = |asked| {
            let needs = bytes(&[(asked, 7), (2, 1), (1, 7), (2, 7)]);
            [vec![7; 16], needs].concat()
        };
        let value = [
            head(NOW - 9, NOW + 500, 4, 2),
            view(1, 10, NOW + 60, (0, 1), "requests"),
            view(2, -3, NOW + 70, (5, 10), "tokens"),
            view(3, 10, NOW + 70, (5, 10), "input"),
            view(4, 10, NOW, (0, 1), "ended"),
            claim(NOW - CLAIM_US),
            claim(NOW - 5),
        ];
        let found = read(&value.concat()).unwrap();
        assert_eq!(found.pause_ends_in, Some(Duration::from_micros(500)));
        assert_eq!((found.pauses_in_a_row, found.in_flight), (2, 3));
        assert_eq!((found.total_requests, found.total_tokens_used), (40, 9_000));
        assert_eq!((found.forfeited, found.unreadable), (5, 6));
        assert_eq!(found.waiting_nodes, 1);
        let views = found.views.iter().map(|view| (&*view.name, view.left));
        let views: Vec<_> = views.collect();
        // Of the tokens, -3 + 500 - 700 are left: none. Of the input, 10 + 500 - 300.
        let expected = [("requests", 8), ("tokens", 0), ("input", 210)];
        assert_eq!(views, expected);
        assert_eq!(found.views[0].remaining, 12);
        assert_eq!(found.views[0].ends_in, Duration::from_micros(60));
        assert_eq!(found.views[2].unit, StoredUnit::InputTokens);
    }

    #[test]
    fn pause_lasts_no_longer_after_the_clock_has_stepped_back() {
        let found = read(&head(NOW + 400, NOW + 500, 0, 0)).unwrap();
        assert_eq!(found.pause_ends_in, Some(Duration::from_micros(100)));
        let found = read(&head(NOW, NOW, 0, 0)).unwrap();
        assert_eq!((found.pause_ends_in, found.views), (None, Vec::new()));
    }

    #[test]
    fn other_values_are_no_state() {
        let whole = [head(NOW, 0, 1, 0), view(1, 1, NOW + 9, (0, 1), "name")].concat();
        assert!(read(&whole).is_some());
        let mut newer = whole.clone();
        newer[0] = 2;
        let unknown_unit = [head(NOW, 0, 1, 0), view(5, 1, NOW, (0, 1), "name")].concat();
        for value in [
            &b""[..],
            b"hello",
            &whole[..whole.len() - 1],
            &newer,
            &unknown_unit,
            &head(NOW, 0, 0, 1),
        ] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }
}
