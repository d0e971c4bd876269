//! The code that both layers, their builders and their services have.

/// Implements a layer and its builder, given the service, the first parameter (the limiter or gate)
/// and the others. Those after the semicolon stand behind `R`. Each type holds a `LayerPolicy` in
/// `policy`, the layer and the service in an `Arc`.
macro_rules! impl_layer {
    (
        $layer:ident,
        $builder:ident,
        $service:ident<$limiter:ident $(, $parameter:ident)* $(; $last:ident)?>
    ) => {
        impl<$limiter $(, $parameter)*, R $(, $last)?>
            $layer<$limiter $(, $parameter)*, R $(, $last)?>
        {
            /// Returns how many requests had which outcome so far, in all services of the layer.
            ///
            /// A [`PaceLayer`](super::PaceLayer) does not count requests that wait, or that were
            /// dropped while they waited.
            pub fn stats(&self) -> RateLimitLayerStats {
                self.policy.stats()
            }
        }

        impl<S, $limiter $(, $parameter)*, R $(, $last)?> Layer<S>
            for $layer<$limiter $(, $parameter)*, R $(, $last)?>
        {
            type Service = $service<S, $limiter $(, $parameter)*, R $(, $last)?>;

            fn layer(&self, inner: S) -> Self::Service {
                $service::new(inner, Arc::clone(&self.policy))
            }
        }

        /// A derived `Clone` would require that limiters can be cloned.
        impl<$limiter $(, $parameter)*, R $(, $last)?> Clone
            for $layer<$limiter $(, $parameter)*, R $(, $last)?>
        {
            fn clone(&self) -> Self {
                Self {
                    policy: Arc::clone(&self.policy),
                }
            }
        }

        impl<$limiter: fmt::Debug $(, $parameter)*, R $(, $last)?> fmt::Debug
            for $layer<$limiter $(, $parameter)*, R $(, $last)?>
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($layer)).field(&self.policy).finish()
            }
        }

        impl<$limiter $(, $parameter)*, R $(, $last)?>
            $builder<$limiter $(, $parameter)*, R $(, $last)?>
        {
            /// Sets the name for header fields, rejections, metrics and logs; `default` by default.
            ///
            /// If a route has several layers, give each a name of its own. Otherwise clients
            /// mistake their policies for one.
            pub fn name(mut self, name: &str) -> Self {
                self.policy.name = Box::from(name);
                self
            }

            /// Sets how many permits a request takes; 1 by default.
            ///
            /// A request of cost 0 passes at once and takes none. A request that costs more than
            /// the limit's capacity is rejected, without a hint when to retry.
            pub fn cost(
                mut self,
                cost: impl Fn(&RequestHead<'_>) -> u64 + Send + Sync + 'static,
            ) -> Self {
                self.policy.cost = Some(Box::new(cost));
                self
            }

            /// Sets which requests the limit does not apply to, such as health checks.
            ///
            /// An exempt request passes at once. It needs no key, takes no permit and gets no
            /// header fields. Decide by something that clients cannot forge.
            ///
            /// Let a CORS layer outside of this one answer preflight requests (`OPTIONS`). It then
            /// also labels rejections.
            pub fn exempt(
                mut self,
                exempt: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
            ) -> Self {
                self.policy.exempt = Some(Box::new(exempt));
                self
            }

            /// Sets the function that responds to rejected requests.
            ///
            /// The layer adds its header fields to the response. A `Retry-After` that the function
            /// sets stays.
            pub fn reject_with<Q, B>(
                self,
                reject: Q,
            ) -> $builder<$limiter $(, $parameter)*, Q $(, $last)?>
            where
                Q: Fn(&Rejection<'_>) -> Response<B>,
            {
                self.reject(reject)
            }

            /// Sets any [`Reject`](super::Reject) to respond to rejected requests, for example
            /// [`ResourceExhausted`](super::ResourceExhausted).
            pub fn reject<Q>(
                self,
                reject: Q,
            ) -> $builder<$limiter $(, $parameter)*, Q $(, $last)?> {
                $builder {
                    policy: self.policy.with_reject(reject),
                }
            }

            /// Creates the layer.
            pub fn build(self) -> $layer<$limiter $(, $parameter)*, R $(, $last)?> {
                $layer {
                    policy: Arc::new(self.policy),
                }
            }
        }

        impl<$limiter: fmt::Debug $(, $parameter)*, R $(, $last)?> fmt::Debug
            for $builder<$limiter $(, $parameter)*, R $(, $last)?>
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($builder)).field(&self.policy).finish()
            }
        }
    };
}

/// Implements a service around `inner`, given its parameters as in `impl_layer!` and its own
/// options.
macro_rules! impl_service {
    ($service:ident<$limiter:ident $(, $parameter:ident)* $(; $last:ident)?>, $options:ty) => {
        impl<S, $limiter $(, $parameter)*, R $(, $last)?>
            $service<S, $limiter $(, $parameter)*, R $(, $last)?>
        {
            pub(super) const fn new(inner: S, policy: Arc<LayerPolicy<$options, R>>) -> Self {
                Self { inner, policy }
            }

            /// Returns the inner service.
            pub const fn get_ref(&self) -> &S {
                &self.inner
            }

            /// Returns the inner service for changes.
            pub const fn get_mut(&mut self) -> &mut S {
                &mut self.inner
            }

            /// Unwraps the inner service.
            pub fn into_inner(self) -> S {
                self.inner
            }
        }

        /// A derived `Clone` would require that limiters can be cloned.
        impl<S: Clone, $limiter $(, $parameter)*, R $(, $last)?> Clone
            for $service<S, $limiter $(, $parameter)*, R $(, $last)?>
        {
            fn clone(&self) -> Self {
                Self {
                    inner: self.inner.clone(),
                    policy: Arc::clone(&self.policy),
                }
            }
        }

        impl<S: fmt::Debug, $limiter: fmt::Debug $(, $parameter)*, R $(, $last)?> fmt::Debug
            for $service<S, $limiter $(, $parameter)*, R $(, $last)?>
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($service))
                    .field("inner", &self.inner)
                    .field("policy", &self.policy)
                    .finish()
            }
        }
    };
}

pub(super) use {impl_layer, impl_service};
