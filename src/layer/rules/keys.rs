//! The keys of rules: those of the file, and those that the program sets.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::IpAddr;

use http::header::{FORWARDED, HeaderName};
use smallvec::SmallVec;

use super::config::{KeyConfig, Proxies};
use super::error::{RulesError, RulesErrorKind as Kind};
use crate::keyed::{IpKey, KeyDigest, KeyDigester};
use crate::layer::api_key::ApiKey;
use crate::layer::forwarded_for::ForwardedFor;
use crate::layer::key_extractor::{KeyExtractor, NoKey};
use crate::layer::request_head::RequestHead;

/// Finds a key, whatever its type: its digest is the key.
pub(super) type FindKey = Arc<dyn Fn(&RequestHead<'_>) -> Result<KeyDigest, NoKey> + Send + Sync>;

/// Finds an address.
pub(super) type FindAddress = Arc<dyn Fn(&RequestHead<'_>) -> Option<IpAddr> + Send + Sync>;

/// What the program tells of its requests.
#[derive(Clone)]
pub(super) struct KeySource {
    /// Stays the same, so that a key is the same after a reload.
    pub(super) digester: KeyDigester,
    pub(super) peer: Option<FindAddress>,
    pub(super) own: BTreeMap<String, FindKey>,
}

/// What a key is, for the question whether it is another one after a reload. The names of parts and
/// the trusted proxies do not matter: what they find stays the same key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum KeyIdentity {
    Own(String),
    Header(HeaderName),
    Bearer,
    Address,
    AllOf(Vec<Self>),
    FirstOf(Vec<Self>),
}

/// A key of the file, ready for use.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) find: FindKey,
    pub(super) identity: KeyIdentity,
    /// How many fields and addresses are read for it.
    reads: usize,
}

/// The most of these, which each request has to read.
const MOST_READS: usize = 16;

/// The names that stand for keys here.
pub(super) struct Keys<'a> {
    source: &'a KeySource,
    defined: &'a BTreeMap<String, KeyConfig>,
    /// What was found so far; `None` for a key whose parts are being found.
    found: RefCell<BTreeMap<String, Option<Key>>>,
}

impl<'a> Keys<'a> {
    pub(super) const fn new(
        source: &'a KeySource,
        defined: &'a BTreeMap<String, KeyConfig>,
    ) -> Self {
        Self {
            source,
            defined,
            found: RefCell::new(BTreeMap::new()),
        }
    }

    /// The definition of a key of the file.
    pub(super) fn config(&self, name: &str) -> Option<&'a KeyConfig> {
        self.defined.get(name)
    }

    /// The digest of a key that is a text.
    pub(super) fn digest(&self, text: &str) -> KeyDigest {
        self.source.digester.digest(text)
    }

    /// No name may stand for two keys.
    pub(super) fn check_names(&self) -> Result<(), RulesError> {
        let twice = |name: &&String| self.source.own.contains_key(*name);
        match self.defined.keys().find(twice) {
            Some(name) => {
                let why = "the program sets this key, too";
                Err(error(name, Kind::DuplicateName, why.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// The key that `user` names.
    pub(super) fn get(&self, name: &str, user: &str) -> Result<Key, RulesError> {
        if let Some(find) = self.source.own.get(name) {
            return Ok(Key {
                find: Arc::clone(find),
                identity: KeyIdentity::Own(name.to_owned()),
                reads: 1,
            });
        }
        let Some(config) = self.defined.get(name) else {
            let names = self.defined.keys().chain(self.source.own.keys());
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            let there = if names.is_empty() {
                "there are none".to_owned()
            } else {
                format!("there are {}", names.join(", "))
            };
            let why = format!("there is no key `{name}`; {there}");
            return Err(RulesError::new(user.to_owned(), Kind::UnknownKey, why));
        };
        let mut found = self.found.borrow_mut();
        match found.get(name) {
            Some(Some(key)) => return Ok(key.clone()),
            Some(None) => {
                let why = "it is a part of itself".to_owned();
                return Err(error(name, Kind::InvalidKey, why));
            }
            None => {}
        }
        if found.values().filter(|key| key.is_none()).count() >= MOST_READS {
            let why = format!("it is a part of more than {MOST_READS} keys");
            return Err(error(name, Kind::InvalidKey, why));
        }
        found.insert(name.to_owned(), None);
        drop(found);
        let key = self.define(name, config)?;
        if key.reads > MOST_READS {
            let why = format!("it has more than {MOST_READS} parts");
            return Err(error(name, Kind::InvalidKey, why));
        }
        let mut found = self.found.borrow_mut();
        found.insert(name.to_owned(), Some(key.clone()));
        Ok(key)
    }

    fn define(&self, name: &str, config: &KeyConfig) -> Result<Key, RulesError> {
        let digester = self.source.digester.clone();
        let single = |find, identity| Key {
            find,
            identity,
            reads: 1,
        };
        Ok(match config {
            KeyConfig::Header(field) => {
                let find = api_key(ApiKey::header(field.clone()), digester);
                single(find, KeyIdentity::Header(field.clone()))
            }
            KeyConfig::Bearer => single(api_key(ApiKey::bearer(), digester), KeyIdentity::Bearer),
            KeyConfig::Peer | KeyConfig::Address { .. } => {
                let address = self.address(name, config)?;
                let find: FindKey = Arc::new(move |request| {
                    let address = address(request).ok_or(NoKey::NotAttached)?;
                    Ok(digester.digest_hash(&IpKey::new(address)))
                });
                single(find, KeyIdentity::Address)
            }
            KeyConfig::AllOf(names) => {
                let (parts, identities, reads) = self.parts(name, names)?;
                let find: FindKey = Arc::new(move |request| {
                    let digests = parts.iter().map(|find| find(request));
                    let digests = digests.collect::<Result<SmallVec<[_; 4]>, _>>()?;
                    Ok(digester.digest_hash(&digests))
                });
                let identity = KeyIdentity::AllOf(identities);
                Key {
                    find,
                    identity,
                    reads,
                }
            }
            KeyConfig::FirstOf(names) => {
                let (parts, identities, reads) = self.parts(name, names)?;
                let find: FindKey = Arc::new(move |request| first_of(&parts, &digester, request));
                let identity = KeyIdentity::FirstOf(identities);
                Key {
                    find,
                    identity,
                    reads,
                }
            }
        })
    }

    fn parts(
        &self,
        name: &str,
        names: &[String],
    ) -> Result<(Vec<FindKey>, Vec<KeyIdentity>, usize), RulesError> {
        let user = place(name);
        let keys = names.iter().map(|name| self.get(name, &user));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let reads = keys
            .iter()
            .fold(0_usize, |sum, key| sum.saturating_add(key.reads));
        let (find, identities) = keys.into_iter().map(|key| (key.find, key.identity)).unzip();
        Ok((find, identities, reads))
    }

    /// The address that a key is, if it is one.
    pub(super) fn address(
        &self,
        name: &str,
        config: &KeyConfig,
    ) -> Result<FindAddress, RulesError> {
        let Some(peer) = self.source.peer.clone() else {
            let why = "the program does not tell the peer's address: see `RulesBuilder::peer`";
            return Err(error(name, Kind::NoPeer, why.to_owned()));
        };
        let KeyConfig::Address { field, proxies } = config else {
            return Ok(peer);
        };
        let peer = move |request: &RequestHead<'_>| peer(request);
        let forwarded = match proxies {
            Proxies::Hops(hops) => ForwardedFor::hops(*hops, peer),
            Proxies::Networks(networks) => ForwardedFor::proxies(networks, peer)
                .map_err(|why| error(name, Kind::InvalidNetwork, why.to_string()))?,
        };
        let forwarded = if field == FORWARDED {
            forwarded.forwarded()
        } else if field.as_str() == "x-forwarded-for" {
            forwarded
        } else {
            forwarded.field(field.clone())
        };
        Ok(Arc::new(move |request| forwarded.client(request)))
    }
}

fn place(name: &str) -> String {
    format!("key `{name}`")
}

fn error(name: &str, kind: Kind, why: String) -> RulesError {
    RulesError::new(place(name), kind, why)
}

fn api_key(key: ApiKey, digester: KeyDigester) -> FindKey {
    let key = key.digester(digester);
    Arc::new(move |request| key.extract(request))
}

/// Boxes an extractor of the program.
pub(super) fn boxed<E>(extractor: E, digester: KeyDigester) -> FindKey
where
    E: KeyExtractor + Send + Sync + 'static,
{
    Arc::new(move |request| {
        let key = extractor.extract(request)?;
        Ok(digester.digest_hash(&key))
    })
}

/// The number of the part is in the key, because equal digests of different parts differ.
fn first_of(
    parts: &[FindKey],
    digester: &KeyDigester,
    request: &RequestHead<'_>,
) -> Result<KeyDigest, NoKey> {
    let mut why = NoKey::NotSent;
    for (number, find) in parts.iter().enumerate() {
        match find(request) {
            Ok(digest) => return Ok(digester.digest_hash(&(number, digest))),
            // No one gets around a key by sending it twice.
            Err(NoKey::Ambiguous) => return Err(NoKey::Ambiguous),
            Err(other) => why = other,
        }
    }
    Err(why)
}
