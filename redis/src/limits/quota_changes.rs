//! Quotas that change while nodes use them: how a node learns of a change, and makes one.

use tidegate::Quota;

use super::{BucketSet, Limits, MAX_CHANGES};
use crate::error::SetQuotaError;
use crate::error_class::{ErrorClass, classify};
use crate::live_limit::LimitNow;
use crate::live_quota::{NO_NEWER, told_quotas};
use crate::quota_record::QuotaRecord;
use crate::scaled_quota::ScaledQuota;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::store::CallFailure;
use crate::table_quotas::TableQuotas;
use crate::unavailable::unavailable;

impl Limits {
    /// Replaces the quotas of this node by those that the server has told.
    pub(crate) fn adopt(&self, told: &[(usize, QuotaRecord)]) {
        let mut is_changed = false;
        for &(index, record) in told {
            let Some(quota) = self.quota(index) else {
                continue;
            };
            if quota.adopt(record) {
                is_changed = true;
                self.adapt_shares(index);
            }
        }
        if is_changed {
            self.denials.clear();
            self.changed.notify_waiters();
        }
    }

    fn adapt_shares(&self, index: usize) {
        let (Some(shares), Some(quota)) = (&self.shares, self.quota(index)) else {
            return;
        };
        loop {
            let record = quota.get();
            // A share that is too small stays as it was.
            let _ = shares.set_quota(index, record.quota);
            // Another thread may have set the shares of an older quota meanwhile.
            if quota.get() == record {
                return;
            }
        }
    }

    /// Asks for changed quotas of a table, if it is time to.
    pub(crate) async fn follow_changes(&self) {
        let Some(table) = &self.table else {
            return;
        };
        let ask = async || match self.exchange_quotas(table, &self.limits_now()).await {
            Ok(newer) => {
                self.adopt(&newer);
                Ok(())
            }
            // The next call would be answered in the same way.
            Err(CallFailure::Failed(error)) if classify(&error) == ErrorClass::ThisCall => Ok(()),
            Err(failure) => Err(failure),
        };
        table.ask_in_time(ask).await;
    }

    /// Tells the server the quotas of a table. Returns those that are newer.
    async fn exchange_quotas(
        &self,
        table: &TableQuotas,
        limits: &[LimitNow],
    ) -> Result<Vec<(usize, QuotaRecord)>, CallFailure> {
        let mut arguments = ScriptArgs::default();
        for limit in limits {
            limit.append_changed(&mut arguments);
        }
        let call = ScriptCall {
            script: &script::TABLE,
            keys: &table.keys,
            arguments,
        };
        let reply = self.store.run(&table.base, &call).await?;
        if reply == NO_NEWER {
            return Ok(Vec::new());
        }
        told_quotas(&reply).ok_or_else(|| CallFailure::Failed(script::unexpected_reply()))
    }

    /// Appends the changed quota of a limit, the one that it began with, and whether these are the
    /// quotas of a table, for the script `take`.
    pub(super) fn append_change(&self, index: usize, limit: &LimitNow, arguments: &mut ScriptArgs) {
        limit.append_changed(arguments);
        match self.quota(index) {
            Some(quota) => arguments.bytes(&quota.base().to_bytes()),
            None => arguments.bytes(b""),
        };
        arguments.number(self.is_table().into());
    }

    /// Changes the quota of one limit of these buckets, or of a table, for all nodes. Ends when the
    /// server has it.
    pub(crate) async fn set_quota(
        &self,
        buckets: Option<&BucketSet>,
        index: usize,
        quota: Quota,
    ) -> Result<(), SetQuotaError> {
        if buckets.is_some() && self.is_table() {
            // Stored in this key, it would spread from there to the other keys.
            return Err(SetQuotaError::KeyOfTable);
        }
        let scaled = ScaledQuota::new(quota)?;
        let live = self.quota(index).ok_or(SetQuotaError::Window)?;
        if let Some(shares) = &self.shares
            && !shares.supports(quota)
        {
            return Err(SetQuotaError::TooManyNodes);
        }
        let of_table = self.table.as_ref().map(|table| &table.base);
        let base = buckets.map(|buckets| &buckets.base).or(of_table);
        let base = base.ok_or(SetQuotaError::UnknownLimit)?;
        // Once to learn the newest quota, and then until no other node is faster.
        let mut offered = live.get();
        for _ in 0..MAX_CHANGES {
            let mut limits = self.limits_now();
            limits[index] = LimitNow::Bucket(offered);
            let newer = self.offer(buckets, &limits).await;
            let newer = newer.map_err(|failure| unavailable(&self.store, base, failure))?;
            let is_stored = newer.is_empty();
            if is_stored {
                self.adopt(&[(index, offered)]);
            }
            self.adopt(&newer);
            offered = live.get();
            if is_stored {
                if offered.quota == quota {
                    return Ok(());
                }
                offered = QuotaRecord::new(offered.version + 1, quota, scaled);
            }
        }
        Err(SetQuotaError::Contended)
    }

    /// Has the server store these quotas. If it knows newer ones, it stores nothing, and these are
    /// returned.
    async fn offer(
        &self,
        buckets: Option<&BucketSet>,
        limits: &[LimitNow],
    ) -> Result<Vec<(usize, QuotaRecord)>, CallFailure> {
        match (buckets, &self.table) {
            (Some(buckets), _) => {
                let costs = vec![0; self.len()];
                let reply = self.run_once("peek", buckets, &costs, limits).await?;
                Ok(reply.err().unwrap_or_default())
            }
            (None, Some(table)) => self.exchange_quotas(table, limits).await,
            (None, None) => Ok(Vec::new()),
        }
    }
}
