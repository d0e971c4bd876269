//! The choice among the timers that are compiled in.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::DefaultTimer;
use crate::wait::Timer;

#[cfg(feature = "tokio")]
type TokioSleep = tokio::time::Sleep;
#[cfg(not(feature = "tokio"))]
type TokioSleep = core::future::Pending<()>;

#[cfg(feature = "async-io")]
type OtherSleep = crate::wait::AsyncIoSleep;
#[cfg(all(feature = "futures-timer", not(feature = "async-io")))]
type OtherSleep = futures_timer::Delay;
#[cfg(not(any(feature = "async-io", feature = "futures-timer")))]
type OtherSleep = core::future::Pending<()>;

pin_project! {
    /// The sleep of a [`DefaultTimer`].
    #[project = DefaultSleepProjection]
    pub enum DefaultSleep {
        Tokio {
            #[pin]
            sleep: TokioSleep,
        },
        Other {
            #[pin]
            sleep: OtherSleep,
        },
    }
}

impl Timer for DefaultTimer {
    type Sleep = DefaultSleep;

    fn sleep(&self, duration: Duration) -> DefaultSleep {
        #[cfg(feature = "tokio")]
        if let Some(sleep) = tokio_sleep(duration) {
            return DefaultSleep::Tokio { sleep };
        }
        #[cfg(feature = "async-io")]
        let sleep = crate::wait::AsyncIoTimer.sleep(duration);
        #[cfg(all(feature = "futures-timer", not(feature = "async-io")))]
        let sleep = futures_timer::Delay::new(duration);
        #[cfg(not(any(feature = "async-io", feature = "futures-timer")))]
        let sleep = core::future::pending();
        DefaultSleep::Other { sleep }
    }
}

/// Sleeps on tokio's timer. Panics without one, because there is no other.
#[cfg(all(
    feature = "tokio",
    not(any(feature = "async-io", feature = "futures-timer"))
))]
#[expect(clippy::unnecessary_wraps, reason = "as with another timer")]
fn tokio_sleep(duration: Duration) -> Option<TokioSleep> {
    Some(tokio::time::sleep(duration))
}

/// Sleeps on tokio's timer if this is a tokio runtime and its timer is on.
#[cfg(all(
    feature = "tokio",
    any(feature = "async-io", feature = "futures-timer")
))]
fn tokio_sleep(duration: Duration) -> Option<TokioSleep> {
    use core::cell::Cell;
    use std::panic::catch_unwind;
    use tokio::runtime::{Handle, Id};

    std::thread_local! {
        /// The runtime that was last seen without a timer.
        static WITHOUT_TIMER: Cell<Option<Id>> = const { Cell::new(None) };
    }

    let runtime = Handle::try_current().ok()?.id();
    if WITHOUT_TIMER.get() == Some(runtime) {
        return None;
    }
    // tokio has no other way to ask whether the timer is on. A runtime without one reports the
    // panic once per thread.
    let sleep = catch_unwind(|| tokio::time::sleep(duration));
    if sleep.is_err() {
        WITHOUT_TIMER.set(Some(runtime));
    }
    sleep.ok()
}

impl Future for DefaultSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.project() {
            DefaultSleepProjection::Tokio { sleep } => sleep.poll(context),
            DefaultSleepProjection::Other { sleep } => sleep.poll(context),
        }
    }
}

impl fmt::Debug for DefaultSleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokio { .. } => "DefaultSleep::Tokio",
            Self::Other { .. } => "DefaultSleep::Other",
        })
    }
}
