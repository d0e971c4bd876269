//! Which mutants run.

use std::cell::RefCell;

include!(concat!(env!("OUT_DIR"), "/mutants.rs"));

thread_local! {
    /// Of this test: loom runs all threads of a model on the thread that runs the model.
    static CHOSEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Whether the code runs as this mutant. Called by the code under test, wherever a mutant differs
/// from it.
pub(crate) fn is(name: &'static str) -> bool {
    CHOSEN.with_borrow(|chosen| chosen.contains(&name))
}

/// Runs a model on a mutant. Inside another call, both mutants are chosen.
pub(crate) fn with<R>(name: &'static str, model: impl FnOnce() -> R) -> R {
    struct Reset;

    impl Drop for Reset {
        fn drop(&mut self) {
            CHOSEN.with_borrow_mut(Vec::pop);
        }
    }

    assert!(NAMES.contains(&name), "there is no mutant {name}");
    CHOSEN.with_borrow_mut(|chosen| chosen.push(name));
    let _reset = Reset;
    model()
}

/// Defines the tests of a topic: each model passes on the shipped code, and each mutant fails it
/// with the message that is given, or `passes`.
macro_rules! tests {
    ($topic:literal: $($model:ident { $($mutant:ident: $outcome:tt),* $(,)? })*) => {
        $(mod $model {
            #[test]
            fn shipped() {
                super::$model();
            }

            $($crate::mutant::tests!(@ $topic $model $mutant $outcome);)*
        })*
    };
    (@ $topic:literal $model:ident $mutant:ident passes) => {
        #[test]
        fn $mutant() {
            $crate::mutant::with(concat!($topic, "::", stringify!($mutant)), super::$model);
        }
    };
    (@ $topic:literal $model:ident $mutant:ident $message:literal) => {
        #[test]
        #[should_panic(expected = $message)]
        fn $mutant() {
            $crate::mutant::with(concat!($topic, "::", stringify!($mutant)), super::$model);
        }
    };
}
pub(crate) use tests;
