//! Limits for actix-web. Copy [`limit`]; [`serve`] shows how to put them on.

use std::io;
use std::net::TcpListener;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorBadRequest, ErrorInternalServerError};
use actix_web::http::StatusCode;
use actix_web::http::header::TryIntoHeaderPair;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpResponse, HttpServer, web};
use http::HeaderMap;
use tidegate::layer::{Gate, RateLimitLayer, Reject, RequestHead};

use crate::API_KEY;

/// Answers the requests that `layer` refuses, and forwards the others to `next`.
pub async fn limit(
    layer: RateLimitLayer<impl Gate, (), impl Reject<String>>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // actix-web has the types of http 0.2, so this copies what the layer reads: list all header
    // fields with keys here.
    let (method, uri) = (request.method().as_str(), request.uri().to_string());
    let mut head = http::Request::builder().method(method).uri(uri);
    for value in request.headers().get_all(API_KEY) {
        head = head.header(API_KEY, value.as_bytes());
    }
    if let Some(peer) = request.peer_addr() {
        head = head.extension(peer);
    }
    let head = head.body(()).map_err(ErrorBadRequest)?;
    let (mut response, fields) = match layer.decide(&RequestHead::new(&head)) {
        Ok(mut admission) => {
            let mut fields = HeaderMap::new();
            admission.write_to(&mut fields);
            let response = next.call(request).await?;
            (response.map_into_left_body(), fields)
        }
        Err(refusal) => {
            let (parts, body) = refusal.into_parts();
            let status =
                StatusCode::from_u16(parts.status.as_u16()).map_err(ErrorInternalServerError)?;
            let response = request.into_response(HttpResponse::with_body(status, body));
            (response.map_into_right_body(), parts.headers)
        }
    };
    for (name, value) in &fields {
        if let Ok((name, value)) = (name.as_str(), value.as_bytes()).try_into_pair() {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

/// Serves `/` and `/health` behind the limits. The threads share them, as all clones of a layer do.
pub fn serve<G, R>(listener: TcpListener, layer: RateLimitLayer<G, (), R>) -> io::Result<Server>
where
    G: Gate + Send + Sync + 'static,
    R: Reject<String> + Send + Sync + 'static,
{
    let app = move || {
        let layer = layer.clone();
        App::new()
            .wrap(from_fn(move |request, next| {
                limit(layer.clone(), request, next)
            }))
            .route("/", web::get().to(async || "hello\n"))
            .route("/health", web::get().to(async || "well\n"))
    };
    Ok(HttpServer::new(app).workers(2).listen(listener)?.run())
}
