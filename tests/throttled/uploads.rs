//! Writes wait for their permits first.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{Error, ErrorKind, IoSlice, Result};

use tidegate::{ManualClock, Throttled};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{KIB, SECOND, block_on, bucket, bytes, elapsed, no_sleep, timer};

/// A writer that stores what it gets, with the time of each write.
struct Stored {
    clock: ManualClock,
    bytes: Vec<u8>,
    writes: Vec<(Duration, usize)>,
    /// The most bytes that it takes at once.
    most: usize,
    /// Each write is pending once.
    is_slow: bool,
    was_pending: bool,
    fails_after: usize,
    is_shut_down: bool,
}

impl Stored {
    fn new(clock: &ManualClock) -> Self {
        Self {
            clock: clock.clone(),
            bytes: Vec::new(),
            writes: Vec::new(),
            most: usize::MAX,
            is_slow: false,
            was_pending: false,
            fails_after: usize::MAX,
            is_shut_down: false,
        }
    }

    fn take(&mut self, context: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        if self.is_slow && !self.was_pending {
            self.was_pending = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.was_pending = false;
        if self.bytes.len() >= self.fails_after {
            self.fails_after = usize::MAX;
            return Poll::Ready(Err(Error::from(ErrorKind::ConnectionReset)));
        }
        let all: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let taken = all.len().min(self.most);
        self.bytes.extend_from_slice(&all[..taken]);
        self.writes.push((elapsed(&self.clock), taken));
        Poll::Ready(Ok(taken))
    }
}

impl AsyncWrite for Stored {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.take(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.take(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// At no instant has more been written than the bucket allows, and at the end all of it.
fn check_writes(stored: &Stored, rate: u64, burst: u64) {
    let mut written = 0;
    for (at, bytes) in &stored.writes {
        written += *bytes as u128;
        let allowed = u128::from(burst) + at.as_nanos() * u128::from(rate) / 1_000_000_000;
        assert!(written <= allowed, "{written} of {allowed} bytes at {at:?}");
    }
}

/// For capacities below and above a chunk, that divide it or not, and small chunks.
#[test]
fn uploads_have_exactly_the_rate() {
    let cases = [
        (256 * 1024, 16 * 1024, 16 * KIB),
        (256 * 1024, 64 * 1024, 16 * KIB),
        (1_000, 1, 16 * KIB),
        (1_000, 999, 100),
        (7, 3, 2),
        (1_000_000_000, 1_000, 16 * KIB),
    ];
    for (rate, burst, chunk) in cases {
        let clock = ManualClock::new();
        let bucket = bucket(rate, burst, &clock);
        let mut upload = Throttled::new(Stored::new(&clock), &bucket)
            .timer(timer(&clock))
            .chunk(chunk);
        // Two seconds, or less where that would be much.
        let time = if rate > 1_000_000 {
            SECOND / 10_000
        } else {
            2 * SECOND
        };
        let more = u128::from(rate) * time.as_nanos() / 1_000_000_000;
        let sent = bytes(burst + u64::try_from(more).unwrap());
        block_on(upload.write_all(&sent)).unwrap();
        assert_eq!(elapsed(&clock), time, "{rate}/s burst {burst}");
        let stored = upload.into_inner();
        assert_eq!(stored.bytes, sent);
        check_writes(&stored, rate, burst);
        let most = stored.writes.iter().map(|(_, bytes)| *bytes).max();
        assert_eq!(most, Some(chunk.min(usize::try_from(burst).unwrap())));
    }
}

/// A writer that takes seven bytes at once, after it was pending, costs as many permits as bytes.
#[test]
fn short_and_slow_writes_cost_what_they_write() {
    for is_slow in [false, true] {
        let clock = ManualClock::new();
        let bucket = bucket(1_000, 100, &clock);
        let stored = Stored {
            most: 7,
            is_slow,
            ..Stored::new(&clock)
        };
        let mut upload = Throttled::new(stored, &bucket).timer(timer(&clock));
        let sent = bytes(1_100);
        block_on(upload.write_all(&sent)).unwrap();
        assert_eq!(elapsed(&clock), SECOND);
        // None is left over, because no write asks for more than what there is to write.
        assert_eq!(bucket.available(), 0);
        let stored = upload.into_inner();
        assert_eq!(stored.bytes, sent);
        check_writes(&stored, 1_000, 100);
    }
}

#[test]
fn vectored_writes_are_cut_at_the_chunk() {
    let clock = ManualClock::new();
    let bucket = bucket(1_000, 100, &clock);
    let mut upload = Throttled::new(Stored::new(&clock), &bucket)
        .timer(timer(&clock))
        .chunk(10);
    assert!(upload.is_write_vectored());
    let sent = bytes(30);
    let slices = [
        IoSlice::new(&[]),
        IoSlice::new(&sent[..4]),
        IoSlice::new(&[]),
        IoSlice::new(&sent[4..9]),
        IoSlice::new(&sent[9..]),
    ];
    // Whole slices as long as they fit, and else a part of the first.
    assert_eq!(block_on(upload.write_vectored(&slices)).unwrap(), 9);
    assert_eq!(bucket.available(), 90);
    assert_eq!(block_on(upload.write_vectored(&slices[4..])).unwrap(), 10);
    assert_eq!(bucket.available(), 81);
    assert_eq!(block_on(upload.write_vectored(&slices[..1])).unwrap(), 0);
    assert_eq!(block_on(upload.write_vectored(&[])).unwrap(), 0);
    assert_eq!(bucket.available(), 81);
    assert_eq!(upload.get_ref().bytes, sent[..19]);
}

/// A write that failed has used no permits, so the next one takes none.
#[test]
fn errors_are_passed_on_and_cost_nothing() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 10, &clock);
    let stored = Stored {
        fails_after: 0,
        ..Stored::new(&clock)
    };
    let mut upload = Throttled::new(stored, &bucket).timer(no_sleep);
    let error = block_on(upload.write(&[1; 10])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bucket.available(), 0);
    assert_eq!(block_on(upload.write(&[1; 10])).unwrap(), 10);
    assert_eq!(upload.get_ref().bytes, [1; 10]);
}

#[test]
fn empty_writes_flushes_and_shutdowns_do_not_wait() {
    let clock = ManualClock::new();
    let bucket = bucket(1, 1, &clock);
    bucket.try_acquire(1).unwrap();
    let mut upload = Throttled::new(Stored::new(&clock), &bucket).timer(no_sleep);
    assert_eq!(block_on(upload.write(&[])).unwrap(), 0);
    block_on(upload.flush()).unwrap();
    block_on(upload.shutdown()).unwrap();
    assert!(upload.get_mut().is_shut_down);
}
