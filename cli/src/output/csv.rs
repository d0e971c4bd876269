//! Writes one CSV line per key.

use csv::Writer;

use crate::failure::Failure;
use crate::report::Key;

/// The column names, which are those of [`Key`].
const HEADER: [&str; 6] = [
    "key",
    "requests",
    "refused",
    "first_refused",
    "longest_streak",
    "required_burst",
];

/// Returns CSV with a header and the given keys. A key that begins like a formula gets an
/// apostrophe before it, so that a spreadsheet shows it as text.
///
/// # Errors
///
/// None in practice, because the text is written to memory.
pub fn keys(keys: impl Iterator<Item = Key>) -> Result<Vec<u8>, Failure> {
    let failed = |error: csv::Error| Failure::at("CSV", error);
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(HEADER).map_err(failed)?;
    for mut key in keys {
        // A spreadsheet would run such a text as a formula.
        if key.key.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            key.key.insert(0, '\'');
        }
        writer.serialize(key).map_err(failed)?;
    }
    Writer::into_inner(writer).map_err(|error| Failure::at("CSV", error))
}
