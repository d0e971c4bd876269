//! Keys that are long, or secret, as 16 bytes.

use core::fmt;
use core::hash::{Hash, Hasher};

use siphasher::sip128::SipHasher24;

/// Makes 16 bytes of keys that are long or secret: API keys, session tokens, user agents, paths.
///
/// A table of the texts themselves would grow with what clients send, and would be a list of passwords in memory. A [`KeyDigest`]
/// is their keyed digest instead (SipHash-2-4 with 128 bits of output and a secret of 128 bits): any length gives 16 bytes, and
/// without the secret nobody can tell from them what the text was, or find two texts with the same.
///
/// # Collisions
///
/// Two texts with the same digest share a limit. Among a billion of them there is such a pair with a chance below 10⁻²⁰, and
/// without the secret no way is known to do better than chance. Who has it can try out guesses of a text, and finds a pair with
/// 2⁶⁴ digests or fewer (SipHash promises nothing then): keep it like a password.
///
/// # What to put in
///
/// The bytes count, nothing else: equal texts are equal keys, whatever they are. So make the keys of users and of paths with
/// secrets of their own, or keep them in different tables. Digest the parts of a compound key one by one, into a tuple: put
/// together, `"ab" + "c"` is `"a" + "bc"`. The empty text is a key as well, which everybody without a text would share: use the
/// address ([`IpKey`](crate::IpKey)) for those.
///
/// A key takes about 25 ns, and 1 ns more for every 2 bytes; nothing is allocated.
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
    /// With a random secret from the operating system. Keys mean something to this object and its clones only.
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
        // Not the standard library's `RandomState`: its seeds are of unspecified quality, and follow one another in a thread.
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).expect("the operating system has random bytes");
        Self::with_secret(secret)
    }

    /// With a secret of your own: the same keys on every node and after a restart, for limits that are stored outside.
    ///
    /// All 128 bits should be random, and nobody but you should know them: a password or a serial number is no such secret.
    #[inline]
    pub const fn with_secret(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// The key of a text or of bytes, of any length.
    #[inline]
    pub fn digest(&self, text: impl AsRef<[u8]>) -> KeyDigest {
        let digest = SipHasher24::new_with_key(&self.secret).hash(text.as_ref());
        KeyDigest(digest.as_bytes())
    }
}

/// [`KeyDigester::new`].
#[cfg(feature = "std")]
impl Default for KeyDigester {
    fn default() -> Self {
        Self::new()
    }
}

/// Nothing about the secret.
impl fmt::Debug for KeyDigester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDigester").finish_non_exhaustive()
    }
}

/// A key that was long or secret, as 16 bytes: see [`KeyDigester`], which makes them.
///
/// It does not say what the text was, but stands for one client wherever it appears: that is why `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 16]);

const _: () = assert!(size_of::<KeyDigest>() == 16 && align_of::<KeyDigest>() == 1);

impl KeyDigest {
    /// The digest: the 16 bytes of SipHash-2-4-128 in the order of its reference implementation, on every platform.
    ///
    /// ```
    /// use tidegate::KeyDigester;
    ///
    /// let keys = KeyDigester::with_secret(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100_u128.to_le_bytes());
    /// let digest = 0x9302_55c7_1472_f66d_e6a8_25ba_047f_81a3_u128; // of nothing: the first of the published vectors
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

/// Nothing about the key.
impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDigest").finish_non_exhaustive()
    }
}
