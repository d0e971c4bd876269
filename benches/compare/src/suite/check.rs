//! Checks that every limiter admits its limit, and no more, before the measurements.

use super::Progress;
use crate::Gate;
use crate::rivals::{Limit, Rival, RivalVisitor, for_each};

pub(super) fn every_limiter(progress: &Progress) {
    for_each(&mut Check { progress });
}

struct Check<'a> {
    progress: &'a Progress,
}

impl RivalVisitor for Check<'_> {
    fn visit<G: Gate>(&mut self, rival: &Rival, make: impl Fn(Limit) -> G) {
        self.progress.step("checking", rival);
        // No token comes back during the check.
        let (gate, name) = (make(Limit::HUNDRED), rival.name);
        let admitted = (0..1_000).filter(|_| gate.admit()).count();
        assert_eq!(admitted, 100, "{name} admits its burst");
        assert!(!gate.admit(), "{name} refuses");

        let gate = make(Limit::ONCE);
        assert!(gate.admit() && !gate.admit(), "{name} admits one");

        let gate = make(rival.plenty());
        assert!((0..10_000).all(|_| gate.admit()), "{name} admits plenty");
    }
}
