//! Loads a server while its file changes, and counts what each limit admitted.
//!
//! The limits that are counted refill by the hour, so what they admit within seconds does not
//! depend on how fast the machine is.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{self, Command};
use std::sync::atomic::Ordering::Relaxed;

use axum::http::{Request, StatusCode, request};
use futures_util::future::{join_all, try_join_all};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Outcome, reload_on_hangup, server};

pub(crate) async fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("limits.toml");
    let text = include_str!("limits.toml");
    fs::write(&path, text)?;

    let rules = server::rules(&path)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, server::service(&rules)).into_future());
    let (sender, mut reloads) = mpsc::unbounded_channel();
    tokio::spawn(reload_on_hangup(
        rules.clone(),
        path.clone(),
        move |outcome| {
            let _ = sender.send(outcome);
        },
    )?);
    let mut reload = async |text: &str| {
        fs::write(&path, text)?;
        hang_up()?;
        let outcome = reloads.recv().await.ok_or("the server is gone")?;
        Ok::<_, Box<dyn std::error::Error>>(outcome)
    };

    let search = || async move { admitted(address, 8, 100, |_| Request::get("/search")).await };
    check("searches, 100 in any hour", search().await?, 100)?;

    let wrong = text.replace("window = \"100/h\"", "window = \"150/fortnight\"");
    let refusal = reload(&wrong)
        .await?
        .err()
        .ok_or("a wrong file was accepted")?;
    println!(
        "\n{}\n",
        refusal
            .trim_end()
            .replace(&*path.to_string_lossy(), "limits.toml")
    );
    check("searches after a wrong file", search().await?, 0)?;

    // While requests come: no free burst, and nothing lost.
    let more = text.replace("window = \"100/h\"", "window = \"150/h\"");
    let (during, reloaded) = tokio::join!(search(), reload(&more));
    reloaded??;
    check(
        "searches with 150 in any hour",
        during? + search().await?,
        50,
    )?;
    let (during, reloaded) = tokio::join!(search(), reload(text));
    reloaded??;
    check("searches with 100 again", during? + search().await?, 0)?;

    let items = |key: &'static str| async move {
        let ask = |n| Request::get(format!("/items/{n}")).header("x-api-key", key);
        admitted(address, 4, 50, ask).await
    };
    check("items of a customer", items("pro-7f3a9c").await?, 40)?;
    check("items of another one", items("pro-c41d02").await?, 40)?;
    check("items of anybody else", items("free-58b210").await?, 10)?;

    let wrong = |_| Request::post("/login").header("authorization", "let me in");
    check(
        "wrong log-ins that were checked, of 18 at once",
        checked(address, 18, wrong).await?,
        5,
    )?;
    let right = |_| Request::post("/login").header("authorization", "open sesame");
    check(
        "right ones after that",
        checked(address, 1, right).await?,
        0,
    )?;

    let export = |_| Request::get("/export").header("x-api-key", "pro-7f3a9c");
    checked(address, 6, export).await?;
    let most = server::MOST_RUNNING.load(Relaxed);
    // A slow machine may run them one after the other.
    check("exports of one account at the same time", most.max(2), 2)?;
    let health = |_| Request::get("/health");
    check(
        "requests for /health",
        admitted(address, 4, 50, health).await?,
        200,
    )?;
    println!("\nEach limit admitted what its file said.");
    Ok(())
}

fn check(what: &str, admitted: u64, expected: u64) -> Outcome {
    println!("{what:<48} {admitted:>4}");
    if admitted == expected {
        return Ok(());
    }
    Err(format!("{what}: {admitted} instead of {expected}").into())
}

fn hang_up() -> Outcome {
    let status = Command::new("kill")
        .args(["-HUP", &process::id().to_string()])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("kill failed".into())
    }
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

/// Sends `each` requests of each of several clients, and returns how many were admitted.
async fn admitted(
    server: SocketAddr,
    clients: usize,
    each: usize,
    request: impl Fn(usize) -> request::Builder,
) -> Result<u64, Box<dyn std::error::Error>> {
    let request = &request;
    let counts = (0..clients).map(|_| async move {
        let client = client();
        let mut admitted = 0;
        for number in 0..each {
            admitted += u64::from(send(&client, server, request(number)).await?);
        }
        Ok::<_, Box<dyn std::error::Error>>(admitted)
    });
    Ok(try_join_all(counts).await?.into_iter().sum())
}

/// Sends requests at the same time, and returns how many were admitted.
async fn checked(
    server: SocketAddr,
    n: usize,
    request: impl Fn(usize) -> request::Builder,
) -> Result<u64, Box<dyn std::error::Error>> {
    let (client, request) = (&client(), &request);
    let sent = join_all((0..n).map(|number| send(client, server, request(number)))).await;
    let sent: Vec<bool> = sent.into_iter().collect::<Result<_, _>>()?;
    Ok(sent.into_iter().map(u64::from).sum())
}

/// Returns whether a request was admitted.
async fn send(
    client: &HttpClient,
    server: SocketAddr,
    request: request::Builder,
) -> Result<bool, Box<dyn std::error::Error>> {
    let mut request = request.body(Empty::new())?;
    *request.uri_mut() = format!("http://{server}{}", request.uri().path()).parse()?;
    let response = client.request(request).await?;
    let status = response.status();
    // So that the connection can be used again.
    response.into_body().collect().await?;
    Ok(status != StatusCode::TOO_MANY_REQUESTS)
}
