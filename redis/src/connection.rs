//! The kinds of connections that scripts are run on, and how one is made anew.

use core::fmt;
use core::time::Duration;

use redis::aio::{
    ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection,
};
#[cfg(feature = "cluster")]
use redis::cluster::ClusterClient;
#[cfg(feature = "cluster")]
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, RedisResult, Value};

/// A connection of the crate `redis`, shared by all callers.
///
/// `From` takes a [`ConnectionManager`] (one server; it connects again), a `ClusterConnection` (feature `cluster`), or a
/// [`MultiplexedConnection`] (one server; once it is broken it stays broken).
///
/// [`RedisStore::connect`](crate::RedisStore::connect) and `connect_cluster` do better where they can be used: a connection that no longer
/// carries anything, without being closed, is replaced, and nothing is sent twice. A `ClusterClient` of your own should be built with
/// `retries(0)`: else it sends calls again whose answer was lost, and these are charged twice.
#[derive(Clone)]
pub struct Connection {
    kind: ConnectionKind,
    source: Reconnect,
}

#[derive(Clone)]
enum ConnectionKind {
    Manager(ConnectionManager),
    Multiplexed(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

/// What makes another one.
#[derive(Clone)]
enum Reconnect {
    Nothing,
    Server {
        client: Client,
        timeout: Duration,
    },
    #[cfg(feature = "cluster")]
    Cluster(ClusterClient),
}

impl Connection {
    /// A connection to one server that is made with the first call.
    pub(crate) fn to_server(client: Client, timeout: Duration) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            // The breaker says when to try again.
            .set_number_of_retries(0)
            .set_response_timeout(Some(timeout))
            .set_connection_timeout(Some(timeout));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self {
            kind: ConnectionKind::Manager(manager),
            source: Reconnect::Server { client, timeout },
        })
    }

    #[cfg(feature = "cluster")]
    pub(crate) async fn to_cluster(client: ClusterClient) -> RedisResult<Self> {
        Ok(Self {
            kind: ConnectionKind::Cluster(client.get_async_connection().await?),
            source: Reconnect::Cluster(client),
        })
    }

    /// Another connection to the same, if it is known how.
    #[cfg_attr(
        not(feature = "cluster"),
        expect(clippy::unused_async, reason = "a cluster is asked")
    )]
    pub(crate) async fn renewed(&self) -> Option<Self> {
        match &self.source {
            Reconnect::Nothing => None,
            Reconnect::Server { client, timeout } => Self::to_server(client.clone(), *timeout).ok(),
            #[cfg(feature = "cluster")]
            Reconnect::Cluster(client) => Self::to_cluster(client.clone()).await.ok(),
        }
    }

    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match &mut self.kind {
            ConnectionKind::Manager(manager) => manager.req_packed_command(command).await,
            ConnectionKind::Multiplexed(connection) => connection.req_packed_command(command).await,
            #[cfg(feature = "cluster")]
            ConnectionKind::Cluster(cluster) => cluster.req_packed_command(command).await,
        }
    }

    /// Has any node of a cluster say who owns a command's key, which the connection then takes note of: the owner that it knows may be gone.
    #[cfg(feature = "cluster")]
    pub(crate) async fn ask_around(&mut self, command: &Cmd) {
        use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

        if let ConnectionKind::Cluster(cluster) = &mut self.kind {
            let anybody = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
            // The answer is nothing to us.
            let _ = cluster.route_command(command.clone(), anybody).await;
        }
    }

    #[cfg(not(feature = "cluster"))]
    #[expect(clippy::unused_async, reason = "a cluster is asked")]
    pub(crate) async fn ask_around(&mut self, _command: &Cmd) {}

    /// Runs a command at the node that a redirection names, although the key is not its own yet.
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
        let answers = cluster.route_pipeline(pipeline, 1, 1, route).await;
        Some(answers.and_then(|mut answers| match answers.pop() {
            Some(answer) => answer.extract_error(),
            None => Ok(Value::Nil),
        }))
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        match self.kind {
            #[cfg(feature = "cluster")]
            ConnectionKind::Cluster(_) => true,
            _ => false,
        }
    }
}

impl From<ConnectionKind> for Connection {
    fn from(kind: ConnectionKind) -> Self {
        Self {
            kind,
            source: Reconnect::Nothing,
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

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ConnectionKind::Manager(_) => "ConnectionManager",
            ConnectionKind::Multiplexed(_) => "MultiplexedConnection",
            #[cfg(feature = "cluster")]
            ConnectionKind::Cluster(_) => "ClusterConnection",
        })
    }
}
