//! Pointers to states that succeed each other: one that is set once, and one that is replaced.

use alloc::sync::Arc;

#[cfg(tidegate_loom)]
pub(crate) use modelled::{Latest, Link};
#[cfg(not(tidegate_loom))]
pub(crate) use real::{Latest, Link};

#[cfg(not(tidegate_loom))]
mod real {
    use std::sync::OnceLock;

    use arc_swap::ArcSwapOption;

    use super::Arc;

    /// A pointer that is set once.
    pub(crate) struct Link<T>(OnceLock<Arc<T>>);

    impl<T> Link<T> {
        pub(crate) const fn none() -> Self {
            Self(OnceLock::new())
        }

        pub(crate) fn get(&self) -> Option<&Arc<T>> {
            self.0.get()
        }

        /// Sets the pointer. One thread does so, once.
        pub(crate) fn set(&self, target: Arc<T>) {
            let set = self.0.set(target);
            debug_assert!(set.is_ok(), "a link is set once");
        }

        pub(crate) fn take(&mut self) -> Option<Arc<T>> {
            self.0.take()
        }
    }

    /// A pointer that is replaced while other threads follow it. Following it is lock-free, and
    /// seldom counts a reference.
    pub(crate) struct Latest<T>(ArcSwapOption<T>);

    impl<T> Latest<T> {
        pub(crate) fn none() -> Self {
            Self(ArcSwapOption::empty())
        }

        /// Passes what the pointer points to, if anything, to `visit`.
        pub(crate) fn with<R>(&self, visit: impl FnOnce(&T) -> R) -> Option<R> {
            self.0.load().as_deref().map(visit)
        }

        pub(crate) fn load(&self) -> Option<Arc<T>> {
            self.0.load_full()
        }

        pub(crate) fn store(&self, target: Arc<T>) {
            self.0.store(Some(target));
        }

        /// A thread that finds nothing here then sees what was written before.
        pub(crate) fn clear(&self) {
            self.0.store(None);
        }
    }
}

/// The same with atomics that models follow. Nothing is freed.
#[cfg(tidegate_loom)]
mod modelled {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use super::Arc;
    use crate::sync::Ordering::{Acquire, Release};
    use crate::sync::{AtomicU64, Lazy};

    pub(crate) struct Link<T: 'static>(Lazy<Arc<T>>);

    impl<T> Link<T> {
        pub(crate) fn none() -> Self {
            Self(Lazy::new())
        }

        pub(crate) fn get(&self) -> Option<&Arc<T>> {
            self.0.get()
        }

        pub(crate) fn set(&self, target: Arc<T>) {
            self.0.get_or_init(|| Box::new(target));
        }

        pub(crate) fn take(&mut self) -> Option<Arc<T>> {
            None
        }
    }

    /// The number of the latest value, and 0 for none.
    pub(crate) struct Latest<T> {
        number: AtomicU64,
        values: std::sync::Mutex<Vec<Arc<T>>>,
    }

    impl<T> Latest<T> {
        pub(crate) fn none() -> Self {
            Self {
                number: AtomicU64::new(0),
                values: std::sync::Mutex::default(),
            }
        }

        pub(crate) fn with<R>(&self, visit: impl FnOnce(&T) -> R) -> Option<R> {
            self.load().map(|value| visit(&value))
        }

        pub(crate) fn load(&self) -> Option<Arc<T>> {
            // Acquire: as arc-swap's.
            let number = usize::try_from(self.number.load(Acquire)).ok()?;
            let values = self.values.lock().expect("no thread panics");
            values.get(number.checked_sub(1)?).cloned()
        }

        pub(crate) fn store(&self, target: Arc<T>) {
            let number = {
                let mut values = self.values.lock().expect("no thread panics");
                values.push(target);
                values.len() as u64
            };
            // Release: pairs with the Acquire in `load`.
            self.number.store(number, Release);
        }

        pub(crate) fn clear(&self) {
            // Release: pairs with the Acquire in `load`.
            self.number.store(0, Release);
        }
    }
}
