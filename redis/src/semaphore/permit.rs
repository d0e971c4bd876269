//! A permit in use.

use core::fmt;

use super::state::Admission;
use crate::admitted::AdmittedBy;
use crate::time;

/// One permit of a [`RedisSemaphore`](crate::RedisSemaphore), or several. Dropping it gives them
/// back, in the background.
///
/// The node renews its permits while they are in use. If it does not reach the server for a
/// [time to live](crate::SemaphoreOptions::ttl), other nodes may get them, and this permit is
/// [lost](Self::lost). Work that must not overlap with that of other nodes stops then.
///
/// ```no_run
/// use tidegate_redis::{AcquireError, RedisSemaphore};
///
/// # async fn example(exports: RedisSemaphore) -> Result<(), AcquireError> {
/// # async fn export() {}
/// let permit = exports.acquire(1).await?;
/// tokio::select! {
///     () = export() => println!("done"),
///     () = permit.lost() => println!("stopped: another node may have begun"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "the permit comes back when it is dropped"]
pub struct SemaphorePermit(Admission);

impl SemaphorePermit {
    pub(crate) const fn new(admission: Admission) -> Self {
        Self(admission)
    }

    /// Returns whether no other node can have these permits now. Once it has returned `false`, it
    /// always does. Reads this node's clock, and asks no server.
    ///
    /// Permits that a [`FailurePolicy`](crate::FailurePolicy) admitted are always held: they were
    /// never the server's.
    pub fn is_held(&self) -> bool {
        self.0.hold.deadline(time::now()).is_some()
    }

    /// Waits until the permits are lost. For a permit that is renewed it never returns.
    ///
    /// # Cancel safety
    ///
    /// A dropped future changes nothing.
    pub async fn lost(&self) {
        while let Some(deadline) = self.0.hold.deadline(time::now()) {
            let mut lost = core::pin::pin!(self.0.hold.lost_early());
            lost.as_mut().enable();
            if self.0.hold.deadline(time::now()).is_none() {
                return;
            }
            // Whichever comes first, the loop looks again.
            let _ = tokio::time::timeout(time::until(deadline), lost).await;
        }
    }

    /// Returns how many permits these are.
    pub const fn permits(&self) -> u64 {
        self.0.permits
    }

    /// Returns the source of the admission.
    pub const fn by(&self) -> AdmittedBy {
        self.0.by
    }
}

impl fmt::Debug for SemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("permits", &self.permits())
            .field("by", &self.by())
            .field("is_held", &self.is_held())
            .finish()
    }
}
