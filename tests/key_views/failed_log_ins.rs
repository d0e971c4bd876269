//! Failed log-ins only: five per 15 minutes and user.

use core::time::Duration;

use tidegate::{Denied, FixedKeyed, Keyed, Limiter, ManualClock, Quota, TokenBucket};

use crate::{Table, at};

const MINUTE: Duration = Duration::from_secs(60);

fn quota() -> Quota {
    Quota::new(5, 15 * MINUTE).expect("valid")
}

/// Checks first, counts only what fails, and forgives at a success.
fn log_in<T: Table>(failures: &T, user: u64, is_right: bool, minute: u32) -> Result<bool, Denied> {
    let now = at(0) + minute * MINUTE;
    failures.view(&user).peek_at(1, now)?;
    if is_right {
        failures.reset_at(user, now);
    } else {
        failures.debit_at(user, 1, now);
    }
    Ok(is_right)
}

fn check<T: Table>(failures: &T) {
    // Successes are never counted.
    for _ in 0..100 {
        assert_eq!(log_in(failures, 1, true, 0), Ok(true));
    }
    for _ in 0..5 {
        assert_eq!(log_in(failures, 1, false, 0), Ok(false));
    }
    let retry_after = 3 * MINUTE;
    assert_eq!(
        log_in(failures, 1, true, 0),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    assert_eq!(log_in(failures, 2, false, 0), Ok(false), "another user");
    // One attempt per three minutes, and a success forgives all.
    assert_eq!(log_in(failures, 1, false, 3), Ok(false));
    assert!(log_in(failures, 1, false, 3).is_err());
    assert_eq!(log_in(failures, 1, true, 6), Ok(true));
    for _ in 0..5 {
        assert_eq!(log_in(failures, 1, false, 6), Ok(false));
    }
    assert!(log_in(failures, 1, true, 6).is_err());
    // Attempts at the same time, which were all checked before the first of them failed.
    for _ in 0..7 {
        failures.debit_at(3, 1, at(0) + 6 * MINUTE);
    }
    assert_eq!(failures.debt_at(3, at(0) + 6 * MINUTE), 2);
    assert!(log_in(failures, 3, true, 14).is_err());
    assert_eq!(log_in(failures, 3, true, 15), Ok(true));
    assert_eq!(failures.debt_at(3, at(0) + 15 * MINUTE), 0);
}

#[test]
fn failed_log_ins() {
    let clock = ManualClock::new();
    check(&FixedKeyed::with_clock(quota(), 100, clock.clone()));
    check(&Keyed::new(move |_: &u64| {
        TokenBucket::with_clock(quota(), clock.clone())
    }));
}
