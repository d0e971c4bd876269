//! The same over the traits of futures.

use core::pin::Pin;
use std::io::IoSlice;

use futures_util::future::poll_fn;
use futures_util::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Cursor};
use tidegate::{ManualClock, Throttled};

use crate::{SECOND, block_on, bucket, bytes, elapsed, no_sleep, timer};

#[test]
fn uploads_and_downloads_have_exactly_the_rate() {
    for (rate, burst, chunk) in [(1_000, 100, 16_384), (1_000, 999, 100), (7, 3, 2)] {
        let clock = ManualClock::new();
        let bucket = bucket(rate, burst, &clock);
        let sent = bytes(2 * rate + burst);
        let mut upload = Throttled::new(Vec::new(), &bucket)
            .timer(timer(&clock))
            .chunk(chunk);
        block_on(upload.write_all(&sent)).unwrap();
        assert_eq!(elapsed(&clock), 2 * SECOND);
        assert_eq!(upload.into_inner(), sent);
        bucket.reset();
        let mut download = Throttled::new(Cursor::new(&sent), &bucket)
            .timer(timer(&clock))
            .chunk(chunk);
        let mut got = Vec::new();
        block_on(download.read_to_end(&mut got)).unwrap();
        assert_eq!(elapsed(&clock), 4 * SECOND);
        assert_eq!(got, sent);
    }
}

#[test]
fn short_reads_and_writes_cost_what_they_move() {
    let clock = ManualClock::new();
    let bucket = bucket(1_000, 100, &clock);
    // Room for 30 bytes of 40.
    let mut room = [0; 30];
    let mut upload = Throttled::new(Cursor::new(&mut room[..]), &bucket).timer(no_sleep);
    assert_eq!(block_on(upload.write(&[1; 40])).unwrap(), 30);
    assert_eq!(bucket.available(), 60);
    // The 10 that are left serve the next write.
    assert_eq!(block_on(upload.write(&[1; 10])).unwrap(), 0);
    assert_eq!(bucket.available(), 60);
    block_on(upload.flush()).unwrap();
    block_on(upload.close()).unwrap();
    assert_eq!(room, [1; 30]);
    let mut download = Throttled::new(&room[..20], &bucket).timer(no_sleep);
    let mut buffer = [0; 50];
    assert_eq!(block_on(download.read(&mut buffer)).unwrap(), 20);
    assert_eq!(block_on(download.read(&mut buffer)).unwrap(), 0);
    assert_eq!(bucket.available(), 40);
}

#[test]
fn vectored_writes_are_cut_at_the_chunk() {
    let clock = ManualClock::new();
    let bucket = bucket(1_000, 100, &clock);
    let mut upload = Throttled::new(Vec::new(), &bucket)
        .timer(no_sleep)
        .chunk(10);
    let sent = bytes(30);
    let slices = [&[][..], &sent[..4], &sent[4..9], &sent[9..]].map(IoSlice::new);
    let mut write = |slices: &[IoSlice<'_>]| {
        block_on(poll_fn(|context| {
            Pin::new(&mut upload).poll_write_vectored(context, slices)
        }))
        .unwrap()
    };
    assert_eq!(write(&slices), 9);
    assert_eq!(write(&slices[3..]), 10);
    assert_eq!(write(&slices[..1]), 0);
    assert_eq!(bucket.available(), 81);
    assert_eq!(upload.into_inner(), sent[..19]);
}
