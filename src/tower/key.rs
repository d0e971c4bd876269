//! Who a request comes from.

use core::hash::Hash;

use http::header::{AUTHORIZATION, HeaderName};

use super::head::RequestHead;
use crate::keyed::{LongKey, LongKeys};

/// Finds the key that a request is limited by: a closure, or one of the extractors here.
///
/// `None` says that the request has no such key; what then happens is up to [`or`](Self::or) and
/// [`PerKey::optional`](super::PerKey::optional).
///
/// ```
/// use std::net::SocketAddr;
/// use http::Request;
/// use tidegate::IpKey;
/// use tidegate::tower::{ApiKey, Either, KeyExtractor, RequestHead};
///
/// // axum's `ConnectInfo<SocketAddr>`, or whatever else your server attaches to requests.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
/// let peer = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<Peer>()?.0));
///
/// let client = ApiKey::header("x-api-key".parse().unwrap()).or(peer);
/// let mut request = Request::new(());
/// assert!(client.extract(&RequestHead::of(&request)).is_none());
/// request.extensions_mut().insert(Peer("203.0.113.7:1234".parse().unwrap()));
/// assert!(matches!(client.extract(&RequestHead::of(&request)), Some(Either::Second(_))));
/// request.headers_mut().insert("x-api-key", "sk-7f3a9c".parse().unwrap());
/// assert!(matches!(client.extract(&RequestHead::of(&request)), Some(Either::First(_))));
/// ```
pub trait KeyExtractor {
    /// What the limiter keeps.
    type Key: Hash + Eq + Clone;

    /// The key of a request; `None` if it has none.
    fn extract(&self, request: &RequestHead<'_>) -> Option<Self::Key>;

    /// This key, or another where a request has none: an API key, and the address for those without.
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

impl<F, K> KeyExtractor for F
where
    F: Fn(&RequestHead<'_>) -> Option<K>,
    K: Hash + Eq + Clone,
{
    type Key = K;

    fn extract(&self, request: &RequestHead<'_>) -> Option<K> {
        self(request)
    }
}

/// One key or the other: see [`KeyExtractor::or`].
#[derive(Clone, Copy, Debug)]
pub struct Or<A, B> {
    first: A,
    second: B,
}

/// The key of one extractor or of another: what [`KeyExtractor::or`] gives. Equal keys of different extractors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Either<A, B> {
    /// Of the first.
    First(A),
    /// Of the second, for the first had none.
    Second(B),
}

impl<A: KeyExtractor, B: KeyExtractor> KeyExtractor for Or<A, B> {
    type Key = Either<A::Key, B::Key>;

    fn extract(&self, request: &RequestHead<'_>) -> Option<Self::Key> {
        let first = self.first.extract(request).map(Either::First);
        first.or_else(|| self.second.extract(request).map(Either::Second))
    }
}

/// The key that a client sends in a header field, as a keyed digest: see [`LongKeys`].
///
/// No key: a field that is missing or empty, a token of several words, and a field that is there more than once, since whoever
/// checks it may take another of them than is limited here. A client that invents keys gets a limit of its own for each. So put
/// this behind the layer that checks keys, or limit addresses as well.
///
/// ```
/// use http::Request;
/// use tidegate::tower::{ApiKey, KeyExtractor, RequestHead};
///
/// let token = ApiKey::bearer();
/// let key = |value: &str| {
///     let request = Request::builder().header("authorization", value).body(()).unwrap();
///     token.extract(&RequestHead::of(&request))
/// };
/// assert!(key("Bearer 7f3a9c").is_some());
/// assert_eq!(key("bearer   7f3a9c"), key("Bearer 7f3a9c")); // the same token, however it is written
/// assert_eq!(key("Basic dGlkZTpnYXRl"), None);
/// ```
#[derive(Clone, Debug)]
pub struct ApiKey {
    header: HeaderName,
    is_bearer: bool,
    digests: LongKeys,
}

impl ApiKey {
    /// The whole value of a header field.
    ///
    /// # Panics
    ///
    /// As [`LongKeys::new`].
    pub fn header(name: HeaderName) -> Self {
        Self {
            header: name,
            is_bearer: false,
            digests: LongKeys::new(),
        }
    }

    /// The token of `Authorization: Bearer`. Not the whole value, of which a client could write many forms for one token.
    ///
    /// # Panics
    ///
    /// As [`LongKeys::new`].
    pub fn bearer() -> Self {
        Self {
            is_bearer: true,
            ..Self::header(AUTHORIZATION)
        }
    }

    /// The same with digests of your own, for limiters that must know them elsewhere too: tiers of customers above all.
    #[must_use]
    pub fn digests(self, digests: LongKeys) -> Self {
        Self { digests, ..self }
    }
}

impl KeyExtractor for ApiKey {
    type Key = LongKey;

    fn extract(&self, request: &RequestHead<'_>) -> Option<LongKey> {
        let mut values = request.headers().get_all(&self.header).iter();
        let value = values.next()?.as_bytes();
        if values.next().is_some() {
            return None;
        }
        let key = if self.is_bearer {
            bearer_token(value)?
        } else {
            value.trim_ascii()
        };
        (!key.is_empty()).then(|| self.digests.key(key))
    }
}

/// Schemes are in any case, and followed by at least one space (RFC 9110, section 11.4).
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, token) = value.trim_ascii().split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME) && token.first() == Some(&b' ');
    let token = token.trim_ascii();
    // A server may read one word and ignore further ones, of which a client can invent as many as it likes.
    let is_one_word = !token.iter().any(u8::is_ascii_whitespace);
    (is_bearer && is_one_word).then_some(token)
}
