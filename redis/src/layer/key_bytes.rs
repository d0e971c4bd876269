//! Keys of requests as the server stores them.

use std::sync::Arc;

use http::HeaderValue;
use tidegate::layer::Either;
use tidegate::{IpKey, KeyDigest};

/// A key of requests that is stored on a server. Equal keys have the same bytes in every process,
/// and different keys of one type have different ones.
///
/// | key | bytes |
/// |---|---|
/// | texts, `Vec<u8>`, [`HeaderValue`] | as they are |
/// | `u64`, [`IpKey`] | as they are printed |
/// | [`KeyDigest`] | 32 hexadecimal digits |
/// | [`Either`] | `1/` or `2/` and the key |
/// | a tuple of two to four | each with its length before it: `5:alice3:GET` |
///
/// ```
/// use tidegate::layer::Either;
/// use tidegate_redis::KeyBytes;
///
/// assert_eq!(("alice", "GET").to_bytes(), b"5:alice3:GET");
/// assert_eq!(Either::<u64, &str>::First(7).to_bytes(), b"1/7");
/// ```
pub trait KeyBytes {
    /// Returns the bytes.
    fn to_bytes(&self) -> Vec<u8>;
}

/// Keys that are bytes already, and those that are printed.
macro_rules! key_bytes {
    ($($key:ty: $self:ident => $bytes:expr),+ $(,)?) => {$(
        impl KeyBytes for $key {
            fn to_bytes(&$self) -> Vec<u8> {
                $bytes.into()
            }
        }
    )+};
}
key_bytes! {
    String: self => self.as_bytes(),
    Box<str>: self => self.as_bytes(),
    Arc<str>: self => self.as_bytes(),
    &'static str: self => self.as_bytes(),
    Vec<u8>: self => self.as_slice(),
    HeaderValue: self => self.as_bytes(),
    u64: self => self.to_string(),
    IpKey: self => self.to_string(),
    // The inherent method, which returns an array.
    KeyDigest: self => KeyDigest::to_bytes(*self).map(|byte| format!("{byte:02x}")).concat(),
}

impl<A: KeyBytes, B: KeyBytes> KeyBytes for Either<A, B> {
    fn to_bytes(&self) -> Vec<u8> {
        let (which, key) = match self {
            Self::First(key) => (b"1/", key.to_bytes()),
            Self::Second(key) => (b"2/", key.to_bytes()),
        };
        [&which[..], &key].concat()
    }
}

/// The lengths tell `("a", "bc")` from `("ab", "c")`.
macro_rules! key_tuples {
    ($(($($key:ident $index:tt),+))+) => {$(
        impl<$($key: KeyBytes),+> KeyBytes for ($($key,)+) {
            fn to_bytes(&self) -> Vec<u8> {
                let mut all = Vec::new();
                $(
                    let key = self.$index.to_bytes();
                    all.extend_from_slice(format!("{}:", key.len()).as_bytes());
                    all.extend_from_slice(&key);
                )+
                all
            }
        }
    )+};
}
key_tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

#[cfg(test)]
mod tests {
    use tidegate::KeyDigester;

    use super::*;

    #[test]
    fn different_keys_have_different_bytes() {
        type Two = Either<&'static str, &'static str>;
        assert_ne!(("a", "bc").to_bytes(), ("ab", "c").to_bytes());
        assert_ne!(("1:a", "b").to_bytes(), ("1", "a1:b").to_bytes());
        assert_ne!(Two::First("a").to_bytes(), Two::Second("a").to_bytes());
    }

    #[test]
    fn digest_is_the_same_with_the_same_secret() {
        let digest = || KeyDigester::with_secret([7; 16]).digest("sk-7f3a9c");
        let bytes = KeyBytes::to_bytes(&digest());
        assert_eq!(bytes, KeyBytes::to_bytes(&digest()));
        assert!(bytes.len() == 32 && bytes.iter().all(u8::is_ascii_hexdigit));
    }

    #[test]
    fn addresses_are_printed() {
        let address: core::net::IpAddr = "203.0.113.7".parse().expect("valid");
        assert_eq!(IpKey::new(address).to_bytes(), b"203.0.113.7");
    }
}
