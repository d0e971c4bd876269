//! actix-web and poem answer the same requests in the same way.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate::ManualClock;
use tidegate_example_servers::{API_KEY, actix, layer, poem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::{listen, within};

struct Response {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Response {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (status, fields) = head.split_once("\r\n")?;
        let mut headers = HeaderMap::new();
        for field in fields.lines() {
            let (name, value) = field.split_once(": ")?;
            let name: HeaderName = name.parse().ok()?;
            headers.append(name, HeaderValue::from_str(value).ok()?);
        }
        Some(Self {
            status: status.split(' ').nth(1)?.parse().ok()?,
            headers,
            body: body.to_owned(),
        })
    }

    /// Returns the only value of a field; `None` without one.
    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert_eq!(values.next(), None, "{name} is repeated");
        Some(value.to_str().expect("ASCII"))
    }

    /// Returns the status, and what the limits say.
    fn summary(&self) -> (u16, &str, &str, Option<&str>) {
        let rate_limit = self.field("ratelimit").unwrap_or("none");
        let policy = self.field("ratelimit-policy").unwrap_or("none");
        (self.status, rate_limit, policy, self.field("retry-after"))
    }
}

/// A host of 127.0.0.0/8. All of these addresses are this machine.
#[derive(Clone, Copy)]
struct Client {
    octet: u8,
    server: SocketAddr,
}

impl Client {
    /// Sends a request with these API keys, on a connection of its own.
    async fn get(self, path: &str, keys: &[&str]) -> Response {
        let socket = TcpSocket::new_v4().expect("a socket");
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, self.octet), 0));
        socket.bind(address).expect("an address of this machine");
        let mut connection = socket.connect(self.server).await.expect("a server");
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for key in keys {
            request += &format!("{API_KEY}: {key}\r\n");
        }
        request += "\r\n";
        connection
            .write_all(request.as_bytes())
            .await
            .expect("sent");
        let mut response = String::new();
        let read = connection.read_to_string(&mut response).await;
        read.expect("a response");
        Response::parse(&response).expect("HTTP")
    }
}

const OF_ADDRESS: &str = r#""address";q=6;w=6"#;
const OF_BOTH: &str = r#""address";q=6;w=6, "key";q=2;w=20"#;

/// Takes the limits of one server to their ends.
async fn check(server: SocketAddr, clock: &ManualClock) {
    let [first, second] = [1, 2].map(|octet| Client { octet, server });

    let hello = first.get("/", &[]).await;
    let left = r#""address";r=5;t=1"#;
    assert_eq!(hello.summary(), (200, left, OF_ADDRESS, None));
    assert_eq!(hello.body, "hello\n");

    // Two for this key, and a refusal that is charged to no limit.
    for left in [r#""key";r=1;t=10"#, r#""key";r=0;t=10"#] {
        let admitted = first.get("/", &["sk-ada"]).await;
        assert_eq!(admitted.summary(), (200, left, OF_BOTH, None));
    }
    let refused = first.get("/", &["sk-ada"]).await;
    let left = r#""key";r=0;t=10"#;
    assert_eq!(refused.summary(), (429, left, OF_BOTH, Some("10")));
    assert_eq!(refused.body, "refused by the limit of each key\n");
    let content_type = refused.field("content-type");
    assert_eq!(content_type, Some("text/plain; charset=utf-8"));
    // Also from another address.
    assert_eq!(second.get("/", &["sk-ada"]).await.status, 429);

    // Another key has a limit of its own.
    let other = first.get("/?page=2", &["sk-ben"]).await;
    let left = r#""key";r=1;t=10"#;
    assert_eq!(other.summary(), (200, left, OF_BOTH, None));

    // The address has two left. An error of the server counts, and says what is left.
    let missing = first.get("/missing", &[]).await;
    let left = r#""address";r=1;t=1"#;
    assert_eq!(missing.summary(), (404, left, OF_ADDRESS, None));
    assert_eq!(first.get("/", &[]).await.status, 200);
    let refused = first.get("/", &[]).await;
    let left = r#""address";r=0;t=1"#;
    assert_eq!(refused.summary(), (429, left, OF_ADDRESS, Some("1")));
    // A new key does not help, but another address does.
    let invented = first.get("/", &["sk-new"]).await;
    assert_eq!(invented.body, "refused by the limit of each address\n");
    let left = r#""address";r=5;t=1"#;
    let other = second.get("/", &[]).await;
    assert_eq!(other.summary(), (200, left, OF_ADDRESS, None));

    // A path that is exempt.
    let exempt = first.get("/health?verbose", &[]).await;
    assert_eq!(exempt.summary(), (200, "none", "none", None));

    // Two keys could be those of two clients.
    let ambiguous = second.get("/", &["sk-eve", "sk-ada"]).await;
    assert_eq!(ambiguous.status, 400);

    // `Retry-After` is right.
    clock.advance(Duration::from_secs(1));
    let statuses = [first.get("/", &[]).await, first.get("/", &[]).await];
    assert_eq!(statuses.map(|response| response.status), [200, 429]);
    clock.advance(Duration::from_secs(9));
    assert_eq!(first.get("/", &["sk-ada"]).await.status, 200);
}

#[tokio::test]
async fn actix_limits_addresses_and_keys() {
    let clock = ManualClock::new();
    let (listener, address) = listen();
    let server = actix::serve(listener, layer(clock.clone())).expect("a server");
    let handle = server.handle();
    let server = tokio::spawn(server);
    within(check(address, &clock)).await;
    within(handle.stop(false)).await;
    within(server).await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn poem_limits_addresses_and_keys() {
    let clock = ManualClock::new();
    let (listener, address) = listen();
    let server = tokio::spawn(poem::serve(listener, layer(clock.clone())));
    within(check(address, &clock)).await;
    server.abort();
}
