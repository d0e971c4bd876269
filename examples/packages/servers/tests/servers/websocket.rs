//! Messages of WebSocket connections are echoed at once, paced, and refused.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tidegate::{Clock, DefaultClock, ManualClock, Quota};
use tidegate_example_servers::websocket::{Limits, routes};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{listen, within};

/// A burst of 5, and one in each 20 ms after it.
const MESSAGES: Quota = Quota::per_second(50).burst(5);
const INTERVAL: Duration = Duration::from_millis(20);

const LIMITS: Limits = Limits {
    messages: MESSAGES,
    bytes: Quota::per_second(1_000).burst(1_000),
    total: Quota::per_hour(1_000),
};

/// Shows that nothing comes, which a slow machine cannot disprove.
const SILENCE: Duration = Duration::from_millis(100);

async fn serve<C>(limits: Limits, clock: C) -> SocketAddr
where
    C: Clock + Clone + Send + Sync + 'static,
{
    let (listener, address) = listen();
    let listener = TcpListener::from_std(listener).expect("a listener");
    tokio::spawn(async move { axum::serve(listener, routes(limits, clock)).await });
    address
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.expect("a server");
        let (client, _) = client_async(format!("ws://{server}/echo"), stream)
            .await
            .expect("an upgrade");
        Self(client)
    }

    /// Sends messages in one go, without waiting for echoes.
    async fn send(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            self.0.feed(message).await.expect("sent");
        }
        self.0.flush().await.expect("sent");
    }

    async fn receive(&mut self) -> Message {
        let message = within(self.0.next()).await;
        message.expect("a message").expect("a connection")
    }

    async fn expect_echoes(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            assert_eq!(self.receive().await, message);
        }
    }

    async fn expect_silence(&mut self) {
        let message = timeout(SILENCE, self.0.next()).await;
        assert!(message.is_err(), "{message:?}");
    }

    /// Expects the end of the connection, and that it was closed and not cut.
    async fn expect_close(&mut self, code: u16, reason: &str) {
        let Message::Close(Some(frame)) = self.receive().await else {
            panic!("no reason");
        };
        assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (code, reason)
        );
        assert!(within(self.0.next()).await.is_none());
    }
}

/// Numbered messages.
fn texts(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Message> {
    numbers.map(|number| Message::text(format!("{number}")))
}

/// A message with this number of bytes.
fn binary(bytes: usize) -> [Message; 1] {
    [Message::binary(vec![7; bytes])]
}

#[tokio::test]
async fn a_burst_is_echoed_at_once_and_more_is_paced() {
    let clock = ManualClock::new();
    let server = serve(LIMITS, clock.clone()).await;
    let mut client = Client::connect(server).await;
    client.send(texts(0..8)).await;
    // No time passes for the limits.
    client.expect_echoes(texts(0..5)).await;
    client.expect_silence().await;
    clock.advance(INTERVAL);
    client.expect_echoes(texts(5..6)).await;
    client.expect_silence().await;

    // Another connection has limits of its own.
    let mut other = Client::connect(server).await;
    other.send(texts(0..5)).await;
    other.expect_echoes(texts(0..5)).await;

    clock.advance(2 * INTERVAL);
    client.expect_echoes(texts(6..8)).await;
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_slowed_down() {
    let server = serve(LIMITS, DefaultClock).await;
    let mut client = Client::connect(server).await;
    let start = Instant::now();
    client.send(texts(0..25)).await;
    client.expect_echoes(texts(0..25)).await;
    // Exact, also on a slow machine: no message is admitted early.
    let elapsed = start.elapsed();
    assert!(elapsed >= 20 * INTERVAL, "{elapsed:?}");
}

#[tokio::test]
async fn a_client_that_goes_on_for_long_is_disconnected() {
    let limits = Limits {
        messages: Quota::per_second(50).burst(50),
        total: Quota::per_hour(10),
        ..LIMITS
    };
    let server = serve(limits, ManualClock::new()).await;
    let mut client = Client::connect(server).await;
    // Half a megabyte follows, more than the server has read when it closes.
    let excess = binary(60 * 1_024).into_iter().cycle().take(8);
    client.send(texts(0..10).chain(excess)).await;
    client.expect_echoes(texts(0..10)).await;
    // 1008 is a violation of a policy.
    client.expect_close(1008, "too many messages").await;
}

#[tokio::test]
async fn bytes_are_paced_and_large_messages_refused() {
    let clock = ManualClock::new();
    let server = serve(LIMITS, clock.clone()).await;
    let mut client = Client::connect(server).await;
    client.send(binary(600)).await;
    client.expect_echoes(binary(600)).await;
    // 400 bytes are left, and 200 more flow in within 200 ms.
    client.send(binary(600)).await;
    client.expect_silence().await;
    clock.advance(Duration::from_millis(200));
    client.expect_echoes(binary(600)).await;

    // 1009: no wait is long enough for it.
    client.send(binary(1_001)).await;
    client.expect_close(1009, "the message is too large").await;
}

#[tokio::test]
async fn a_message_larger_than_the_buffer_ends_the_connection() {
    let server = serve(LIMITS, ManualClock::new()).await;
    let mut client = Client::connect(server).await;
    let [message] = binary(64 * 1_024 + 1);
    // The server may end the connection while this is sent.
    let _ = within(client.0.send(message)).await;
    let end = within(client.0.next()).await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}
