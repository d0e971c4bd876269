//! A router whose limits are in a file. This is the file to copy from.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::{ConnectInfo, IntoMakeServiceWithConnectInfo};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use tidegate::layer::{Rules, RulesConfig};

/// Reads a file of limits.
pub(crate) fn read(path: &Path) -> Result<RulesConfig, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let config = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(config)
}

/// Makes the limits of a file.
pub(crate) fn rules(path: &Path) -> Result<Rules, Box<dyn Error>> {
    let rules = Rules::builder()
        // Behind proxies, the file has `{ address = "x-forwarded-for", proxies = [..] }`.
        .peer(|request| {
            let peer: &ConnectInfo<SocketAddr> = request.extension()?;
            Some(peer.0.ip())
        })
        .build(&read(path)?);
    Ok(rules.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Puts the file into force as it is now. If it is wrong, all stays as it was.
pub(crate) fn reload(rules: &Rules, path: &Path) -> Result<(), Box<dyn Error>> {
    let config = read(path)?;
    let reloaded = rules.reload(&config);
    Ok(reloaded.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Builds the routes, all behind one layer.
pub(crate) fn service(rules: &Rules) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    Router::new()
        .route("/health", get(async || "well\n"))
        .route("/search", get(async || "nothing found\n"))
        .route("/items/{id}", get(async || "an item\n"))
        .route("/login", post(log_in))
        .route("/export", get(export))
        .layer(rules.layer().build())
        // For `peer`.
        .into_make_service_with_connect_info()
}

async fn log_in(headers: HeaderMap) -> StatusCode {
    // As slow as a check of a hashed password.
    tokio::time::sleep(Duration::from_millis(50)).await;
    match headers.get("authorization") {
        Some(password) if password == "open sesame" => StatusCode::NO_CONTENT,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// Exports that run now, and the most that ever did.
pub(crate) static RUNNING: AtomicU64 = AtomicU64::new(0);
pub(crate) static MOST_RUNNING: AtomicU64 = AtomicU64::new(0);

async fn export() -> &'static str {
    // Relaxed: they guard no other memory.
    let running = RUNNING.fetch_add(1, Relaxed) + 1;
    MOST_RUNNING.fetch_max(running, Relaxed);
    tokio::time::sleep(Duration::from_millis(300)).await;
    RUNNING.fetch_sub(1, Relaxed);
    "all that there is\n"
}
