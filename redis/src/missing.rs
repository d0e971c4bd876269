//! What a server lacks, or its user, as the errors of calls show it.
//!
//! Errors are the only check: calls that work cost nothing more, and a user needs no right but
//! those of the scripts.

use redis::RedisError;

use crate::server_info::Identity;

/// The rights in the documentation, apart from the keys.
const RIGHTS: &str = "+eval +evalsha +get +getrange +set +setrange +pexpireat +persist +time \
                      +hget +hset +hdel +zadd +zrem +zcount +zrange";

const MISSING_RIGHT: &str = "a right is missing";
const TOO_OLD: &str = "the server is too old";
const MAYBE_TOO_OLD: &str = "the server may be too old";

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A right of the user.
    Right,
    /// A command, or an option of one, that newer servers have.
    Version,
}

/// Returns what the server's error is a sign of.
pub(crate) fn suspected(error: &RedisError) -> Option<Missing> {
    let text = error.detail().unwrap_or_default();
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let right = [
        "no permissions",
        "No permissions",
        "can't run this command",
        "can't access at",
    ];
    // Redis before 6.2 does not know `PXAT`. Before 5.0 no script may write after it asked the
    // time.
    let version = ["syntax error", "non deterministic commands"];
    if error.code() == Some("NOPERM") || has(&right) {
        Some(Missing::Right)
    } else if has(&version) {
        Some(Missing::Version)
    } else {
        None
    }
}

/// Returns what an error of [`right`] or [`version`] says is missing.
pub(crate) fn stated(error: &RedisError) -> Option<Missing> {
    let text = error.to_string();
    if text.starts_with(MISSING_RIGHT) {
        Some(Missing::Right)
    } else if text.starts_with(TOO_OLD) || text.starts_with(MAYBE_TOO_OLD) {
        Some(Missing::Version)
    } else {
        None
    }
}

/// The same error, with the rights that the user needs.
pub(crate) fn right(error: &RedisError, prefix: &str, is_cluster: bool) -> RedisError {
    let text = error.detail().unwrap_or_default();
    let more = if text.contains("'select'") {
        " +select"
    } else if is_cluster {
        " +asking +ping +cluster|slots"
    } else {
        ""
    };
    let detail = format!("{text}; tidegate needs `~{prefix}:* {RIGHTS}{more}`");
    (error.kind(), MISSING_RIGHT, detail).into()
}

/// The same error, with the version of the server if it is too old or unknown.
pub(crate) fn version(error: RedisError, server: &Identity) -> RedisError {
    let text = error.detail().unwrap_or_default();
    let needs = "tidegate needs 6.2 or later";
    match &server.version {
        Some(version) if server.is_too_old() => {
            let detail = format!("redis {version}; {needs} ({text})");
            (error.kind(), TOO_OLD, detail).into()
        }
        Some(_) => error,
        None => (error.kind(), MAYBE_TOO_OLD, format!("{needs} ({text})")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_names_the_same_rights() {
        for docs in [include_str!("lib.rs"), include_str!("../README.md")] {
            let words: Vec<_> = docs
                .split_whitespace()
                .filter(|word| *word != "//!")
                .collect();
            let docs = words.join(" ");
            assert!(docs.contains(&format!("-@all {RIGHTS}`")), "{RIGHTS}");
            assert!(docs.contains("`+select`"));
            assert!(docs.contains("`+asking +ping +cluster|slots`"));
        }
    }
}
