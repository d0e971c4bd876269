//! The addresses that nginx tells: each client has one limit, whatever it forges.

use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use futures_util::future::join_all;
use http::HeaderName;
use tidegate::layer::{ForwardedFor, PerKey, RateLimitLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{Peer, behind_nginx, peer, serve, table};
use crate::curl::{run, send_from};
use crate::nginx::Nginx;

/// What clients send to look like others, or to hide what nginx appends.
const FORGED: [&[&str]; 9] = [
    &[],
    &["X-Forwarded-For: 198.51.100.1"],
    &[
        "X-Forwarded-For: 198.51.100.2",
        "X-Forwarded-For: 198.51.100.3",
    ],
    &["X-Forwarded-For: 127.0.0.1"],
    &["X-Forwarded-For: ,,\"198.51.100.4, \\"],
    &["Forwarded: for=198.51.100.5", "X-Real-IP: 198.51.100.6"],
    &["Forwarded: for=\"198.51.100.7"],
    &["Forwarded: for=127.0.0.1, for=\"[2001:db8::1]:80\";by=\"\\"],
    &["X-Real-IP: 198.51.100.8", "X-Real-IP: 127.0.0.1"],
];

const BURST: usize = 4;

/// Sends the requests of three clients, each with all forged fields, and counts those served.
async fn check_clients(url: &str, clients: [&str; 3]) {
    for client in clients {
        let mut served = 0;
        for forged in FORGED {
            let fields = forged.iter().flat_map(|field| ["--header", field]);
            let arguments: Vec<_> = fields.chain([url]).collect();
            let reply = send_from(client, &arguments).await;
            assert!(matches!(reply.status, 200 | 429), "{reply:?}");
            served += usize::from(reply.status == 200);
        }
        assert_eq!(served, BURST, "{client} at {url}");
    }
}

fn limited(client: ForwardedFor<Peer>) -> Router {
    let layer = RateLimitLayer::new(PerKey::new(table(BURST as u64), client));
    Router::new()
        .route("/", get(async || "served"))
        .layer(layer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_fields_get_no_second_bucket() {
    let real_ip = || behind_nginx().field(HeaderName::from_static("x-real-ip"));
    let app = Router::new()
        .nest("/appended", limited(behind_nginx()))
        .nest("/set", limited(behind_nginx()))
        .nest("/hops", limited(ForwardedFor::hops(1, peer as Peer)))
        .nest("/real-ip", limited(real_ip()))
        .nest("/forwarded", limited(behind_nginx().forwarded()));
    let app = serve(app).await;
    let location = |path, field| {
        format!("location {path} {{ proxy_pass http://{app}; proxy_set_header {field}; }}")
    };
    let locations = [
        location("/appended", "X-Forwarded-For $proxy_add_x_forwarded_for"),
        location("/set", "X-Forwarded-For $remote_addr"),
        location("/hops", "X-Forwarded-For $proxy_add_x_forwarded_for"),
        location("/real-ip", "X-Real-IP $remote_addr"),
        // Begins with an empty element if the client sends none.
        location(
            "/forwarded",
            "Forwarded \"$http_forwarded, for=$remote_addr\"",
        ),
    ];
    let locations = locations.concat();
    let nginx = Nginx::start(&format!("server {{ listen LISTEN; {locations} }}"));
    let paths = ["/appended", "/set", "/hops", "/real-ip", "/forwarded"];
    let urls = paths.map(|path| nginx.url(path));
    let checks = urls
        .iter()
        .map(|url| check_clients(url, ["127.0.0.2", "127.0.0.3", "127.0.0.4"]));
    join_all(checks).await;
}

/// The inner nginx has another address, and both append.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proxies_in_a_row() {
    let networks = ["127.0.0.1", "127.0.1.0/24"];
    let client = ForwardedFor::proxies(networks, peer as Peer).expect("networks");
    let app = Router::new()
        .nest("/networks", limited(client))
        .nest("/hops", limited(ForwardedFor::hops(2, peer as Peer)));
    let app = serve(app).await;
    let appended = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    let inner = Nginx::proxy(app, &format!("{appended} proxy_bind 127.0.1.7;"));
    let outer = Nginx::proxy(inner.address(), appended);
    for path in ["/networks", "/hops"] {
        let clients = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
        check_clients(&outer.url(path), clients).await;
    }
    // A client of the inner one is the last untrusted address there, too.
    check_clients(
        &inner.url("/networks"),
        ["127.0.0.5", "127.0.0.6", "127.0.0.7"],
    )
    .await;
}

/// A load balancer tells nginx the client by the PROXY protocol, and nginx tells us.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_proxy_protocol() {
    let app = serve(limited(behind_nginx())).await;
    let nginx = Nginx::start(&format!(
        "server {{
            listen LISTEN proxy_protocol;
            proxy_set_header X-Forwarded-For $proxy_protocol_addr;
            location / {{ proxy_pass http://{app}; }}
        }}"
    ));
    let ask = async |client: &str| {
        let kind = if client.contains(':') { "TCP6" } else { "TCP4" };
        let mut connection = TcpStream::connect(nginx.address()).await.expect("listens");
        let request = format!(
            "PROXY {kind} {client} {client} 4000 80\r\n\
             GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             X-Forwarded-For: 198.51.100.1\r\n\r\n"
        );
        let sent = connection.write_all(request.as_bytes()).await;
        sent.expect("the connection lasts");
        let mut reply = String::new();
        let read = connection.read_to_string(&mut reply).await;
        read.expect("a response");
        reply.starts_with("HTTP/1.1 200")
    };
    // An IPv6 client counts by its network, and so does the second address of the same.
    for clients in [
        ["203.0.113.7", "203.0.113.7"],
        ["203.0.113.8", "203.0.113.8"],
        ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"],
        ["2001:db8:0:2::1", "2001:db8:0:2::1"],
    ] {
        let mut served = 0;
        for client in clients.iter().cycle().take(BURST + 2) {
            served += usize::from(ask(client).await);
        }
        assert_eq!(served, BURST, "{clients:?}");
    }
}

/// Clients take turns on one connection between nginx and the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_upstream_connection() {
    let peers = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&peers);
    let handler = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        seen.lock().expect("no panic").insert(peer);
    };
    let layer = RateLimitLayer::new(PerKey::new(table(BURST as u64), behind_nginx()));
    let app = Router::new().route("/", get(handler)).layer(layer.clone());
    let app = serve(app).await;
    let nginx = Nginx::start(&format!(
        "upstream app {{ server {app}; keepalive 1; keepalive_timeout 1h; }}
        server {{
            listen LISTEN;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            location / {{ proxy_pass http://app; }}
        }}"
    ));
    let url = nginx.url("/");
    for round in 0..BURST + 2 {
        for client in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
            let reply = send_from(client, &[&url]).await;
            let expected = if round < BURST { 200 } else { 429 };
            assert_eq!(reply.status, expected, "{client} in round {round}");
        }
    }
    assert_eq!(peers.lock().expect("no panic").len(), 1, "one connection");
    // Also for the requests of one client in one connection.
    let arguments = ["--interface", "127.0.0.5", "--write-out", "%{http_code} "];
    let printed = run(&[&arguments, &[&*url, &url][..]].concat()).await;
    assert_eq!(printed, "200 200 ");
    assert_eq!(layer.stats().allowed, 3 * BURST as u64 + 2);
}
