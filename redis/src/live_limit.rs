//! A limit as this node knows it: a bucket whose quota may change, or a window.

use std::sync::Arc;

use crate::error::BuildError;
use crate::live_quota::LiveQuota;
use crate::quota_record::QuotaRecord;
use crate::scaled_limit::ScaledLimit;
use crate::scaled_window::ScaledWindow;
use crate::script::ScriptArgs;
use crate::shared_limit::{LimitKind, SharedLimit};

/// See the [module](self) documentation.
#[derive(Debug)]
pub(crate) enum LiveLimit {
    Bucket(Arc<LiveQuota>),
    Window(ScaledWindow),
}

/// What one call is decided by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LimitNow {
    Bucket(QuotaRecord),
    Window(ScaledWindow),
}

impl LimitNow {
    pub(crate) const fn scaled(&self) -> ScaledLimit {
        match self {
            Self::Bucket(record) => ScaledLimit::Bucket(record.scaled),
            Self::Window(window) => ScaledLimit::Window(*window),
        }
    }

    /// The quota, if it was changed while nodes used it.
    pub(crate) const fn changed(&self) -> Option<&QuotaRecord> {
        match self {
            Self::Bucket(record) if record.version > 0 => Some(record),
            Self::Bucket(_) | Self::Window(_) => None,
        }
    }

    /// Appends the quota if it was changed, and else nothing, as one argument.
    pub(crate) fn append_changed(&self, arguments: &mut ScriptArgs) {
        match self.changed() {
            Some(record) => arguments.bytes(&record.to_bytes()),
            None => arguments.bytes(b""),
        };
    }
}

impl LiveLimit {
    pub(crate) fn new(limit: SharedLimit) -> Result<Self, BuildError> {
        Ok(match limit.0 {
            LimitKind::Bucket(quota) => Self::Bucket(Arc::new(LiveQuota::new(quota)?)),
            LimitKind::Window { limit, length } => Self::Window(ScaledWindow::new(limit, length)?),
        })
    }

    /// The quota of a bucket; `None` for a window.
    pub(crate) const fn quota(&self) -> Option<&Arc<LiveQuota>> {
        match self {
            Self::Bucket(quota) => Some(quota),
            Self::Window(_) => None,
        }
    }

    pub(crate) fn get(&self) -> LimitNow {
        match self {
            Self::Bucket(quota) => LimitNow::Bucket(quota.get()),
            Self::Window(window) => LimitNow::Window(*window),
        }
    }

    /// The limit in the server's units.
    pub(crate) fn scaled(&self) -> ScaledLimit {
        self.get().scaled()
    }
}
