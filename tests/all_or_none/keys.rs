//! Keys of tables as members.

use alloc::sync::Arc;

use tidegate::{
    AllOrNothing, FixedKeyed, KeyView, Keyed, ManualClock, Overflow, Quota, TokenBucket,
};

use crate::{SECOND, bucket, window};

fn keyed(burst: u64, clock: &ManualClock) -> Keyed<String, TokenBucket<ManualClock>> {
    let clock = clock.clone();
    Keyed::new(move |_: &String| {
        TokenBucket::with_clock(Quota::per_second(1).burst(burst), clock.clone())
    })
}

#[test]
fn refused_call_charges_no_key_and_adds_none() {
    let clock = ManualClock::new();
    let (orgs, users) = (
        keyed(5, &clock),
        FixedKeyed::with_clock(Quota::per_second(1), 10, clock.clone()),
    );
    let all = (orgs.at("acme"), users.at("ann"));
    assert_eq!(all.try_acquire(2).unwrap_err().index(), 1);
    assert_eq!(
        (orgs.len(), orgs.available("acme"), users.available("ann")),
        (0, 5, 1)
    );
    assert_eq!(all.try_acquire(1), Ok(()));
    assert_eq!(
        (orgs.len(), orgs.available("acme"), users.available("ann")),
        (1, 4, 0)
    );
    let denied = (orgs.at("acme"), users.at("ann"))
        .try_acquire(1)
        .unwrap_err();
    assert_eq!((denied.index(), denied.retry_after()), (1, Some(SECOND)));
    assert_eq!(
        (orgs.at("acme"), users.at("bob")).try_acquire_each([4, 1]),
        Ok(())
    );
    assert_eq!((orgs.available("acme"), users.available("bob")), (0, 0));
}

/// The key is charged first, because it has the least room, and is given back.
#[test]
fn charge_of_a_key_is_undone_exactly() {
    let clock = ManualClock::new();
    // Two entries of one bucket look for one charge each, so the second fails after the first.
    let last = Arc::new(bucket(1, &clock));
    let (orgs, users) = (
        keyed(1, &clock),
        FixedKeyed::with_clock(Quota::per_second(1), 10, clock.clone()),
    );
    let all = (orgs.at("acme"), users.at("ann"), last.clone(), last.clone());
    let denied = all.try_acquire(1).unwrap_err();
    assert_eq!(denied.forfeited(), 0);
    assert_eq!(
        (
            orgs.available("acme"),
            users.available("ann"),
            last.available()
        ),
        (1, 1, 1)
    );
    assert_eq!(
        orgs.len(),
        0,
        "the key that was added for the charge is gone"
    );
}

#[test]
fn owned_keys_make_a_tuple_static() {
    let clock = ManualClock::new();
    let users = Arc::new(keyed(1, &clock));
    let view = KeyView::owned(users.clone(), String::from("ann"));
    let all = (Arc::new(window(3, &clock)), view);
    let thread = std::thread::spawn(move || all.try_acquire(1));
    assert_eq!(thread.join().unwrap(), Ok(()));
    assert_eq!(users.available("ann"), 0);
}

#[test]
fn keys_without_room_follow_the_policy() {
    let clock = ManualClock::new();
    let table =
        |overflow| FixedKeyed::with_clock(Quota::per_hour(1), 1, clock.clone()).overflow(overflow);
    for overflow in [Overflow::Refuse, Overflow::Admit, Overflow::Share] {
        let (global, users) = (bucket(100, &clock), table(overflow));
        let mut admitted = 0;
        for user in 0..50_u32 {
            admitted += u64::from((&global, users.at(&user)).try_acquire(1).is_ok());
        }
        assert_eq!(100 - global.available(), admitted, "{overflow:?}");
        match overflow {
            Overflow::Admit => assert_eq!(admitted, 50),
            // As many as there are places, and one of the shared limiter.
            _ => assert!(admitted < 30, "{admitted} {overflow:?}"),
        }
    }
}
