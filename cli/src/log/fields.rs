//! What a replay takes from a line, by the names of the line's fields.

use std::borrow::Cow;

use super::address::{hops, is_missing, is_own, parse};
use super::group_by::GroupBy;
use super::names;

/// The texts of a line that matter.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// The time, or the time of day if there is a date.
    pub time: Slot<'a>,
    /// The day.
    pub date: Slot<'a>,
    /// The offset from UTC, if it stands apart.
    pub zone: Slot<'a>,
    /// The address of the client, or of the peer.
    pub peer: Slot<'a>,
    /// The addresses that proxies forwarded.
    pub forwarded: Slot<'a>,
    /// The key, unless requests are grouped by address.
    pub key: Slot<'a>,
    /// A line of another log.
    pub message: Slot<'a>,
}

/// The value of the preferred name that was found so far.
#[derive(Debug, Default)]
pub struct Slot<'a> {
    value: Option<Cow<'a, [u8]>>,
    rank: u8,
}

impl<'a> Slot<'a> {
    /// Takes a value, unless that of a preferred name is known. Of equal names the last counts, as
    /// in most JSON parsers.
    pub fn offer(&mut self, rank: u8, value: Cow<'a, [u8]>) {
        if is_missing(&value) || (self.value.is_some() && rank > self.rank) {
            return;
        }
        self.rank = rank;
        self.value = Some(value);
    }

    /// Takes an address as [`Self::offer`] does. A name that holds no address gives way to one that
    /// does, and a private address of the connection to a public one of the client.
    #[expect(clippy::ptr_arg, reason = "a borrowed value is kept without a copy")]
    fn offer_peer(&mut self, rank: u8, value: &Cow<'a, [u8]>) {
        let Some(known) = &self.value else {
            return self.offer(rank, value.clone());
        };
        if is_missing(value) || known == value {
            return;
        }
        let is_preferred = rank <= self.rank;
        let preferred = Candidate::new(
            self.rank.min(rank),
            if is_preferred { value } else { known },
        );
        let other = Candidate::new(
            self.rank.max(rank),
            if is_preferred { known } else { value },
        );
        if is_preferred != preferred.gives_way_to(&other) {
            self.rank = rank;
            self.value = Some(value.clone());
        }
    }

    /// The text, or nothing.
    pub fn text(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }

    /// Whether the value is that of the most preferred name.
    pub const fn is_most_preferred(&self) -> bool {
        self.value.is_some() && self.rank <= 1
    }

    /// The text, if there is one.
    pub fn get(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

/// A value that may be the address of the client.
struct Candidate {
    rank: u8,
    has_address: bool,
    /// Whether all its addresses are private.
    is_own: bool,
}

impl Candidate {
    fn new(rank: u8, value: &[u8]) -> Self {
        let mut candidate = Self {
            rank,
            has_address: false,
            is_own: true,
        };
        for ip in hops(value).filter_map(parse) {
            candidate.has_address = true;
            candidate.is_own &= is_own(ip);
        }
        candidate
    }

    fn gives_way_to(&self, other: &Self) -> bool {
        if !self.has_address || !other.has_address {
            return other.has_address;
        }
        let is_among = |rank, names: &[&str]| {
            let name = usize::from(rank).checked_sub(1);
            let name = name.and_then(|at| names::PEER.get(at));
            name.is_some_and(|name| names.contains(name))
        };
        self.is_own
            && !other.is_own
            && is_among(self.rank, &names::CONNECTION)
            && !is_among(other.rank, &names::ANY_ADDRESS)
    }
}

/// How much each part of a [`Found`] prefers a name; `None` if the name does not matter for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// For the time.
    pub time: Option<u8>,
    /// For the day.
    pub date: Option<u8>,
    /// For an offset from UTC.
    pub zone: Option<u8>,
    /// For the peer.
    pub peer: Option<u8>,
    /// For the forwarded addresses.
    pub forwarded: Option<u8>,
    /// For the key.
    pub key: Option<u8>,
    /// For a line of another log.
    pub message: Option<u8>,
    /// Whether logs also use the name of the time for durations.
    pub may_be_duration: bool,
}

impl Roles {
    /// Whether the name matters.
    pub const fn is_any(&self) -> bool {
        self.time.is_some()
            || self.date.is_some()
            || self.zone.is_some()
            || self.peer.is_some()
            || self.forwarded.is_some()
            || self.key.is_some()
            || self.message.is_some()
    }

    /// Puts a value where it matters.
    #[expect(
        clippy::ptr_arg,
        reason = "the slots keep a borrowed value without a copy"
    )]
    pub fn assign<'a>(&self, found: &mut Found<'a>, value: &Cow<'a, [u8]>) {
        if let Some(rank) = self.time
            && !(self.may_be_duration && is_short_number(value))
        {
            found.time.offer(rank, value.clone());
        }
        if let Some(rank) = self.peer {
            found.peer.offer_peer(rank, value);
        }
        for (rank, slot) in [
            (self.date, &mut found.date),
            (self.zone, &mut found.zone),
            (self.forwarded, &mut found.forwarded),
            (self.key, &mut found.key),
            (self.message, &mut found.message),
        ] {
            if let Some(rank) = rank {
                slot.offer(rank, value.clone());
            }
        }
    }
}

/// Whether a value is a number of fewer than nine digits: a duration, not a time since 1970.
fn is_short_number(value: &[u8]) -> bool {
    let whole = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let rest = value.get(whole..).unwrap_or_default();
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    whole < 9 && rest.iter().all(u8::is_ascii_digit)
}

/// Which fields are wanted.
#[derive(Clone, Debug)]
pub struct WantedFields {
    by: GroupBy,
    client: Option<String>,
    time: Option<String>,
}

impl WantedFields {
    /// The fields for a kind of key. `client` and `time` replace the usual names.
    pub const fn new(by: GroupBy, client: Option<String>, time: Option<String>) -> Self {
        Self { by, client, time }
    }

    /// The roles of a field, by its name and its normal name.
    pub fn roles(&self, name: &str, normal: &str) -> Roles {
        let among = |names: &[&str]| {
            let at = names.iter().position(|known| *known == normal)?;
            // Zero is for a name that was given.
            u8::try_from(at + 1).ok()
        };
        let given = |given: &Option<String>, names: &[&str]| match given {
            Some(given) => (given == name).then_some(0),
            None => among(names),
        };
        let by_address = self.by_address();
        let key = match &self.by {
            GroupBy::None | GroupBy::Ip | GroupBy::IpPrefix => None,
            GroupBy::Path => among(&names::PATH),
            GroupBy::User => among(&names::USER),
            GroupBy::Agent => among(&names::AGENT),
            GroupBy::Field(field) => {
                let given = (field == name).then_some(0);
                given.or_else(|| among(names::aliases(field)))
            }
        };
        let peer = given(&self.client, &names::PEER).filter(|_| by_address);
        let is_searched = by_address && self.client.is_none();
        Roles {
            time: given(&self.time, &names::TIME),
            date: among(&names::DATE).filter(|_| self.time.is_none()),
            zone: (normal == "%zone").then_some(1),
            peer,
            forwarded: among(&names::FORWARDED).filter(|_| is_searched),
            key,
            // The journal writes the name in capitals. Others have a message beside their fields.
            message: (name == "MESSAGE")
                .then_some(1)
                .or_else(|| among(&names::MESSAGE)),
            may_be_duration: self.time.is_none() && names::DURATIONS.contains(&normal),
        }
    }

    /// Whether a wanted field may be nested below this one.
    pub fn is_above(&self, name: &str, normal: &str) -> bool {
        let below = |known: &str, name: &str| {
            let rest = known.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        let field = match &self.by {
            GroupBy::Field(field) => Some(field.as_str()),
            _ => None,
        };
        let given = [self.client.as_deref(), self.time.as_deref(), field];
        let is_given = given.into_iter().flatten().any(|given| below(given, name));
        let mut tables: Vec<&[&str]> = vec![&names::TIME];
        match self.by {
            GroupBy::Ip | GroupBy::IpPrefix => tables.extend([&names::PEER[..], &names::FORWARDED]),
            GroupBy::Path => tables.push(&names::PATH),
            GroupBy::User => tables.push(&names::USER),
            GroupBy::Agent => tables.push(&names::AGENT),
            GroupBy::Field(ref field) => tables.push(names::aliases(field)),
            GroupBy::None => {}
        }
        let mut known = tables.into_iter().flatten();
        is_given || known.any(|known| below(known, normal))
    }

    /// The kind of the keys.
    pub const fn by(&self) -> &GroupBy {
        &self.by
    }

    /// Whether the field of the time was named.
    pub const fn has_time_field(&self) -> bool {
        self.time.is_some()
    }

    /// Whether requests are grouped by the client's address.
    pub const fn by_address(&self) -> bool {
        matches!(self.by, GroupBy::Ip | GroupBy::IpPrefix)
    }

    /// The field that was named as the client's.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// Whether a line has what its key needs.
    pub fn has_key(&self, found: &Found<'_>) -> bool {
        match self.by {
            GroupBy::None => false,
            GroupBy::Ip | GroupBy::IpPrefix => {
                found.peer.get().is_some() || found.forwarded.get().is_some()
            }
            _ => found.key.get().is_some(),
        }
    }
}
