//! What the end of a key says about it.

use super::stored_limit::StoredKind;
use crate::api::WINDOW_LIMITS;

/// What a key belongs to, as its name says. The parts that the crate names begin with `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPart {
    /// A limit of any kind: its value says which.
    Limit,
    /// A window of an API limiter.
    ApiWindow,
    /// A bucket of an API limiter.
    ApiBucket,
    /// The state of an API limiter.
    ApiState,
    /// The open calls of an API limiter.
    ApiCalls,
    /// A key that ends at once, or has the quota of a table.
    Internal,
}

impl KeyPart {
    pub(super) fn of(key: &[u8]) -> Self {
        let mark = b"}:?";
        // Names have no braces, so these end the part that decides about the node.
        let at = key.windows(mark.len()).rposition(|part| part == mark);
        let Some(part) = at.map(|at| &key[at + mark.len()..]) else {
            return Self::Limit;
        };
        match part {
            b"api" => Self::ApiState,
            b"calls" | b"ends" => Self::ApiCalls,
            b"probe" | b"quota" => Self::Internal,
            part if part.starts_with(b"quota:") => Self::Internal,
            part if WINDOW_LIMITS.iter().any(|name| part == name.as_bytes()) => Self::ApiWindow,
            _ => Self::ApiBucket,
        }
    }

    /// Whether a list leaves the key out: it is no limit, or a part of one.
    pub(super) const fn is_internal(self) -> bool {
        matches!(self, Self::Internal | Self::ApiCalls)
    }

    /// The kind that keeps a bucket from being here; `None` if one may be.
    pub(super) const fn other_kind(self) -> Option<StoredKind> {
        match self {
            Self::Limit | Self::ApiBucket | Self::Internal => None,
            Self::ApiWindow => Some(StoredKind::Window),
            Self::ApiState | Self::ApiCalls => Some(StoredKind::Api),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_keys_tell_their_parts() {
        for (key, part) in [
            (&b"tidegate:{x}:probe"[..], KeyPart::Limit),
            (b"tidegate:user:{?api}", KeyPart::Limit),
            (b"tidegate:{x}:?api", KeyPart::ApiState),
            (b"tidegate:{x}:?calls", KeyPart::ApiCalls),
            (b"tidegate:{x}:?ends", KeyPart::ApiCalls),
            (b"tidegate:{x}:?hour", KeyPart::ApiWindow),
            (b"tidegate:{x}:?tokens-day", KeyPart::ApiBucket),
            (b"tidegate:{x}:?probe", KeyPart::Internal),
            (b"tidegate:{users}:?quota", KeyPart::Internal),
            (b"tidegate:{users}:?quota:day", KeyPart::Internal),
        ] {
            assert_eq!(KeyPart::of(key), part, "{key:?}");
        }
    }
}
