//! A real server with the layer, and clients that hang up.

use alloc::sync::Arc;
use core::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tidegate::tower::PaceLayer;
use tidegate::{ManualClock, SlidingWindow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

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

/// The window is full, and 100 clients wait. Half of them hang up. Once the window has room for 50,
/// it serves the other half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_take_no_permits() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let window = SlidingWindow::with_clock(50, second, clock.clone()).unwrap();
    window.try_acquire(50).unwrap();
    let window = Arc::new(window);
    let layer = PaceLayer::builder(Arc::clone(&window)).timer(soon).build();
    let app: Router = Router::new()
        .route("/", get(|| async { "tide" }))
        .layer(layer.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: tide\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        clients.push(stream);
    }
    let waiting = async |number| {
        while window.waiting() != number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // A slow machine may take long, but not forever.
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, waiting(100)).await.unwrap();
    clients.truncate(50);
    tokio::time::timeout(patience, waiting(50)).await.unwrap();

    // A window and a slot.
    clock.advance(2 * second);
    let mut answers = JoinSet::new();
    for mut client in clients {
        answers.spawn(async move { status(&mut client).await });
    }
    let answers = tokio::time::timeout(patience, answers.join_all()).await;
    assert_eq!(answers.unwrap(), [StatusCode::OK; 50]);
    assert_eq!((window.available(), window.waiting()), (0, 0));
    assert_eq!((layer.stats().allowed, layer.stats().denied), (50, 0));
    drop(stop);
    server.await.unwrap().unwrap();
}
