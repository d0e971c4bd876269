//! The layer of a client of an API with quotas: it acquires, sends, observes, retries and settles.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::request_head::RequestHead;
use crate::api::{ApiRateLimiter, RateLimitStatus, TokenEstimate, TokenPermit, is_refusal_status};
use crate::clock::{Clock, DefaultClock};
use crate::token_bucket::TokenBucket;
use crate::wait::{DefaultTimer, Timer};

/// Sends requests within the limits of an API, and again if its server refuses them.
///
/// For each request it
///
/// 1. waits at the limiter for a request and the tokens that it is
///    [estimated](ApiClientLayer::estimate) to use,
/// 2. sends a clone of the request,
/// 3. tells the limiter what the response says, so that a refusal pauses all callers,
/// 4. goes on at 1 if that is a refusal (429, 503 or 529) and a [retry](Self::retries) is left,
/// 5. and hands out the response with its permit in the extensions, a [`ResponsePermit`]: to settle
///    it with the tokens that were used, or to report them while the body is streamed. A permit
///    that is dropped with the response keeps its estimate.
///
/// The waits between retries are those that the limiter computes: `retry-after` and resets of the
/// server, or a backoff that all callers share. Use [`tower_layer::Layer::layer`] on a client of
/// HTTP such as hyper's.
///
/// ```
/// use core::convert::Infallible;
/// use http::{Request, Response};
/// use tidegate::layer::{ApiClientLayer, ResponsePermit};
/// use tidegate::{ApiRateLimiter, ManualClock, TokenUsage};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let api = "50/min, 100k tokens/min".parse()?;
/// let api = ApiRateLimiter::with_clock(api, ManualClock::new())?;
/// let server = service_fn(|_: Request<&'static str>| async {
///     Ok::<_, Infallible>(Response::new("an answer"))
/// });
/// let client = ApiClientLayer::new(api.clone())
///     .estimate(|_| TokenUsage::new(1_000, 4_000).into())
///     .layer(server);
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// let response = runtime.block_on(client.oneshot(Request::new("a prompt")))?;
/// let permit = ResponsePermit::<ManualClock>::take_from(&response).expect("not taken before");
/// permit.settle(TokenUsage::new(1_000, 350));
/// assert_eq!(api.stats().total_tokens_used, 1_350);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ApiClientLayer<C = DefaultClock, T = DefaultTimer> {
    options: Arc<Options<C, T>>,
}

type Estimate = Arc<dyn Fn(&RequestHead<'_>) -> TokenEstimate + Send + Sync>;

struct Options<C, T> {
    api: ApiRateLimiter<C>,
    estimate: Estimate,
    retries: u32,
    budget: Option<Arc<TokenBucket<C>>>,
    timeout: Duration,
    timer: T,
}

impl<C, T: Clone> Clone for Options<C, T> {
    fn clone(&self) -> Self {
        Self {
            api: self.api.clone(),
            estimate: self.estimate.clone(),
            retries: self.retries,
            budget: self.budget.clone(),
            timeout: self.timeout,
            timer: self.timer.clone(),
        }
    }
}

/// Three tries more, as the clients of most providers make.
const RETRIES: u32 = 3;

impl<C: Clock> ApiClientLayer<C> {
    /// A layer whose requests wait for any time, take no tokens, and are sent again up to three
    /// times.
    pub fn new(api: ApiRateLimiter<C>) -> Self {
        Self {
            options: Arc::new(Options {
                api,
                estimate: Arc::new(|_| TokenEstimate::from(0)),
                retries: RETRIES,
                budget: None,
                timeout: Duration::MAX,
                timer: DefaultTimer::new(),
            }),
        }
    }
}

impl<C, T: Clone> ApiClientLayer<C, T> {
    fn set(mut self, set: impl FnOnce(&mut Options<C, T>)) -> Self {
        set(Arc::make_mut(&mut self.options));
        self
    }

    /// Sets how many tokens a request is estimated to use; none by default. For what only the
    /// caller knows, put it into the request's extensions.
    #[must_use]
    pub fn estimate(
        self,
        estimate: impl Fn(&RequestHead<'_>) -> TokenEstimate + Send + Sync + 'static,
    ) -> Self {
        self.set(|options| options.estimate = Arc::new(estimate))
    }

    /// Sets how often a refused request is sent again; 3 by default.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.set(|options| options.retries = retries)
    }

    /// Lets each retry take a token of a bucket, so that retries of all callers stay a fraction of
    /// the calls. A request that finds none is not sent again. Unlimited by default.
    #[must_use]
    pub fn retry_budget(self, budget: impl Into<Arc<TokenBucket<C>>>) -> Self {
        let budget = budget.into();
        self.set(|options| options.budget = Some(budget))
    }

    /// Sets how long a try may wait at the limiter; any time by default. One that cannot be
    /// admitted by then fails at once.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.timeout = timeout)
    }

    /// Sleeps on another timer than the [`DefaultTimer`].
    #[must_use]
    pub fn timer<U: Timer + Clone>(self, timer: U) -> ApiClientLayer<C, U> {
        let Options {
            api,
            estimate,
            retries,
            budget,
            timeout,
            ..
        } = (*self.options).clone();
        ApiClientLayer {
            options: Arc::new(Options {
                api,
                estimate,
                retries,
                budget,
                timeout,
                timer,
            }),
        }
    }
}

impl<C, T> Clone for ApiClientLayer<C, T> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
        }
    }
}

impl<C: fmt::Debug, T> fmt::Debug for ApiClientLayer<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClientLayer")
            .field("api", &self.options.api)
            .field("retries", &self.options.retries)
            .finish_non_exhaustive()
    }
}

impl<S, C, T> Layer<S> for ApiClientLayer<C, T> {
    type Service = ApiClient<S, C, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let options = self.options.clone();
        ApiClient { inner, options }
    }
}

/// A client that keeps to the limits of an API, made by an [`ApiClientLayer`]. Clones share the
/// limiter.
///
/// It is always ready. Each try takes a clone of the inner service, and waits for its readiness
/// once the limiter has admitted the request.
///
/// # Cancel safety
///
/// A call that is dropped while it waits costs nothing. Later its request and its estimate stay
/// charged, because the server may have counted them.
pub struct ApiClient<S, C = DefaultClock, T = DefaultTimer> {
    inner: S,
    options: Arc<Options<C, T>>,
}

impl<S: Clone, C, T> Clone for ApiClient<S, C, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            options: self.options.clone(),
        }
    }
}

impl<S, C: fmt::Debug, T> fmt::Debug for ApiClient<S, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient")
            .field("api", &self.options.api)
            .finish_non_exhaustive()
    }
}

/// Why an [`ApiClient`] has no response.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApiClientError<E> {
    /// The limiter does not admit the request, ever or within the timeout.
    Limited(RateLimitStatus),
    /// The inner service has failed.
    Service(E),
}

impl<E: fmt::Display> fmt::Display for ApiClientError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(status) => status.fmt(f),
            Self::Service(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ApiClientError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Limited(status) => Some(status),
            Self::Service(error) => Some(error),
        }
    }
}

/// The permit of a call, in the extensions of its response. Clones are the same one.
pub struct ResponsePermit<C: Clock = DefaultClock>(Arc<Mutex<Option<TokenPermit<C>>>>);

impl<C: Clock + Send + Sync + 'static> ResponsePermit<C> {
    /// Takes the permit out of a response's extensions; `None` if it was taken before, or if there
    /// is none of this clock.
    pub fn take_from<B>(response: &Response<B>) -> Option<TokenPermit<C>> {
        response.extensions().get::<Self>()?.take()
    }

    /// Takes the permit; `None` if it was taken before.
    pub fn take(&self) -> Option<TokenPermit<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<C: Clock> Clone for ResponsePermit<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Clock> fmt::Debug for ResponsePermit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsePermit").finish_non_exhaustive()
    }
}

impl<S, A, B, C, T> Service<Request<A>> for ApiClient<S, C, T>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    A: Clone + Send + 'static,
    B: Send,
    C: Clock + Send + Sync + 'static,
    T: Timer<Sleep: Send> + Clone + Send + Sync + 'static,
{
    type Response = Response<B>;
    type Error = ApiClientError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let Self { inner, options } = self.clone();
        let estimate = (options.estimate)(&RequestHead::new(&request));
        Box::pin(async move {
            let mut retries = options.retries;
            loop {
                let permit = options.api.acquire_tokens(estimate);
                let permit = permit.timer(options.timer.clone()).timeout(options.timeout);
                let mut permit = permit.await.map_err(ApiClientError::Limited)?;
                let mut service = inner.clone();
                let ready = poll_fn(|context| service.poll_ready(context));
                ready.await.map_err(ApiClientError::Service)?;
                permit.commit();
                let response = service.call(request.clone()).await;
                let mut response = response.map_err(ApiClientError::Service)?;
                permit.observe_response(response.status(), response.headers());
                if is_refusal_status(response.status()) {
                    permit.settle(0);
                    if retries > 0 && options.take_retry() {
                        retries -= 1;
                        continue;
                    }
                } else {
                    let permit = Arc::new(Mutex::new(Some(permit)));
                    response.extensions_mut().insert(ResponsePermit(permit));
                }
                return Ok(response);
            }
        })
    }
}

impl<C: Clock, T> Options<C, T> {
    fn take_retry(&self) -> bool {
        let budget = self.budget.as_ref();
        budget.is_none_or(|budget| budget.try_acquire(1).is_ok())
    }
}
