//! What nginx makes of refusals, and how its own limit compares.

use std::time::Instant;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tidegate::layer::{Gate, Named, PerKey, ProblemJson, RateLimitLayer, RequestHead};

use crate::app::{behind_nginx, serve, table};
use crate::curl::send_from;
use crate::nginx::Nginx;

const FORWARDED: &str = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";

/// Status, fields and body reach the client as the server sent them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_pass_unchanged() {
    let client = Named::new("client", PerKey::new(table(1), behind_nginx()));
    let layer = RateLimitLayer::builder((client, Named::new("all", table_of_all())))
        .reject(ProblemJson)
        .build();
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(layer);
    let app = serve(app).await;
    let nginx = Nginx::proxy(app, FORWARDED);
    let direct = format!("http://{app}/");
    let policies = r#""client";q=1;w=60, "all";q=1000;w=60000"#;
    for status in [200, 429] {
        let through = send_from("127.0.0.2", &[&nginx.url("/")]).await;
        let direct = send_from("127.0.0.3", &[&direct]).await;
        assert_eq!((through.status, direct.status), (status, status));
        assert_eq!(through.body, direct.body);
        for reply in [&through, &direct] {
            assert_eq!(reply.field("ratelimit-policy"), policies);
            assert_eq!(reply.field("ratelimit"), r#""client";r=0;t=60"#);
        }
        for name in ["content-type", "content-length"] {
            assert_eq!(through.field(name), direct.field(name));
        }
        if status == 429 {
            assert_eq!(through.field("retry-after"), "60");
            assert_eq!(through.field("content-type"), "application/problem+json");
            let problem: serde_json::Value = serde_json::from_str(&through.body).expect("JSON");
            assert_eq!(problem["status"], 429);
            assert_eq!(problem["violated-policies"], serde_json::json!(["client"]));
        }
    }
}

fn table_of_all() -> tidegate::TokenBucket<tidegate::ManualClock> {
    tidegate::TokenBucket::with_clock(crate::app::quota(1_000), tidegate::ManualClock::new())
}

/// The recipe in the documentation of `RateLimitLayer`: reads the body of a refused request.
async fn limit<G: Gate>(
    State(layer): State<RateLimitLayer<G>>,
    request: Request,
    next: Next,
) -> Response {
    match layer.decide(&RequestHead::new(&request)) {
        Ok(admission) => admission.respond(next.run(request).await),
        Err(refusal) => {
            let _ = to_bytes(request.into_body(), 8 << 20).await;
            refusal
        }
    }
}

/// A refusal of an upload reaches the client, if nginx could send all of it. A layer does not read
/// it, so nginx may fail to send a large one, and then responds with 502 itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_uploads() {
    const SMALL: usize = 4 << 10;
    const LARGE: usize = 4 << 20;
    for (size, reads_body) in [(SMALL, false), (SMALL, true), (LARGE, false), (LARGE, true)] {
        let upload = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(upload.path(), vec![b'x'; size]).expect("space");
        let file = format!("@{}", upload.path().display());
        for directives in [
            "",
            "proxy_http_version 1.1;",
            "proxy_request_buffering off; proxy_http_version 1.1;",
        ] {
            let layer = RateLimitLayer::new(PerKey::new(table(1), behind_nginx()));
            let handler = async |body: Bytes| body.len().to_string();
            let app = Router::new().route("/", post(handler));
            let app = if reads_body {
                app.layer(from_fn_with_state(layer.clone(), limit))
            } else {
                app.layer(layer.clone())
            };
            let app = serve(app.layer(DefaultBodyLimit::disable())).await;
            let directives = format!("{FORWARDED} client_max_body_size 8m; {directives}");
            let nginx = Nginx::proxy(app, &directives);
            let url = nginx.url("/");
            for chunked in [false, true] {
                let (client, header) = if chunked {
                    ("127.0.0.2", "Transfer-Encoding: chunked")
                } else {
                    ("127.0.0.3", "Accept: */*")
                };
                let no_pause = ["--header", "Expect:", "--header", header];
                let arguments = [&no_pause, &["--data-binary", &*file, &url][..]].concat();
                let first = send_from(client, &arguments).await;
                assert_eq!((first.status, first.body), (200, size.to_string()));
                for _ in 0..3 {
                    let refused = send_from(client, &arguments).await;
                    if size == LARGE && !reads_body && refused.status == 502 {
                        continue;
                    }
                    assert_eq!(refused.status, 429, "{size} {directives} {header}");
                    assert_eq!(refused.field("retry-after"), "60");
                }
            }
            assert_eq!((layer.stats().allowed, layer.stats().denied), (2, 6));
        }
    }
}

/// nginx's `limit_req` and a layer with the same limit, each alone, serve as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_req_agrees() {
    const BURST: u64 = 5;
    let layer = RateLimitLayer::new(PerKey::new(table(BURST), behind_nginx()));
    let served = || get(async || "served");
    let app = Router::new()
        .route("/ours", served().layer(layer))
        .route("/theirs", served());
    let app = serve(app).await;
    // `burst` is what comes beside the first one.
    let nginx = Nginx::start(&format!(
        "limit_req_zone $binary_remote_addr zone=clients:1m rate=1r/m;
        limit_req_status 429;
        server {{
            listen LISTEN;
            {FORWARDED}
            location /ours {{ proxy_pass http://{app}; }}
            location /theirs {{
                limit_req zone=clients burst={} nodelay;
                proxy_pass http://{app};
            }}
        }}",
        BURST - 1
    ));
    for client in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        let start = Instant::now();
        let count = async |path| {
            let mut served = 0;
            for _ in 0..BURST + 4 {
                let reply = send_from(client, &[&nginx.url(path)]).await;
                assert!(matches!(reply.status, 200 | 429), "{reply:?}");
                served += u64::from(reply.status == 200);
            }
            served
        };
        let theirs = count("/theirs").await;
        // The clock of nginx does not stand still.
        let refilled = start.elapsed().as_secs() / 59;
        let bounds = BURST..=BURST + refilled;
        assert!(bounds.contains(&theirs), "{client}: {theirs} in {bounds:?}");
        assert_eq!(count("/ours").await, BURST, "{client}");
    }
}
