//! Changes of stored buckets by hand. Other kinds are refused before anything changes.

use tidegate::Quota;

use super::LimitDetails;
use super::inspect_error::InspectError;
use super::key_part::KeyPart;
use super::stored_limit::{StoredKind, StoredLimit};
use crate::base_key::{BaseKey, escaped_prefix};
use crate::limits::MAX_CHANGES;
use crate::live_quota::{NO_NEWER, told_quotas};
use crate::quota_record::QuotaRecord;
use crate::scaled_quota::{MAX_REFILL_US, ScaledQuota};
use crate::scaled_window::MAX_COUNT;
use crate::script::{self, ScriptArgs, ScriptCall};
use crate::store::RedisStore;
use crate::table_quotas::quota_key;

/// A change of one bucket, in one script.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Reset,
    Debit(u64),
    Credit(u64),
    Level(u64),
    Quota(Quota),
}

impl RedisStore {
    /// Charges `n` tokens, even if the bucket does not have them.
    ///
    /// `quota` is the one that nodes are built with. If it was changed since, the newest counts. If
    /// nothing is stored, the key is taken for that of a bucket, here and by the other changes of
    /// levels and quotas: an unused window or semaphore would refuse its calls until the bucket
    /// ends.
    ///
    /// # Errors
    ///
    /// [`InspectError::OtherKind`] if the key is not that of a bucket, and nothing was changed.
    /// [`InspectError::NotALimit`] if the key holds something else. If the scripts cannot represent
    /// the quota. Otherwise if the server does not answer: this and the other changes may have been
    /// made then.
    pub async fn debit_key(&self, key: &[u8], quota: Quota, n: u64) -> Result<(), InspectError> {
        self.change(key, quota, Change::Debit(n)).await
    }

    /// Gives `n` tokens back, at most until the bucket is full. All nodes together may then admit
    /// `n` more than the [bound](crate#guarantees).
    ///
    /// # Errors
    ///
    /// As [`debit_key`](Self::debit_key).
    pub async fn credit_key(&self, key: &[u8], quota: Quota, n: u64) -> Result<(), InspectError> {
        self.change(key, quota, Change::Credit(n)).await
    }

    /// Sets how many tokens the bucket has. Tokens that nodes hold in leases stay with them, and
    /// are not available in the bucket as well.
    ///
    /// # Errors
    ///
    /// As [`debit_key`](Self::debit_key), and [`InspectError::AboveCapacity`].
    pub async fn set_key_level(
        &self,
        key: &[u8],
        quota: Quota,
        tokens: u64,
    ) -> Result<(), InspectError> {
        self.change(key, quota, Change::Level(tokens)).await
    }

    /// Changes the quota of a bucket, as
    /// [`RedisTokenBucket::set_quota`](crate::RedisTokenBucket::set_quota) does. `from` is the one
    /// that nodes are built with.
    ///
    /// For a table of keys, see [`set_table_quota`](Self::set_table_quota). The limits of an API
    /// limiter are those of its nodes.
    ///
    /// # Errors
    ///
    /// As [`debit_key`](Self::debit_key), and [`InspectError::KeyOfTable`].
    pub async fn set_key_quota(
        &self,
        key: &[u8],
        from: Quota,
        to: Quota,
    ) -> Result<(), InspectError> {
        self.change(key, from, Change::Quota(to)).await
    }

    /// Changes the quota of all keys in a table, or of one of its limits, as
    /// [`RedisKeyed::set_quota`](crate::RedisKeyed::set_quota) does.
    ///
    /// # Errors
    ///
    /// As [`debit_key`](Self::debit_key).
    pub async fn set_table_quota(
        &self,
        name: &str,
        limit: Option<&str>,
        quota: Quota,
    ) -> Result<(), InspectError> {
        let scaled = ScaledQuota::new(quota)?;
        let base = self.base_key(name, None);
        let keys = [quota_key(&base, limit)];
        let mut new = None;
        for _ in 0..MAX_CHANGES {
            let mut arguments = ScriptArgs::default();
            arguments.bytes(&new.map_or(Vec::new(), |new: QuotaRecord| new.to_bytes().to_vec()));
            let call = ScriptCall {
                script: &script::TABLE,
                keys: &keys,
                arguments,
            };
            let reply = self.run(&base, &call).await;
            let reply = reply.map_err(|failure| InspectError::of_call(self, failure))?;
            let version = match told_quotas(&reply).as_deref() {
                Some([(_, stored), ..]) if stored.quota == quota => return Ok(()),
                Some([(_, stored), ..]) => stored.version,
                _ if reply != NO_NEWER => break,
                _ if new.is_some() => return Ok(()),
                _ => 0,
            };
            new = Some(QuotaRecord::new(version + 1, quota, scaled));
        }
        Err(InspectError::Server(script::unexpected_reply()))
    }

    /// Whether the key is `prefix:name:{key}`, not `prefix:{name}`.
    fn is_key_of_table(&self, key: &[u8]) -> bool {
        let prefix = escaped_prefix(self.prefix());
        let rest = key.strip_prefix(&*prefix);
        let rest = rest.and_then(|rest| rest.strip_prefix(b":"));
        rest.is_some_and(|rest| !rest.starts_with(b"{"))
    }

    async fn change(&self, key: &[u8], quota: Quota, change: Change) -> Result<(), InspectError> {
        let part = KeyPart::of(key);
        if let Some(kind) = part.other_kind() {
            return Err(InspectError::OtherKind { kind });
        }
        if part == KeyPart::Internal {
            return Err(InspectError::NotALimit);
        }
        if part == KeyPart::ApiBucket && matches!(change, Change::Quota(_)) {
            let kind = StoredKind::Api;
            return Err(InspectError::OtherKind { kind });
        }
        let found = self.inspect(key).await?;
        self.change_found(key, found, quota, change).await
    }

    /// Changes a bucket that was found like this, or nothing.
    pub(super) async fn change_found(
        &self,
        key: &[u8],
        found: Option<LimitDetails>,
        quota: Quota,
        change: Change,
    ) -> Result<(), InspectError> {
        let base = QuotaRecord::new(0, quota, ScaledQuota::new(quota)?);
        let of_table = self.is_key_of_table(key);
        if let Change::Quota(to) = change {
            ScaledQuota::new(to)?;
            if of_table {
                return Err(InspectError::KeyOfTable);
            }
        }
        // A bucket that starts empty must not end, or it would count as empty again.
        let is_kept = found.as_ref().is_some_and(|it| it.expires_in.is_none());
        let bucket = match found.map(|found| found.limit) {
            None => None,
            Some(StoredLimit::Bucket(bucket)) => Some(bucket),
            Some(other) => return Err(InspectError::OtherKind { kind: other.kind() }),
        };
        let stored = bucket.and_then(|bucket| {
            let quota = bucket.quota?;
            let scaled = ScaledQuota::new(quota).ok()?;
            Some(QuotaRecord::new(bucket.changes, quota, scaled))
        });
        let mut known = stored.unwrap_or(base);
        for _ in 0..MAX_CHANGES {
            let arguments = change.arguments(known, base, [is_kept, of_table])?;
            let call = ScriptCall {
                script: &script::TAKE,
                keys: &[key.to_vec()],
                arguments,
            };
            let reply = self.run(&BaseKey::of_stored(key), &call).await;
            let reply = reply.map_err(|failure| InspectError::of_call(self, failure))?;
            match told_quotas(&reply).as_deref() {
                Some([(_, newer), ..]) => known = *newer,
                _ if reply.first() == Some(&-2) => break,
                _ => return Ok(()),
            }
        }
        Err(InspectError::Server(script::unexpected_reply()))
    }
}

impl Change {
    fn arguments(
        self,
        known: QuotaRecord,
        base: QuotaRecord,
        [is_kept, of_table]: [bool; 2],
    ) -> Result<ScriptArgs, InspectError> {
        let (operation, cost, record) = match self {
            Self::Reset => ("reset", 0, known),
            Self::Debit(n) => ("debit", n, known),
            Self::Credit(n) => ("credit", n, known),
            Self::Level(n) => {
                let capacity = known.quota.capacity();
                if n > capacity {
                    return Err(InspectError::AboveCapacity { capacity });
                }
                ("level", n, known)
            }
            Self::Quota(to) if to == known.quota => ("peek", 0, known),
            Self::Quota(to) => {
                let scaled = ScaledQuota::new(to)?;
                ("peek", 0, QuotaRecord::new(known.version + 1, to, scaled))
            }
        };
        let quota = record.scaled;
        let mut arguments = ScriptArgs::default();
        arguments
            .bytes(operation.as_bytes())
            .number(MAX_REFILL_US)
            .number(is_kept.into())
            .number(MAX_COUNT)
            .number(quota.den())
            .amount(quota.full())
            .amount(quota.cost(cost))
            .amount(quota.cost(0));
        if record.version > 0 {
            arguments
                .bytes(&record.to_bytes())
                .bytes(&base.to_bytes())
                .number(of_table.into());
        }
        Ok(arguments)
    }
}
