//! The load: clients of all gateways, who never wait as they are told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};

use crate::BoxError;
use crate::client::{Answer, Client};
use crate::gateway::PASSED;
use crate::stats::{Answers, Counts};

/// Clients of each gateway.
const CLIENTS: u32 = 16;
/// So many that all of them together get more past their own limits than the limit for all admits.
pub(crate) const USERS: usize = 75;

/// What the clients were told, counted as the answers come. Relaxed: counters, which guard nothing.
pub(crate) struct Tally {
    gateways: Vec<Answers>,
    users: Vec<Passed>,
    stop: AtomicBool,
}

/// How often a user's limit let requests pass.
#[derive(Default)]
struct Passed {
    by_server: AtomicU64,
    by_share: AtomicU64,
}

impl Tally {
    pub(crate) fn new(gateways: usize) -> Self {
        Self {
            gateways: (0..gateways).map(|_| Answers::default()).collect(),
            users: (0..USERS).map(|_| Passed::default()).collect(),
            stop: AtomicBool::new(false),
        }
    }

    /// Lets clients finish the requests that are under way, and send no more.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(crate) fn gateway(&self, index: usize) -> Counts {
        self.gateways[index].read()
    }

    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for gateway in &self.gateways {
            total.add(gateway.read());
        }
        total
    }

    /// The most that the server let pass for one user.
    pub(crate) fn most_by_server(&self) -> u64 {
        let counts = self.users.iter().map(|user| user.by_server.load(Relaxed));
        counts.max().unwrap_or(0)
    }

    /// The most that gateways let pass for one user by themselves.
    pub(crate) fn most_by_shares(&self) -> u64 {
        let counts = self.users.iter().map(|user| user.by_share.load(Relaxed));
        counts.max().unwrap_or(0)
    }

    /// What the server let pass for all users.
    pub(crate) fn by_server(&self) -> u64 {
        self.users.iter().map(|u| u.by_server.load(Relaxed)).sum()
    }

    fn count(&self, gateway: usize, user: usize, answer: &Answer) -> Result<(), BoxError> {
        let status = StatusCode::from_u16(answer.status)?;
        match status {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let wait = answer.header("retry-after").ok_or("no Retry-After")?;
                if wait.parse::<u64>()? == 0 {
                    return Err("a Retry-After of 0".into());
                }
            }
            status => return Err(format!("a gateway answered {status}").into()),
        }
        match answer.header(PASSED.as_str()) {
            Some("server") => self.users[user].by_server.fetch_add(1, Relaxed),
            Some(_) => self.users[user].by_share.fetch_add(1, Relaxed),
            None => 0,
        };
        self.gateways[gateway].count(status);
        Ok(())
    }
}

/// Starts the clients, which send `offer` requests per second over all, or as many as get answered.
pub(crate) async fn start(
    gateways: &[SocketAddr],
    offer: u32,
    tally: &Arc<Tally>,
) -> Result<JoinSet<Result<(), BoxError>>, BoxError> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        for (gateway, address) in gateways.iter().enumerate() {
            clients.push((gateway, Client::connect(*address).await?));
        }
    }
    let interval = Duration::from_secs(1) * u32::try_from(clients.len())? / offer;
    let mut running = JoinSet::new();
    for (number, (gateway, client)) in clients.into_iter().enumerate() {
        running.spawn(send(client, gateway, number, interval, Arc::clone(tally)));
    }
    Ok(running)
}

async fn send(
    mut client: Client,
    gateway: usize,
    number: usize,
    interval: Duration,
    tally: Arc<Tally>,
) -> Result<(), BoxError> {
    // Each client goes through all users, so that the requests of each user are spread over the gateways.
    let mut user = number;
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !tally.stop.load(Relaxed) {
        ticks.tick().await;
        user = (user + 7) % USERS;
        let answer = client.get("/", &format!("user-{user}")).await?;
        tally.count(gateway, user, &answer)?;
    }
    Ok(())
}
