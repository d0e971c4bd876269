//! The trait that finds a request's key, and combinations of extractors.

use core::fmt;
use core::hash::Hash;

use super::request_head::RequestHead;

/// Finds the key that a request is limited by.
///
/// [`ApiKey`](super::ApiKey), [`ForwardedFor`](super::ForwardedFor) and closures are extractors. A
/// closure returns an `Option`, whose `None` becomes [`NoKey::NotAttached`].
///
/// ```
/// use std::net::SocketAddr;
/// use http::Request;
/// use tidegate::IpKey;
/// use tidegate::tower::{ApiKey, Either, KeyExtractor, NoKey, RequestHead};
///
/// // What your server attaches to requests. In axum it is `ConnectInfo<SocketAddr>`.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
/// let peer = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<Peer>()?.0));
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
    /// `into_make_service_with_connect_info` is missing.
    NotAttached,
    /// The client did not send it.
    NotSent,
    /// The client sent something that different readers take for different keys, such as a header
    /// field twice. It is always rejected. Otherwise the code that checks keys could see one
    /// client where the limit sees many or none.
    Ambiguous,
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

impl<F, K> KeyExtractor for F
where
    F: Fn(&RequestHead<'_>) -> Option<K>,
    K: Hash + Eq + Clone,
{
    type Key = K;

    fn extract(&self, request: &RequestHead<'_>) -> Result<K, NoKey> {
        self(request).ok_or(NoKey::NotAttached)
    }
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
            Err(NoKey::NotAttached | NoKey::NotSent) => {
                self.second.extract(request).map(Either::Second)
            }
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
