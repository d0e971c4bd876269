//! The kinds of connections that scripts are run on.

use core::fmt;

use redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
#[cfg(feature = "cluster")]
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, RedisResult, Value};

/// A connection of the crate `redis`, shared by all callers.
///
/// `From` takes a [`ConnectionManager`] (one server; it connects again), a `ClusterConnection` (feature `cluster`), or a
/// [`MultiplexedConnection`] (one server; once it is broken it stays broken). A `ClusterClient` should be built with `retries(0)`: else it
/// sends calls again whose answer was lost, and these are charged twice.
#[derive(Clone)]
pub struct Connection(Kind);

#[derive(Clone)]
enum Kind {
    Manager(ConnectionManager),
    Multiplexed(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

impl Connection {
    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match &mut self.0 {
            Kind::Manager(manager) => manager.req_packed_command(command).await,
            Kind::Multiplexed(connection) => connection.req_packed_command(command).await,
            #[cfg(feature = "cluster")]
            Kind::Cluster(cluster) => cluster.req_packed_command(command).await,
        }
    }

    /// Runs a command at the node that a redirection names, although the key is not its own yet.
    #[cfg(feature = "cluster")]
    pub(crate) async fn run_asking(
        &mut self,
        command: &Cmd,
        node: &str,
    ) -> Option<RedisResult<Value>> {
        use redis::cluster_routing::SingleNodeRoutingInfo;

        let Kind::Cluster(cluster) = &mut self.0 else {
            return None;
        };
        // The last colon, for addresses of IPv6 have more.
        let (host, port) = node.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("ASKING").ignore().add_command(command.clone());
        let route = SingleNodeRoutingInfo::ByAddress {
            host: host.to_owned(),
            port,
        };
        let answers = cluster.route_pipeline(pipeline, 1, 1, route).await;
        Some(answers.and_then(|mut answers| match answers.pop() {
            Some(answer) => answer.extract_error(),
            None => Ok(Value::Nil),
        }))
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        match self.0 {
            #[cfg(feature = "cluster")]
            Kind::Cluster(_) => true,
            _ => false,
        }
    }
}

impl From<ConnectionManager> for Connection {
    fn from(manager: ConnectionManager) -> Self {
        Self(Kind::Manager(manager))
    }
}

impl From<MultiplexedConnection> for Connection {
    fn from(connection: MultiplexedConnection) -> Self {
        Self(Kind::Multiplexed(connection))
    }
}

#[cfg(feature = "cluster")]
impl From<ClusterConnection> for Connection {
    fn from(connection: ClusterConnection) -> Self {
        Self(Kind::Cluster(connection))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Manager(_) => "ConnectionManager",
            Kind::Multiplexed(_) => "MultiplexedConnection",
            #[cfg(feature = "cluster")]
            Kind::Cluster(_) => "ClusterConnection",
        })
    }
}
