//! Keys, times and errors of shared limits, in words.

use std::time::Duration;

use tidegate_redis::RedisStore;
use tidegate_redis::inspect::InspectError;

use crate::failure::Failure;
use crate::picture::numbers::span;

/// The failure of the program after an error of the server.
pub(super) fn failed(error: InspectError) -> Failure {
    match error {
        InspectError::Scale(_) | InspectError::AboveCapacity { .. } | InspectError::KeyOfTable => {
            Failure::Usage(error.to_string())
        }
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
