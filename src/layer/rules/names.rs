//! Names of limits that live as long as the program.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Returns the same name for ever, because snapshots and refusals carry names that are copied
/// without a count. Each name is kept once, however often files are reloaded.
pub(super) fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    let name = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}
