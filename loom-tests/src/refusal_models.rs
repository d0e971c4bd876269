//! What must hold for the server's last refusal, whenever callers look at it.

use loom::thread;

use crate::explore;
use crate::refusal::Refusal;

pub trait Refuses: Send + Sync + Sized + 'static {
    fn new() -> &'static Self;

    fn set(&self, cost: u64, until: u64);

    fn until(&self, n: u64) -> Option<u64>;
}

/// One is refused until 10, then five until 20: nobody is told that one is refused until 20. Two threads. Killed by `UntilFirst`,
/// `RelaxedUntil` and `RelaxedReading`.
pub fn nobody_waits_longer_than_was_said<R: Refuses>() {
    explore(3, || {
        let refusal = R::new();
        refusal.set(1, 10);
        let asks = thread::spawn(move || {
            let until = refusal.until(1);
            assert!(until.is_none_or(|until| until <= 10), "until {until:?}");
            refusal.until(5)
        });
        refusal.set(5, 20);
        let more = asks.join().unwrap();
        assert!(more == Some(10) || more == Some(20), "{more:?} of five");
        assert_eq!((refusal.until(4), refusal.until(5)), (None, Some(20)));
    });
}

/// The shipped one.
pub struct ShippedRefusal(Refusal);

impl Refuses for ShippedRefusal {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self(Refusal::new())))
    }

    fn set(&self, cost: u64, until: u64) {
        self.0.set(cost, until);
    }

    fn until(&self, n: u64) -> Option<u64> {
        self.0.until(n)
    }
}
