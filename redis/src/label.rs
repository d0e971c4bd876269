//! Names of limits that live as long as the program.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Returns a name as a `'static` one, which header fields and events need. Each name is kept once
/// and forever. Names come from the program and not from requests, so they are few.
pub(crate) fn label(name: &str) -> &'static str {
    static LABELS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut labels = LABELS.lock().unwrap_or_else(PoisonError::into_inner);
    let labels = labels.get_or_insert_default();
    if let Some(known) = labels.get(name) {
        return known;
    }
    let new: &'static str = Box::leak(Box::from(name));
    labels.insert(new);
    new
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn equal_names_are_kept_once() {
        let names = ["day", "minute", "day"].map(label);
        assert_eq!(names, ["day", "minute", "day"]);
        assert!(core::ptr::eq(names[0], names[2]));
    }
}
