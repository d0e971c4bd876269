//! The key in a header field.

use alloc::sync::Arc;
use core::fmt;

use http::header::{AUTHORIZATION, HeaderName};

use super::key_extractor::{KeyExtractor, NoKey};
use super::request_head::RequestHead;
use crate::keyed::{KeyDigest, KeyDigester};

/// Extracts the key that a client sends in a header field, as a keyed digest: see [`KeyDigester`].
///
/// A missing or blank field is [no key](NoKey::NotSent). A repeated field is
/// [ambiguous](NoKey::Ambiguous), because the code that checks keys may read another line than this
/// extractor.
///
/// # Invented keys
///
/// A client that invents keys gets a new limit for each. To prevent that, set which keys are
/// [known](Self::known), put the layer behind the one that checks keys, or limit addresses as well.
///
/// A client with many tokens has as many limits. So has a client that can write one token in
/// several forms that your check accepts. Behind the check, use a closure that returns the account.
///
/// ```
/// use http::Request;
/// use tidegate::layer::{ApiKey, KeyExtractor, NoKey, RequestHead};
///
/// let token = ApiKey::bearer();
/// let key = |value: &str| {
///     let request = Request::builder().header("authorization", value).body(()).unwrap();
///     token.extract(&RequestHead::new(&request))
/// };
/// assert!(key("Bearer 7f3a9c").is_ok());
/// assert_eq!(key("bearer   7f3a9c"), key("Bearer 7f3a9c")); // the same token in another form
/// assert_eq!(key("Basic dGlkZTpnYXRl"), Err(NoKey::NotSent));
/// assert_eq!(key("Bearer 7f3a9c, 7f3a9d"), Err(NoKey::Ambiguous));
/// ```
#[derive(Clone)]
pub struct ApiKey {
    header: HeaderName,
    is_bearer: bool,
    digester: KeyDigester,
    is_known: Option<IsKnown>,
}

/// Shared by clones.
type IsKnown = Arc<dyn Fn(&KeyDigest) -> bool + Send + Sync>;

impl ApiKey {
    /// Extracts the whole value of a header field.
    ///
    /// # Panics
    ///
    /// As [`KeyDigester::new`].
    pub fn header(name: HeaderName) -> Self {
        Self {
            header: name,
            is_bearer: false,
            digester: KeyDigester::new(),
            is_known: None,
        }
    }

    /// Extracts the token of `Authorization: Bearer`. The whole value would not do, because a
    /// client could write one token in many forms.
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

    /// Uses your own digester, for limiters that need to recognize keys elsewhere, such as tiers of
    /// customers.
    #[must_use]
    pub fn digester(self, digester: KeyDigester) -> Self {
        Self { digester, ..self }
    }

    /// Accepts only known keys, and treats any other as [not sent](NoKey::NotSent). If clients
    /// without a key are limited by their address, inventing keys then gains nothing.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::net::SocketAddr;
    /// use tidegate::layer::{ApiKey, Attached, Either, KeyExtractor, PerKey, RateLimitLayer};
    /// use tidegate::{IpKey, Keyed, KeyDigest, KeyDigester, Quota, TokenBucket};
    ///
    /// let digester = KeyDigester::new();
    /// let accounts = [("sk-alice", Quota::per_second(100)), ("sk-bob", Quota::per_second(10))];
    /// let quotas: HashMap<KeyDigest, Quota> =
    ///     accounts.map(|(key, quota)| (digester.digest(key), quota)).into();
    /// let known = quotas.clone();
    /// let api_key = ApiKey::bearer().digester(digester).known(move |key| known.contains_key(key));
    /// # #[derive(Clone)]
    /// # struct Peer(SocketAddr);
    /// let address = Attached::new(|peer: &Peer| IpKey::from(peer.0));
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
        let key = self.digester.digest(key);
        match &self.is_known {
            Some(is_known) if !is_known(&key) => Err(NoKey::NotSent),
            _ => Ok(key),
        }
    }
}

/// Shows nothing about keys.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("header", &self.header)
            .field("is_bearer", &self.is_bearer)
            .finish_non_exhaustive()
    }
}

/// Reads a scheme in any case, space, and a token (RFC 9110, section 11.4; RFC 6750, section 2.1).
fn bearer_token(value: &[u8]) -> Result<&[u8], NoKey> {
    const SCHEME: &[u8] = b"bearer";
    let split = value.trim_ascii().split_at_checked(SCHEME.len());
    let (scheme, token) = split.ok_or(NoKey::NotSent)?;
    let is_bearer =
        scheme.eq_ignore_ascii_case(SCHEME) && token.first().is_none_or(u8::is_ascii_whitespace);
    if !is_bearer {
        return Err(NoKey::NotSent);
    }
    let token = token.trim_ascii();
    // Tokens contain neither space nor comma. Some servers read only up to the first, so what
    // follows would make another key of the same token.
    let is_separator = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    if token.iter().any(is_separator) {
        return Err(NoKey::Ambiguous);
    }
    Ok(token)
}
