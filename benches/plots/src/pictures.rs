//! What is drawn.

pub mod accuracy;
pub mod keyed;
pub mod latency;
pub mod shaping;
pub mod throughput;

/// Adds what is not there yet, and keeps the order.
fn remember<T: PartialEq>(seen: &mut Vec<T>, new: T) {
    if !seen.contains(&new) {
        seen.push(new);
    }
}
