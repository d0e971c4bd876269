//! Limits that many machines share.
