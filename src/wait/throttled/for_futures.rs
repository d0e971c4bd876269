//! The traits of futures.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{IoSlice, Result};

use futures_io::{AsyncRead, AsyncWrite};

use super::Throttled;
use super::slices::{Part, total};
use crate::wait::{Awaitable, Timer};

/// A vectored read fills the first buffer that is not empty.
impl<I: AsyncRead, L: Awaitable, T: Timer> AsyncRead for Throttled<I, L, T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize>> {
        let this = self.project();
        let most = ready!(this.account.poll_read(context, buffer.len()));
        let read = ready!(this.io.poll_read(context, &mut buffer[..most]))?;
        this.account.charge_read(read);
        Poll::Ready(Ok(read))
    }
}

impl<I: AsyncWrite, L: Awaitable, T: Timer> AsyncWrite for Throttled<I, L, T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let this = self.project();
        let most = ready!(this.account.poll_write(context, bytes.len()));
        let written = ready!(this.io.poll_write(context, &bytes[..most]))?;
        this.account.charge_write(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.project();
        let most = ready!(this.account.poll_write(context, total(slices)));
        let written = ready!(match Part::of(slices, most) {
            Part::Slices(slices) => this.io.poll_write_vectored(context, slices),
            Part::Start(bytes) => this.io.poll_write(context, bytes),
        })?;
        this.account.charge_write(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_pin_mut().poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_pin_mut().poll_close(context)
    }
}
