//! What a program tells its rules.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::config::RulesConfig;
use super::error::RulesError;
use super::keys::{KeySource, boxed};
use super::limit::RulesClock;
use super::live::Rules;
use super::rule_set::Context;
use super::tiers::OwnTiers;
use crate::clock::DefaultClock;
use crate::keyed::KeyDigester;
use crate::layer::key_extractor::KeyExtractor;
use crate::layer::request_head::RequestHead;

/// Sets what files of rules can name: see [`Rules::builder`].
#[must_use = "a builder does nothing before `build`"]
pub struct RulesBuilder<C = DefaultClock> {
    context: Context<C>,
}

impl Rules {
    /// Makes the rules of a file that needs nothing of the program.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if they cannot be used.
    pub fn new(config: &RulesConfig) -> Result<Self, RulesError> {
        Self::builder().build(config)
    }

    /// Starts rules whose files can also name what the program sets: the peer's address, keys and
    /// tiers.
    pub fn builder() -> RulesBuilder {
        RulesBuilder::new()
    }
}

impl RulesBuilder {
    fn new() -> Self {
        Self {
            context: Context {
                clock: DefaultClock,
                keys: KeySource {
                    digester: KeyDigester::new(),
                    peer: None,
                    own: BTreeMap::new(),
                },
                tiers: None,
            },
        }
    }
}

impl<C> RulesBuilder<C> {
    /// Sets the clock that all limits read.
    pub fn clock<D: RulesClock>(self, clock: D) -> RulesBuilder<D> {
        RulesBuilder {
            context: Context {
                clock,
                keys: self.context.keys,
                tiers: self.context.tiers,
            },
        }
    }

    /// Tells how to find the address of the connection, in what the server attaches to requests.
    /// Keys with `peer` or `address` need it.
    pub fn peer(
        mut self,
        peer: impl Fn(&RequestHead<'_>) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.context.keys.peer = Some(Arc::new(peer));
        self
    }

    /// Adds a key that files can name: the account that a log-in has attached, a part of the path,
    /// a combination. A key of the same name is replaced.
    ///
    /// A digest of what the key hashes is kept, not the key. So keys that are different must hash
    /// different things, as those with a derived `Hash` do.
    pub fn key<E>(mut self, name: &str, extractor: E) -> Self
    where
        E: KeyExtractor + Send + Sync + 'static,
    {
        let keys = &mut self.context.keys;
        let find = boxed(extractor, keys.digester.clone());
        keys.own.insert(name.to_owned(), find);
        self
    }

    /// Sets the tiers that files can name besides their own. `tier` returns the name of a request's
    /// tier. If it returns `None`, or a name that is not among `names`, the tiers of the file are
    /// tried. It may be called twice for a request.
    pub fn tiers<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
        tier: impl for<'a> Fn(&RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let known = names.clone();
        self.context.tiers = Some(OwnTiers {
            names,
            find: Arc::new(move |request| {
                let name = tier(request)?;
                known.iter().position(|known| known == name)
            }),
        });
        self
    }
}

impl<C: RulesClock> RulesBuilder<C> {
    /// Makes the rules of a file.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if they cannot be used.
    pub fn build(self, config: &RulesConfig) -> Result<Rules<C>, RulesError> {
        Rules::with_context(self.context, config)
    }
}

/// Omits closures.
impl<C> fmt::Debug for RulesBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesBuilder").finish_non_exhaustive()
    }
}
