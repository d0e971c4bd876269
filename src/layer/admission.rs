//! What an admitted request takes along.

use core::fmt;

use http::{HeaderMap, Response};

use super::held::Held;
use super::response_head::ResponseHead;
use super::response_headers::Headers;
use super::settle::Settlement;

/// A request that a layer has admitted by hand: see
/// [`RateLimitLayer::decide`](super::RateLimitLayer::decide).
///
/// It owes the response header fields, and the layer a settlement if it
/// [settles](super::RateLimitLayerBuilder::settle). It keeps the permits of limits on requests at
/// the same time until it is dropped.
#[must_use = "it keeps permits, and has header fields for the response"]
pub struct Admission<H = ()> {
    headers: Headers,
    held: Option<H>,
    settlement: Option<Settlement>,
}

impl<H> Admission<H> {
    pub(super) const fn new(
        headers: Headers,
        held: Option<H>,
        settlement: Option<Settlement>,
    ) -> Self {
        Self {
            headers,
            held,
            settlement,
        }
    }

    /// Settles the request by its response. Does nothing the second time, and if the layer does not
    /// settle.
    pub fn settle(&mut self, response: &ResponseHead<'_>) {
        if let Some(settle) = self.settlement.take() {
            settle(response);
        }
    }

    /// Writes the header fields of a success to those of the response, whatever its status. Does
    /// nothing the second time.
    pub fn write_to(&mut self, headers: &mut HeaderMap) {
        self.headers.write_to(headers);
    }
}

impl<H> Admission<H> {
    /// Returns what the body of the response would keep, for a server with bodies of its own: the
    /// permits of limits on requests at the same time, which come back when they are dropped, and
    /// the [`BytesCharge`](super::BytesCharge) of a limit on bytes. `None` if the layer has no such
    /// limit.
    pub fn into_permits(self) -> Option<H> {
        self.held
    }
}

impl<H: Held> Admission<H> {
    /// Settles the request, writes the header fields, and gives the permits to the body.
    pub fn respond<B>(mut self, mut response: Response<B>) -> Response<H::Body<B>> {
        self.settle(&ResponseHead::new(&response));
        self.headers.write_to_response(&mut response);
        match self.held {
            Some(held) => held.hold(response),
            None => H::free(response),
        }
    }
}

impl<H> fmt::Debug for Admission<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("is_held", &self.held.is_some())
            .field("is_settled_later", &self.settlement.is_some())
            .finish_non_exhaustive()
    }
}
