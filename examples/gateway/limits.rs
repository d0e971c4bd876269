//! The decision: whether a request may pass, and who refused it if not.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate::{
    DefaultClock, FixedKeyed, IpKey, Keyed, Limiter, LongKey, LongKeys, Quota, SlidingWindow,
    TokenBucket, WindowError,
};

use crate::counted::{Counted, NEVER, Refusal};
use crate::rules::{RULES, Rule};
use crate::stats::{AddressStats, KeyStats, LimitStats, Stats};
use crate::tiers::Tiers;

/// The name of the limit for all requests together.
pub(crate) const GLOBAL: &str = "global";
/// The name of the limits for client addresses.
pub(crate) const ADDRESS: &str = "address";
/// The name of the limits for API keys.
pub(crate) const KEY: &str = "key";

/// Far more than can be in use at once with the default quotas. This table has its size from the start, 32 bytes for each.
const MOST_ADDRESSES: usize = 10_000;
/// So many keys at once have a bucket of their own. This table grows as keys come, and shrinks as they go.
const MOST_KEYS: usize = 100_000;

/// What can be chosen.
#[derive(Clone, Copy)]
pub(crate) struct Quotas {
    /// For all requests together.
    pub(crate) global: Quota,
    pub(crate) address: Quota,
    pub(crate) key: Tiers,
}

/// A bucket for each client address, one for each API key, a window for each route, and a bucket for all requests. A request
/// needs a permit from each of its four, or three if it has no key.
pub(crate) struct Limits {
    addresses: Counted<FixedKeyed>,
    digests: LongKeys,
    keys: Counted<Keyed<LongKey, TokenBucket>>,
    /// In the order of [`RULES`].
    routes: Vec<Counted<SlidingWindow>>,
    global: Counted<TokenBucket>,
    tiers: Tiers,
}

/// Who sends a request, as the limits know them.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    address: IpKey,
    key: Option<LongKey>,
}

impl Limits {
    pub(crate) fn new(quotas: Quotas) -> Result<Self, WindowError> {
        // At start-up, so that no request waits for it.
        DefaultClock::calibrate();

        let digests = LongKeys::new();
        let quota_of = quotas.key.by_digest(&digests);
        let keys = Keyed::builder(move |key: &LongKey| TokenBucket::new(quota_of(key)))
            .max_keys(MOST_KEYS)
            // Or it would be of the tier of whoever comes first without room.
            .shared(TokenBucket::new(quotas.key.free))
            .build();
        let routes = RULES.iter().map(|rule| {
            let window = SlidingWindow::new(rule.limit, rule.window)?;
            Ok(Counted::new(rule.name, window))
        });
        Ok(Self {
            addresses: Counted::new(ADDRESS, FixedKeyed::new(quotas.address, MOST_ADDRESSES)),
            digests,
            keys: Counted::new(KEY, keys),
            routes: routes.collect::<Result<_, _>>()?,
            global: Counted::new(GLOBAL, TokenBucket::new(quotas.global)),
            tiers: quotas.key,
        })
    }

    /// The client at an address, with the API key that it sent. An empty one is none: everybody without a key would share it.
    pub(crate) fn client(&self, peer: SocketAddr, api_key: Option<&[u8]>) -> Client {
        let api_key = api_key.filter(|key| !key.is_empty());
        Client {
            address: peer.into(),
            key: api_key.map(|key| self.digests.key(key)),
        }
    }

    /// Takes a permit from each limit of the request, or from none.
    ///
    /// Should other requests take the last permit between the look at a limit and its charge, the request is refused with some
    /// limits already charged. The window's permit then mostly comes back; those of the address and the key never do. They are
    /// charged first for that: whoever sends many requests at once pays for it from their own quota. The other way around
    /// they could spend what belongs to all with requests that are refused. The bucket for all requests is charged last, so
    /// no refusal ever costs a permit of it.
    pub(crate) fn admit(&self, client: Client, path: &str) -> Result<(), Refusal> {
        let Self {
            addresses,
            keys,
            global,
            ..
        } = self;
        let route = &self.routes[Rule::index_for(path)];
        // One reading: all limits judge the same instant, and the clock costs as much as a decision.
        let now = global.limiter.now();

        // All are asked before any is charged: a refusal then takes nothing, and tells the longest of their waits.
        let address_wait = addresses.limiter.wait_time_at(&client.address, 1, now);
        let key_wait = match client.key {
            Some(key) => keys.limiter.wait_time_at(&key, 1, now),
            None => Some(Duration::ZERO),
        };
        let waits = [
            (address_wait, &addresses.counts),
            (key_wait, &keys.counts),
            (route.limiter.wait_time_at(1, now), &route.counts),
            (global.limiter.wait_time_at(1, now), &global.counts),
        ];
        let refusing = waits
            .into_iter()
            .map(|(wait, counts)| (wait.unwrap_or(NEVER), counts))
            .filter(|(wait, _)| *wait > Duration::ZERO);
        if let Some((wait, counts)) = refusing.max_by_key(|(wait, _)| *wait) {
            return Err(counts.refuse(wait));
        }

        let charged = addresses.limiter.try_acquire_at(&client.address, 1, now);
        charged.map_err(|denied| addresses.counts.denied(denied))?;
        if let Some(key) = client.key {
            if let Err(denied) = keys.limiter.try_acquire_at(&key, 1, now) {
                addresses.counts.taken_in_vain(0);
                return Err(keys.counts.denied(denied));
            }
        }
        let charge = route.limiter.charge_at(1, now).map_err(|denied| {
            self.client_in_vain(client);
            route.counts.denied(denied)
        })?;
        if let Err(denied) = global.limiter.try_acquire_at(1, now) {
            route.counts.taken_in_vain(route.limiter.undo(charge));
            self.client_in_vain(client);
            return Err(global.counts.denied(denied));
        }

        addresses.counts.admit();
        if client.key.is_some() {
            keys.counts.admit();
        }
        route.counts.admit();
        global.counts.admit();
        Ok(())
    }

    /// The client was charged for a request that was refused.
    fn client_in_vain(&self, client: Client) {
        self.addresses.counts.taken_in_vain(0);
        if client.key.is_some() {
            self.keys.counts.taken_in_vain(0);
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let now = self.global.limiter.now();
        let limit = |name: &str, quota, available, decided| LimitStats {
            limit: name.to_owned(),
            quota,
            available,
            decided,
        };
        let global = limit(
            GLOBAL,
            self.global.limiter.quota().to_string(),
            self.global.limiter.available_at(now),
            self.global.counts.decided(),
        );
        let routes = self.routes.iter().zip(&RULES).map(|(route, rule)| {
            let available = route.limiter.available_at(now);
            limit(
                rule.name,
                rule.to_string(),
                available,
                route.counts.decided(),
            )
        });

        let addresses = self.addresses.limiter.stats_at(now);
        let keys = self.keys.limiter.stats();
        Stats {
            limits: [global].into_iter().chain(routes).collect(),
            addresses: AddressStats {
                quota: self.addresses.limiter.quota().to_string(),
                active: addresses.active,
                capacity: addresses.capacity,
                overflowed: addresses.overflowed,
                decided: self.addresses.counts.decided(),
            },
            keys: KeyStats {
                quota: self.tiers.free.to_string(),
                pro_quota: self.tiers.pro.to_string(),
                keys: keys.keys,
                max_keys: keys.max_keys,
                created: keys.created,
                dropped: keys.dropped,
                overflowed: keys.overflowed,
                decided: self.keys.counts.decided(),
            },
        }
    }
}
