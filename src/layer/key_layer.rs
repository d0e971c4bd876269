//! The layer that finds the key of each request once.

use core::fmt;
use core::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::key_extractor::{KeyExtractor, NoKey};
use super::request_head::RequestHead;

/// Finds the key of each request once, and attaches it for layers further in, handlers and logs, as
/// a [`RequestKey`]. It rejects nothing: a request without a key is attached the reason.
///
/// ```
/// use axum::extract::Extension;
/// use axum::routing::get;
/// use axum::Router;
/// use tidegate::layer::{ApiKey, KeyLayer, PerKey, RateLimitLayer, RequestKey};
/// use tidegate::{FixedKeyed, KeyDigest, Quota};
///
/// let searches = FixedKeyed::new(Quota::per_minute(100), 10_000);
/// let uploads = FixedKeyed::new(Quota::per_hour(10), 10_000);
/// let client = RequestKey::<KeyDigest>::extractor;
/// let hello = |Extension(client): Extension<RequestKey<KeyDigest>>| async move {
///     if client.key().is_ok() { "hello, client" } else { "hello, stranger" }
/// };
/// let app: Router = Router::new()
///     .route("/", get(hello))
///     .route_layer(RateLimitLayer::new((
///         PerKey::new(searches, client()),
///         PerKey::new(uploads, client()),
///     )))
///     // The last layer comes first.
///     .layer(KeyLayer::new(ApiKey::bearer()));
/// # drop(app);
/// ```
#[derive(Clone)]
pub struct KeyLayer<E> {
    extractor: E,
}

impl<E: KeyExtractor> KeyLayer<E> {
    /// Attaches the keys that `extractor` finds.
    pub const fn new(extractor: E) -> Self {
        Self { extractor }
    }
}

/// The key of a request, or why it has none. A [`KeyLayer`] attaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey<K> {
    found: Result<K, NoKey>,
}

impl<K> RequestKey<K> {
    /// Returns the key.
    ///
    /// # Errors
    ///
    /// [`NoKey`] if the request has none.
    pub const fn key(&self) -> Result<&K, NoKey> {
        match &self.found {
            Ok(key) => Ok(key),
            Err(why) => Err(*why),
        }
    }
}

impl<K: core::hash::Hash + Eq + Clone + Send + Sync + 'static> RequestKey<K> {
    /// Returns an extractor of the key that a [`KeyLayer`] has attached. Without that layer, a
    /// request has [no key](NoKey::NotAttached) by a mistake of the server.
    pub const fn extractor() -> impl KeyExtractor<Key = K> + Clone + Send + Sync + 'static {
        |request: &RequestHead<'_>| {
            let attached: Option<&Self> = request.extension();
            attached.ok_or(NoKey::NotAttached)?.found.clone()
        }
    }
}

impl<S, E: Clone> Layer<S> for KeyLayer<E> {
    type Service = WithKey<S, E>;

    fn layer(&self, inner: S) -> WithKey<S, E> {
        WithKey {
            inner,
            extractor: self.extractor.clone(),
        }
    }
}

/// A service whose requests have their keys attached, made by a [`KeyLayer`].
#[derive(Clone)]
pub struct WithKey<S, E> {
    inner: S,
    extractor: E,
}

impl<S, E, A> Service<Request<A>> for WithKey<S, E>
where
    S: Service<Request<A>>,
    E: KeyExtractor<Key: Send + Sync + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> S::Future {
        let found = self.extractor.extract(&RequestHead::new(&request));
        request.extensions_mut().insert(RequestKey { found });
        self.inner.call(request)
    }
}

/// Omits the extractor, because closures do not implement `Debug`.
impl<E> fmt::Debug for KeyLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLayer").finish_non_exhaustive()
    }
}

/// Omits the extractor, because closures do not implement `Debug`.
impl<S: fmt::Debug, E> fmt::Debug for WithKey<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithKey")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
