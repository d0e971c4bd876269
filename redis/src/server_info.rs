//! What a server says about itself.

use core::time::Duration;
use std::collections::HashMap;
use std::time::SystemTime;

use redis::{FromRedisValue, Value};

use crate::connection::Connection;

/// A server that can decide now, as [`RedisStore::ping`](crate::RedisStore::ping) found it.
///
/// What the server does not tell is `None`. In a cluster, kind, version and role are those of any
/// one node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// How long a decision takes from here. In a cluster, the longest of all nodes.
    pub round_trip: Duration,
    /// The server's clock, by which limits refill.
    pub time: SystemTime,
    /// Redis or Valkey.
    pub kind: Option<ServerKind>,
    /// Such as `7.2.4`.
    pub version: Option<Box<str>>,
    /// Whether other servers copy it, or it copies another one.
    pub role: Option<ServerRole>,
}

/// The program that a server runs, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerKind {
    /// Redis, or a server that takes itself for Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// The role of a server in replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerRole {
    /// A master, with or without replicas.
    Primary,
    /// A copy of another server. If it accepts writes nevertheless, it loses them.
    Replica,
}

/// A server by its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: Option<ServerKind>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) role: Option<ServerRole>,
}

impl Identity {
    /// Asks the server, or any node of a cluster. What it does not tell stays unknown.
    pub(crate) async fn of(connection: &mut Connection) -> Self {
        // Every user has the right to ask this. Redis has it since version 6.0.
        let hello = connection.run_anywhere(&redis::cmd("HELLO")).await;
        if let Ok(known) = hello.and_then(Value::extract_error)
            && let Some(identity) = Self::from_hello(known)
        {
            return identity;
        }
        let info = connection.run_anywhere(&redis::cmd("INFO")).await;
        let info = info.and_then(Value::extract_error);
        let text = info
            .ok()
            .and_then(|text| String::from_redis_value(text).ok());
        text.map_or_else(Self::default, |text| Self::from_info(&text))
    }

    fn from_hello(reply: Value) -> Option<Self> {
        let fields = HashMap::<String, Value>::from_redis_value(reply).ok()?;
        let text = |name| String::from_redis_value(fields.get(name)?.clone()).ok();
        Some(Self {
            kind: text("server").as_deref().and_then(kind),
            version: Some(text("version")?.into()),
            role: text("role").as_deref().and_then(role),
        })
    }

    fn from_info(text: &str) -> Self {
        let field = |name: &str| {
            let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(Box::from);
            text.lines().find_map(value)
        };
        let valkey: Option<Box<str>> = field("valkey_version");
        let redis = field("redis_version");
        let kind = match (&valkey, &redis) {
            (Some(_), _) => Some(ServerKind::Valkey),
            (None, Some(_)) => Some(ServerKind::Redis),
            (None, None) => None,
        };
        Self {
            kind,
            version: valkey.or(redis),
            role: field("role").as_deref().and_then(role),
        }
    }

    /// Whether the version is known to lack what the scripts use: `SET` with `PXAT`.
    pub(crate) fn is_too_old(&self) -> bool {
        let Some(version) = self.version.as_deref() else {
            return false;
        };
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return false;
        };
        self.kind != Some(ServerKind::Valkey) && (major, minor) < (6, 2)
    }
}

fn kind(name: &str) -> Option<ServerKind> {
    match name {
        "redis" => Some(ServerKind::Redis),
        "valkey" => Some(ServerKind::Valkey),
        _ => None,
    }
}

fn role(name: &str) -> Option<ServerRole> {
    match name {
        "master" | "primary" => Some(ServerRole::Primary),
        "replica" | "slave" => Some(ServerRole::Replica),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_tells_kind_version_and_role() {
        let redis = "# Server\r\nredis_version:5.0.7\r\n# Replication\r\nrole:slave\r\n";
        let identity = Identity::from_info(redis);
        assert_eq!(identity.kind, Some(ServerKind::Redis));
        assert_eq!(identity.version.as_deref(), Some("5.0.7"));
        assert_eq!(identity.role, Some(ServerRole::Replica));
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
        let identity = Identity::from_info(valkey);
        assert_eq!(identity.kind, Some(ServerKind::Valkey));
        assert_eq!(identity.version.as_deref(), Some("8.0.1"));
        assert_eq!(identity.role, None);
        assert_eq!(Identity::from_info("nothing"), Identity::default());
    }

    #[test]
    fn versions_before_6_2_are_too_old() {
        let is_too_old = |kind, version: Option<&str>| {
            let version = version.map(Box::from);
            let role = None;
            Identity {
                kind,
                version,
                role,
            }
            .is_too_old()
        };
        for old in ["2.8.24", "5.0.7", "6.0.16"] {
            assert!(is_too_old(Some(ServerKind::Redis), Some(old)), "{old}");
        }
        for new in ["6.2.0", "7.0.15", "10.0", "255.255.255", "unstable"] {
            assert!(!is_too_old(Some(ServerKind::Redis), Some(new)), "{new}");
        }
        // Where the program is unknown, its numbers may mean something else, or be those of Redis.
        assert!(is_too_old(None, Some("5.0.0")));
        assert!(!is_too_old(Some(ServerKind::Valkey), Some("1.0.0")));
        assert!(!is_too_old(None, None));
    }
}
