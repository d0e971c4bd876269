//! What a node knows of a quota, and its calls of the scripts.

use proptest::test_runner::TestCaseError;
use tidegate::Quota;

use crate::quota_record::{QUOTA_SIZE, QuotaRecord};
use crate::script_calls::{
    BucketCharge, ScriptCall, ScriptReply, TakeReply, amounts, number, numbers, operation, scaled,
};
use crate::script_harness::Scripts;

pub(crate) fn record(version: u64, quota: Quota) -> QuotaRecord {
    QuotaRecord::new(version, quota, scaled(quota))
}

/// The quota that a node was built with, and the newest that it knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeQuota {
    pub(crate) base: Quota,
    pub(crate) known: QuotaRecord,
    /// How long an absent bucket counts as empty; 0 if it counts as full.
    pub(crate) empty_for_us: u64,
}

/// What the server answers.
pub(crate) enum Answer<R> {
    Decided(R),
    /// The server knows a newer quota.
    Told(QuotaRecord),
}

impl NodeQuota {
    pub(crate) fn new(base: Quota) -> Self {
        let known = record(0, base);
        Self {
            base,
            known,
            empty_for_us: 0,
        }
    }

    /// The records that a node sends once it knows of a change.
    pub(crate) fn sent(&self) -> Option<[Vec<u8>; 2]> {
        let records = [self.known, record(0, self.base)];
        (self.known.version > 0).then(|| records.map(|record| record.to_bytes().to_vec()))
    }

    /// Calls the script `take` for one bucket, as the crate does.
    pub(crate) fn call(
        &self,
        scripts: &mut Scripts,
        key: &str,
        (op, cost): (&str, u64),
        now_us: u64,
        of_table: bool,
    ) -> Result<Answer<TakeReply>, TestCaseError> {
        let charge = BucketCharge::new(self.known.scaled, cost);
        let mut call =
            ScriptCall::take(op, &[key.to_owned()], &[charge], self.empty_for_us, now_us);
        if let Some(records) = self.sent() {
            call.arguments = operation(op, self.empty_for_us);
            call.arguments.push(number(charge.scaled.den()));
            let [full, cost, none] = [
                charge.scaled.full(),
                charge.scaled.cost(cost),
                charge.scaled.cost(0),
            ];
            call.arguments.extend(amounts(&[full, cost, none]));
            call.arguments.extend(records);
            call.arguments.push(number(of_table.into()));
        }
        let (reply, _) = scripts.take(call);
        match told(&reply)? {
            Some(record) => Ok(Answer::Told(record)),
            None => Ok(Answer::Decided(TakeReply::parse(&reply, &[charge])?)),
        }
    }

    /// Calls until the node knows the newest quota. The second value says whether it was told.
    pub(crate) fn call_to_the_end(
        &mut self,
        scripts: &mut Scripts,
        key: &str,
        call: (&str, u64),
        now_us: u64,
        of_table: bool,
    ) -> Result<(TakeReply, bool), TestCaseError> {
        match self.call(scripts, key, call, now_us, of_table)? {
            Answer::Decided(reply) => Ok((reply, false)),
            Answer::Told(newer) => {
                self.known = newer;
                match self.call(scripts, key, call, now_us, of_table)? {
                    Answer::Decided(reply) => Ok((reply, true)),
                    Answer::Told(again) => {
                        let message = format!("told {again:?} after {newer:?}");
                        Err(TestCaseError::fail(message))
                    }
                }
            }
        }
    }
}

/// The quota that a reply tells.
pub(crate) fn told(reply: &ScriptReply) -> Result<Option<QuotaRecord>, TestCaseError> {
    let numbers = numbers(reply)?;
    if numbers.len() != 2 + QUOTA_SIZE / 4 || numbers[..2] != [-2, 1] {
        return Ok(None);
    }
    let words = numbers[2..].iter();
    let bytes = words.flat_map(|word| u32::try_from(*word).unwrap().to_be_bytes());
    let bytes: Vec<u8> = bytes.collect();
    let record = QuotaRecord::from_bytes(&bytes);
    record
        .map(Some)
        .ok_or_else(|| TestCaseError::fail("no quota"))
}
