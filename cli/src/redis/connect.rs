//! The server that holds the limits.

use std::env;
use std::time::Duration;

use clap::Args;
use tidegate_redis::RedisStore;

use crate::failure::Failure;
use crate::values;

/// Where an address is looked for. The first one that is set counts.
const VARIABLES: [&str; 2] = ["TIDEGATE_REDIS_URL", "REDIS_URL"];
const DEFAULT_URL: &str = "redis://127.0.0.1/";

/// Arguments that all commands of `redis` have.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    /// The server, such as `redis://user:password@host:6379/0` or `unix:///run/redis.sock`. By
    /// default the variable `TIDEGATE_REDIS_URL` or `REDIS_URL`, or else `redis://127.0.0.1/`.
    /// Prefer a variable if it has a password: other users see arguments.
    #[arg(long, global = true, value_name = "URL", hide_default_value = true)]
    url: Option<String>,
    /// The server is a node of a cluster: all of its nodes are asked
    #[arg(long, global = true)]
    cluster: bool,
    /// The prefix of all keys
    #[arg(long, global = true, default_value = "tidegate", value_name = "TEXT")]
    prefix: String,
    /// How long to wait for each answer of the server
    #[arg(long, global = true, default_value = "2s", value_name = "TIME", value_parser = values::duration)]
    timeout: Duration,
}

impl ConnectArgs {
    pub(super) async fn store(&self) -> Result<RedisStore, Failure> {
        let variable = || VARIABLES.iter().find_map(|name| env::var(name).ok());
        let url = self.url.clone().or_else(variable);
        let url = url.unwrap_or_else(|| DEFAULT_URL.to_owned());
        let builder = RedisStore::builder()
            .prefix(&self.prefix)
            .timeout(self.timeout)
            .connect_timeout(self.timeout);
        // The message of an error must not show the address, which may hold a password.
        if self.cluster {
            let connected = builder.connect_cluster([url]).await;
            connected.map_err(|error| Failure::at("cluster", error))
        } else {
            let connected = builder.connect(url);
            connected.map_err(|error| Failure::Usage(format!("the address: {error}")))
        }
    }
}
