//! The server programs installed on this machine.

use std::env;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ServerKind {
    #[default]
    Redis,
    Valkey,
}

impl ServerKind {
    /// Returns Redis, which the tests require, and Valkey if it is installed.
    pub(crate) fn available() -> Vec<Self> {
        if in_path("valkey-server").is_none() {
            eprintln!("valkey-server is not installed: testing on redis-server alone");
            return vec![Self::Redis];
        }
        vec![Self::Redis, Self::Valkey]
    }

    /// Panics if the program is missing: a test that needs a server must not pass without one.
    pub(crate) fn program(self) -> PathBuf {
        let name = match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        };
        in_path(name).expect("`bash scripts/servers.sh` has installed the server")
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
