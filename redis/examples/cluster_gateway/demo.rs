//! What happens when.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, Quota};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::args::Plan;
use crate::gateway::NODES;
use crate::load::{self, Tally};
use crate::node::Node;
use crate::report::Report;
use crate::server::Server;
use crate::{BoxError, bound, print};

/// How much longer than its load the demo may take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// Starts everything, loads it, stops it, and returns what was counted.
pub(crate) async fn run(plan: Plan) -> Result<Report, BoxError> {
    let patience = plan.duration + PATIENCE;
    timeout(patience, play(plan))
        .await
        .map_err(|_| "the server, a gateway or a client hangs")?
}

async fn play(plan: Plan) -> Result<Report, BoxError> {
    let mut server = Server::start(plan.redis.clone()).await?;
    // A server that is there may know buckets of earlier demos.
    let prefix = format!("tidegate:demo-{:x}", server.time().await?.as_micros());
    let mut nodes = Vec::new();
    for _ in 0..NODES.get() {
        nodes.push(Node::start(&server.url, &prefix, plan.quotas).await?);
    }
    introduce(&plan, &server)?;

    let tally = Arc::new(Tally::new(nodes.len()));
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    // The bound is that of the server's clock, from before the first request until after the last answer.
    let start = server.time().await?;
    let mut clients = load::start(&addresses, plan.offer, &tally).await?;
    let (phase, seen) = watch::channel("answers");
    let story = async {
        tell(&plan, &mut server, &tally, &phase).await?;
        tally.stop();
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        Ok::<_, BoxError>(())
    };
    tokio::select! {
        told = story => told?,
        failed = watch_live(plan.quotas.global, &tally, seen) => return Err(failed),
    }
    let elapsed = server.time().await?.saturating_sub(start);

    let mut stats = Vec::new();
    for node in &nodes {
        stats.push(node.stats().await?);
    }
    for node in nodes {
        node.stop().await?;
    }
    server.stop().await?;
    Ok(Report::new(plan.quotas, elapsed, &tally, stats))
}

/// Stalls the server, kills it and starts it again, unless it is somebody else's.
async fn tell(
    plan: &Plan,
    server: &mut Server,
    tally: &Tally,
    phase: &watch::Sender<&'static str>,
) -> Result<(), BoxError> {
    let part = |percent: u32| plan.duration * percent / 100;
    if !server.is_own() {
        sleep(plan.duration).await;
        return Ok(());
    }
    sleep(part(25)).await;
    server.stall()?;
    phase.send_replace("stalled");
    sleep(part(20).min(Duration::from_secs(1))).await;
    server.go_on()?;
    phase.send_replace("answers");
    sleep(part(20)).await;
    server.kill().await?;
    phase.send_replace("killed");
    sleep(part(10).min(Duration::from_millis(500))).await;
    server.restart().await?;
    phase.send_replace("restarted");
    comes_back(tally).await?;
    sleep(part(25)).await;
    Ok(())
}

/// Until the server admits again what gateways ask it, which nobody has told them to.
async fn comes_back(tally: &Tally) -> Result<(), BoxError> {
    let (before, admitted) = (tally.by_server(), tally.total().admitted);
    let back = async {
        while tally.by_server() == before || tally.total().admitted == admitted {
            sleep(Duration::from_millis(10)).await;
        }
    };
    Ok(timeout(Duration::from_secs(20), back)
        .await
        .map_err(|_| "the gateways do not find back to the server")?)
}

fn introduce(plan: &Plan, server: &Server) -> io::Result<()> {
    let (global, user) = (plan.quotas.global, plan.quotas.user);
    let fate = if server.is_own() {
        "which stalls, is killed and comes back"
    } else {
        "which is left alone"
    };
    print(&format!(
        "{NODES} gateways share limits on a server, {fate}.\n\
         All requests: {global}, leased, closed without the server.\n\
         Each user:    {user} and 10000/day, a share per gateway without it.\n\n\
         {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}  server\n",
        "seconds", "offered", "admitted", "refused", "unavail.", "at most",
    ))
}

/// A line from time to time, until it fails.
async fn watch_live(quota: Quota, tally: &Tally, phase: watch::Receiver<&'static str>) -> BoxError {
    let interval = if io::stdout().is_terminal() {
        500
    } else {
        1_000
    };
    let start = DefaultClock.now();
    loop {
        sleep(Duration::from_millis(interval)).await;
        let counts = tally.total();
        // After the counts, so that the bound is one for all of them.
        let elapsed = DefaultClock.now() - start;
        let line = format!(
            "{:>7.1} {:>9} {:>9} {:>9} {:>9} {:>9}  {}\n",
            elapsed.as_secs_f64(),
            counts.offered(),
            counts.admitted,
            counts.refused,
            counts.unavailable,
            bound::most(quota, elapsed),
            *phase.borrow(),
        );
        if let Err(error) = print(&line) {
            return error.into();
        }
    }
}
