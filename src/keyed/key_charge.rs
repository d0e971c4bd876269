//! The charges of keys of a `Keyed`, so that they can be undone.

/// A charge on a key of a [`Keyed`](crate::Keyed), for [`Limiter::undo`](crate::Limiter::undo).
///
/// `C` is the charge of the key's limiter.
#[derive(Debug)]
#[must_use = "dropping a charge does not undo it"]
pub struct KeyCharge<C>(pub(super) Charged<C>);

/// What was charged.
#[derive(Debug)]
pub(super) enum Charged<C> {
    /// Nothing: 0 permits, or a key without room that was admitted without a limit.
    Nothing,
    Key(LimiterCharge<C>, Origin),
    /// The limiter that keys without room share.
    Shared(C),
}

/// A charge on the limiter of a key, in either form.
#[derive(Debug)]
pub(super) enum LimiterCharge<C> {
    Word(WordCharge),
    Whole(C),
}

/// A charge on a bucket that is kept as a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordCharge {
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) tokens: u64,
}

/// Under which circumstances a key was charged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Keys that were removed from the key's part of the table before.
    pub(super) removals: u64,
    /// Whether the charge added the key.
    pub(super) is_new: bool,
}
