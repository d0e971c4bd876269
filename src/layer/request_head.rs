//! The part of a request that precedes its body.

use core::fmt;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// A request without its body. Keys, costs and exemptions are read from it.
///
/// It borrows from the request, so making one costs nothing.
///
/// ```
/// use http::Request;
/// use tidegate::layer::RequestHead;
///
/// let request = Request::post("/upload?name=tide").header("x-api-key", "sk-7f3a9c");
/// let request = request.body(()).unwrap();
/// let head = RequestHead::new(&request);
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
    /// Borrows the head of `request`.
    pub fn new<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Borrows a head from its fields, for servers that keep it in types of their own.
    pub const fn from_fields(
        method: &'a Method,
        uri: &'a Uri,
        version: Version,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> Self {
        Self {
            method,
            uri,
            version,
            headers,
            extensions,
        }
    }

    /// Borrows a head that was taken apart from its body, as extractors of axum have it.
    ///
    /// ```
    /// use http::Request;
    /// use tidegate::layer::{ApiKey, KeyExtractor, RequestHead};
    ///
    /// let request = Request::get("/").header("x-api-key", "sk-7f3a9c").body(()).unwrap();
    /// let (parts, ()) = request.into_parts();
    /// let api_key = ApiKey::header("x-api-key".parse().unwrap());
    /// assert!(api_key.extract(&RequestHead::from_parts(&parts)).is_ok());
    /// ```
    pub const fn from_parts(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }

    /// Returns the method.
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the target.
    pub const fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the path of the target, without the query.
    pub fn path(&self) -> &'a str {
        self.uri.path()
    }

    /// Returns the HTTP version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Returns the header fields.
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns what the server and outer layers attached, such as the peer's address, the user or
    /// the matched route.
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns the extension of type `T`. Short for [`extensions`](Self::extensions)`().get()`.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions.get()
    }
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::new(request)
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self::from_parts(parts)
    }
}

/// Shows only the method and the path, because header fields hold secrets.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
