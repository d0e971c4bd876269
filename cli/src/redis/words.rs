//! Keys, times and errors of shared limits, in words.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_redis::RedisStore;
use tidegate_redis::inspect::{InspectError, StoredKind};

use crate::failure::Failure;
use crate::picture::numbers::{counted, grouped, span};

/// A line of what `show` prints: its name, of at most 12 columns, and its value.
pub(super) type Item = (&'static str, String);

/// The failure of the program after an error of the server.
pub(super) fn failed(error: InspectError) -> Failure {
    match error {
        InspectError::Scale(_)
        | InspectError::AboveCapacity { .. }
        | InspectError::OtherKind { .. }
        | InspectError::KeyOfTable => Failure::Usage(error.to_string()),
        error => Failure::at("server", error),
    }
}

/// A key as text, without the prefix that all keys share. Bytes that are no UTF-8 appear as `\xff`.
pub(super) fn shown_key(store: &RedisStore, key: &[u8]) -> String {
    let mut prefix = store.bucket_key("", None, None);
    // The shortest key is the prefix, and an empty name in braces: `tidegate:{%}`.
    prefix.truncate(prefix.len() - "{%}".len());
    let key = key.strip_prefix(&*prefix).unwrap_or(key);
    let chunks = key.utf8_chunks();
    chunks
        .map(|chunk| {
            let invalid = chunk.invalid().iter();
            let invalid: String = invalid.map(|byte| format!("\\x{byte:02x}")).collect();
            format!("{}{invalid}", chunk.valid())
        })
        .collect()
}

/// A duration in its largest units.
pub(super) fn time(time: Duration) -> String {
    span(time.as_secs_f64())
}

/// A kind in one word.
pub(super) const fn kind_name(kind: StoredKind) -> &'static str {
    match kind {
        StoredKind::Bucket => "bucket",
        StoredKind::Window => "window",
        StoredKind::Semaphore => "semaphore",
        StoredKind::Api => "api",
        _ => "other",
    }
}

/// How many there are of each kind: `2 buckets, 1 window`; empty if there are none.
pub(super) fn counts(kinds: impl Iterator<Item = StoredKind>) -> String {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_insert(0) += 1;
    }
    let counts = counts.into_iter();
    let counts: Vec<String> = counts
        .map(|(kind, count)| counted(count, &kind.to_string()))
        .collect();
    counts.join(", ")
}

/// A time of the output of `--json`, in seconds.
pub(super) fn seconds<S: serde::Serializer>(
    time: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// The same of a time that may be missing.
#[expect(clippy::ref_option, reason = "serde passes a field so")]
pub(super) fn maybe_seconds<S: serde::Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&time.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}

/// The name of a node in hexadecimal digits.
pub(super) fn node_name(node: &[u8; 16]) -> String {
    node.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many permits are left of a limit that only the nodes know.
pub(super) fn available_permits(available: Option<u64>, limit: Option<u64>) -> String {
    match available.zip(limit) {
        Some((available, limit)) => {
            format!("{} of {} permits", grouped(available), grouped(limit))
        }
        None => "known to the nodes only; --permits counts by their limit".to_owned(),
    }
}
