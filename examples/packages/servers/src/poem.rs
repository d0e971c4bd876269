//! Limits for poem. Copy [`limit`]; [`serve`] shows how to put it on.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use http::Extensions;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, Server, get, handler};
use tidegate::layer::{Gate, RateLimitLayer, Reject, RequestHead};

/// Answers the requests that `layer` refuses, and forwards the others to `next`.
pub async fn limit(
    layer: RateLimitLayer<impl Gate, (), impl Reject<String>>,
    next: Arc<impl Endpoint>,
    request: Request,
) -> poem::Result<Response> {
    let mut extensions = Extensions::new();
    if let Some(peer) = request.remote_addr().as_socket_addr() {
        extensions.insert(*peer);
    }
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let head = RequestHead::from_fields(method, uri, request.version(), headers, &extensions);
    match layer.decide(&head) {
        Ok(mut admission) => {
            // Makes errors responses, so that these have the header fields as well. Put
            // `catch_error` around `next`, and not around this.
            let mut response = next.get_response(request).await;
            admission.write_to(response.headers_mut());
            Ok(response)
        }
        Err(refusal) => {
            let (parts, body) = refusal.into_parts();
            Ok((parts.status, parts.headers, body).into_response())
        }
    }
}

#[handler]
fn hello() -> &'static str {
    "hello\n"
}

#[handler]
fn health() -> &'static str {
    "well\n"
}

/// Serves `/` and `/health` behind the limits.
pub async fn serve<G, R>(listener: TcpListener, layer: RateLimitLayer<G, (), R>) -> io::Result<()>
where
    G: Gate + Send + Sync + 'static,
    R: Reject<String> + Send + Sync + 'static,
{
    let app = Route::new().at("/", get(hello)).at("/health", get(health));
    let app = app.around(move |next, request| limit(layer.clone(), next, request));
    let acceptor = TcpAcceptor::from_std(listener)?;
    Server::new_with_acceptor(acceptor).run(app).await
}
