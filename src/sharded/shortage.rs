//! Why a sharded bucket refuses a call.

use crate::gcra::{Now, Shortfall};

/// Why a call is refused, without the hint.
#[derive(Clone, Copy)]
pub(super) enum Shortage {
    Never,
    NotYet(Now, Shortfall),
}
