//! Quotas that change while nodes use them: how a node learns of a change, and makes one.

use tidegate::Quota;

use super::{BucketSet, Limits, MAX_CHANGES};
use crate::error::SetQuotaError;
use crate::live_quota::{NO_NEWER, told_quotas};
use crate::quota_record::QuotaRecord;
use crate::scaled_quota::ScaledQuota;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::store::CallFailure;
use crate::table_quotas::TableQuotas;

impl Limits {
    /// Replaces the quotas of this node by those that the server has told.
    pub(crate) fn adopt(&self, told: &[(usize, QuotaRecord)]) {
        let mut is_changed = false;
        for &(index, record) in told {
            let Some(limit) = self.each.get(index) else {
                continue;
            };
            if limit.quota.adopt(record) {
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
        let Some(shares) = &self.shares else {
            return;
        };
        let newest = || self.each[index].quota.get();
        loop {
            let record = newest();
            // A share that is too small stays as it was.
            let _ = shares.set_quota(index, record.quota);
            // Another thread may have set the shares of an older quota meanwhile.
            if newest() == record {
                return;
            }
        }
    }

    /// Asks for changed quotas of a table, if it is time to.
    pub(crate) async fn follow_changes(&self) {
        if let Some(table) = self.table.as_ref().filter(|table| table.claim()) {
            // Without an answer, the call itself finds out what is wrong.
            let newer = self.exchange_quotas(table, &self.quotas()).await;
            self.adopt(&newer.unwrap_or_default());
        }
    }

    /// Tells the server the quotas of a table. Returns those that are newer.
    async fn exchange_quotas(
        &self,
        table: &TableQuotas,
        quotas: &[QuotaRecord],
    ) -> Result<Vec<(usize, QuotaRecord)>, CallFailure> {
        let mut arguments = ScriptArgs::default();
        for quota in quotas {
            if quota.version > 0 {
                arguments.bytes(&quota.to_bytes());
            } else {
                arguments.bytes(b"");
            }
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

    /// Changes the quota of one limit of these buckets, or of a table, for all nodes. Ends when the
    /// server has it.
    pub(crate) async fn set_quota(
        &self,
        buckets: Option<&BucketSet>,
        index: usize,
        quota: Quota,
    ) -> Result<(), SetQuotaError> {
        let scaled = ScaledQuota::new(quota)?;
        if let Some(shares) = &self.shares
            && !shares.supports(quota)
        {
            return Err(SetQuotaError::TooManyNodes);
        }
        let of_table = self.table.as_ref().map(|table| &table.base);
        let base = buckets.map(|buckets| &buckets.base).or(of_table);
        let base = base.ok_or(SetQuotaError::UnknownLimit)?;
        // Once to learn the newest quota, and then until no other node is faster.
        let mut quotas = self.quotas();
        for _ in 0..MAX_CHANGES {
            let newer = self.offer(buckets, &quotas).await;
            let newer = newer.map_err(|failure| self.unavailable(base, failure))?;
            let is_stored = newer.is_empty();
            if is_stored {
                self.adopt(&[(index, quotas[index])]);
            }
            self.adopt(&newer);
            quotas = self.quotas();
            if is_stored {
                if quotas[index].quota == quota {
                    return Ok(());
                }
                let version = quotas[index].version + 1;
                quotas[index] = QuotaRecord::new(version, quota, scaled);
            }
        }
        Err(SetQuotaError::Contended)
    }

    /// Has the server store these quotas. If it knows newer ones, it stores nothing, and these are
    /// returned.
    async fn offer(
        &self,
        buckets: Option<&BucketSet>,
        quotas: &[QuotaRecord],
    ) -> Result<Vec<(usize, QuotaRecord)>, CallFailure> {
        match (buckets, &self.table) {
            (Some(buckets), _) => {
                let costs = vec![0; self.len()];
                let reply = self.run_once("peek", buckets, &costs, quotas).await?;
                Ok(reply.err().unwrap_or_default())
            }
            (None, Some(table)) => self.exchange_quotas(table, quotas).await,
            (None, None) => Ok(Vec::new()),
        }
    }
}
