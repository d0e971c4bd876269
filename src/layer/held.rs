//! What a request keeps until it is over: permits of limits on requests at the same time, and
//! charges of limits on bytes.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Buf;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::in_flight::InFlightPermit;

/// What a gate gives to an admitted request, to keep until its response has ended.
///
/// Rates give nothing, and leave the response's body as it is.
///
/// The trait is for bounds in generic code: `<F::Held as Held>::Body<B>` is the body of responses
/// behind a layer whose [`InFlightGate`](super::InFlightGate) is `F`.
pub trait Held: Send + 'static {
    /// The body that keeps it.
    type Body<B>;

    /// Gives it to the body of a response.
    fn hold<B>(self, response: Response<B>) -> Response<Self::Body<B>>;

    /// The same body for a response that keeps nothing.
    fn free<B>(response: Response<B>) -> Response<Self::Body<B>>;
}

impl Held for () {
    type Body<B> = B;

    #[inline]
    fn hold<B>(self, response: Response<B>) -> Response<B> {
        response
    }

    #[inline]
    fn free<B>(response: Response<B>) -> Response<B> {
        response
    }
}

/// What a body keeps.
#[expect(unnameable_types, reason = "a detail of bodies")]
pub trait Kept {
    /// Sees how many bytes the server has taken from the body, to send them.
    #[inline]
    fn sent(&self, _bytes: u64) {}
}

impl Kept for InFlightPermit {}

/// Implements [`Held`] for what a body keeps.
macro_rules! hold_until_the_body_ends {
    ($permit:ty $(, $parameter:ident: $bound:path)*) => {
        impl$(<$parameter: $bound>)* $crate::layer::held::Held for $permit {
            type Body<B> = $crate::layer::held::HeldBody<B, Self>;

            fn hold<B>(self, response: http::Response<B>) -> http::Response<Self::Body<B>> {
                response.map(|body| $crate::layer::held::HeldBody::new(body, Some(self)))
            }

            fn free<B>(response: http::Response<B>) -> http::Response<Self::Body<B>> {
                response.map(|body| $crate::layer::held::HeldBody::new(body, None))
            }
        }
    };
}
pub(super) use hold_until_the_body_ends;

hold_until_the_body_ends!(InFlightPermit);

/// Each wraps the body in turn.
impl<A: Held, B: Held> Held for (A, B) {
    type Body<Inner> = B::Body<A::Body<Inner>>;

    fn hold<Inner>(self, response: Response<Inner>) -> Response<Self::Body<Inner>> {
        let (first, second) = self;
        second.hold(first.hold(response))
    }

    fn free<Inner>(response: Response<Inner>) -> Response<Self::Body<Inner>> {
        B::free(A::free(response))
    }
}

pin_project! {
    /// The body of a response that keeps a permit until it has ended, failed, or is dropped: that
    /// of an [`InFlight`](crate::InFlight) or an [`InFlightPerKey`](super::InFlightPerKey). With
    /// the [`BytesCharge`](super::BytesCharge) of a limit on bytes, it charges what is sent.
    pub struct HeldBody<B, P> {
        #[pin]
        body: B,
        permit: Option<P>,
    }
}

impl<B, P> HeldBody<B, P> {
    pub(super) const fn new(body: B, permit: Option<P>) -> Self {
        Self { body, permit }
    }

    /// Returns the body, and lets the permit go. Its further bytes are not charged.
    pub fn into_inner(self) -> B {
        self.body
    }

    /// Returns the body.
    pub const fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B: Body, P: Kept> Body for HeldBody<B, P> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(context);
        if let (Poll::Ready(Some(Ok(frame))), Some(permit)) = (&polled, &this.permit) {
            if let Some(data) = frame.data_ref() {
                permit.sent(data.remaining() as u64);
            }
        }
        let is_over = match &polled {
            Poll::Ready(Some(Ok(_))) => this.body.is_end_stream(),
            Poll::Ready(None | Some(Err(_))) => true,
            Poll::Pending => false,
        };
        if is_over {
            // Not later, because a server may keep the body of a connection that is idle.
            *this.permit = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Default, P> Default for HeldBody<B, P> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: fmt::Debug, P> fmt::Debug for HeldBody<B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldBody")
            .field("body", &self.body)
            .field("is_held", &self.permit.is_some())
            .finish()
    }
}
