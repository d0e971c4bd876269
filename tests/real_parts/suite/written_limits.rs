//! A limit that `tidegate config` writes for nginx admits what its quota does.

use std::time::Instant;

use axum::Router;
use axum::routing::get;

use crate::app::serve;
use crate::curl::send_from;
use crate::nginx::Nginx;

/// What the program writes for `3/min burst 4`: its own tests compare.
const WRITTEN: &str = include_str!("../../../cli/tests/data/config/nginx.conf");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_admits_the_burst() {
    let app = serve(Router::new().route("/", get(async || "served"))).await;
    let nginx = Nginx::start(&format!(
        "{WRITTEN}
        server {{ listen LISTEN; location / {{ proxy_pass http://{app}; }} }}"
    ));
    for client in ["127.0.0.8", "127.0.0.9"] {
        let started = Instant::now();
        let mut statuses = Vec::new();
        for _ in 0..8 {
            statuses.push(send_from(client, &[&nginx.url("/")]).await.status);
        }
        // A token in 20 s.
        let refilled = usize::try_from(started.elapsed().as_secs() / 20).unwrap_or(8);
        assert_eq!(statuses[..4], [200; 4], "{client}");
        let admitted = statuses.iter().filter(|status| **status == 200).count();
        assert!(admitted <= 4 + refilled, "{client}: {statuses:?}");
        assert!(
            statuses.iter().all(|status| [200, 429].contains(status)),
            "{statuses:?}"
        );
    }
}
