//! A real server with the layer, and clients that hang up.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tidegate::layer::PaceLayer;
use tidegate::{Awaitable, Clock, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// A timer that always wakes after a millisecond, because a test advances the limiter's clock.
fn soon(_: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_millis(1))
}

async fn status(stream: &mut TcpStream) -> StatusCode {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("an answer");
    let code = head.strip_prefix(b"HTTP/1.1 ").expect("a response");
    StatusCode::from_bytes(code).expect("a status")
}

/// Serves on loopback, and stops when `stop` is dropped.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

type Soon = fn(Duration) -> tokio::time::Sleep;

impl Server {
    async fn start<L>(layer: PaceLayer<Arc<L>, Soon>) -> Self
    where
        L: Awaitable + Send + Sync + 'static,
    {
        let app: Router = Router::new()
            .route("/", get(|| async { "tide" }))
            .layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback works");
        let address = listener.local_addr().expect("loopback works");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Self {
            address,
            stop,
            task: tokio::spawn(server.into_future()),
        }
    }

    /// Connects, and sends a request.
    async fn send(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address)
            .await
            .expect("loopback works");
        let request = b"GET / HTTP/1.1\r\nhost: tide\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.expect("loopback works");
        stream
    }

    async fn stop(self) {
        drop(self.stop);
        let ended = self.task.await.expect("no panic");
        ended.expect("no error");
    }
}

/// A slow machine may take long, but not forever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until so many requests wait.
async fn until_waiting(waiting: impl Fn() -> u64, number: u64) {
    let reached = async {
        while waiting() != number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .expect("reached in time");
}

/// The window is full, and 100 clients wait. Half of them hang up. Once the window has room for 50,
/// it serves the other half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_take_no_permits() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(50, second, clock.clone()).unwrap();
    window.try_acquire(50).unwrap();
    let window = Arc::new(window);
    let layer = PaceLayer::builder(Arc::clone(&window))
        .timer(soon as Soon)
        .build();
    let server = Server::start(layer.clone()).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(server.send().await);
    }
    until_waiting(|| window.waiting(), 100).await;
    clients.truncate(50);
    until_waiting(|| window.waiting(), 50).await;

    // A window and a slot.
    clock.advance(2 * second);
    let mut answers = JoinSet::new();
    for mut client in clients {
        answers.spawn(async move { status(&mut client).await });
    }
    let answers = tokio::time::timeout(PATIENCE, answers.join_all()).await;
    assert_eq!(answers.unwrap(), [StatusCode::OK; 50]);
    assert_eq!((window.available(), window.waiting()), (0, 0));
    assert_eq!((layer.stats().allowed, layer.stats().denied), (50, 0));
    server.stop().await;
}

/// At two per second, 100 clients hang up while they wait. The next one is served half a second
/// later on the limiter's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_after_hang_ups_waits_for_its_own_permit() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(2).burst(1);
    let bucket = Arc::new(TokenBucket::with_clock(quota, clock.clone()));
    bucket.try_acquire(1).unwrap();
    let layer = PaceLayer::builder(Arc::clone(&bucket))
        .timer(soon as Soon)
        .build();
    let server = Server::start(layer).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(server.send().await);
    }
    until_waiting(|| bucket.waiting(), 100).await;
    drop(clients);
    until_waiting(|| bucket.waiting(), 0).await;
    let mut client = server.send().await;
    until_waiting(|| bucket.waiting(), 1).await;
    clock.advance(Duration::from_millis(500));
    let answer = tokio::time::timeout(PATIENCE, status(&mut client)).await;
    assert_eq!(answer.unwrap(), StatusCode::OK);
    assert_eq!(clock.now(), Timestamp::ZERO + Duration::from_millis(500));
    server.stop().await;
}
