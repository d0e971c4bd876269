//! A value on the heap that is made when it is first needed: a null pointer until then.

use alloc::boxed::Box;

#[cfg(not(tidegate_loom))]
pub(crate) struct Lazy<T>(once_cell::race::OnceBox<T>);

#[cfg(not(tidegate_loom))]
impl<T> Lazy<T> {
    pub(crate) const fn new() -> Self {
        Self(once_cell::race::OnceBox::new())
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.get()
    }

    #[inline]
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        self.0.get_or_init(make)
    }
}

/// The same with an atomic that models follow: the number of a value, and 0 for a null pointer.
/// Values are never freed.
#[cfg(tidegate_loom)]
pub(crate) struct Lazy<T: 'static> {
    number: super::AtomicU64,
    values: std::sync::Mutex<alloc::vec::Vec<&'static T>>,
}

#[cfg(tidegate_loom)]
impl<T> Lazy<T> {
    pub(crate) fn new() -> Self {
        Self {
            number: super::AtomicU64::new(0),
            values: std::sync::Mutex::default(),
        }
    }

    fn value(&self, number: u64) -> Option<&T> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let values = self.values.lock().expect("no thread panics");
        values.get(index).copied()
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // The orderings are those of `OnceBox`.
        self.value(self.number.load(super::Ordering::Acquire))
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        use super::Ordering::{Acquire, Release};

        if let Some(value) = self.get() {
            return value;
        }
        let own = Box::leak(make());
        let number = {
            let mut values = self.values.lock().expect("no thread panics");
            values.push(own);
            values.len() as u64
        };
        // Release: pairs with the Acquire here and in `get`, as in `OnceBox`.
        let other = self.number.compare_exchange(0, number, Release, Acquire);
        let other = other.err().and_then(|other| self.value(other));
        other.unwrap_or(own)
    }
}
