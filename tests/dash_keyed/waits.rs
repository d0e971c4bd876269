//! Waits for keys of the map. What is common to all tables is in `tests/keyed_waits`.

use alloc::sync::Arc;
use core::time::Duration;
use std::thread;

use dashmap::DashMap;
use tidegate::{
    Acquire, Clock, DashKeyed, Denied, KeyView, KnownKeys, ManualClock, SlidingWindow, Timestamp,
    TokenBucket,
};

use crate::waiters::Waiters;
use crate::{SECOND, bucket};

type Buckets = DashMap<u64, TokenBucket<ManualClock>>;
type Project = fn(&TokenBucket<ManualClock>) -> &TokenBucket<ManualClock>;
type Table<'a> = DashKeyed<&'a Buckets, Project, KnownKeys, ManualClock>;

const UNKNOWN: Denied = Denied::Never { capacity: 0 };

/// A table of keys 1 and 2, which have spent their burst.
fn spent<'a>(map: &'a Buckets, burst: u64, clock: &ManualClock) -> Table<'a> {
    let table: Table<'a> = DashKeyed::with_clock(map, |bucket| bucket, clock.clone());
    for key in [1, 2] {
        map.insert(key, bucket(burst, clock));
        table.try_acquire(&key, burst).expect("full");
    }
    table
}

#[test]
fn keys_are_served_in_order_of_arrival() {
    let (clock, map) = (ManualClock::new(), Buckets::new());
    let table = spent(&map, 1, &clock);
    let mut waiters = Waiters::at(&table, &clock);
    for key in [1, 2, 1, 2, 1] {
        waiters.join(key, 1);
    }
    assert_eq!((table.waiting(), table.at(&1).waiting()), (5, 3));
    waiters.advance(SECOND);
    assert_eq!(waiters.admitted().len(), 2);
    assert_eq!(waiters.waiting(), [2, 3, 4]);
    waiters.leave(2);
    waiters.advance(SECOND);
    let mut admitted = waiters.admitted();
    admitted.sort_unstable(); // the two keys have no common order
    assert_eq!(admitted, [3, 4]);
    assert_eq!(table.waiting(), 0);
}

/// A key that leaves the map has no limiter to wait for. The table's own removal says so at once;
/// after another one, the head finds out when it is due, and then those behind it.
#[test]
fn waiters_of_a_key_that_leaves_are_refused() {
    for by_table in [true, false] {
        let (clock, map) = (ManualClock::new(), Buckets::new());
        let table = spent(&map, 1, &clock);
        let mut waiters = Waiters::at(&table, &clock);
        for key in [1, 2, 1] {
            waiters.join(key, 1);
        }
        if by_table {
            assert!(table.remove(&1).is_some());
        } else {
            map.remove(&1);
        }
        waiters.poll_woken();
        let at_once = waiters.ended();
        assert_eq!(at_once.len(), if by_table { 2 } else { 0 });
        waiters.finish();
        let later = waiters.ended();
        for ended in at_once.iter().chain(&later) {
            let expected = if ended.key == 1 { Err(UNKNOWN) } else { Ok(()) };
            assert_eq!(ended.outcome, expected, "{ended:?}");
            let is_woken = by_table && ended.key == 1;
            let expected = u32::from(!is_woken) * SECOND;
            assert_eq!(ended.at, Timestamp::ZERO + expected, "{ended:?}");
        }
        assert_eq!((at_once.len() + later.len(), table.waiting()), (3, 0));
    }
}

/// Another entry for the same key decides from then on.
#[test]
fn replaced_entry_decides() {
    let (clock, map) = (ManualClock::new(), Buckets::new());
    let table = spent(&map, 3, &clock);
    let mut waiters = Waiters::at(&table, &clock);
    for _ in 0..4 {
        waiters.join(1, 2);
    }
    map.insert(1, bucket(5, &clock));
    waiters.poll_woken();
    assert_eq!(waiters.ended(), []);
    // When the head was due at the old bucket.
    waiters.advance(2 * SECOND);
    assert_eq!(waiters.admitted(), [0, 1]);
    waiters.finish();
    assert_eq!(waiters.admitted(), [2, 3]);
    assert_eq!(clock.now(), Timestamp::ZERO + 5 * SECOND);
}

/// A timeout that cannot be met behind others is refused at once, with the whole wait.
#[test]
fn timeouts_count_those_ahead() {
    let (clock, map) = (ManualClock::new(), Buckets::new());
    let table = spent(&map, 2, &clock);
    let mut waiters = Waiters::at(&table, &clock);
    waiters.join(1, 2);
    waiters.join_for(1, 1, Duration::from_nanos(2_999_999_999));
    let retry_after = 3 * SECOND;
    assert_eq!(
        waiters.outcome(),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    waiters.join_for(1, 3, Duration::MAX);
    assert_eq!(waiters.outcome(), Err(Denied::Never { capacity: 2 }));
    waiters.join_for(1, 1, 3 * SECOND);
    assert_eq!(waiters.waiting(), [0, 3]);
    waiters.finish();
    assert_eq!(waiters.admitted(), [0, 3]);
}

#[test]
fn waiters_are_bounded() {
    let (clock, map) = (ManualClock::new(), Buckets::new());
    let table = spent(&map, 1, &clock)
        .max_waiters(3)
        .max_waiters_per_key(2)
        .wait_slack(Duration::ZERO);
    let mut waiters = Waiters::at(&table, &clock);
    let full = |retry_after| Err(Denied::NotYet { retry_after });
    waiters.join(1, 1);
    waiters.join(1, 1);
    waiters.join(1, 1);
    assert_eq!(waiters.outcome(), full((3 * SECOND).into()));
    waiters.join(2, 1);
    waiters.join(2, 1);
    assert_eq!(waiters.outcome(), full((2 * SECOND).into()));
    waiters.finish();
    assert_eq!(waiters.admitted().len(), 3);
}

type Windows = (SlidingWindow<ManualClock>, char);

/// A window in the map is decided as of now, as any window.
#[test]
fn windows() {
    let (clock, map) = (ManualClock::new(), DashMap::new());
    let window = SlidingWindow::with_clock(1, SECOND, clock.clone()).expect("valid");
    map.insert(1_u64, (window, 'x'));
    let table = DashKeyed::with_clock(&map, |value: &Windows| &value.0, clock.clone());
    table.try_acquire(&1, 1).unwrap();
    let mut waiters = Waiters::at(&table, &clock);
    waiters.join(1, 1);
    waiters.join(1, 1);
    waiters.finish();
    assert_eq!(waiters.admitted(), [0, 1]);
}

/// Threads that wait in views which own their key and a share of the table.
#[test]
fn threads_wait() {
    let (clock, map) = (ManualClock::new(), Buckets::new());
    map.insert(1, bucket(1, &clock));
    let table = Arc::new(DashKeyed::with_clock(map, |bucket| bucket, clock.clone()));
    let threads = [(); 4].map(|()| {
        let view = KeyView::owned(Arc::clone(&table), 1_u64);
        thread::spawn(move || Acquire::new(view, 1).wait())
    });
    while !threads.iter().all(thread::JoinHandle::is_finished) {
        clock.advance(SECOND / 4);
        thread::yield_now();
    }
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), Ok(()));
    }
    assert_eq!(table.waiting(), 0);
}
