//! The name of one call, by which any node can end it.

use core::fmt;
use core::str::FromStr;

/// The id of a call that a [`RedisApiRateLimiter`](crate::RedisApiRateLimiter) admitted.
///
/// Another node settles or cancels the call by it, so send it along with the work. As text it is 48
/// hexadecimal digits.
///
/// ```
/// use tidegate_redis::CallId;
///
/// let id = CallId::from_bytes([7; 24]);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert!("07".parse::<CallId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId([u8; Self::LENGTH]);

/// A text that is no [`CallId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCallIdError(());

/// A random name of one limiter of one process.
pub(super) type NodeId = [u8; 16];

impl CallId {
    /// The bytes of an id: 16 of the node, and the number of the call.
    pub const LENGTH: usize = 24;

    pub(super) fn new(node: NodeId, number: u64) -> Self {
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&node);
        bytes[16..].copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// Returns the id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Returns its bytes.
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

impl FromStr for CallId {
    type Err = ParseCallIdError;

    fn from_str(text: &str) -> Result<Self, ParseCallIdError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::LENGTH || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(ParseCallIdError(()));
        }
        let mut bytes = [0; Self::LENGTH];
        for (byte, start) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[start..start + 2], 16)
                .map_err(|_| ParseCallIdError(()))?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ParseCallIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a call's id has 48 hexadecimal digits")
    }
}

impl core::error::Error for ParseCallIdError {}
