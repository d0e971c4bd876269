//! Makes a limit unused by hand.

use tidegate::Quota;

use super::changes::Change;
use super::inspect_error::InspectError;
use super::stored_limit::{StoredKind, StoredLimit};
use super::stored_window::StoredWindow;
use crate::api::{CALLS, ENDS, STATE, TOKEN_LIMITS, TOKENS};
use crate::base_key::BaseKey;
use crate::scaled_quota::{Amount, MAX_REFILL_US, ScaledQuota};
use crate::scaled_window::MAX_COUNT;
use crate::script::{self, Script, ScriptArgs, ScriptCall};
use crate::store::RedisStore;

/// Filling up needs no quota, so it can be any.
const ANY: Quota = Quota::per_second(1);

impl RedisStore {
    /// Makes a limit unused, by its [key](Self::bucket_key):
    ///
    /// * Fills a bucket up and forgives its debt, as
    ///   [`RedisTokenBucket::reset`](crate::RedisTokenBucket::reset) does.
    /// * Makes a window forget its admissions.
    /// * Resumes an [API limiter](Self::api_key), as
    ///   [`RedisApiRateLimiter::resume`](crate::RedisApiRateLimiter::resume) does: ends a pause,
    ///   forgets what responses have told, and fills its token limits. Limits that it shares with
    ///   others have keys of their own. Its windows are reset by theirs.
    ///
    /// If nothing is stored, nothing is done. A node that has cached a denial repeats it until that
    /// [expires](crate::LimiterOptions::cache_denials).
    ///
    /// # Errors
    ///
    /// [`InspectError::OtherKind`] for a semaphore, whose permits are in use, and nothing was
    /// changed. [`InspectError::NotALimit`] if the key holds something else. Otherwise if the
    /// server does not answer: the reset may have been made then.
    pub async fn reset_key(&self, key: &[u8]) -> Result<(), InspectError> {
        let Some(found) = self.inspect(key).await? else {
            return Ok(());
        };
        match &found.limit {
            StoredLimit::Bucket(_) => {
                self.change_found(key, Some(found), ANY, Change::Reset)
                    .await
            }
            StoredLimit::Window(window) => {
                // A window that counts as used up while it is absent must stay.
                let is_kept = found.expires_in.is_none();
                self.run_reset(
                    &script::TAKE,
                    &[key.to_vec()],
                    reset_window(window, is_kept),
                )
                .await
            }
            StoredLimit::Api(_) => self.resume_api(key).await,
            StoredLimit::Semaphore(_) => Err(InspectError::OtherKind {
                kind: StoredKind::Semaphore,
            }),
        }
    }

    async fn resume_api(&self, key: &[u8]) -> Result<(), InspectError> {
        let start = key.strip_suffix(STATE.as_bytes()).unwrap_or(key);
        let sibling = |end: &str| [start, end.as_bytes()].concat();
        let mut keys: Vec<_> = [STATE, CALLS, ENDS].map(sibling).into();
        let full = ScaledQuota::new(ANY)?;
        let mut arguments = ScriptArgs::default();
        arguments.bytes(b"resume");
        for (code, limit) in (TOKENS..).zip(TOKEN_LIMITS) {
            keys.push(sibling(&format!("?{limit}")));
            arguments
                .number(code)
                .number(full.den())
                .amount(full.full())
                .number(0);
            // Neither cost, nor what must be left, nor unreported charges, nor a changed quota.
            for _ in 0..3 {
                arguments.amount(Amount::default());
            }
            arguments.number(0).bytes(b"");
        }
        self.run_reset(&script::API, &keys, arguments).await
    }

    async fn run_reset(
        &self,
        script: &'static Script,
        keys: &[Vec<u8>],
        arguments: ScriptArgs,
    ) -> Result<(), InspectError> {
        let base = BaseKey::of_stored(&keys[0]);
        let call = ScriptCall {
            script,
            keys,
            arguments,
        };
        let reply = self.run(&base, &call).await;
        reply
            .map(drop)
            .map_err(|failure| InspectError::of_call(self, failure))
    }
}

fn reset_window(window: &StoredWindow, is_kept: bool) -> ScriptArgs {
    let slot_us = u64::try_from(window.slot.as_micros()).unwrap_or(u64::MAX);
    let mut arguments = ScriptArgs::default();
    arguments
        .bytes(b"reset")
        .number(MAX_REFILL_US)
        .number(is_kept.into())
        .number(MAX_COUNT)
        // A window with any limit, its slots, and without charges.
        .number(0)
        .number(1)
        .number(slot_us)
        .number(window.slots)
        .number(0)
        .number(0)
        .number(0);
    arguments
}
