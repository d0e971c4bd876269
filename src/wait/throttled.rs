//! A reader and writer whose bytes wait for permits.

use core::fmt;
use core::pin::Pin;

use pin_project_lite::pin_project;

use self::account::Account;
use super::timer::{SleepSlot, Timer};
use crate::wait::{Awaitable, DefaultTimer};

mod account;
mod both_wakers;
#[cfg(feature = "futures")]
mod for_futures;
#[cfg(feature = "tokio")]
mod for_tokio;
mod slices;

pin_project! {
    /// A reader, writer or both whose bytes wait for permits of a limiter, one for each byte.
    ///
    /// It implements `AsyncRead` and `AsyncWrite` of tokio (feature `tokio`) and of futures
    /// (feature `futures`), where the inner type does. It throttles both directions by one limiter,
    /// unless told [otherwise](Self::reads_only). For a limit of each direction, put one
    /// `Throttled` into another. Any number of connections can share a limiter, by reference or by
    /// [`Arc`](alloc::sync::Arc). Their chunks then take turns.
    ///
    /// * A **write** takes the permits for at most a [chunk](Self::chunk), waits for them, and then
    ///   writes. So what was written never exceeds what the limiter has admitted. Permits that a
    ///   short write leaves are kept for the next one.
    /// * A **read** takes at most a chunk, and pays for it before the next read. How much will come
    ///   is not known before. So a connection that is idle takes no permits, and one that reads is
    ///   at most one chunk ahead of the limiter. If it is dropped then, the chunk is paid if that
    ///   takes no wait.
    ///
    /// Flushing and shutting down do not wait. If the limiter's wait queue is full, it retries
    /// after the limiter's hint.
    ///
    /// # Upload
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use core::time::Duration;
    /// use tidegate::{ManualClock, Quota, Throttled, TokenBucket};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let clock = ManualClock::new();
    /// let quota = Quota::per_second(256 * 1024).burst(16 * 1024);
    /// let bucket = TokenBucket::with_clock(quota, clock.clone());
    /// // A timer that moves the clock. A program needs none.
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let mut upload = Throttled::new(Vec::new(), &bucket).timer(timer);
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(upload.write_all(&[7; 272 * 1024])).unwrap();
    /// // 16 KiB at once, and 256 KiB in the second after that.
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 1_000_000_000);
    /// assert_eq!(upload.into_inner(), [7; 272 * 1024]);
    /// # }
    /// ```
    ///
    /// # Download
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use core::time::Duration;
    /// use std::sync::Arc;
    /// use tidegate::{ManualClock, Quota, Throttled, TokenBucket};
    /// use tokio::io::AsyncReadExt;
    ///
    /// let clock = ManualClock::new();
    /// let quota = Quota::per_second(1_000).burst(1_000);
    /// let bucket = Arc::new(TokenBucket::with_clock(quota, clock.clone()));
    /// let timer = |wait: Duration| core::future::ready(clock.advance(wait));
    ///
    /// let server = [7; 5_000]; // A program reads from a socket.
    /// let mut download = Throttled::new(&server[..], bucket).timer(timer).reads_only();
    /// let mut bytes = Vec::new();
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(download.read_to_end(&mut bytes)).unwrap();
    /// assert_eq!(bytes, server);
    /// assert_eq!(tidegate::Clock::now(&clock).as_nanos(), 4_000_000_000);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// A read or write that is dropped while it waits has moved no byte and lost no permit. It
    /// keeps its position in the queue for the next call, which may read or write other data.
    /// Permits that were taken for a write and not used are lost when the `Throttled` is dropped.
    ///
    /// Both directions share the position, so a task may await a write while a read is set aside,
    /// as in a `select!`. But a `Throttled` that waits and is not polled at all blocks *others*
    /// behind it once it is first, as an [`Acquire`](crate::Acquire) does. So do not await another
    /// wait at the same limiter meanwhile.
    #[must_use = "readers and writers do nothing unless they are polled"]
    pub struct Throttled<I, L, T = DefaultTimer>
    where
        L: Awaitable,
        T: SleepSlot,
    {
        #[pin]
        io: I,
        account: Account<L, T>,
    }
}

impl<I, L: Awaitable> Throttled<I, L> {
    /// Throttles both directions of `io` by `limiter`, a limiter or a pointer to one.
    ///
    /// With an [`Arc`](alloc::sync::Arc) the result owns its share of the limiter.
    pub fn new(io: I, limiter: L) -> Self {
        Self {
            io,
            account: Account::new(limiter),
        }
    }
}

impl<I, L: Awaitable, T: SleepSlot> Throttled<I, L, T> {
    /// Sleeps on another timer than the [`DefaultTimer`].
    pub fn timer<U: Timer>(self, timer: U) -> Throttled<I, L, U> {
        Throttled {
            io: self.io,
            account: self.account.timer(timer),
        }
    }

    /// Reads and writes at most so many bytes at once; 16 KiB by default. More than the limiter's
    /// capacity counts as the capacity, and 0 counts as 1.
    ///
    /// Bytes flow in chunks, and connections that share a limiter take turns by chunks. So a small
    /// chunk is smoother and fairer, and a large one costs fewer calls of the inner reader or
    /// writer. 16 KiB is a whole record of TLS and twice the buffer of `tokio::io::copy`, so a
    /// larger chunk would rarely be filled. At high rates it costs no throughput: one tick of the
    /// timer admits all chunks that were due in it.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use tidegate::{Quota, Throttled, TokenBucket};
    /// use tokio::io::AsyncReadExt;
    ///
    /// let bucket = TokenBucket::new(Quota::per_second(1_000));
    /// let mut reader = Throttled::new(&b"flood"[..], &bucket).chunk(3);
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// let mut bytes = [0; 16];
    /// assert_eq!(runtime.block_on(reader.read(&mut bytes)).unwrap(), 3);
    /// # }
    /// ```
    pub const fn chunk(mut self, bytes: usize) -> Self {
        self.account.options.chunk = if bytes == 0 { 1 } else { bytes as u64 };
        self
    }

    /// Throttles what is read. Writes pass.
    pub const fn reads_only(mut self) -> Self {
        self.account.options.is_reading_throttled = true;
        self.account.options.is_writing_throttled = false;
        self
    }

    /// Throttles what is written. Reads pass.
    pub const fn writes_only(mut self) -> Self {
        self.account.options.is_reading_throttled = false;
        self.account.options.is_writing_throttled = true;
        self
    }

    /// Returns the inner reader or writer.
    pub const fn get_ref(&self) -> &I {
        &self.io
    }

    /// Returns the inner reader or writer for changes. What is read or written there is not
    /// throttled.
    pub const fn get_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// Returns the pinned inner reader or writer. What is read or written there is not throttled.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut I> {
        self.project().io
    }

    /// Unwraps the inner reader or writer. No byte is lost, because this has no buffer. Permits
    /// that were taken and not used are.
    pub fn into_inner(self) -> I {
        self.io
    }

    /// Returns the limiter.
    pub const fn limiter(&self) -> &L {
        self.account.limiter()
    }
}

impl<I: fmt::Debug, L: Awaitable, T: SleepSlot> fmt::Debug for Throttled<I, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttled")
            .field("io", &self.io)
            .field("options", &self.account.options)
            .finish_non_exhaustive()
    }
}
