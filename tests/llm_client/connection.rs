//! A connection to the provider, over which prompts are sent one after the other.

use core::net::SocketAddr;
use core::time::Duration;

use axum::http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time;

use crate::provider::{PATH, Prompt};

pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(provider: SocketAddr) -> Self {
        let stream = TcpStream::connect(provider).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends a prompt and reads the whole answer. Both take a while on the way.
    pub(crate) async fn send(&mut self, prompt: &Prompt) -> Response<Bytes> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(PATH)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(serde_json::to_vec(prompt).unwrap()))
            .unwrap();
        time::sleep(trip(prompt)).await;
        self.0.ready().await.unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        time::sleep(trip(prompt)).await;
        Response::from_parts(head, body)
    }
}

/// Delays messages as a network does, so that calls overtake each other and arrive in bunches.
fn trip(prompt: &Prompt) -> Duration {
    Duration::from_millis(5 + u64::from(prompt.piece) * 7 % 16)
}
