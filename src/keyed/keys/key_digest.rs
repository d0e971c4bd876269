//! Keyed digests of long or secret keys.

use core::fmt;
use core::hash::{Hash, Hasher};

#[cfg(feature = "rules")]
use siphasher::sip128::Hasher128;
use siphasher::sip128::SipHasher24;

/// Makes 16-byte keys from long or secret ones: API keys, session tokens, user agents, paths.
///
/// A table of the texts themselves would grow with what clients send, and would be a list of
/// passwords in memory. A [`KeyDigest`] is their keyed digest instead: SipHash-2-4 with 128 bits of
/// output and a secret of 128 bits. Any length gives 16 bytes. Without the secret, a digest does
/// not reveal the text, and two texts with the same digest cannot be found.
///
/// # Collisions
///
/// Two texts with the same digest share a limit. Among a billion texts, the chance of such a pair
/// is below 10⁻²⁰, and without the secret no way is known to do better than chance.
///
/// Keep the secret like a password. Its holder can test guesses of a text, and finds a pair
/// with 2⁶⁴ digests or fewer, because SipHash promises nothing then.
///
/// # What to digest
///
/// Only the bytes count: equal texts are equal keys, whatever they mean. So use different secrets,
/// or different tables, for users and for paths. Digest the parts of a compound key one by one,
/// into a tuple, because `"ab" + "c"` is `"a" + "bc"`.
///
/// The empty text is a key as well, and all clients without a text would share it. Use their
/// address ([`IpKey`](crate::IpKey)) instead.
///
/// A digest takes about 25 ns, and 1 ns more for every 2 bytes. It allocates nothing.
///
/// ```
/// use tidegate::{IpKey, KeyDigest, KeyDigester};
///
/// #[derive(PartialEq, Eq, Hash)]
/// enum Client {
///     ApiKey(KeyDigest),
///     Address(IpKey),
/// }
///
/// // `KeyDigester::new()` where keys need not outlive the process.
/// static KEYS: KeyDigester = KeyDigester::with_secret(*b"from a vault, 16");
/// let client = |api_key: Option<&str>, ip: &str| match api_key {
///     Some(key) => Client::ApiKey(KEYS.digest(key)),
///     None => Client::Address(IpKey::new(ip.parse().unwrap())),
/// };
/// let alice = client(Some("sk-7f3a9c"), "2001:db8::1");
/// assert!(alice == client(Some("sk-7f3a9c"), "203.0.113.7")); // wherever she is
/// assert!(alice != client(Some("sk-7f3a9d"), "2001:db8::1"));
/// assert!(alice != client(None, "2001:db8::1"));
/// ```
#[derive(Clone)]
pub struct KeyDigester {
    secret: [u8; 16],
}

impl KeyDigester {
    /// Creates a digester with a random secret from the operating system. Only its clones make the
    /// same digests.
    ///
    /// # Panics
    ///
    /// If the operating system gives no random bytes.
    ///
    /// ```
    /// use std::sync::LazyLock;
    /// use tidegate::KeyDigester;
    ///
    /// static KEYS: LazyLock<KeyDigester> = LazyLock::new(KeyDigester::new);
    /// assert_eq!(KEYS.digest("Mozilla/5.0"), KEYS.digest(b"Mozilla/5.0"));
    /// assert_ne!(KEYS.digest("Mozilla/5.0"), KeyDigester::new().digest("Mozilla/5.0"));
    /// ```
    #[cfg(feature = "std")]
    pub fn new() -> Self {
        // Not std's `RandomState`: the quality of its seeds is unspecified, and in one thread they
        // follow one another.
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).expect("the operating system has random bytes");
        Self::with_secret(secret)
    }

    /// Creates a digester with your own secret. It makes the same digests on every node and after a
    /// restart, for limits that are stored outside the process.
    ///
    /// All 128 bits should be random and known only to you. A password or a serial number is no
    /// such secret.
    #[inline]
    pub const fn with_secret(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// Returns the digest of a text or of bytes, of any length.
    #[inline]
    pub fn digest(&self, text: impl AsRef<[u8]>) -> KeyDigest {
        let digest = SipHasher24::new_with_key(&self.secret).hash(text.as_ref());
        KeyDigest(digest.as_bytes())
    }

    /// Returns the digest of what a key hashes.
    #[cfg(feature = "rules")]
    pub(crate) fn digest_hash(&self, key: &impl Hash) -> KeyDigest {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        key.hash(&mut hasher);
        KeyDigest(hasher.finish128().as_bytes())
    }
}

/// [`KeyDigester::new`].
#[cfg(feature = "std")]
impl Default for KeyDigester {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows nothing of the secret.
impl fmt::Debug for KeyDigester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDigester").finish_non_exhaustive()
    }
}

/// A long or secret key as 16 bytes, made by a [`KeyDigester`].
///
/// It does not reveal the text. But it stands for one client wherever it appears, so `Debug` does
/// not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 16]);

const _: () = assert!(size_of::<KeyDigest>() == 16 && align_of::<KeyDigest>() == 1);

impl KeyDigest {
    /// Where a limit has no key, and a key must be passed.
    #[cfg(feature = "rules")]
    pub(crate) const NONE: Self = Self([0; 16]);

    /// Returns the 16 bytes of SipHash-2-4-128, in the order of its reference implementation on
    /// every platform.
    ///
    /// ```
    /// use tidegate::KeyDigester;
    ///
    /// let secret = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100_u128;
    /// let keys = KeyDigester::with_secret(secret.to_le_bytes());
    /// // The first of the published vectors is the digest of no bytes.
    /// let digest = 0x9302_55c7_1472_f66d_e6a8_25ba_047f_81a3_u128;
    /// assert_eq!(keys.digest("").to_bytes(), digest.to_le_bytes());
    /// ```
    #[inline]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl Hash for KeyDigest {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Not derived, which would write a length before the bytes.
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

/// Shows nothing of the key.
impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDigest").finish_non_exhaustive()
    }
}
