//! Which servers there are on this machine.

use std::env;
use std::path::PathBuf;

/// A program that speaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one that the environment variable `TIDEGATE_SERVER_BIN` says.
    Given,
    Redis,
    Valkey,
}

impl Kind {
    /// All that a test should pass on: the given one, or else Redis, which must be there, and Valkey where it is.
    pub(crate) fn available() -> Vec<Self> {
        if given_bin().is_some() {
            return vec![Self::Given];
        }
        let mut kinds = vec![Self::Redis];
        if valkey_bin().is_some() {
            kinds.push(Self::Valkey);
        } else {
            eprintln!("no valkey-server here: on redis-server alone");
        }
        kinds
    }

    /// The program.
    pub(crate) fn bin(self) -> PathBuf {
        match self {
            Self::Given => given_bin().expect("`TIDEGATE_SERVER_BIN` is set"),
            Self::Redis => redis_bin(),
            Self::Valkey => valkey_bin().expect("valkey-server is installed"),
        }
    }
}

impl Default for Kind {
    /// For tests to which it does not matter.
    fn default() -> Self {
        if given_bin().is_some() {
            Self::Given
        } else {
            Self::Redis
        }
    }
}

fn given_bin() -> Option<PathBuf> {
    env::var_os("TIDEGATE_SERVER_BIN").map(PathBuf::from)
}

/// A test that needs a server and has none has not passed, so this panics.
pub(crate) fn redis_bin() -> PathBuf {
    in_path("redis-server").expect("no redis-server here: `bash scripts/servers.sh` installs it")
}

pub(crate) fn valkey_bin() -> Option<PathBuf> {
    in_path("valkey-server")
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
