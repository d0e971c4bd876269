//! The part of a response that precedes its body.

use core::fmt;

use http::{Extensions, HeaderMap, Response, StatusCode};

/// A response without its body, by which a request is
/// [settled](super::RateLimitLayerBuilder::settle).
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> ResponseHead<'a> {
    /// Borrows the head of `response`.
    pub fn new<B>(response: &'a Response<B>) -> Self {
        Self {
            status: response.status(),
            headers: response.headers(),
            extensions: response.extensions(),
        }
    }

    /// Borrows a head from its fields, for servers that keep it in types of their own.
    pub const fn from_fields(
        status: StatusCode,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> Self {
        Self {
            status,
            headers,
            extensions,
        }
    }

    /// Returns the status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the header fields.
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extension of type `T`, such as a cost that the handler has found.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions.get()
    }
}

/// Shows only the status, because header fields hold secrets.
impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
