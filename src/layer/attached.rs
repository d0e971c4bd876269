//! The key that the server or an outer layer has attached to a request.

use core::fmt;
use core::hash::Hash;
use core::marker::PhantomData;

use super::key_extractor::{KeyExtractor, NoKey};
use super::request_head::RequestHead;

/// Makes the key from an [extension](http::Extensions) of the request, which the server or an outer
/// layer attached. A request without the extension has [no key](NoKey::NotAttached) by a mistake of
/// the server.
///
/// | extension | attached by |
/// |---|---|
/// | `ConnectInfo<SocketAddr>` | axum, if it is served with `into_make_service_with_connect_info` |
/// | `MatchedPath` | axum, to requests of a route: `/users/{id}` for `/users/7` |
/// | an address of the PROXY protocol | your server, where it accepts connections |
/// | the user, the account | your layer that checks credentials |
/// | [`RequestKey`](super::RequestKey) | a [`KeyLayer`](super::KeyLayer) |
///
/// A closure that returns an `Option` makes `None` a key, which all such requests share. Where that
/// should be no key, use a closure of the whole request as extractor.
///
/// ```
/// use axum::extract::{ConnectInfo, MatchedPath};
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use tidegate::layer::{Attached, PerKey, RateLimitLayer};
/// use tidegate::{FixedKeyed, IpKey, Quota};
///
/// let peer = Attached::new(|peer: &ConnectInfo<SocketAddr>| IpKey::from(peer.0));
/// let route = Attached::new(|path: &MatchedPath| Arc::<str>::from(path.as_str()));
/// // Each client at each route. Put it on with `Router::route_layer`: outside of the routes, no
/// // route is known yet.
/// let limits = FixedKeyed::new(Quota::per_minute(100), 50_000);
/// let layer = RateLimitLayer::new(PerKey::new(limits, (peer, route)));
/// # drop(layer);
/// ```
pub struct Attached<T, F> {
    key: F,
    /// The closure takes a `T`, and none is kept.
    extension: PhantomData<fn(&T)>,
}

impl<T, F, K> Attached<T, F>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&T) -> K,
    K: Hash + Eq + Clone,
{
    /// Makes the key of the extension of type `T`, which the closure's parameter names.
    pub const fn new(key: F) -> Self {
        Self {
            key,
            extension: PhantomData,
        }
    }
}

impl<T, F, K> KeyExtractor for Attached<T, F>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&T) -> K,
    K: Hash + Eq + Clone,
{
    type Key = K;

    #[inline]
    fn extract(&self, request: &RequestHead<'_>) -> Result<K, NoKey> {
        let extension = request.extension().ok_or(NoKey::NotAttached)?;
        Ok((self.key)(extension))
    }
}

impl<T, F: Copy> Copy for Attached<T, F> {}

impl<T, F: Clone> Clone for Attached<T, F> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            extension: PhantomData,
        }
    }
}

/// Omits the closure, which does not implement `Debug`.
impl<T, F> fmt::Debug for Attached<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}
