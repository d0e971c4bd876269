//! A connection to the provider, over which one prompt after the other is sent.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time;

use crate::message::{PATH, Prompt};

/// An error for the user, from any task.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

pub(crate) struct Connection {
    connection: SendRequest<Full<Bytes>>,
    /// The provider, for the header `Host`.
    host: String,
}

impl Connection {
    pub(crate) async fn open(provider: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(provider).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender. What goes wrong before shows in the answer that does not come.
        tokio::spawn(connection);
        Ok(Self {
            connection: sender,
            host: provider.to_string(),
        })
    }

    /// Sends a prompt and reads the whole answer, which frees the connection for the next. Both are on the way for a while.
    pub(crate) async fn send(
        &mut self,
        prompt: &Prompt,
    ) -> Result<(Response<()>, Bytes), BoxError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(PATH)
            .header(header::HOST, self.host.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(serde_json::to_vec(prompt)?))?;
        time::sleep(trip(prompt)).await;
        self.connection.ready().await?;
        let response: Response<Incoming> = self.connection.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        time::sleep(trip(prompt)).await;
        Ok((Response::from_parts(head, ()), body))
    }
}

/// Loopback is too near: over a network, calls overtake each other and arrive in bunches.
fn trip(prompt: &Prompt) -> Duration {
    Duration::from_millis(5 + u64::from(prompt.piece) * 7 % 16)
}
