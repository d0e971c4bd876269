//! A program that answers commands as a test tells it, on a free port.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Returns the answer to the words of a command, in the server's protocol.
type Answer = dyn Fn(&[String]) -> String + Send + Sync;

/// Ends with the runtime of its test.
pub(crate) struct FakeServer {
    port: u16,
}

impl FakeServer {
    pub(crate) async fn start(
        answer: impl Fn(&[String]) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer: Arc<Answer> = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&answer)));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// An array of strings.
pub(crate) fn array(words: &[&str]) -> String {
    let words = words.iter().map(|word| text(word));
    format!("*{}\r\n{}", words.len(), words.collect::<String>())
}

pub(crate) fn text(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

pub(crate) fn error(text: &str) -> String {
    format!("-{text}\r\n")
}

async fn serve(client: TcpStream, answer: Arc<Answer>) {
    let mut client = BufReader::new(client);
    while let Some(command) = read_command(&mut client).await {
        let answer = answer(&command);
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads an array of strings. `None` at the end.
async fn read_command(client: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..read_number(client).await? {
        let length = read_number(client).await?;
        let mut word = vec![0; length + 2];
        client.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..length]).into_owned());
    }
    Some(words)
}

/// Reads a line such as `*3` or `$11`.
async fn read_number(client: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim_end().parse().ok()
}
