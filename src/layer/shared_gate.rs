//! The trait of limits that decide later, such as on a server that many processes share.

use alloc::sync::Arc;
use core::future::Future;

use super::key_extractor::NoKey;
use super::named::Named;
use super::request_head::RequestHead;
use super::shared_decision::SharedDecision;

/// A limit that many processes share, and that therefore decides asynchronously: see
/// [`shared`](super::RateLimitLayerBuilder::shared).
///
/// The crate `tidegate-redis` has such gates, for limits on Redis and Valkey. Implement the trait
/// for a limit that another service decides. [`Named`] gives a gate a name, and an `Arc` shares it.
///
/// ```
/// use core::time::Duration;
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use tidegate::layer::{NoKey, RateLimitLayer, RequestHead, SharedDecision, SharedGate};
/// use tidegate::{Denied, Snapshot};
/// use tokio::sync::Mutex;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// /// Stands for a client of a service that counts the requests of each tenant in a minute.
/// struct Quotas(Mutex<u64>);
///
/// impl SharedGate for Quotas {
///     type Key = String;
///
///     fn find(&self, request: &RequestHead<'_>) -> Result<String, NoKey> {
///         let tenant = request.headers().get("tenant").ok_or(NoKey::NotSent)?;
///         Ok(tenant.to_str().map_err(|_| NoKey::Ambiguous)?.to_owned())
///     }
///
///     async fn decide(&self, _tenant: &String, n: u64) -> SharedDecision {
///         let mut left = self.0.lock().await; // a real one asks the service about the tenant
///         let minute = Duration::from_secs(60);
///         let mut snapshot = Snapshot::new(100, minute);
///         snapshot.next_permit_in = Some(minute);
///         let decision = match left.checked_sub(n) {
///             Some(rest) => {
///                 *left = rest;
///                 SharedDecision::admitted()
///             }
///             None => SharedDecision::denied(Denied::NotYet { retry_after: minute.into() }),
///         };
///         snapshot.available = *left;
///         decision.describe([snapshot])
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let layer = RateLimitLayer::shared(Quotas(Mutex::new(1)));
/// let serve = |_| async { Ok::<_, Infallible>(Response::new(String::new())) };
/// let ask = async || {
///     let request = Request::get("/").header("tenant", "acme").body(())?;
///     let response = layer.layer(service_fn(serve)).oneshot(request).await?;
///     Ok::<_, Box<dyn std::error::Error>>(response)
/// };
/// assert_eq!(ask().await?.headers()["ratelimit"], r#""default";r=0;t=60"#);
/// let refused = ask().await?;
/// assert_eq!(refused.status(), 429);
/// assert_eq!(refused.headers()["retry-after"], "60");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shared gate",
    note = "a shared gate is a type that implements `SharedGate`, such as those of the crate \
            `tidegate-redis` with its feature `tower`, a `Named` of one, or an `Arc` of one"
)]
pub trait SharedGate: Send + Sync + 'static {
    /// What the gate reads from a request; `()` if it limits all requests together.
    type Key: Send + Sync + 'static;

    /// Returns the key of a request.
    ///
    /// # Errors
    ///
    /// [`NoKey`] if the request has none. It is then rejected before any limit is charged.
    fn find(&self, request: &RequestHead<'_>) -> Result<Self::Key, NoKey>;

    /// Takes `n` permits, at least one, or refuses and takes none.
    ///
    /// # Cancel safety
    ///
    /// The layer drops the future when the client leaves. A request that was sent elsewhere may
    /// have been charged by then.
    fn decide(&self, key: &Self::Key, n: u64) -> impl Future<Output = SharedDecision> + Send;

    /// Returns the name of the gate, for rejections that are about none of its limits. `None`, the
    /// default, stands for the layer's name.
    fn name(&self) -> Option<&'static str> {
        None
    }
}

impl<G: SharedGate> SharedGate for Arc<G> {
    type Key = G::Key;

    fn find(&self, request: &RequestHead<'_>) -> Result<G::Key, NoKey> {
        (**self).find(request)
    }

    fn decide(&self, key: &G::Key, n: u64) -> impl Future<Output = SharedDecision> + Send {
        (**self).decide(key, n)
    }

    fn name(&self) -> Option<&'static str> {
        (**self).name()
    }
}

impl<G: SharedGate> SharedGate for Named<G> {
    type Key = G::Key;

    fn find(&self, request: &RequestHead<'_>) -> Result<G::Key, NoKey> {
        self.gate().find(request)
    }

    async fn decide(&self, key: &G::Key, n: u64) -> SharedDecision {
        self.gate().decide(key, n).await.named(self.name)
    }

    fn name(&self) -> Option<&'static str> {
        Some(self.name)
    }
}
