//! The tiers of clients: groups that limits can be meant for.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use std::collections::HashMap;

use super::config::{KeyConfig, TierConfig};
use super::error::{RulesError, RulesErrorKind as Kind};
use super::keys::{FindAddress, FindKey, Keys};
use crate::keyed::KeyDigest;
use crate::layer::networks::Networks;
use crate::layer::request_head::RequestHead;

/// The name for requests that are in no tier.
const NONE: &str = "none";

/// The tiers that the program knows, and how it finds that of a request.
#[derive(Clone)]
pub(super) struct OwnTiers {
    pub(super) names: Vec<String>,
    /// Returns an index into the names.
    pub(super) find: FindTier,
}

pub(super) type FindTier = Arc<dyn Fn(&RequestHead<'_>) -> Option<usize> + Send + Sync>;

/// All tiers: those of the program, then those of the file.
pub(super) struct Tiers {
    names: Vec<String>,
    own: Option<OwnTiers>,
    tests: Vec<Test>,
}

/// The tiers of the file that have one key, so that it is read once. Numbers are those of tiers.
enum Test {
    Keys(FindKey, HashMap<KeyDigest, usize>),
    Addresses(FindAddress, Vec<(Networks, usize)>),
}

impl Test {
    /// The first of its tiers that a request is in.
    fn first(&self, request: &RequestHead<'_>) -> Option<usize> {
        match self {
            Self::Keys(find, tiers) => tiers.get(&find(request).ok()?).copied(),
            Self::Addresses(find, tiers) => {
                let address = find(request)?;
                let mut tiers = tiers.iter();
                let first = tiers.find(|(networks, _)| networks.contain(address));
                first.map(|(_, number)| *number)
            }
        }
    }
}

impl Tiers {
    pub(super) fn new(
        own: Option<&OwnTiers>,
        configs: &[TierConfig],
        keys: &Keys<'_>,
    ) -> Result<Self, RulesError> {
        let mut names: Vec<String> = Vec::new();
        let own_names = own.map_or(&[][..], |own| &own.names);
        let file_names = configs.iter().map(|config| &config.name);
        for name in own_names.iter().chain(file_names) {
            if names.contains(name) || name == NONE {
                let why = "there is another one of this name".to_owned();
                return Err(error(name, Kind::DuplicateName, why));
            }
            names.push(name.clone());
        }
        let mut tests: BTreeMap<&str, Test> = BTreeMap::new();
        for (number, config) in configs.iter().enumerate() {
            add(&mut tests, config, own_names.len() + number, keys)?;
        }
        Ok(Self {
            names,
            own: own.cloned(),
            tests: tests.into_values().collect(),
        })
    }

    /// The number of a tier; `None` is the number of [`NONE`].
    pub(super) fn number(&self, name: &str, user: &str) -> Result<Option<usize>, RulesError> {
        if name == NONE {
            return Ok(None);
        }
        let number = self.names.iter().position(|known| known == name);
        number.map(Some).ok_or_else(|| {
            let names = self.names.iter().map(|name| format!("`{name}`, "));
            let names: String = names.collect();
            let why = format!("there is no tier `{name}`; there are {names}and `{NONE}`");
            RulesError::new(user.to_owned(), Kind::UnknownTier, why)
        })
    }

    /// The first tier that a request is in.
    fn of(&self, request: &RequestHead<'_>) -> Option<usize> {
        let own = self.own.as_ref().and_then(|own| (own.find)(request));
        let of_file = || self.tests.iter().filter_map(|test| test.first(request));
        own.or_else(|| of_file().min())
    }
}

fn error(name: &str, kind: Kind, why: String) -> RulesError {
    RulesError::new(format!("tier `{name}`"), kind, why)
}

/// Adds a tier to the test of its key.
fn add<'a>(
    tests: &mut BTreeMap<&'a str, Test>,
    tier: &'a TierConfig,
    number: usize,
    keys: &Keys<'_>,
) -> Result<(), RulesError> {
    let invalid = |why: &str| error(&tier.name, Kind::InvalidTier, why.to_owned());
    let key = keys.get(&tier.key, &format!("tier `{}`", tier.name))?;
    let values = &tier.values.0;
    if values.is_empty() || values.iter().any(|value| value.trim().is_empty()) {
        return Err(invalid("it has no values, or an empty one"));
    }
    match keys.config(&tier.key) {
        Some(KeyConfig::Header(_) | KeyConfig::Bearer) => {
            let empty = || Test::Keys(key.find, HashMap::new());
            if let Test::Keys(_, tiers) = tests.entry(&tier.key).or_insert_with(empty) {
                for value in values {
                    tiers.entry(keys.digest(value.trim())).or_insert(number);
                }
            }
        }
        Some(config @ (KeyConfig::Peer | KeyConfig::Address { .. })) => {
            let networks = Networks::parse(values);
            let networks =
                networks.map_err(|why| error(&tier.name, Kind::InvalidNetwork, why.to_string()))?;
            let address = keys.address(&tier.key, config)?;
            let empty = || Test::Addresses(address, Vec::new());
            if let Test::Addresses(_, tiers) = tests.entry(&tier.key).or_insert_with(empty) {
                tiers.push((networks, number));
            }
        }
        _ => {
            let why = "its key must be one of the file, and a header field or an address";
            return Err(invalid(why));
        }
    }
    Ok(())
}

/// A request whose tier is found when it is first needed.
pub(super) struct Seen<'a> {
    pub(super) request: &'a RequestHead<'a>,
    tiers: &'a Tiers,
    tier: OnceCell<Option<usize>>,
}

impl<'a> Seen<'a> {
    pub(super) const fn new(request: &'a RequestHead<'a>, tiers: &'a Tiers) -> Self {
        Self {
            request,
            tiers,
            tier: OnceCell::new(),
        }
    }

    pub(super) fn tier(&self) -> Option<usize> {
        *self.tier.get_or_init(|| self.tiers.of(self.request))
    }
}
