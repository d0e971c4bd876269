//! Limits on the messages of each WebSocket connection, in axum. This is the file to copy from.
//!
//! A client that sends too fast is slowed down, and one that goes on for long is disconnected.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::routing::any;
use tidegate::{Clock, Quota, TokenBucket};
use tokio::time::timeout;

/// The limits of each connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages. Those beyond it wait.
    pub messages: Quota,
    /// Bytes of messages. Those beyond it wait, and a message above its burst is refused.
    pub bytes: Quota,
    /// Messages over a long time, fewer than `messages` allows. The first one beyond it ends the
    /// connection.
    pub total: Quota,
}

/// Larger messages end the connection before they fill the memory. axum's default is 64 MiB.
const MAX_MESSAGE: usize = 64 * 1024;

/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Serves an echo at `/echo`. The number of connections needs a limit of its own: put a
/// `RateLimitLayer` on the route.
pub fn routes<C>(limits: Limits, clock: C) -> Router
where
    C: Clock + Clone + Send + Sync + 'static,
{
    let upgrade = async move |upgrade: WebSocketUpgrade| {
        let buckets = [limits.messages, limits.bytes, limits.total];
        let buckets = buckets.map(|quota| TokenBucket::with_clock(quota, clock.clone()));
        upgrade
            .max_message_size(MAX_MESSAGE)
            .max_frame_size(MAX_MESSAGE)
            .on_upgrade(|socket| echo(socket, buckets))
    };
    Router::new().route("/echo", any(upgrade))
}

async fn echo<C: Clock>(mut socket: WebSocket, [messages, bytes, total]: [TokenBucket<C>; 3]) {
    // While this waits it reads nothing, and TCP lets the client wait, too. Pings count, because
    // each has a pong.
    while let Some(Ok(message)) = socket.recv().await {
        if total.try_acquire(1).is_err() {
            return close(socket, close_code::POLICY, "too many messages").await;
        }
        let size = message.clone().into_data().len() as u64; // shares the bytes
        let turn = async {
            messages.acquire(1).await?;
            bytes.acquire(size).await
        };
        // Without a timeout a wait fails only if it would never end.
        if turn.await.is_err() {
            return close(socket, close_code::SIZE, "the message is too large").await;
        }
        if let Message::Text(_) | Message::Binary(_) = message {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

/// Tells the client why the connection ends.
async fn close(mut socket: WebSocket, code: CloseCode, reason: &'static str) {
    let reason = reason.into();
    let goodbye = async {
        let frame = Message::Close(Some(CloseFrame { code, reason }));
        if socket.send(frame).await.is_ok() {
            // Reads what the client has sent before it knew. Closing a socket with unread bytes
            // resets the connection, and the client may lose the reason.
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(GOODBYE, goodbye).await;
}
