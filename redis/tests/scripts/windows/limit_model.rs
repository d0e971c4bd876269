//! A bucket or a window, exactly.

use tidegate::Quota;

use super::cases::LimitCase;
use super::limit_calls::LimitState;
use super::window_model::WindowModel;
use crate::arithmetic::action::Case;
use crate::arithmetic::comparison::Model;
use crate::arithmetic::exact_model::ExactModel;
use crate::scaled_window::MAX_COUNT;

pub(crate) enum LimitModel {
    Bucket(ExactModel),
    Window(WindowModel, u64),
}

impl LimitModel {
    pub(crate) fn new(limit: LimitCase) -> Self {
        match limit {
            LimitCase::Bucket(quota) => Self::Bucket(exact(quota)),
            LimitCase::Window(scaled) => Self::Window(WindowModel::new(scaled), scaled.limit()),
        }
    }

    /// Debits what was admitted without the server, after a look at the clock. Returns whether the
    /// limit is written.
    pub(crate) fn begin(&mut self, unreported: u64, now_us: u64) -> bool {
        match self {
            Self::Bucket(model) => {
                let corrected = model.observe_clock(0, now_us);
                if unreported > 0 {
                    model.report(0, unreported, now_us);
                }
                corrected || unreported > 0
            }
            Self::Window(model, limit) => {
                let corrected = model.observe_clock(now_us);
                model.charge(unreported, *limit, now_us) || corrected
            }
        }
    }

    pub(crate) fn available(&self, now_us: u64) -> u64 {
        match self {
            Self::Bucket(model) => model.available(0, now_us),
            Self::Window(model, limit) => limit.saturating_sub(model.counted(now_us).used),
        }
    }

    pub(crate) fn wait_us(&self, cost: u64, now_us: u64) -> Option<u64> {
        match self {
            Self::Bucket(model) => model.wait_us(0, cost, now_us),
            Self::Window(model, _) => model.wait_us(cost, now_us),
        }
    }

    /// Charges an admitted call.
    pub(crate) fn take(&mut self, cost: u64, now_us: u64) {
        match self {
            Self::Bucket(model) => model.take(0, cost, now_us),
            Self::Window(model, limit) => {
                let charged = model.charge(cost, *limit, now_us);
                assert!(charged, "an admitted call fits");
            }
        }
    }

    /// Returns whether the limit is written.
    pub(crate) fn debit(&mut self, cost: u64, now_us: u64) -> bool {
        match self {
            Self::Bucket(model) => {
                model.debit(0, cost, now_us);
                true
            }
            Self::Window(model, _) => model.charge(cost, MAX_COUNT, now_us),
        }
    }

    pub(crate) fn reset(&mut self, now_us: u64) {
        match self {
            Self::Bucket(model) => model.reset(0, now_us),
            Self::Window(model, _) => model.reset(now_us),
        }
    }

    /// What the script should tell. Of a bucket only what is available.
    pub(crate) fn state(&self, now_us: u64) -> LimitState {
        match self {
            Self::Bucket(_) => LimitState::Bucket(self.available(now_us)),
            Self::Window(model, _) => LimitState::Window(model.counted(now_us)),
        }
    }

    /// The last millisecond in which a window's key exists.
    pub(crate) const fn last_ms(&self) -> Option<u64> {
        match self {
            Self::Bucket(_) => None,
            Self::Window(model, _) => Some(model.last_ms),
        }
    }
}

fn exact(quota: Quota) -> ExactModel {
    ExactModel::new(&Case {
        quotas: vec![quota],
        start_us: 0,
        actions: Vec::new(),
    })
}
