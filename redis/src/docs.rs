//! Chapters.

/// How far shared limits scale: simulated fleets, and what ten million decisions per second take.
pub mod scale {
    #![doc = include_str!("docs/scale.md")]
}
