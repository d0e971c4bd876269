//! Connections that read and write.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::SeqCst;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use tidegate::{Clock, ManualClock, Quota, Throttled, TokenBucket, TokioClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::{SECOND, block_on, bucket, bytes, elapsed, never, no_sleep, poll_once, timer};

/// On the runtime's clock, which tests pause.
fn shared(rate: u64, burst: u64) -> Arc<TokenBucket<TokioClock>> {
    let quota = Quota::per_second(rate).burst(burst);
    Arc::new(TokenBucket::with_clock(quota, TokioClock::new()))
}

const fn assert_everywhere<T: Send + Sync + Unpin + 'static>(_: &T) {}

/// A loop with `select!` sets the read aside while it writes. The read waits in the queue then, and
/// the write must not wait behind it.
#[tokio::test(start_paused = true)]
async fn writes_do_not_wait_for_a_read_that_is_set_aside() {
    let bucket = shared(1_000, 100);
    let clock = *bucket.clock();
    let (near, mut far) = duplex(10_000);
    far.write_all(&[1; 5_000]).await.unwrap();
    let mut near = Throttled::new(near, bucket);
    assert_everywhere(&near);
    let start = clock.now();
    let (mut read, mut written) = (0, 0);
    let mut buffer = [0; 400];
    while clock.now() - start < 2 * SECOND {
        tokio::select! {
            got = near.read(&mut buffer) => read += got.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                near.write_all(&[2; 50]).await.unwrap();
                written += 50;
            }
        }
    }
    // Both used the permits of two seconds, the burst, and what was read ahead.
    assert!(
        (1_900..=2_400).contains(&(read + written)),
        "{read} {written}"
    );
    assert!(read >= 500 && written >= 500, "{read} {written}");
}

/// Each half is used by a task of its own. They share the rate, and neither starves.
#[tokio::test(start_paused = true)]
async fn halves_share_the_rate() {
    let bucket = shared(10_000, 1_000);
    let clock = *bucket.clock();
    let (near, far) = duplex(100_000);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let sent = bytes(20_000);
    far_write.write_all(&sent).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(Throttled::new(near, bucket));
    let start = clock.now();
    let sending = sent.clone();
    let write = tokio::spawn(async move {
        writer.write_all(&sending).await.unwrap();
        writer
    });
    let mut got = vec![0; 20_000];
    let read = tokio::spawn(async move {
        reader.read_exact(&mut got).await.unwrap();
        got
    });
    let mut echoed = vec![0; 20_000];
    far_read.read_exact(&mut echoed).await.unwrap();
    let sent_after = clock.now() - start;
    let got = read.await.unwrap();
    let both = clock.now() - start;
    write.await.unwrap();
    assert!(got == sent && echoed == sent);
    // 40 000 bytes, less the burst and the last chunk of the reader: 3.8 to 3.9 s. Either alone
    // would take half of that.
    let range = Duration::from_millis(3_790)..Duration::from_millis(3_910);
    assert!(range.contains(&both), "{both:?}");
    assert!(sent_after > Duration::from_millis(3_500), "{sent_after:?}");
}

/// A reader that waits for data lets a write that was set aside move on, so that others behind it
/// are not blocked.
#[tokio::test(start_paused = true)]
async fn idle_readers_move_a_dropped_write_on() {
    let bucket = shared(10, 10);
    bucket.try_acquire(10).unwrap();
    let (near, _far) = duplex(100);
    let mut near = Throttled::new(near, Arc::clone(&bucket));
    let write = tokio::time::timeout(Duration::from_millis(10), near.write(&[1; 10]));
    assert!(write.await.is_err());
    assert_eq!(bucket.waiting(), 1);
    let idle = tokio::spawn(async move { near.read(&mut [0; 8]).await });
    // It is behind the write, which is due after a second.
    let behind = tokio::time::timeout(60 * SECOND, bucket.acquire(5)).await;
    behind.expect("not blocked").unwrap();
    assert!(!idle.is_finished());
    assert_eq!(bucket.clock().now().as_nanos() / 100_000_000, 15);
    idle.abort();
}

/// A reader that is polled first and always has data leaves the writer half of the permits.
#[test]
fn busy_readers_do_not_starve_writers() {
    let clock = ManualClock::new();
    let bucket = bucket(10, 10, &clock);
    let both = tokio::io::join(tokio::io::repeat(7), Vec::new());
    let mut both = Throttled::new(both, &bucket).timer(never);
    let mut read = 0;
    for _ in 0..100 {
        let mut buffer = [0; 100];
        while let Poll::Ready(got) = poll_once(both.read(&mut buffer)) {
            read += got.unwrap();
        }
        while poll_once(both.write(&[1; 100])).is_ready() {}
        clock.advance(SECOND);
    }
    let written = both.get_ref().writer().len();
    assert!(
        (450..=550).contains(&written),
        "{written} written, {read} read"
    );
    assert!(
        (450..=550).contains(&read),
        "{written} written, {read} read"
    );
}

/// A poll of the reader that pays for the writer, too, wakes the writer's task.
#[test]
fn each_side_is_woken_when_the_other_has_paid_for_it() {
    #[derive(Default)]
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    let clock = ManualClock::new();
    let bucket = bucket(10, 10, &clock);
    bucket.try_acquire(10).unwrap();
    let both = tokio::io::join(tokio::io::repeat(7), Vec::new());
    let mut both = Throttled::new(both, &bucket).timer(never);
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let write = pin!(both.write(&[1; 10])).poll(&mut Context::from_waker(&waker));
    assert!(write.is_pending() && !flag.0.load(SeqCst));
    clock.advance(SECOND);
    assert!(poll_once(both.read(&mut [0; 10])).is_ready());
    assert!(flag.0.load(SeqCst));
    assert!(poll_once(both.write(&[1; 10])).is_ready());
}

#[test]
fn one_direction_can_be_throttled() {
    let clock = ManualClock::new();
    let bucket = bucket(1_000, 100, &clock);
    block_on(async {
        let (near, mut far) = duplex(10_000);
        far.write_all(&[1; 1_000]).await.unwrap();
        let mut reads = Throttled::new(near, &bucket)
            .timer(timer(&clock))
            .reads_only();
        reads.write_all(&[2; 1_000]).await.unwrap();
        assert_eq!(bucket.available(), 100);
        reads.read_exact(&mut [0; 1_000]).await.unwrap();
        // All but the last chunk is paid.
        assert_eq!(elapsed(&clock), SECOND * 8 / 10);
        let near = reads.into_inner();
        bucket.reset();
        far.write_all(&[1; 1_000]).await.unwrap();
        let mut writes = Throttled::new(near, &bucket)
            .timer(timer(&clock))
            .writes_only();
        writes.read_exact(&mut [0; 1_000]).await.unwrap();
        assert_eq!(bucket.available(), 100);
        writes.write_all(&[2; 1_000]).await.unwrap();
        assert_eq!(elapsed(&clock), SECOND * 17 / 10);
    });
}

/// One limiter for each direction.
#[test]
fn throttled_can_be_nested() {
    let clock = ManualClock::new();
    let (down, up) = (bucket(1_000, 100, &clock), bucket(1, 10, &clock));
    let (near, mut far) = duplex(10_000);
    let near = Throttled::new(near, &down)
        .timer(timer(&clock))
        .reads_only();
    let mut near = Throttled::new(near, &up).timer(no_sleep).writes_only();
    block_on(async {
        far.write_all(&[1; 300]).await.unwrap();
        near.read_exact(&mut [0; 300]).await.unwrap();
        near.write_all(&[2; 10]).await.unwrap();
    });
    assert_eq!((elapsed(&clock), up.available()), (SECOND / 10, 0));
    let shown = format!("{near:?}");
    assert!(
        shown.starts_with("Throttled { io: Throttled { io: DuplexStream"),
        "{shown}"
    );
    assert_eq!(near.get_ref().limiter().capacity(), 100);
}
