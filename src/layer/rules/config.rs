//! What a configuration file of rules contains.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use http::{HeaderName, Method, StatusCode};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::duration_text::{DurationText, WindowText};
use super::strict::{list, map, present, some_list};
use crate::quota::Quota;

/// The content of a configuration file, in any format of serde that is read by people: TOML, YAML,
/// JSON. [`Rules`](super::Rules) says what it may contain.
///
/// Mistakes of form are errors of the format, which say where in the file they are. Unknown fields
/// are such mistakes, and so is a file without `limits`.
///
/// ```
/// use tidegate::layer::RulesConfig;
///
/// let text = "[[limits]]\nname = 'all'\nrate = '100 per fortnight'\n";
/// let error = toml::from_str::<RulesConfig>(text).unwrap_err().to_string();
/// assert!(error.contains("line 3"), "{error}");
/// assert!(error.contains("unknown unit of time"), "{error}");
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesConfig {
    #[serde(default, deserialize_with = "map")]
    pub(super) keys: BTreeMap<String, KeyConfig>,
    #[serde(default, deserialize_with = "list")]
    pub(super) tiers: Vec<TierConfig>,
    #[serde(default, deserialize_with = "list")]
    pub(super) exempt: Vec<ConditionConfig>,
    #[serde(deserialize_with = "list")]
    pub(super) limits: Vec<LimitConfig>,
}

/// How a key is found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "KeyFields")]
pub(super) enum KeyConfig {
    Peer,
    Bearer,
    Header(HeaderName),
    Address { field: HeaderName, proxies: Proxies },
    AllOf(Vec<String>),
    FirstOf(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proxies {
    Hops(usize),
    Networks(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KeyFields {
    peer: bool,
    bearer: bool,
    #[serde(deserialize_with = "present")]
    header: Option<HeaderText>,
    #[serde(deserialize_with = "present")]
    address: Option<HeaderText>,
    #[serde(deserialize_with = "some_list")]
    proxies: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    hops: Option<usize>,
    #[serde(deserialize_with = "some_list")]
    all_of: Option<Vec<String>>,
    #[serde(deserialize_with = "some_list")]
    first_of: Option<Vec<String>>,
}

impl TryFrom<KeyFields> for KeyConfig {
    type Error = &'static str;

    fn try_from(fields: KeyFields) -> Result<Self, &'static str> {
        let proxies = match (fields.hops, fields.proxies) {
            (Some(0), None) => return Err("with 0 `hops` the key is the `peer`"),
            (Some(hops), None) => Some(Proxies::Hops(hops)),
            (None, Some(networks)) if networks.is_empty() => return Err("`proxies` is empty"),
            (None, Some(networks)) => Some(Proxies::Networks(networks)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err("`proxies` and `hops` exclude each other"),
        };
        let address = match (fields.address, proxies) {
            (Some(HeaderText(field)), Some(proxies)) => Some(Self::Address { field, proxies }),
            (Some(_), None) => return Err("`address` needs either `proxies` or `hops`"),
            (None, Some(_)) => return Err("`proxies` and `hops` belong to `address`"),
            (None, None) => None,
        };
        let kinds = [
            fields.peer.then_some(Self::Peer),
            fields.bearer.then_some(Self::Bearer),
            fields.header.map(|name| Self::Header(name.0)),
            address,
            fields.all_of.map(Self::AllOf),
            fields.first_of.map(Self::FirstOf),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(Self::AllOf(keys) | Self::FirstOf(keys)), None) if keys.is_empty() => {
                Err("an empty list of keys")
            }
            (Some(kind), None) => Ok(kind),
            _ => Err("a key is one of `peer`, `bearer`, `header`, `address`, `all_of`, `first_of`"),
        }
    }
}

/// A group of clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierConfig {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) values: Secrets,
}

/// Keys of customers, which `Debug` does not show.
#[derive(Clone, Deserialize)]
pub(super) struct Secrets(#[serde(deserialize_with = "list")] pub(super) Vec<String>);

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

/// Which requests a limit is on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConditionConfig {
    #[serde(deserialize_with = "some_list")]
    pub(super) routes: Option<Vec<String>>,
    #[serde(deserialize_with = "some_list")]
    pub(super) except_routes: Option<Vec<String>>,
    #[serde(deserialize_with = "some_list")]
    pub(super) methods: Option<Vec<MethodText>>,
    #[serde(deserialize_with = "map")]
    pub(super) headers: BTreeMap<String, HeaderTest>,
    #[serde(deserialize_with = "some_list")]
    pub(super) tiers: Option<Vec<String>>,
}

impl ConditionConfig {
    /// Whether it holds for every request.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [&self.routes, &self.except_routes, &self.tiers];
        lists.iter().all(|list| list.is_none()) && self.methods.is_none() && self.headers.is_empty()
    }
}

/// A value that a header field must have, or whether it must be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text, or `true` or `false`")]
pub(super) enum HeaderTest {
    IsPresent(bool),
    Is(String),
}

/// A limit and the requests that it is on.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "LimitFields")]
pub(super) struct LimitConfig {
    pub(super) name: String,
    pub(super) kind: LimitKind,
    pub(super) key: Option<String>,
    pub(super) max_keys: usize,
    pub(super) without_key: WithoutKey,
    pub(super) cost: u64,
    /// Empty for a limit that counts every request.
    pub(super) statuses: Vec<StatusCode>,
    pub(super) is_shadow: bool,
    pub(super) condition: ConditionConfig,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LimitKind {
    InFlight(u64),
    Rate(RateKind),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RateKind {
    Bucket(Quota),
    Window(WindowText),
    Failures {
        failures: WindowText,
        lock_out: Duration,
    },
}

/// What becomes of a request without the key of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WithoutKey {
    #[default]
    Reject,
    Skip,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitFields {
    name: String,
    #[serde(deserialize_with = "present")]
    rate: Option<Quota>,
    #[serde(deserialize_with = "present")]
    window: Option<WindowText>,
    #[serde(deserialize_with = "present")]
    in_flight: Option<u64>,
    #[serde(deserialize_with = "present")]
    failures: Option<WindowText>,
    #[serde(deserialize_with = "present")]
    lock_out: Option<DurationText>,
    #[serde(deserialize_with = "present")]
    key: Option<String>,
    #[serde(deserialize_with = "present")]
    max_keys: Option<usize>,
    #[serde(deserialize_with = "present")]
    without_key: Option<WithoutKey>,
    #[serde(deserialize_with = "present")]
    cost: Option<u64>,
    #[serde(deserialize_with = "some_list")]
    statuses: Option<Vec<StatusNumber>>,
    shadow: bool,
    // The fields of a condition: with `flatten`, serde would accept unknown ones.
    #[serde(deserialize_with = "some_list")]
    routes: Option<Vec<String>>,
    #[serde(deserialize_with = "some_list")]
    except_routes: Option<Vec<String>>,
    #[serde(deserialize_with = "some_list")]
    methods: Option<Vec<MethodText>>,
    #[serde(deserialize_with = "map")]
    headers: BTreeMap<String, HeaderTest>,
    #[serde(deserialize_with = "some_list")]
    tiers: Option<Vec<String>>,
}

/// As a [`PenaltyBox`](crate::PenaltyBox) has by default.
const MAX_KEYS: usize = 100_000;

/// Header fields repeat the names, and proxies refuse fields of more than some kilobytes.
const LONGEST_NAME: usize = 64;

impl TryFrom<LimitFields> for LimitConfig {
    type Error = String;

    fn try_from(fields: LimitFields) -> Result<Self, String> {
        let name = fields.name;
        // Header fields have printable ASCII only, so other names would look alike there.
        let is_plain = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if name.trim().is_empty() || name.len() > LONGEST_NAME || !is_plain {
            let why = "a limit needs a name of 1 to 64 printable ASCII characters";
            return Err(why.to_string());
        }
        let wrong = |why: &str| alloc::format!("limit `{name}`: {why}");
        let failures = fields.failures.map(|failures| {
            let lock_out = fields.lock_out.ok_or("`failures` needs a `lock_out`")?.0;
            Ok(LimitKind::Rate(RateKind::Failures { failures, lock_out }))
        });
        if failures.is_none() && fields.lock_out.is_some() {
            return Err(wrong("`lock_out` needs `failures`"));
        }
        let rate = |kind| Ok(LimitKind::Rate(kind));
        let kinds = [
            fields.rate.map(|quota| rate(RateKind::Bucket(quota))),
            fields.window.map(|window| rate(RateKind::Window(window))),
            fields.in_flight.map(|limit| Ok(LimitKind::InFlight(limit))),
            failures,
        ];
        let mut kinds = kinds.into_iter().flatten();
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            let kinds = "it is one of `rate`, `window`, `in_flight` and `failures`";
            return Err(wrong(kinds));
        };
        let kind = kind.map_err(wrong)?;
        let most = match kind {
            LimitKind::Rate(RateKind::Bucket(quota)) => quota.capacity(),
            LimitKind::Rate(RateKind::Window(window)) => window.limit,
            LimitKind::Rate(RateKind::Failures { failures, .. }) => failures.limit,
            LimitKind::InFlight(_) => u64::MAX,
        };
        let is_in_flight = matches!(kind, LimitKind::InFlight(_));
        let is_failures = matches!(kind, LimitKind::Rate(RateKind::Failures { .. }));
        let has_statuses = fields
            .statuses
            .as_ref()
            .is_some_and(|some| !some.is_empty());
        let mistakes = [
            (
                fields.key.is_none() && (fields.max_keys.is_some() || fields.without_key.is_some()),
                "`max_keys` and `without_key` need a `key`",
            ),
            (fields.cost == Some(0), "a `cost` of 0 limits nothing"),
            (
                fields.cost.is_some_and(|cost| cost > most),
                "no request could pass, because its `cost` is above the limit's capacity",
            ),
            (
                is_in_flight && (fields.cost.is_some() || fields.statuses.is_some()),
                "`in_flight` counts each request once, so `cost` and `statuses` do not fit",
            ),
            (
                is_in_flight && fields.max_keys.is_some(),
                "`in_flight` holds only keys with requests, so `max_keys` does not fit",
            ),
            (
                has_statuses && matches!(kind, LimitKind::Rate(RateKind::Window(_))),
                "a `window` cannot give back what does not count: use `rate` or `failures`",
            ),
            (
                is_failures && !has_statuses,
                "`failures` needs the `statuses` that are failures",
            ),
            (
                fields.statuses.is_some() && !has_statuses,
                "`statuses` is empty, so nothing would count",
            ),
        ];
        if let Some((_, why)) = mistakes.into_iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(wrong(why));
        }
        let statuses = fields.statuses.unwrap_or_default();
        Ok(Self {
            name,
            kind,
            key: fields.key,
            max_keys: fields.max_keys.unwrap_or(MAX_KEYS),
            without_key: fields.without_key.unwrap_or_default(),
            cost: fields.cost.unwrap_or(1),
            statuses: statuses.into_iter().map(|status| status.0).collect(),
            is_shadow: fields.shadow,
            condition: ConditionConfig {
                routes: fields.routes,
                except_routes: fields.except_routes,
                methods: fields.methods,
                headers: fields.headers,
                tiers: fields.tiers,
            },
        })
    }
}

/// The name of a header field.
#[derive(Clone, Debug)]
pub(super) struct HeaderText(pub(super) HeaderName);

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A method, which is case-sensitive (RFC 9110, section 9.1).
#[derive(Clone, Debug)]
pub(super) struct MethodText(pub(super) Method);

impl<'de> Deserialize<'de> for MethodText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(D::Error::custom("methods are in capitals: \"GET\""));
        }
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

#[derive(Clone, Copy)]
struct StatusNumber(StatusCode);

impl<'de> Deserialize<'de> for StatusNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        StatusCode::from_u16(number)
            .map(Self)
            .map_err(D::Error::custom)
    }
}
