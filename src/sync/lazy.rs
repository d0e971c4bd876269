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

/// Made at once in models: loom knows no such pointer.
#[cfg(tidegate_loom)]
pub(crate) struct Lazy<T>(std::sync::OnceLock<Box<T>>);

#[cfg(tidegate_loom)]
impl<T> Lazy<T> {
    pub(crate) fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.0.get().map(|value| &**value)
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        self.0.get_or_init(make)
    }
}
