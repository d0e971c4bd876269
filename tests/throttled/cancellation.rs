//! Reads and writes that are dropped while they wait.

use alloc::sync::Arc;
use core::task::Poll;

use tidegate::{ManualClock, SlidingWindow, Throttled};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{SECOND, block_on, bucket, bytes, never, poll_once, timer};

/// The write after a dropped one may write other and fewer bytes. All permits are used in the end.
#[test]
fn dropped_writes_lose_no_permits() {
    let clock = ManualClock::new();
    let bucket = bucket(100, 10, &clock);
    let mut upload = Throttled::new(Vec::new(), &bucket).timer(never);
    block_on(upload.write_all(&[1; 10])).unwrap();
    for _ in 0..3 {
        assert!(poll_once(upload.write(&[2; 8])).is_pending());
        assert_eq!(bucket.waiting(), 1);
    }
    clock.advance(SECOND / 10);
    assert_eq!(
        poll_once(upload.write(&[3; 2])).map(Result::unwrap),
        Poll::Ready(2)
    );
    // 8 were taken, and 6 of them serve the next writes.
    assert_eq!((bucket.available(), bucket.waiting()), (2, 0));
    for _ in 0..3 {
        assert_eq!(
            poll_once(upload.write(&[4; 2])).map(Result::unwrap),
            Poll::Ready(2)
        );
    }
    assert_eq!(bucket.available(), 2);
    let written = upload.into_inner();
    assert_eq!(written[10..], [3, 3, 4, 4, 4, 4, 4, 4]);
}

/// A read that is dropped while the last one is paid loses no byte, and pays once.
#[test]
fn dropped_reads_lose_no_bytes() {
    let clock = ManualClock::new();
    let bucket = bucket(10, 4, &clock);
    let sent = bytes(100);
    let mut download = Throttled::new(&sent[..], &bucket).timer(never);
    let mut got = Vec::new();
    let mut buffer = [0; 50];
    for _ in 0..2_000 {
        if let Poll::Ready(read) = poll_once(download.read(&mut buffer)) {
            got.extend_from_slice(&buffer[..read.unwrap()]);
        }
        clock.advance(SECOND / 100);
    }
    assert_eq!(got, sent);
    // It paid 100 bytes and the bucket is full, so the last ten seconds cost nothing.
    assert_eq!((bucket.available(), bucket.waiting()), (4, 0));
}

/// A position that is dropped with its connection serves those behind it.
#[test]
fn dropped_connections_leave_the_queue() {
    let clock = ManualClock::new();
    let bucket = Arc::new(bucket(10, 10, &clock));
    bucket.try_acquire(10).unwrap();
    let mut first = Throttled::new(Vec::new(), Arc::clone(&bucket)).timer(never);
    let mut second = Throttled::new(Vec::new(), Arc::clone(&bucket)).timer(never);
    assert!(poll_once(first.write(&[1; 10])).is_pending());
    assert!(poll_once(second.write(&[2; 3])).is_pending());
    assert_eq!(bucket.waiting(), 2);
    drop(first);
    clock.advance(SECOND * 3 / 10);
    assert_eq!(
        poll_once(second.write(&[2; 3])).map(Result::unwrap),
        Poll::Ready(3)
    );
    assert_eq!(bucket.available(), 0);
    drop(second);
    assert_eq!(Arc::strong_count(&bucket), 1);
}

/// While the wait queue is full, it asks again after the limiter's hint, and takes no more.
#[test]
fn full_queues_are_waited_for() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(10, SECOND, clock.clone()).unwrap();
    let window = window.max_waiters(0);
    let mut upload = Throttled::new(Vec::new(), &window).timer(timer(&clock));
    let sent = bytes(45);
    block_on(upload.write_all(&sent)).unwrap();
    assert_eq!(*upload.get_ref(), sent);
    let took = tidegate::Clock::now(&clock) - tidegate::Timestamp::ZERO;
    assert!(took >= 4 * SECOND && took < 5 * SECOND, "{took:?}");
    let mut download = Throttled::new(&sent[..], &window).timer(timer(&clock));
    let mut got = Vec::new();
    block_on(download.read_to_end(&mut got)).unwrap();
    assert_eq!(got, sent);
}
