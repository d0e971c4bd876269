//! A line for each key.

use csv::Writer;

use crate::failure::Failure;
use crate::report::Key;

/// CSV with a head, keys in the order in which they came.
///
/// # Errors
///
/// None that can be thought of: it is written to memory.
pub fn keys(keys: impl Iterator<Item = Key>) -> Result<Vec<u8>, Failure> {
    let failed = |error: csv::Error| Failure::at("CSV", error);
    let mut writer = Writer::from_writer(Vec::new());
    let mut none = true;
    for key in keys {
        none = false;
        writer.serialize(key).map_err(failed)?;
    }
    if none {
        // The head comes with the first key otherwise.
        let head = [
            "key",
            "requests",
            "refused",
            "first_refused",
            "longest_streak",
            "burst_needed",
        ];
        writer.write_record(head).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| Failure::at("CSV", error))
}
