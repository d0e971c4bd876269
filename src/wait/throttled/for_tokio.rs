//! The traits of tokio.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{IoSlice, Result};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Throttled;
use super::slices::{Part, total};
use crate::wait::{Awaitable, Timer};

impl<I: AsyncRead, L: Awaitable, T: Timer> AsyncRead for Throttled<I, L, T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.project();
        let len = buffer.remaining();
        let most = ready!(this.account.poll_read(context, len));
        let read = if most == len {
            let before = buffer.filled().len();
            ready!(this.io.poll_read(context, buffer))?;
            buffer.filled().len().saturating_sub(before)
        } else {
            // Writes zeros to what was not initialized, which code without `unsafe` cannot avoid.
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
            ready!(this.io.poll_read(context, &mut part))?;
            let read = part.filled().len();
            buffer.advance(read);
            read
        };
        this.account.charge_read(read);
        Poll::Ready(Ok(()))
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

    fn is_write_vectored(&self) -> bool {
        self.get_ref().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_pin_mut().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_pin_mut().poll_shutdown(context)
    }
}
