//! The trait of everything that the requests of a [`PaceLayer`](super::PaceLayer) can wait at.

use alloc::sync::Arc;

use super::gate::MissingKey;
use super::request_head::RequestHead;
use crate::wait::Awaitable;

/// What the requests of a [`PaceLayer`](super::PaceLayer) wait at.
///
/// | gate | requests wait |
/// |---|---|
/// | any [`Awaitable`] limiter, also behind an `Arc` | in one queue |
/// | [`PerKey`](super::PerKey) | in a queue of their key |
///
/// The trait is sealed, as [`Awaitable`] is.
#[diagnostic::on_unimplemented(
    message = "requests cannot wait at `{Self}`",
    note = "they can wait at a bucket, a window, a combination, an `ApiRateLimiter`, an `Arc` of \
            one, and at a `PerKey::new(table, extractor)`"
)]
pub trait PaceGate: PaceOperations {}

impl<G: PaceOperations> PaceGate for G {}

/// What such a gate does. A trait of its own for the reason of `GateOperations`.
#[expect(unnameable_types, reason = "that is what seals it")]
pub trait PaceOperations {
    /// What a request waits at. Its future owns it.
    type Limiter: Awaitable;

    /// Finds where a request waits; `None` if the gate does not limit it.
    fn limiter_of(
        self: &Arc<Self>,
        request: &RequestHead<'_>,
    ) -> Result<Option<Self::Limiter>, MissingKey>;
}

impl<L: Awaitable> PaceOperations for L {
    type Limiter = Arc<L>;

    fn limiter_of(self: &Arc<L>, _: &RequestHead<'_>) -> Result<Option<Arc<L>>, MissingKey> {
        Ok(Some(Arc::clone(self)))
    }
}
