//! Asks sentinels for the master of a service.
//!
//! All sentinels are asked at the same time, so one that hangs delays a connection by no more than
//! a quarter of the time limit of a call. Of several answers, the one with the highest
//! configuration epoch counts. Every failover has a new epoch, so the answer of a sentinel that
//! missed the last one has no effect.
//!
//! The client for sentinels in the crate `redis` waits for them in turn with time limits of its
//! own, names a new master only when all other replicas follow it, and needs the right to `ROLE`.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::timeouts::Timeouts;
use crate::unless::unless;

/// How often the sentinels are asked whether another master has taken over. A master that was
/// replaced on demand serves its connections for several more seconds.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The same while a connection is being made: if the master does not answer, another one is about
/// to take over.
const CONNECT_INTERVAL: Duration = Duration::from_millis(250);

/// A service by name, and those who know its master.
pub(crate) struct Service {
    sentinels: Box<[Client]>,
    name: Box<str>,
    /// How to log in to the master. Its host and port are placeholders.
    login: ConnectionInfo,
    open: Box<OpenClient>,
    timeouts: Timeouts,
}

/// Makes a client, with the certificates of the store.
pub(crate) type OpenClient = dyn Fn(ConnectionInfo) -> RedisResult<Client> + Send + Sync;

/// The master of a service, as a sentinel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    host: Box<str>,
    port: u16,
    epoch: u64,
}

impl Service {
    pub(crate) fn new(
        sentinels: Vec<ConnectionInfo>,
        name: &str,
        login: ConnectionInfo,
        open: Box<OpenClient>,
        timeouts: Timeouts,
    ) -> RedisResult<Self> {
        if sentinels.is_empty() {
            return Err((ErrorKind::EmptySentinelList, "no sentinel was given").into());
        }
        let sentinels = sentinels.into_iter().map(&open);
        let service = Self {
            sentinels: sentinels.collect::<RedisResult<_>>()?,
            name: name.into(),
            login,
            open,
            timeouts,
        };
        // What no master could make valid is invalid now.
        service.client("127.0.0.1", 0)?;
        Ok(service)
    }

    fn client(&self, host: &str, port: u16) -> RedisResult<Client> {
        let host = host.to_owned();
        let address = match self.login.addr() {
            ConnectionAddr::Tcp(..) => ConnectionAddr::Tcp(host, port),
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => {
                let text = "sentinels name masters by host and port";
                return Err((ErrorKind::InvalidClientConfig, text).into());
            }
        };
        (self.open)(self.login.clone().set_addr(address))
    }

    async fn connect(&self, master: &Master) -> RedisResult<MultiplexedConnection> {
        let Master { host, port, .. } = master;
        let client = self.client(host, *port)?;
        let config = self.timeouts.config();
        let connected = client.get_multiplexed_async_connection_with_config(&config);
        connected.await.map_err(|error| {
            if !error.is_io_error() {
                return error;
            }
            let text = "no connection to the master that the sentinels name";
            (ErrorKind::Io, text, format!("{host}:{port}: {error}")).into()
        })
    }

    async fn connect_to_sentinel(&self, sentinel: usize) -> RedisResult<MultiplexedConnection> {
        let timeouts = Timeouts {
            response: self.timeouts.connect,
            ..self.timeouts
        };
        let config = timeouts.config();
        let client = &self.sentinels[sentinel];
        let connected = client.get_multiplexed_async_connection_with_config(&config);
        connected.await
    }

    /// Asks one sentinel, on a new connection if there is none. `None` if it does not know the
    /// service.
    async fn ask(
        &self,
        sentinel: usize,
        connection: Option<MultiplexedConnection>,
    ) -> RedisResult<(MultiplexedConnection, Option<Master>)> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.connect_to_sentinel(sentinel).await?,
        };
        // The epoch before the address, which then is at least as new.
        let mut command = redis::cmd("SENTINEL");
        let command = command.arg("MASTER").arg(&*self.name);
        let master = command.query_async::<HashMap<String, String>>(&mut connection);
        let fields = match master.await {
            Ok(fields) => fields,
            Err(error)
                if error
                    .detail()
                    .is_some_and(|text| text.starts_with("No such master")) =>
            {
                return Ok((connection, None));
            }
            Err(error) => return Err(error),
        };
        let epoch = fields
            .get("config-epoch")
            .and_then(|epoch| epoch.parse().ok());
        // This names the new master as soon as it accepts writes, and `MASTER` only seconds later.
        let mut command = redis::cmd("SENTINEL");
        let command = command.arg("GET-MASTER-ADDR-BY-NAME").arg(&*self.name);
        let address = command.query_async::<Option<(String, u16)>>(&mut connection);
        let master = address.await?.map(|(host, port)| Master {
            host: host.into(),
            port,
            epoch: epoch.unwrap_or(0),
        });
        Ok((connection, master))
    }
}

/// The sentinels of a service, and a connection to each. Belongs to one task.
pub(super) struct Sentinels {
    service: Arc<Service>,
    connections: Vec<Option<MultiplexedConnection>>,
}

impl Sentinels {
    pub(super) fn new(service: Arc<Service>) -> Self {
        let connections = vec![None; service.sentinels.len()];
        Self {
            service,
            connections,
        }
    }

    /// Finds the master and connects to it, or to another one that takes over meanwhile.
    pub(super) async fn connect(&mut self) -> RedisResult<(MultiplexedConnection, Master)> {
        let service = Arc::clone(&self.service);
        let mut master = self.find().await?;
        loop {
            let successor = self.successor_within(&master, CONNECT_INTERVAL);
            match unless(successor, service.connect(&master)).await {
                Ok(connected) => return Ok((connected?, master)),
                Err(successor) => master = successor,
            }
        }
    }

    /// Returns the master that takes over from this one, once there is one.
    pub(super) async fn successor(&mut self, master: &Master) -> Master {
        self.successor_within(master, WATCH_INTERVAL).await
    }

    async fn successor_within(&mut self, master: &Master, interval: Duration) -> Master {
        loop {
            tokio::time::sleep(interval).await;
            // An older epoch would be that of a sentinel that has missed a failover.
            if let Ok(found) = self.find().await
                && found.epoch > master.epoch
                && (&found.host, found.port) != (&master.host, master.port)
            {
                return found;
            }
        }
    }

    async fn find(&mut self) -> RedisResult<Master> {
        let service = &self.service;
        let mut asked = JoinSet::new();
        for (sentinel, connection) in self.connections.iter_mut().enumerate() {
            let (service, connection) = (Arc::clone(service), connection.take());
            asked.spawn(async move { (sentinel, service.ask(sentinel, connection).await) });
        }
        let mut newest: Option<Master> = None;
        let mut failures = Failures::default();
        let mut until = Instant::now() + service.timeouts.connect * 2;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, asked.join_next()).await {
            match answer {
                Ok((sentinel, Ok((connection, master)))) => {
                    self.connections[sentinel] = Some(connection);
                    let Some(master) = master else {
                        failures.unknown(&service.sentinels[sentinel]);
                        continue;
                    };
                    // The others have this long to tell of a newer one, so that a call that waits
                    // for the connection does not time out.
                    until = until.min(Instant::now() + service.timeouts.response / 4);
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.epoch < master.epoch)
                    {
                        newest = Some(master);
                    }
                }
                Ok((sentinel, Err(error))) => failures.add(&service.sentinels[sentinel], &error),
                // It was not aborted and has not panicked.
                Err(_) => {}
            }
        }
        newest.ok_or_else(|| failures.error(&service.name))
    }
}

/// Why each sentinel named no master.
#[derive(Default)]
struct Failures {
    text: String,
    is_unknown: bool,
}

impl Failures {
    fn unknown(&mut self, sentinel: &Client) {
        self.is_unknown = true;
        self.push(sentinel, &"does not know it");
    }

    fn add(&mut self, sentinel: &Client, error: &RedisError) {
        self.push(sentinel, error);
    }

    fn push(&mut self, sentinel: &Client, problem: &dyn core::fmt::Display) {
        let address = sentinel.get_connection_info().addr();
        // Writing to a string succeeds.
        let _ = write!(self.text, "; {address}: {problem}");
    }

    fn error(self, name: &str) -> RedisError {
        let detail = format!("`{name}`{}", self.text);
        if self.is_unknown {
            let text = "no sentinel names a master of the service";
            (ErrorKind::MasterNameNotFoundBySentinel, text, detail).into()
        } else {
            let text = "no sentinel answers about the service";
            (ErrorKind::Io, text, detail).into()
        }
    }
}
