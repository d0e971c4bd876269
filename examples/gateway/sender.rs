//! An HTTP client on a connection of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use crate::BoxError;
use crate::server::API_KEY;

pub(crate) struct Sender {
    connection: SendRequest<Empty<Bytes>>,
    /// The server, for the header `Host`.
    host: String,
    /// Where the requests come from, as the server sees it.
    address: IpAddr,
    api_key: Option<HeaderValue>,
}

impl Sender {
    /// Opens a connection, if possible from the address `from`, over which all requests are then sent.
    pub(crate) async fn connect(
        server: SocketAddr,
        from: Ipv4Addr,
        api_key: Option<&'static str>,
    ) -> Result<Self, BoxError> {
        let stream = open(server, from).await?;
        stream.set_nodelay(true)?;
        let address = stream.local_addr()?.ip();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender. What goes wrong before shows in the answer that does not come.
        tokio::spawn(connection);
        Ok(Self {
            connection: sender,
            host: server.to_string(),
            address,
            api_key: api_key.map(HeaderValue::from_static),
        })
    }

    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }

    /// Sends one request and reads the whole answer, which frees the connection for the next.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
    ) -> Result<(Response<()>, Bytes), BoxError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.host.as_str());
        if let Some(key) = &self.api_key {
            request = request.header(API_KEY, key);
        }
        let request = request.body(Empty::new())?;
        self.connection.ready().await?;
        let response: Response<Incoming> = self.connection.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((Response::from_parts(head, ()), body))
    }
}

async fn open(server: SocketAddr, from: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Linux takes all of 127.0.0.0/8 for its own. Where that fails, all clients are at one address.
    let _ = socket.bind((from, 0).into());
    socket.connect(server).await
}
