//! The scripts, and how one is run exactly once or not at all.

use redis::{Cmd, RedisError};

/// What both scripts know about buckets.
const BUCKET: &str = include_str!("script/bucket.lua");
const TAKE: &str = include_str!("script/take.lua");
const LEASE: &str = include_str!("script/lease.lua");

/// A script and its name on the server.
#[derive(Debug)]
pub(crate) struct Script {
    code: String,
    sha: String,
}

impl Script {
    pub(crate) fn take() -> Self {
        Self::new(&[BUCKET, TAKE])
    }

    pub(crate) fn lease() -> Self {
        Self::new(&[BUCKET, LEASE])
    }

    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let sha = redis::Script::new(&code).get_hash().to_owned();
        Self { code, sha }
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The command that runs it by name or, where the server does not know it, by its text.
    pub(crate) fn command(&self, known: bool, keys: &[Vec<u8>], arguments: &ScriptArgs) -> Cmd {
        let (name, body) = if known {
            ("EVALSHA", &self.sha)
        } else {
            ("EVAL", &self.code)
        };
        let mut command = redis::cmd(name);
        command.arg(body).arg(keys.len());
        for key in keys {
            command.arg(key);
        }
        for word in &arguments.0 {
            match word {
                ScriptArg::Number(number) => command.arg(number),
                ScriptArg::Text(text) => command.arg(&**text),
            };
        }
        command
    }
}

/// What a script is told apart from its keys.
#[derive(Debug, Default)]
pub(crate) struct ScriptArgs(Vec<ScriptArg>);

#[derive(Debug)]
enum ScriptArg {
    Number(u64),
    Text(Box<str>),
}

impl ScriptArgs {
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.push(ScriptArg::Number(number));
        self
    }

    pub(crate) fn amount(&mut self, amount: crate::scaled_quota::Amount) -> &mut Self {
        self.number(amount.us).number(amount.num)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push(ScriptArg::Text(text.into()));
        self
    }
}

/// What an error says about the call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The server does not know the script and has not run it.
    Unknown,
    /// Another node has the key; it has not run.
    Moved,
    /// Another node has the key for this call only; it has not run.
    Ask,
    /// The keys are on their way to another node; it has not run.
    Soon,
    /// The server cannot be talked to, or is in no state to answer.
    Outage,
    /// This call is wrong, or not allowed: other calls may work.
    Call,
}

pub(crate) fn classify(error: &RedisError) -> ErrorClass {
    use redis::ErrorKind::{
        AuthenticationFailed, ClusterConnectionNotFound, Io, MasterNameNotFoundBySentinel,
        NoValidReplicasFoundBySentinel, Parse, Server,
    };
    use redis::ServerErrorKind::{
        Ask, BusyLoading, ClusterDown, MasterDown, Moved, NoScript, ReadOnly, TryAgain,
    };
    match error.kind() {
        Server(NoScript) => ErrorClass::Unknown,
        Server(Moved) => ErrorClass::Moved,
        Server(Ask) => ErrorClass::Ask,
        Server(TryAgain) => ErrorClass::Soon,
        Server(BusyLoading | ClusterDown | MasterDown | ReadOnly)
        | AuthenticationFailed
        | ClusterConnectionNotFound
        | Io
        | MasterNameNotFoundBySentinel
        | NoValidReplicasFoundBySentinel
        | Parse => ErrorClass::Outage,
        // A script of somebody else that does not end, no memory left to write, too few replicas: no call will work.
        _ => match error.code() {
            Some("BUSY" | "OOM" | "NOREPLICAS" | "MISCONF") => ErrorClass::Outage,
            _ => classify_detail(error.detail().unwrap_or_default()),
        },
    }
}

/// Redis before 7 wraps what a script's command says into an error of the script.
fn classify_detail(detail: &str) -> ErrorClass {
    let outage = ["-OOM ", "-READONLY ", "-MISCONF ", "-NOREPLICAS "];
    if outage.iter().any(|code| detail.contains(code)) {
        ErrorClass::Outage
    } else {
        ErrorClass::Call
    }
}
