//! Clients that leave nginx in the middle: their permits come back, and they pay for what was sent.

use core::convert::Infallible;
use core::future::pending;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use tidegate::layer::RateLimitLayer;
use tidegate::{InFlight, ManualClock, Quota, TokenBucket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::app::serve;
use crate::nginx::Nginx;
use crate::wait::eventually;

const CHUNK: &[u8] = &[b'x'; 1_000];
const BYTES: u64 = 1 << 30;

/// A server of chunks, with what its limits count.
struct Downloads {
    busy: InFlight,
    bytes: Arc<TokenBucket<ManualClock>>,
    /// The chunks that the server has taken.
    taken: Arc<AtomicU64>,
    /// How often `/held` has responded.
    responded: Arc<AtomicU64>,
    /// A response of `/held` or a chunk of `/paced` for each permit. Closed, it ends the body.
    go: Arc<Semaphore>,
}

impl Downloads {
    fn new() -> Self {
        let quota = Quota::per_second(1_000).burst(BYTES);
        Self {
            busy: InFlight::new(100),
            bytes: Arc::new(TokenBucket::with_clock(quota, ManualClock::new())),
            taken: Arc::new(AtomicU64::new(0)),
            responded: Arc::new(AtomicU64::new(0)),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    fn app(&self) -> Router {
        let layer = RateLimitLayer::builder(())
            .in_flight(self.busy.clone())
            .content_bytes(Arc::clone(&self.bytes))
            .build();
        let taken = Arc::clone(&self.taken);
        let endless = async || {
            let chunks = stream::repeat(taken).then(async |taken| {
                tokio::time::sleep(Duration::from_millis(2)).await;
                taken.fetch_add(1, SeqCst);
                Ok::<_, Infallible>(Bytes::from_static(CHUNK))
            });
            Body::from_stream(chunks)
        };
        let (taken, go) = (Arc::clone(&self.taken), Arc::clone(&self.go));
        let paced = async || {
            let chunks = stream::unfold((taken, go), async |(taken, go)| {
                go.acquire().await.ok()?.forget();
                taken.fetch_add(1, SeqCst);
                let chunk = Ok::<_, Infallible>(Bytes::from_static(CHUNK));
                Some((chunk, (taken, go)))
            });
            Body::from_stream(chunks)
        };
        let (responded, go) = (Arc::clone(&self.responded), Arc::clone(&self.go));
        let held = async move || {
            go.acquire().await.expect("open").forget();
            responded.fetch_add(1, SeqCst);
        };
        Router::new()
            .route("/endless", get(endless))
            .route("/paced", get(paced))
            .route("/held", get(held))
            .route("/never", get(pending::<()>))
            .layer(layer)
    }

    /// All chunks that were taken are paid, and nothing else.
    fn check_paid(&self) {
        let chunks = self.taken.load(SeqCst);
        let used = BYTES - self.bytes.available();
        assert_eq!(used, chunks * CHUNK.len() as u64);
    }

    async fn until_in_flight(&self, count: u64) {
        let what = format!("{count} in flight");
        eventually(&what, async || self.busy.in_flight() == count).await;
    }
}

async fn ask(nginx: &Nginx, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(nginx.address()).await.expect("listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let sent = connection.write_all(request.as_bytes()).await;
    sent.expect("the connection lasts");
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_come_back() {
    let downloads = Downloads::new();
    let app = serve(downloads.app()).await;
    for directives in [
        "",
        "proxy_buffering off;",
        "proxy_http_version 1.1; proxy_set_header Connection \"\";",
    ] {
        let nginx = Nginx::proxy(app, directives);
        for _ in 0..5 {
            let mut clients = Vec::new();
            for path in ["/endless", "/never", "/endless", "/never"] {
                let mut client = ask(&nginx, path).await;
                if path == "/endless" {
                    // In the middle of the body.
                    client.read_exact(&mut [0; 2_000]).await.expect("chunks");
                }
                clients.push(client);
            }
            downloads.until_in_flight(4).await;
            drop(clients);
            downloads.until_in_flight(0).await;
            downloads.check_paid();
        }
    }
}

/// With `proxy_ignore_client_abort`, nginx waits for the response although the client has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_of_ignored_aborts_come_back() {
    let downloads = Downloads::new();
    let app = serve(downloads.app()).await;
    let nginx = Nginx::proxy(app, "proxy_ignore_client_abort on;");
    // Before the response.
    let client = ask(&nginx, "/held").await;
    downloads.until_in_flight(1).await;
    drop(client);
    downloads.go.add_permits(1);
    let responded = async || downloads.responded.load(SeqCst) == 1;
    eventually("the handler goes on", responded).await;
    downloads.until_in_flight(0).await;

    // In the middle of the body, which has more chunks than nginx keeps.
    downloads.go.add_permits(100);
    let mut client = ask(&nginx, "/paced").await;
    client.read_exact(&mut [0; 2_000]).await.expect("chunks");
    assert_eq!(downloads.busy.in_flight(), 1);
    drop(client);
    downloads.go.close();
    downloads.until_in_flight(0).await;
    downloads.check_paid();
}
