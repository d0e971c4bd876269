//! Every arity, with equal costs and with costs for each.

use tidegate::{AllOrNothing, ManualClock};

use crate::{SECOND, bucket};

/// Makes a tuple of buckets, the one at `index` the smallest, and asks for more and more.
macro_rules! arity {
    ($name:ident, $arity:literal: $($member:ident $index:tt),+) => {
        #[test]
        fn $name() {
            for smallest in 0..$arity {
                let clock = ManualClock::new();
                $(let $member = bucket(if $index == smallest { 5 } else { 9 }, &clock);)+
                let all = ($(&$member,)+);
                let left = || [$($member.available()),+];

                assert_eq!((all.available(), all.peek(5)), (5, Ok(())));
                assert_eq!(all.try_acquire(0), Ok(()));
                assert_eq!(all.try_acquire(3), Ok(()));
                let expected = [6_u64; $arity];
                let with = |permits: u64, mut of: [u64; $arity]| {
                    of[smallest] = permits;
                    of
                };
                assert_eq!(left(), with(2, expected));

                let denied = all.try_acquire(3).unwrap_err();
                assert_eq!(denied.index(), smallest);
                assert_eq!(denied.retry_after(), Some(SECOND));
                assert_eq!((denied.forfeited(), all.peek(3)), (0, Err(denied)));
                assert_eq!(all.wait_time(3), Some(SECOND));
                assert_eq!(left(), with(2, expected), "a refused call is not charged");

                // Nothing is asked of the smallest.
                let costs = with(0, [6; $arity]);
                assert_eq!(all.peek_each(costs), Ok(()));
                assert_eq!(all.try_acquire_each(costs), Ok(()));
                assert_eq!(left(), with(2, [0; $arity]));
                let denied = all.try_acquire_each(with(3, [0; $arity])).unwrap_err();
                assert_eq!((denied.index(), denied.retry_after()), (smallest, Some(SECOND)));

                let never = all.try_acquire(6).unwrap_err();
                assert_eq!((never.index(), never.retry_after()), (smallest, None));
                assert_eq!(all.wait_time(6), None);

                clock.advance(9 * SECOND);
                assert_eq!(all.available(), 5);
                assert_eq!(all.acquire(5).wait(), Ok(()));
                assert_eq!(left(), with(0, [4; $arity]));
            }
        }
    };
}
arity!(one, 1: a 0);
arity!(two, 2: a 0, b 1);
arity!(three, 3: a 0, b 1, c 2);
arity!(four, 4: a 0, b 1, c 2, d 3);
arity!(five, 5: a 0, b 1, c 2, d 3, e 4);
arity!(six, 6: a 0, b 1, c 2, d 3, e 4, f 5);
arity!(seven, 7: a 0, b 1, c 2, d 3, e 4, f 5, g 6);
arity!(eight, 8: a 0, b 1, c 2, d 3, e 4, f 5, g 6, h 7);
