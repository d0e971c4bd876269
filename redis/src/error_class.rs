//! What an error says about the call that failed.

use redis::RedisError;

/// Decides whether a failed call may be sent again, and whether other calls will fail, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The server does not have the script and has not run it.
    UnknownScript,
    /// Another node owns the key; the script has not run.
    Moved,
    /// Another node has the key for this call only; the script has not run.
    Ask,
    /// The keys are being moved to another node; the script has not run.
    TryAgain,
    /// The server cannot be reached, or cannot serve any call.
    Outage,
    /// The connection leads to a server that does not accept writes, and another one does.
    WrongServer,
    /// This call is wrong or not allowed; other calls may work.
    ThisCall,
}

pub(crate) fn classify(error: &RedisError) -> ErrorClass {
    use redis::ErrorKind::{Extension, Server, UnexpectedReturnType};
    use redis::ServerErrorKind::{
        Ask, BusyLoading, ClusterDown, MasterDown, Moved, NoScript, ReadOnly, TryAgain,
    };
    match error.kind() {
        Server(NoScript) => ErrorClass::UnknownScript,
        Server(Moved) => ErrorClass::Moved,
        Server(Ask) => ErrorClass::Ask,
        Server(TryAgain) => ErrorClass::TryAgain,
        Server(ReadOnly | MasterDown) => ErrorClass::WrongServer,
        Server(BusyLoading | ClusterDown) => ErrorClass::Outage,
        // Only the client's own text tells that the server would not choose the database, so that
        // no connection was made.
        Server(_) if error.to_string().starts_with("Redis server refused") => ErrorClass::Outage,
        Server(_) | Extension => match error.code() {
            // A foreign script that does not end, no memory left to write, too few replicas: every
            // call would fail.
            Some("BUSY" | "OOM" | "NOREPLICAS" | "MISCONF") => ErrorClass::Outage,
            _ => classify_detail(error.detail().unwrap_or_default()),
        },
        UnexpectedReturnType => ErrorClass::ThisCall,
        // The connection was lost, or could not be made: refused, not allowed to log in, or busy
        // when it chose its database.
        _ => ErrorClass::Outage,
    }
}

/// Redis before version 7 wraps the error of a command inside a script into an error of the script.
fn classify_detail(detail: &str) -> ErrorClass {
    let has = |codes: &[&str]| codes.iter().any(|code| detail.contains(code));
    if has(&["-READONLY "]) {
        ErrorClass::WrongServer
    } else if has(&["-OOM ", "-MISCONF ", "-NOREPLICAS "]) {
        ErrorClass::Outage
    } else {
        ErrorClass::ThisCall
    }
}
