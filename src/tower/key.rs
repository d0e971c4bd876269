//! Who a request comes from.

use alloc::sync::Arc;
use core::fmt;
use core::hash::Hash;

use http::header::{AUTHORIZATION, HeaderName};

use super::head::RequestHead;
use crate::keyed::{KeyDigest, KeyDigester};

/// Finds the key that a request is limited by: a closure, or one of the extractors here.
///
/// A closure gives an `Option`, whose `None` is [`NoKey::NotAttached`].
///
/// ```
/// use std::net::SocketAddr;
/// use http::Request;
/// use tidegate::IpKey;
/// use tidegate::tower::{ApiKey, Either, KeyExtractor, NoKey, RequestHead};
///
/// // axum's `ConnectInfo<SocketAddr>`, or whatever else your server attaches to requests.
/// #[derive(Clone)]
/// struct Peer(SocketAddr);
/// let peer = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<Peer>()?.0));
///
/// let client = ApiKey::header("x-api-key".parse().unwrap()).or(peer);
/// let mut request = Request::new(());
/// assert_eq!(client.extract(&RequestHead::of(&request)), Err(NoKey::NotAttached));
/// request.extensions_mut().insert(Peer("203.0.113.7:1234".parse().unwrap()));
/// assert!(matches!(client.extract(&RequestHead::of(&request)), Ok(Either::Second(_))));
/// request.headers_mut().insert("x-api-key", "sk-7f3a9c".parse().unwrap());
/// assert!(matches!(client.extract(&RequestHead::of(&request)), Ok(Either::First(_))));
/// ```
pub trait KeyExtractor {
    /// What the limiter keeps.
    type Key: Hash + Eq + Clone;

    /// The key of a request.
    ///
    /// # Errors
    ///
    /// [`NoKey`] says why there is none.
    fn extract(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey>;

    /// This key, or another where a request has none: an API key, and the address for those without. (Not where it is
    /// [unclear](NoKey::Ambiguous).)
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
    /// The server has not attached it to the request: mostly a mistake of its own. In axum,
    /// `into_make_service_with_connect_info` is missing.
    NotAttached,
    /// The client has not sent it.
    NotSent,
    /// The client has sent something of which not everybody reads the same key, such as a header field twice. It is refused in
    /// any case, or it could be one client to whoever checks keys, and many or none to the limit.
    Ambiguous,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAttached => "the server has attached no key to limit this by",
            Self::NotSent => "the key to limit this by is missing",
            Self::Ambiguous => "the key to limit this by is not clear",
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

/// One key or the other: see [`KeyExtractor::or`].
#[derive(Clone, Copy)]
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

    fn extract(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey> {
        match self.first.extract(request) {
            Err(NoKey::NotAttached | NoKey::NotSent) => {
                self.second.extract(request).map(Either::Second)
            }
            found => found.map(Either::First),
        }
    }
}

/// Not derived, which would ask for extractors that can be shown: closures cannot.
impl<A, B> fmt::Debug for Or<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Or").finish_non_exhaustive()
    }
}

/// The key that a client sends in a header field, as a keyed digest: see [`KeyDigester`].
///
/// A field that is missing or blank is [no key](NoKey::NotSent); one that is there more than once is [unclear](NoKey::Ambiguous), since
/// whoever checks it may take another line than is limited here.
///
/// A client that invents keys gets a limit of its own for each: so say which are [known](Self::known), put this behind the layer that
/// checks them, or limit addresses as well. And a key is limited, not a client: who can have many tokens, or write one token in many ways that your check accepts, has
/// as many limits. Behind the check, limit by the account that it found, with a closure.
///
/// ```
/// use http::Request;
/// use tidegate::tower::{ApiKey, KeyExtractor, NoKey, RequestHead};
///
/// let token = ApiKey::bearer();
/// let key = |value: &str| {
///     let request = Request::builder().header("authorization", value).body(()).unwrap();
///     token.extract(&RequestHead::of(&request))
/// };
/// assert!(key("Bearer 7f3a9c").is_ok());
/// assert_eq!(key("bearer   7f3a9c"), key("Bearer 7f3a9c")); // the same token, however it is written
/// assert_eq!(key("Basic dGlkZTpnYXRl"), Err(NoKey::NotSent));
/// assert_eq!(key("Bearer 7f3a9c, 7f3a9d"), Err(NoKey::Ambiguous));
/// ```
#[derive(Clone)]
pub struct ApiKey {
    header: HeaderName,
    is_bearer: bool,
    digests: KeyDigester,
    is_known: Option<Known>,
}

/// Shared by clones.
type Known = Arc<dyn Fn(&KeyDigest) -> bool + Send + Sync>;

impl ApiKey {
    /// The whole value of a header field.
    ///
    /// # Panics
    ///
    /// As [`KeyDigester::new`].
    pub fn header(name: HeaderName) -> Self {
        Self {
            header: name,
            is_bearer: false,
            digests: KeyDigester::new(),
            is_known: None,
        }
    }

    /// The token of `Authorization: Bearer`. Not the whole value, of which a client could write many forms for one token.
    ///
    /// # Panics
    ///
    /// As [`KeyDigester::new`].
    pub fn bearer() -> Self {
        Self {
            is_bearer: true,
            ..Self::header(AUTHORIZATION)
        }
    }

    /// The same with digests of your own, for limiters that must know them elsewhere too: tiers of customers above all.
    #[must_use]
    pub fn digests(self, digests: KeyDigester) -> Self {
        Self { digests, ..self }
    }

    /// The same, but only for keys that you know; another is as if it had [not been sent](NoKey::NotSent). Then a client gains nothing by
    /// inventing keys, if it is limited by its address without one.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::net::SocketAddr;
    /// use tidegate::tower::{ApiKey, Either, KeyExtractor, PerKey, RateLimitLayer, RequestHead};
    /// use tidegate::{IpKey, Keyed, KeyDigest, KeyDigester, Quota, TokenBucket};
    ///
    /// let digests = KeyDigester::new();
    /// let accounts = [("sk-alice", Quota::per_second(100)), ("sk-bob", Quota::per_second(10))];
    /// let quotas: HashMap<KeyDigest, Quota> = accounts.map(|(key, quota)| (digests.digest(key), quota)).into();
    /// let known = quotas.clone();
    /// let api_key = ApiKey::bearer().digests(digests).known(move |key| known.contains_key(key));
    /// # #[derive(Clone)]
    /// # struct Peer(SocketAddr);
    /// let address = |request: &RequestHead<'_>| Some(IpKey::from(request.extension::<Peer>()?.0));
    ///
    /// let limits = Keyed::new(move |client: &Either<KeyDigest, IpKey>| match client {
    ///     Either::First(key) => TokenBucket::new(quotas[key]),
    ///     Either::Second(_) => TokenBucket::new(Quota::per_minute(10)),
    /// });
    /// let layer = RateLimitLayer::new(PerKey::new(limits, api_key.or(address)));
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn known(self, is_known: impl Fn(&KeyDigest) -> bool + Send + Sync + 'static) -> Self {
        Self {
            is_known: Some(Arc::new(is_known)),
            ..self
        }
    }
}

impl KeyExtractor for ApiKey {
    type Key = KeyDigest;

    fn extract(&self, request: &RequestHead<'_>) -> Result<KeyDigest, NoKey> {
        let mut values = request.headers().get_all(&self.header).iter();
        let value = values.next().ok_or(NoKey::NotSent)?.as_bytes();
        if values.next().is_some() {
            return Err(NoKey::Ambiguous);
        }
        let key = if self.is_bearer {
            bearer_token(value)?
        } else {
            value.trim_ascii()
        };
        if key.is_empty() {
            return Err(NoKey::NotSent);
        }
        let key = self.digests.digest(key);
        match &self.is_known {
            Some(is_known) if !is_known(&key) => Err(NoKey::NotSent),
            _ => Ok(key),
        }
    }
}

/// Nothing about keys.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("header", &self.header)
            .field("is_bearer", &self.is_bearer)
            .finish_non_exhaustive()
    }
}

/// A scheme in any case, space, and a token (RFC 9110, section 11.4; RFC 6750, section 2.1).
fn bearer_token(value: &[u8]) -> Result<&[u8], NoKey> {
    const SCHEME: &[u8] = b"bearer";
    let split = value.trim_ascii().split_at_checked(SCHEME.len());
    let (scheme, token) = split.ok_or(NoKey::NotSent)?;
    let is_bearer =
        scheme.eq_ignore_ascii_case(SCHEME) && token.first().is_none_or(u8::is_ascii_whitespace);
    let token = token.trim_ascii();
    if !is_bearer {
        return Err(NoKey::NotSent);
    }
    // Tokens have neither. Some who check them read up to the first, and whatever follows would be another key.
    if token
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || *byte == b',')
    {
        return Err(NoKey::Ambiguous);
    }
    Ok(token)
}
