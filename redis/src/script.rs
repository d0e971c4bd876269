//! The Lua scripts, and calls of them.

use std::sync::LazyLock;

use redis::{Cmd, RedisError};

use crate::scaled_quota::Amount;

/// The parts that scripts share.
const TIME: &str = include_str!("script/time.lua");
const BUCKET: &str = include_str!("script/bucket.lua");
const WINDOW: &str = include_str!("script/window.lua");

/// Charges, peeks at, debits or resets one bucket or window, or several. The usual calls come
/// first, each before the functions that it does not need.
pub(crate) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        TIME,
        include_str!("script/short.lua"),
        include_str!("script/window_short.lua"),
        WINDOW,
        include_str!("script/window_take.lua"),
        BUCKET,
        include_str!("script/take.lua"),
    ])
});

/// Renews the lease of one node on one bucket.
pub(crate) static LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[TIME, BUCKET, include_str!("script/lease.lua")]));

/// Exchanges the quotas of a table with a node.
pub(crate) static TABLE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[include_str!("script/table.lua")]));

/// Reads a bucket for an operator.
pub(crate) static INSPECT: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[TIME, include_str!("script/inspect.lua")]));

/// Tells what a node holds of a semaphore, and asks for more.
pub(crate) static SEMAPHORE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[TIME, include_str!("script/semaphore.lua")]));

/// One step of an API limiter.
pub(crate) static API: LazyLock<Script> = LazyLock::new(|| {
    let state = include_str!("script/api_state.lua");
    let calls = include_str!("script/api_calls.lua");
    Script::new(&[
        TIME,
        BUCKET,
        WINDOW,
        state,
        calls,
        include_str!("script/api.lua"),
    ])
});

/// Proves that a decision would work: it writes a key, which ends at once.
pub(crate) static PROBE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&["return redis.call('SET', KEYS[1], '', 'PX', 1)"]));

/// Proves that a decision would work, with all that decisions use, and returns the clock: seconds,
/// and microseconds.
pub(crate) static PING: LazyLock<Script> = LazyLock::new(|| {
    // It begins with a write that takes memory: after another write, a server whose memory is full
    // would let it pass. An instant in the past removes the key, which is of each type in turn.
    let body = "
redis.call('SET', KEYS[1], '')
redis.call('PEXPIREAT', KEYS[1], 1)
redis.call('HSET', KEYS[1], 'probe', '')
redis.call('HGET', KEYS[1], 'probe')
redis.call('HDEL', KEYS[1], 'probe')
redis.call('ZADD', KEYS[1], 1, 'probe')
redis.call('ZCOUNT', KEYS[1], 0, 1)
redis.call('ZRANGE', KEYS[1], 0, 1, 'BYSCORE')
redis.call('ZREM', KEYS[1], 'probe')
redis.call('GET', KEYS[1])
redis.call('GETRANGE', KEYS[1], 0, 1)
redis.call('SET', KEYS[1], '')
redis.call('SETRANGE', KEYS[1], 0, ' ')
redis.call('PEXPIREAT', KEYS[1], (now - now % 1000) / 1000 + 2)
redis.call('PERSIST', KEYS[1])
redis.call('SET', KEYS[1], '', 'PXAT', (now - now % 1000) / 1000 + 2)
return { tonumber(clock[1]), tonumber(clock[2]) }";
    Script::new(&[TIME, body])
});

/// A script and its SHA-1 digest, by which the server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    code: String,
    sha: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let sha = redis::Script::new(&code).get_hash().to_owned();
        Self { code, sha }
    }
}

/// A script with its keys and arguments.
#[derive(Debug)]
pub(crate) struct ScriptCall<'a> {
    pub(crate) script: &'static Script,
    pub(crate) keys: &'a [Vec<u8>],
    pub(crate) arguments: ScriptArgs,
}

impl ScriptCall<'_> {
    /// Returns the command that runs the script by its digest or, if the server does not have it,
    /// by its text.
    pub(crate) fn command(&self, by_digest: bool) -> Cmd {
        let (name, body) = if by_digest {
            ("EVALSHA", &self.script.sha)
        } else {
            ("EVAL", &self.script.code)
        };
        let mut command = redis::cmd(name);
        command.arg(body).arg(self.keys.len());
        for key in self.keys {
            command.arg(key);
        }
        for argument in &self.arguments.0 {
            match argument {
                ScriptArg::Number(number) => command.arg(number),
                ScriptArg::Bytes(bytes) => command.arg(&**bytes),
            };
        }
        command
    }
}

/// The arguments of a call, in the order in which the script reads them.
#[derive(Debug, Default)]
pub(crate) struct ScriptArgs(Vec<ScriptArg>);

#[derive(Debug)]
enum ScriptArg {
    Number(u64),
    Bytes(Box<[u8]>),
}

impl ScriptArgs {
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.push(ScriptArg::Number(number));
        self
    }

    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        self.number(amount.us).number(amount.num)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.push(ScriptArg::Bytes(bytes.into()));
        self
    }
}

/// The error for a reply of the wrong shape, as another version of the script might send.
pub(crate) fn unexpected_reply() -> RedisError {
    (
        redis::ErrorKind::UnexpectedReturnType,
        "the script's reply cannot be read",
    )
        .into()
}
