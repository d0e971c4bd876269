//! Times admissions of one bucket that several threads call at once, and the loops that explain
//! them.
//!
//! `contended [ROUNDS] [WORK]` times a slice of calls of each row in each round, on 1 thread, 2, 4
//! and so on. The threads are pinned and start each slice together, so that all of it is contended.
//! They multiply `WORK` times between calls, by default not at all.
//!
//! The CSV has the lower quartile, the median and the upper quartile of the slices, in nanoseconds
//! per call and thread. A slice lasts as long as its slowest thread. The last column is the number
//! of failed exchanges per call: the median, and 0 for limiters, which do not tell.
//!
//! | row | what it shows |
//! |---|---|
//! | `fetch_add` | the clock and the cache line: nothing can fail |
//! | `exchange` | failed exchanges on top |
//! | `exchange, N pauses` | a pause after each failure: other calls run while the line stays |
//! | `quota beside the word` | reads of the line that the exchange writes |
//! | `quota apart` | the same reads of another line |

#![expect(
    clippy::disallowed_methods,
    reason = "another clock measures the cost of tidegate's"
)]

use std::hint::{black_box, spin_loop};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use tidegate::{Clock, DefaultClock, TokenBucket};
use tidegate_compare::{Gate, governor, governor_plenty, on_threads, plenty, thread_counts};

/// Calls in a slice, which take about a tenth of a millisecond.
const CALLS: u32 = 4_000;

/// What is called. A call is admitted.
trait Row: Sync {
    /// Returns the number of failed exchanges, if it counts them.
    fn call(&self) -> u64;
}

/// A limiter, which does not tell how many exchanges have failed.
struct Limiter<G>(G);

impl<G: Gate> Row for Limiter<G> {
    #[inline(always)]
    fn call(&self) -> u64 {
        assert!(self.0.admit());
        0
    }
}

/// A loop with a counter of failed exchanges.
struct Counted<S, F>(S, F);

impl<S: Sync, F: Fn(&S) -> u64 + Sync> Row for Counted<S, F> {
    #[inline(always)]
    fn call(&self) -> u64 {
        black_box(call_apart(black_box(self)))
    }
}

/// Not inlined, as a decision in `Gate`.
#[inline(never)]
fn call_apart<S, F: Fn(&S) -> u64>(row: &Counted<S, F>) -> u64 {
    (row.1)(&row.0)
}

type Word = CachePadded<AtomicU64>;
type Quota = [u64; 4];

/// Reads the clock and adds to the word.
fn add(word: &Word) -> u64 {
    let now = DefaultClock.now().as_nanos();
    black_box(word.fetch_add(now | 1, Relaxed));
    0
}

/// Reads the clock and exchanges the word until that succeeds.
#[inline(always)]
fn exchange<const PAUSES: u32>(word: &AtomicU64, next: impl Fn(u64, u64) -> u64) -> u64 {
    let now = DefaultClock.now().as_nanos();
    let mut failures = 0;
    loop {
        let seen = word.load(Acquire);
        let next = next(seen, now);
        // The orderings of tidegate's and governor's buckets.
        let exchanged = word.compare_exchange_weak(seen, next, Release, Relaxed);
        if exchanged.is_ok() {
            return failures;
        }
        failures += 1;
        (0..PAUSES).for_each(|_| spin_loop());
    }
}

/// [`exchange`] without a decision.
fn bare<const PAUSES: u32>(word: &Word) -> u64 {
    exchange::<PAUSES>(word, |seen, now| seen.wrapping_add(now | 1))
}

/// A decision like a bucket's.
#[inline(always)]
fn judge(&[grains, cost, limit, epoch_length]: &Quota, tat: u64, now: u64) -> u64 {
    let grains_now = now.wrapping_mul(grains);
    let next = tat.max(grains_now).wrapping_add(cost);
    assert!(next - grains_now <= limit && now < epoch_length);
    next
}

fn beside(line: &CachePadded<(AtomicU64, Quota)>) -> u64 {
    exchange::<0>(&line.0, |tat, now| judge(&line.1, tat, now))
}

fn apart((word, quota): &(Word, CachePadded<Quota>)) -> u64 {
    exchange::<0>(word, |tat, now| judge(quota, tat, now))
}

/// Multiplies, one after the other.
#[inline(never)]
fn work(times: u64) -> u64 {
    (0..times).fold(times, |product, _| black_box(product.wrapping_mul(3)))
}

/// A slice: nanoseconds and failed exchanges, per call.
fn slice<R: Row>(row: &R, between: u64) -> [f64; 2] {
    let start = Instant::now();
    let mut failures = 0;
    for _ in 0..CALLS {
        if between > 0 {
            black_box(work(between));
        }
        failures += row.call();
    }
    let nanos = start.elapsed().as_secs_f64() * 1e9;
    [nanos, failures as f64].map(|sum| sum / f64::from(CALLS))
}

type Slice = Box<dyn Fn(u64) -> [f64; 2] + Sync>;

/// A slice of a row, with its name.
fn row<R: Row + 'static>(name: &'static str, row: R) -> (&'static str, Slice) {
    (name, Box::new(move |between| slice(&row, between)))
}

/// The lower quartile, the median and the upper quartile.
fn quartiles(slices: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = slices.collect();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|part| sorted[sorted.len() * part / 4])
}

fn main() {
    let argument = |place| std::env::args().nth(place);
    let rounds = argument(1).map_or(3_000, |rounds| rounds.parse().expect("a number"));
    let between = argument(2).map_or(0, |work| work.parse().expect("a number"));
    DefaultClock::calibrate();
    let quota: Quota = black_box([1, 1_000_000, u64::MAX, u64::MAX]);
    let line = CachePadded::new((AtomicU64::new(0), quota));
    let lines = (Word::default(), CachePadded::new(quota));
    let word = Word::default;
    let rows = [
        row("governor", Limiter(governor(governor_plenty()))),
        row("tidegate bucket", Limiter(TokenBucket::new(plenty()))),
        row("fetch_add", Counted(word(), add)),
        row("exchange", Counted(word(), bare::<0>)),
        row("exchange, 2 pauses", Counted(word(), bare::<2>)),
        row("exchange, 4 pauses", Counted(word(), bare::<4>)),
        row("exchange, 8 pauses", Counted(word(), bare::<8>)),
        row("exchange, 32 pauses", Counted(word(), bare::<32>)),
        row("quota beside the word", Counted(line, beside)),
        row("quota apart", Counted(lines, apart)),
    ];
    println!("threads,row,lower_quartile_ns,median_ns,upper_quartile_ns,failed_per_call");
    for threads in thread_counts() {
        let arrived = Word::default();
        let (_, slices) = on_threads(threads, |_| {
            let mut expected = 0;
            let mut together = |slice: &Slice| {
                expected += threads as u64;
                arrived.fetch_add(1, AcqRel);
                while arrived.load(Acquire) < expected {
                    spin_loop();
                }
                slice(between)
            };
            let round = |_| rows.each_ref().map(|(_, slice)| together(slice));
            (0..rounds).map(round).collect::<Vec<_>>()
        });
        for (row, (name, _)) in rows.iter().enumerate() {
            let of_round = |round: usize| slices.iter().map(move |thread| thread[round][row]);
            let time = |round| of_round(round).map(|[nanos, _]| nanos).fold(0.0, f64::max);
            let failed = |round| of_round(round).map(|[_, failed]| failed).sum::<f64>();
            let [lower, median, upper] = quartiles((0..rounds).map(time));
            let [_, failed, _] = quartiles((0..rounds).map(failed)).map(|sum| sum / threads as f64);
            println!("{threads},\"{name}\",{lower:.1},{median:.1},{upper:.1},{failed:.3}");
        }
    }
}
