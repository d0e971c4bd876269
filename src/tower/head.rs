//! What can be seen of a request before its body.

use core::fmt;

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// A request without its body: what keys, costs and exemptions are read from.
///
/// It borrows from the request, so making one costs nothing.
///
/// ```
/// use http::Request;
/// use tidegate::tower::RequestHead;
///
/// let request = Request::post("/upload?name=tide").header("x-api-key", "sk-7f3a9c").body(()).unwrap();
/// let head = RequestHead::of(&request);
/// assert_eq!((head.method().as_str(), head.path()), ("POST", "/upload"));
/// assert_eq!(head.headers()["x-api-key"], "sk-7f3a9c");
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// The method.
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The target.
    pub const fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The path of the target, without the query.
    pub fn path(&self) -> &'a str {
        self.uri.path()
    }

    /// The version of HTTP.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The header fields.
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What the server and outer layers have attached: the address of the peer, who is logged in, which route was matched.
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// What was attached of one type: short for [`extensions`](Self::extensions)`().get()`.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions.get()
    }
}

/// Method and path only: header fields are full of secrets.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
