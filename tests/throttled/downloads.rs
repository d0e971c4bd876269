//! Reads are paid before the next one.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io::{Error, ErrorKind, Result};

use tidegate::{ManualClock, Throttled};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf, empty};

use crate::{KIB, SECOND, block_on, bucket, bytes, elapsed, no_sleep, timer};

/// For capacities below and above a chunk, that divide it or not, and small chunks.
#[test]
fn downloads_have_exactly_the_rate() {
    let cases = [
        (256 * 1024, 16 * 1024, 16 * KIB),
        (256 * 1024, 64 * 1024, 16 * KIB),
        (1_000, 1, 16 * KIB),
        (1_000, 999, 100),
        (7, 3, 2),
    ];
    for (rate, burst, chunk) in cases {
        let clock = ManualClock::new();
        let bucket = bucket(rate, burst, &clock);
        let sent = bytes(burst + 2 * rate);
        let mut download = Throttled::new(&sent[..], &bucket)
            .timer(timer(&clock))
            .chunk(chunk);
        let chunk = chunk.min(usize::try_from(burst).unwrap());
        let mut got = Vec::new();
        block_on(async {
            let mut buffer = vec![0; 100 * KIB];
            loop {
                let read = download.read(&mut buffer).await.unwrap();
                assert!(read <= chunk);
                if read == 0 {
                    break;
                }
                got.extend_from_slice(&buffer[..read]);
                // At most one chunk ahead.
                let nanos = elapsed(&clock).as_nanos() * u128::from(rate);
                let allowed = u128::from(burst) + nanos / 1_000_000_000 + chunk as u128;
                assert!(got.len() as u128 <= allowed);
            }
            // The end can be read again.
            assert_eq!(download.read(&mut buffer).await.unwrap(), 0);
        });
        assert_eq!(elapsed(&clock), 2 * SECOND, "{rate}/s burst {burst}");
        assert_eq!(got, sent);
    }
}

/// Buffers of any size, initialized or not, filled in part or not, get the same bytes.
#[test]
fn buffers_are_filled_behind_what_they_hold() {
    let clock = ManualClock::new();
    let bucket = bucket(1_000, 1_000, &clock);
    let sent = bytes(500);
    let mut download = Throttled::new(&sent[..], &bucket).timer(no_sleep).chunk(16);
    let mut got = vec![99];
    block_on(async {
        // Room for less and for more than a chunk, which is not initialized.
        for room in [1, 15, 16, 17, 300, 40] {
            let mut part = Vec::with_capacity(room + 1);
            part.push(99);
            let read = download.read_buf(&mut part).await.unwrap();
            assert_eq!((part[0], part.len()), (99, read + 1));
            assert!(read <= room.min(16) || part.capacity() > room + 1);
            got.extend_from_slice(&part[1..]);
        }
        let mut storage = [7; 64];
        let mut buffer = ReadBuf::new(&mut storage);
        buffer.put_slice(&[5; 8]);
        let read = core::future::poll_fn(|context| {
            Pin::new(&mut download).poll_read(context, &mut buffer)
        });
        read.await.unwrap();
        assert_eq!(buffer.filled().len(), 24);
        assert_eq!(&buffer.filled()[..8], [5; 8]);
        got.extend_from_slice(&buffer.filled()[8..]);
    });
    assert_eq!(got[1..], sent[..got.len() - 1]);
    assert!(got.len() > 80);
}

/// A reader without data takes no permits, however often it is polled.
#[test]
fn idle_readers_take_no_permits() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 10, &clock);
    let (near, _far) = tokio::io::duplex(64);
    let mut download = Throttled::new(near, &bucket).timer(no_sleep);
    let mut context = Context::from_waker(Waker::noop());
    let mut storage = [0; 8];
    for _ in 0..100 {
        let mut buffer = ReadBuf::new(&mut storage);
        let polled = Pin::new(&mut download).poll_read(&mut context, &mut buffer);
        assert!(polled.is_pending());
    }
    drop(download);
    assert_eq!(bucket.available(), 10);
}

/// Otherwise connections of one short request each would cost nothing.
#[test]
fn dropped_readers_pay_for_the_last_read_without_waiting() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 10, &clock);
    let sent = bytes(6);
    for available in [4, 4] {
        let mut download = Throttled::new(&sent[..], &bucket).timer(no_sleep);
        let mut buffer = [0; 32];
        assert_eq!(block_on(download.read(&mut buffer)).unwrap(), 6);
        // The second finds 4 permits for 6 bytes. It neither waits nor takes a part.
        drop(download);
        assert_eq!(bucket.available(), available);
    }
    // Unwrapping is the same as dropping, and a change of the timer is neither.
    clock.advance(2 * SECOND);
    let mut download = Throttled::new(&sent[..], &bucket).timer(no_sleep);
    let mut buffer = [0; 32];
    assert_eq!(block_on(download.read(&mut buffer)).unwrap(), 6);
    let download = download.timer(timer(&clock));
    assert_eq!(bucket.available(), 6);
    assert_eq!(download.into_inner(), b"");
    assert_eq!(bucket.available(), 0);
}

#[test]
fn empty_buffers_do_not_wait() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 1, &clock);
    let mut download = Throttled::new(&b"tide"[..], &bucket).timer(no_sleep);
    assert_eq!(block_on(download.read(&mut [0])).unwrap(), 1);
    bucket.try_acquire(1).unwrap();
    assert_eq!(block_on(download.read(&mut [])).unwrap(), 0);
}

/// An error costs nothing, and what was read before it is paid.
#[test]
fn errors_are_passed_on() {
    struct Broken(bool);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            if core::mem::replace(&mut self.0, true) {
                return Poll::Ready(Err(Error::from(ErrorKind::ConnectionReset)));
            }
            buffer.put_slice(&[7; 3]);
            Poll::Ready(Ok(()))
        }
    }
    let clock = ManualClock::new();
    let bucket = bucket(1, 10, &clock);
    for size in [4, 32] {
        let mut download = Throttled::new(Broken(false), &bucket)
            .timer(no_sleep)
            .chunk(5);
        let mut buffer = vec![0; size];
        let before = bucket.available();
        assert_eq!(block_on(download.read(&mut buffer)).unwrap(), 3);
        let error = block_on(download.read(&mut buffer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        drop(download);
        assert_eq!(bucket.available(), before - 3);
    }
    let mut end = Throttled::new(empty(), &bucket).timer(no_sleep);
    assert_eq!(block_on(end.read(&mut [0; 8])).unwrap(), 0);
}
