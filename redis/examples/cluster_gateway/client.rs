//! A connection to a gateway: as much of HTTP/1.1 as its answers use.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::BoxError;
use crate::gateway::USER;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    line: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names are in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(crate) async fn connect(gateway: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(gateway).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            line: String::new(),
        })
    }

    /// Sends one request and reads the whole answer, which frees the connection for the next.
    pub(crate) async fn get(&mut self, path: &str, user: &str) -> Result<Answer, BoxError> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{USER}: {user}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;

        // `HTTP/1.1 200 OK`
        let status = self.line().await?.split(' ').nth(1);
        let status = status.ok_or("an answer without a status")?.parse()?;
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line().await?.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        // The gateway knows the length of whatever it says.
        let length = answer.header("content-length").ok_or("no length")?;
        answer.body.resize(length.parse()?, 0);
        self.stream.read_exact(&mut answer.body).await?;
        Ok(answer)
    }

    async fn line(&mut self) -> Result<&str, BoxError> {
        self.line.clear();
        if self.stream.read_line(&mut self.line).await? == 0 {
            return Err("a gateway has closed a connection".into());
        }
        Ok(self.line.trim_end())
    }
}
