//! The trait that finds a request's key, and combinations of extractors.

use core::fmt;
use core::hash::Hash;

use super::request_head::RequestHead;

/// Finds the key that a request is limited by.
///
/// | extractor | key |
/// |---|---|
/// | [`ApiKey`](super::ApiKey) | a header field, as a digest |
/// | [`ForwardedFor`](super::ForwardedFor) | the client's address behind proxies |
/// | [`Attached`](super::Attached) | what the server or an outer layer attached: the peer, the route, the user |
/// | a closure that returns an `Option` | as it returns; `None` means that the client did not send it ([`NoKey::NotSent`]) |
/// | a closure that returns a `Result<_, NoKey>` | as it returns, and it says whose fault a missing key is |
/// | a tuple of two to four extractors | all of their keys together, such as user and route |
/// | [`a.or(b)`](Self::or) | the first that the request has |
///
/// ```
/// use std::net::SocketAddr;
/// use http::Request;
/// use tidegate::IpKey;
/// use tidegate::layer::{ApiKey, Attached, Either, KeyExtractor, NoKey, RequestHead};
///
/// // What your server attaches to requests. In axum it is `ConnectInfo<SocketAddr>`.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
/// let peer = Attached::new(|peer: &Peer| IpKey::from(peer.0));
///
/// let client = ApiKey::header("x-api-key".parse().unwrap()).or(peer);
/// let mut request = Request::new(());
/// assert_eq!(client.extract(&RequestHead::new(&request)), Err(NoKey::NotAttached));
/// request.extensions_mut().insert(Peer("203.0.113.7:1234".parse().unwrap()));
/// assert!(matches!(client.extract(&RequestHead::new(&request)), Ok(Either::Second(_))));
/// request.headers_mut().insert("x-api-key", "sk-7f3a9c".parse().unwrap());
/// assert!(matches!(client.extract(&RequestHead::new(&request)), Ok(Either::First(_))));
/// ```
pub trait KeyExtractor {
    /// The key, as the table of limiters keeps it.
    type Key: Hash + Eq + Clone;

    /// Returns the key of a request.
    ///
    /// # Errors
    ///
    /// [`NoKey`] if the request has none.
    fn extract(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey>;

    /// Uses `other` for requests that have no key of this extractor, for example the address of
    /// clients without an API key. A request whose key is [ambiguous](NoKey::Ambiguous) has no key
    /// at all.
    fn or<E: KeyExtractor>(self, other: E) -> Or<Self, E>
    where
        Self: Sized,
    {
        Or {
            first: self,
            second: other,
        }
    }
}

/// Why a request has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoKey {
    /// The server did not attach it to the request, mostly by mistake. In axum,
    /// `into_make_service_with_connect_info` is missing. The response is a
    /// `500 Internal Server Error`.
    NotAttached,
    /// The client did not send it. The response is a `400 Bad Request`.
    NotSent,
    /// The client sent something that different readers take for different keys, such as a header
    /// field twice. It is always rejected. Otherwise the code that checks keys could see one
    /// client where the limit sees many or none.
    Ambiguous,
}

impl NoKey {
    /// Returns `true` if the request has no key at all, so that a limit may skip it or look for
    /// another key. An ambiguous key is not absent: the code that checks keys may accept it.
    ///
    /// ```
    /// use tidegate::layer::NoKey;
    ///
    /// assert!(NoKey::NotSent.is_absent());
    /// assert!(!NoKey::Ambiguous.is_absent());
    /// ```
    #[must_use]
    pub const fn is_absent(self) -> bool {
        matches!(self, Self::NotAttached | Self::NotSent)
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAttached => "the server attached no key to limit the request by",
            Self::NotSent => "the request has no key to limit it by",
            Self::Ambiguous => "the key to limit the request by is ambiguous",
        })
    }
}

impl core::error::Error for NoKey {}

/// What a closure that finds keys returns: an `Option<K>` or a `Result<K, NoKey>`.
///
/// ```
/// use http::Request;
/// use tidegate::layer::{KeyExtractor, NoKey, RequestHead};
///
/// let tenant = |request: &RequestHead<'_>| request.headers().get("x-tenant").cloned();
/// // Set by a proxy of ours, so its absence is our mistake.
/// let zone = |request: &RequestHead<'_>| {
///     request.headers().get("x-zone").cloned().ok_or(NoKey::NotAttached)
/// };
/// let request = Request::new(());
/// let request = RequestHead::new(&request);
/// assert_eq!(tenant.extract(&request), Err(NoKey::NotSent)); // 400 Bad Request
/// assert_eq!(zone.extract(&request), Err(NoKey::NotAttached)); // 500 Internal Server Error
/// ```
pub trait FoundKey: sealed::Sealed {
    /// The key, as the table of limiters keeps it.
    type Key: Hash + Eq + Clone;

    /// Returns the key.
    ///
    /// # Errors
    ///
    /// [`NoKey`] if there is none.
    fn found(self) -> Result<Self::Key, NoKey>;
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}

    impl<K> Sealed for Option<K> {}
    impl<K> Sealed for Result<K, super::NoKey> {}
}

/// `None` means that the client did not send the key.
impl<K: Hash + Eq + Clone> FoundKey for Option<K> {
    type Key = K;

    fn found(self) -> Result<K, NoKey> {
        self.ok_or(NoKey::NotSent)
    }
}

impl<K: Hash + Eq + Clone> FoundKey for Result<K, NoKey> {
    type Key = K;

    fn found(self) -> Self {
        self
    }
}

impl<F, R> KeyExtractor for F
where
    F: Fn(&RequestHead<'_>) -> R,
    R: FoundKey,
{
    type Key = R::Key;

    fn extract(&self, request: &RequestHead<'_>) -> Result<R::Key, NoKey> {
        self(request).found()
    }
}

/// Each request needs all keys of a tuple: the first that is missing is the error.
macro_rules! key_tuples {
    ($(($($extractor:ident $index:tt),+))+) => {$(
        impl<$($extractor: KeyExtractor),+> KeyExtractor for ($($extractor,)+) {
            type Key = ($($extractor::Key,)+);

            fn extract(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey> {
                Ok(($(self.$index.extract(request)?,)+))
            }
        }
    )+};
}
key_tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// Tries one extractor and then another: see [`KeyExtractor::or`].
#[derive(Clone, Copy)]
pub struct Or<A, B> {
    first: A,
    second: B,
}

/// A key from [`KeyExtractor::or`]. Equal keys from different extractors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Either<A, B> {
    /// The first extractor found the key.
    First(A),
    /// The second extractor found the key, because the first found none.
    Second(B),
}

impl<A: KeyExtractor, B: KeyExtractor> KeyExtractor for Or<A, B> {
    type Key = Either<A::Key, B::Key>;

    fn extract(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey> {
        match self.first.extract(request) {
            Err(why) if why.is_absent() => self.second.extract(request).map(Either::Second),
            found => found.map(Either::First),
        }
    }
}

/// Omits the extractors, because closures do not implement `Debug`.
impl<A, B> fmt::Debug for Or<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Or").finish_non_exhaustive()
    }
}
