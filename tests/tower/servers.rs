//! Real servers on the loopback interface, and real clients of them.
//!
//! Servers are tasks of the test's own runtime, and stop with it.

use core::future::{Future, IntoFuture};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use axum::Router;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The time limit of a test, so that it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.expect("ready in time")
}

/// Waits until a count is there, for a minute at most.
pub(crate) async fn until(what: &str, count: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if count() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Serves both protocols on one port.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// The same, with the peer's address for handlers and layers.
pub(crate) async fn serve_with_peers(app: Router, listener: TcpListener) {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());
}

/// A response without its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Whether the stream ended with the header fields.
    pub(crate) is_head_only: bool,
}

/// A connection. HTTP/1 sends one request after the other, HTTP/2 all at once.
#[derive(Clone)]
pub(crate) enum Client {
    One(alloc::sync::Arc<tokio::sync::Mutex<http1::SendRequest<Empty<Bytes>>>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    pub(crate) async fn http1(server: SocketAddr) -> Self {
        Self::http1_from(Ipv4Addr::LOCALHOST, server).await
    }

    /// Connects from another address of the loopback interface.
    pub(crate) async fn http1_from(from: Ipv4Addr, server: SocketAddr) -> Self {
        let io = TokioIo::new(connect(from, server).await);
        let (sender, connection) = http1::handshake(io).await.expect("HTTP/1");
        tokio::spawn(connection);
        Self::One(alloc::sync::Arc::new(tokio::sync::Mutex::new(sender)))
    }

    /// With prior knowledge, because nothing is encrypted.
    pub(crate) async fn http2(server: SocketAddr) -> Self {
        let io = TokioIo::new(connect(Ipv4Addr::LOCALHOST, server).await);
        let handshake = http2::handshake(TokioExecutor::new(), io).await;
        let (sender, connection) = handshake.expect("HTTP/2");
        tokio::spawn(connection);
        Self::Two(sender)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path)).await
    }

    pub(crate) async fn send(&self, request: http::request::Builder) -> Answer {
        let request = request.header("host", "localhost").body(Empty::new());
        let mut request = request.expect("valid");
        in_time(async {
            let response = match self {
                Self::One(sender) => {
                    let mut sender = sender.lock().await;
                    sender.ready().await.expect("the connection lasts");
                    sender.send_request(request).await
                }
                Self::Two(sender) => {
                    // HTTP/2 requires the absolute target.
                    let target = format!("http://localhost{}", request.uri());
                    *request.uri_mut() = target.parse().expect("valid");
                    request.headers_mut().remove("host");
                    sender.clone().send_request(request).await
                }
            };
            let (head, body) = response.expect("an answer").into_parts();
            let is_head_only = body.is_end_stream();
            body.collect().await.expect("a whole body");
            Answer {
                status: head.status,
                headers: head.headers,
                is_head_only,
            }
        })
        .await
    }
}

async fn connect(from: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("a loopback address");
    in_time(socket.connect(server))
        .await
        .expect("the server listens")
}
