//! The tiers of clients: groups that limits can be meant for.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use std::collections::HashSet;

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

/// Whether a request is in a tier of the file.
enum Test {
    Keys(FindKey, HashSet<KeyDigest>),
    Addresses(FindAddress, Networks),
}

impl Test {
    fn holds(&self, request: &RequestHead<'_>) -> bool {
        match self {
            Self::Keys(find, keys) => find(request).is_ok_and(|key| keys.contains(&key)),
            Self::Addresses(find, networks) => {
                find(request).is_some_and(|address| networks.contain(address))
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
        let mut names = own.map_or_else(Vec::new, |own| own.names.clone());
        let mut tests = Vec::new();
        for config in configs {
            if names.contains(&config.name) || config.name == NONE {
                let why = "there is another one of this name".to_owned();
                return Err(error(&config.name, Kind::DuplicateName, why));
            }
            names.push(config.name.clone());
            tests.push(test(config, keys)?);
        }
        Ok(Self {
            names,
            own: own.cloned(),
            tests,
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
        own.or_else(|| {
            let number = self.tests.iter().position(|test| test.holds(request))?;
            Some(self.names.len() - self.tests.len() + number)
        })
    }
}

fn error(name: &str, kind: Kind, why: String) -> RulesError {
    RulesError::new(format!("tier `{name}`"), kind, why)
}

fn test(tier: &TierConfig, keys: &Keys<'_>) -> Result<Test, RulesError> {
    let key = keys.get(&tier.key, &format!("tier `{}`", tier.name))?;
    match keys.defined.get(&tier.key) {
        Some(KeyConfig::Header(_) | KeyConfig::Bearer) => {
            let texts = tier.values.0.iter().map(|text| text.trim());
            let digests = texts.map(|text| keys.source.digester.digest(text));
            Ok(Test::Keys(key.find, digests.collect()))
        }
        Some(config @ (KeyConfig::Peer | KeyConfig::Address { .. })) => {
            let networks = Networks::parse(&tier.values.0);
            let networks = networks
                .map_err(|why| error(&tier.name, Kind::InvalidNetwork, format!("{why}")))?;
            Ok(Test::Addresses(keys.address(&tier.key, config)?, networks))
        }
        _ => {
            let why =
                "its key must be one of the file, and a header field or an address".to_owned();
            Err(error(&tier.name, Kind::InvalidTier, why))
        }
    }
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
