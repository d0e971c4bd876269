//! Why rules cannot be used.

use alloc::string::String;
use core::fmt;

/// Rules of the right form that cannot be used: see [`Rules::reload`](super::Rules::reload).
///
/// ```
/// use tidegate::layer::{Rules, RulesErrorKind};
///
/// let text = "[[limits]]\nname = 'users'\nrate = '10/s'\nkey = 'user'\n";
/// let error = Rules::new(&toml::from_str(text)?).unwrap_err();
/// assert_eq!(error.kind(), RulesErrorKind::UnknownKey);
/// assert_eq!(error.to_string(), "limit `users`: there is no key `user`; there are none");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError {
    pub(super) place: String,
    pub(super) kind: RulesErrorKind,
    pub(super) why: String,
}

/// The kind of a [`RulesError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RulesErrorKind {
    /// Two limits, tiers or keys have one name.
    DuplicateName,
    /// A key is neither in the file nor set by the program.
    UnknownKey,
    /// A key is a part of itself, or has too many parts.
    InvalidKey,
    /// A key is read from the peer's address, which the program does not
    /// [tell](super::RulesBuilder::peer).
    NoPeer,
    /// A tier is neither in the file nor set by the program.
    UnknownTier,
    /// The values of a tier do not fit its key.
    InvalidTier,
    /// A route, header field or list of a condition cannot be read, or an exemption has none.
    InvalidCondition,
    /// A text is not a network.
    InvalidNetwork,
    /// A limit's numbers cannot be represented.
    InvalidLimit,
    /// Something that cannot be changed while the limit is in use.
    FixedInUse,
}

impl RulesError {
    pub(super) const fn new(place: String, kind: RulesErrorKind, why: String) -> Self {
        Self { place, kind, why }
    }

    /// Returns the kind of the mistake.
    pub const fn kind(&self) -> RulesErrorKind {
        self.kind
    }

    /// Returns where it is: ``limit `name` ``, ``tier `name` ``, ``key `name` `` or `exempt`.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

impl core::error::Error for RulesError {}
