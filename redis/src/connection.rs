//! The kinds of connections that scripts run on, and how a broken one is replaced.

#[cfg(feature = "sentinel")]
mod master_connection;
#[cfg(feature = "sentinel")]
pub(crate) mod sentinels;
pub(crate) mod timeouts;

use core::fmt;
#[cfg(feature = "cluster")]
use std::collections::HashMap;
#[cfg(feature = "sentinel")]
use std::sync::Arc;

use redis::aio::{
    ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection,
};
#[cfg(feature = "cluster")]
use redis::cluster::ClusterClient;
#[cfg(feature = "cluster")]
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, RedisResult, Value};
use tokio::runtime::{self, Handle};

#[cfg(feature = "sentinel")]
use master_connection::MasterConnection;
#[cfg(feature = "sentinel")]
use sentinels::Service;
use timeouts::Timeouts;

#[cfg(tidegate_simulation)]
use crate::simulation::SimulatedConnection;

/// A connection of the crate `redis`, shared by all callers.
///
/// `From` takes a [`ConnectionManager`] (one server, reconnects), a `ClusterConnection` (feature
/// `cluster`), or a [`MultiplexedConnection`] (one server, never reconnects).
///
/// Prefer [`RedisStore::connect`](crate::RedisStore::connect), `connect_sentinel` and
/// `connect_cluster`: they replace a connection that stopped carrying data without being closed,
/// and never send a charge twice. Build your own `ClusterClient` with `retries(0)`. Otherwise it
/// resends calls whose reply was lost, and these are charged twice.
#[derive(Clone)]
pub struct Connection {
    kind: ConnectionKind,
    reconnect: Reconnect,
    /// The runtime that drives it; `None` if the user has to know.
    runtime: Option<runtime::Id>,
}

#[derive(Clone)]
enum ConnectionKind {
    Manager(ConnectionManager),
    Multiplexed(MultiplexedConnection),
    #[cfg(feature = "sentinel")]
    Master(MasterConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
    #[cfg(tidegate_simulation)]
    Simulated(SimulatedConnection),
}

#[derive(Clone)]
struct Server {
    client: Client,
    timeouts: Timeouts,
}

/// How to make a connection that replaces this one.
#[derive(Clone)]
enum Reconnect {
    Never,
    Server(Box<Server>),
    #[cfg(feature = "sentinel")]
    Master(Arc<Service>),
    #[cfg(feature = "cluster")]
    Cluster(Box<ClusterClient>),
}

impl Connection {
    /// Returns a connection to one server that connects with the first call.
    pub(crate) fn to_server(client: Client, timeouts: Timeouts) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            // The breaker decides when to try again.
            .set_number_of_retries(0)
            .set_response_timeout(Some(timeouts.response))
            .set_connection_timeout(Some(timeouts.connect));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self {
            kind: ConnectionKind::Manager(manager),
            reconnect: Reconnect::Server(Box::new(Server { client, timeouts })),
            runtime: this_runtime(),
        })
    }

    /// Returns a connection to the master of a service. It connects with the first call.
    #[cfg(feature = "sentinel")]
    pub(crate) fn to_master(service: Arc<Service>) -> Self {
        Self {
            kind: ConnectionKind::Master(MasterConnection::new(Arc::clone(&service))),
            reconnect: Reconnect::Master(service),
            runtime: this_runtime(),
        }
    }

    /// Whether the present runtime drives it. Another one may have ended.
    pub(crate) fn is_of_this_runtime(&self) -> bool {
        self.runtime.is_none() || self.runtime == this_runtime()
    }

    /// Makes a connection of the present runtime, if it needs no wait.
    pub(crate) fn for_this_runtime(&self) -> Option<Self> {
        match &self.reconnect {
            Reconnect::Server(server) => {
                Self::to_server(server.client.clone(), server.timeouts).ok()
            }
            #[cfg(feature = "sentinel")]
            Reconnect::Master(service) => Some(Self::to_master(Arc::clone(service))),
            Reconnect::Never => None,
            #[cfg(feature = "cluster")]
            Reconnect::Cluster(_) => None,
        }
    }

    #[cfg(feature = "cluster")]
    pub(crate) async fn to_cluster(client: ClusterClient) -> RedisResult<Self> {
        Ok(Self {
            kind: ConnectionKind::Cluster(client.get_async_connection().await?),
            reconnect: Reconnect::Cluster(Box::new(client)),
            runtime: None,
        })
    }

    /// Makes another connection to the same server, unless the user supplied this one.
    #[cfg_attr(
        not(feature = "cluster"),
        expect(clippy::unused_async, reason = "connecting to a cluster waits")
    )]
    pub(crate) async fn reconnected(&self) -> Option<Self> {
        match &self.reconnect {
            Reconnect::Never => None,
            Reconnect::Server(_) => self.for_this_runtime(),
            #[cfg(feature = "sentinel")]
            Reconnect::Master(_) => self.for_this_runtime(),
            #[cfg(feature = "cluster")]
            Reconnect::Cluster(client) => {
                let client = ClusterClient::clone(client);
                Self::to_cluster(client).await.ok()
            }
        }
    }

    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match &mut self.kind {
            ConnectionKind::Manager(manager) => manager.req_packed_command(command).await,
            ConnectionKind::Multiplexed(connection) => connection.req_packed_command(command).await,
            #[cfg(feature = "sentinel")]
            ConnectionKind::Master(master) => master.run(command).await,
            #[cfg(feature = "cluster")]
            ConnectionKind::Cluster(cluster) => cluster.req_packed_command(command).await,
            #[cfg(tidegate_simulation)]
            ConnectionKind::Simulated(simulated) => simulated.carrier.send(command).await,
        }
    }

    /// Runs a command without keys, at any node of a cluster.
    pub(crate) async fn run_anywhere(&mut self, command: &Cmd) -> RedisResult<Value> {
        #[cfg(feature = "cluster")]
        if let ConnectionKind::Cluster(cluster) = &mut self.kind {
            use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

            let any_node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
            return cluster.route_command(command.clone(), any_node).await;
        }
        self.run(command).await
    }

    /// Returns the addresses of all masters of a cluster, in order; none for a single server.
    #[cfg_attr(
        not(feature = "cluster"),
        expect(clippy::unused_async, reason = "a cluster is asked")
    )]
    pub(crate) async fn masters(&mut self) -> RedisResult<Vec<String>> {
        #[cfg(feature = "cluster")]
        if let ConnectionKind::Cluster(cluster) = &mut self.kind {
            use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};

            // Only the addresses in the reply matter. Every user of limits has the right to ask.
            let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
            let reply = cluster.route_command(redis::cmd("TIME"), all).await?;
            let replies: HashMap<String, Value> = redis::FromRedisValue::from_redis_value(reply)?;
            let mut addresses: Vec<String> = replies.into_keys().collect();
            addresses.sort();
            return Ok(addresses);
        }
        Ok(Vec::new())
    }

    /// Runs a command at one node of a cluster, or at the server if `node` is `None`.
    pub(crate) async fn run_at(&mut self, node: Option<&str>, command: &Cmd) -> RedisResult<Value> {
        #[cfg(feature = "cluster")]
        if let (ConnectionKind::Cluster(cluster), Some((host, port))) =
            (&mut self.kind, node.and_then(|node| node.rsplit_once(':')))
            && let Ok(port) = port.parse()
        {
            use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

            let host = host.to_owned();
            let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
            return cluster.route_command(command.clone(), node).await;
        }
        let _ = node;
        self.run(command).await
    }

    /// Sends a command to any node of a cluster. The reply redirects to the owner of the command's
    /// key, and the connection updates its map of slots. The owner in that map may be gone.
    #[cfg(feature = "cluster")]
    pub(crate) async fn refresh_owner(&mut self, command: &Cmd) {
        // Only the redirection matters, not the reply.
        let _ = self.run_anywhere(command).await;
    }

    /// Runs a command at the node that an `ASK` redirection names, which does not own the key yet.
    #[cfg(feature = "cluster")]
    pub(crate) async fn run_asking(
        &mut self,
        command: &Cmd,
        node: &str,
    ) -> Option<RedisResult<Value>> {
        use redis::cluster_routing::SingleNodeRoutingInfo;

        let ConnectionKind::Cluster(cluster) = &mut self.kind else {
            return None;
        };
        let (host, port) = node.rsplit_once(':')?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").ignore().add_command(command.clone());
        let route = SingleNodeRoutingInfo::ByAddress {
            host: host.to_owned(),
            port: port.parse().ok()?,
        };
        let replies = cluster.route_pipeline(pipeline, 1, 1, route).await;
        Some(replies.and_then(|mut replies| match replies.pop() {
            Some(reply) => reply.extract_error(),
            None => Ok(Value::Nil),
        }))
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        match self.kind {
            #[cfg(feature = "cluster")]
            ConnectionKind::Cluster(_) => true,
            #[cfg(tidegate_simulation)]
            ConnectionKind::Simulated(ref simulated) => simulated.is_cluster,
            _ => false,
        }
    }
}

fn this_runtime() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

impl From<ConnectionKind> for Connection {
    fn from(kind: ConnectionKind) -> Self {
        Self {
            kind,
            reconnect: Reconnect::Never,
            runtime: None,
        }
    }
}

impl From<ConnectionManager> for Connection {
    fn from(manager: ConnectionManager) -> Self {
        ConnectionKind::Manager(manager).into()
    }
}

impl From<MultiplexedConnection> for Connection {
    fn from(connection: MultiplexedConnection) -> Self {
        ConnectionKind::Multiplexed(connection).into()
    }
}

#[cfg(feature = "cluster")]
impl From<ClusterConnection> for Connection {
    fn from(connection: ClusterConnection) -> Self {
        ConnectionKind::Cluster(connection).into()
    }
}

#[cfg(tidegate_simulation)]
impl From<SimulatedConnection> for Connection {
    fn from(connection: SimulatedConnection) -> Self {
        ConnectionKind::Simulated(connection).into()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ConnectionKind::Manager(_) => "ConnectionManager",
            ConnectionKind::Multiplexed(_) => "MultiplexedConnection",
            #[cfg(feature = "sentinel")]
            ConnectionKind::Master(_) => "MasterConnection",
            #[cfg(feature = "cluster")]
            ConnectionKind::Cluster(_) => "ClusterConnection",
            #[cfg(tidegate_simulation)]
            ConnectionKind::Simulated(_) => "Simulated",
        })
    }
}
