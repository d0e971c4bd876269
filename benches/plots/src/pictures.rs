//! The pictures, one per module.

pub mod accuracy;
pub mod adaptive;
pub mod fleet;
pub mod growth;
pub mod keyed;
pub mod latency;
pub mod shaping;
pub mod throughput;
pub mod waits;

/// Adds an item unless the list has it already. Keeps the order.
fn add_new<T: PartialEq>(seen: &mut Vec<T>, new: T) {
    if !seen.contains(&new) {
        seen.push(new);
    }
}
