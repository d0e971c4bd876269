//! Saved states, which outlive the process: what they hold, and how limiters are restored.

mod api_state;
mod bucket;
mod bucket_level;
mod combined;
mod error;
mod saved;
mod table;
mod unix_time;
mod window;

pub use api_state::ApiState;
pub use bucket_level::BucketLevel;
pub use combined::{CombinedState, LimitState};
pub(crate) use combined::{restore_at as restore_combined_at, state_at as combined_state_at};
pub use error::{RestoreError, RestoreTableError};
pub(crate) use saved::{Elapsed, save_methods};
pub use saved::{Savable, Saved};
pub use table::{TableHeader, TableRecord};
pub(crate) use table::{TableKind, TableReader, TableWriter};
pub use unix_time::UnixTime;
pub use window::WindowState;
