//! Calls of the scripts, with the arguments that the crate sends, and their replies.

use proptest::test_runner::TestCaseError;
use tidegate::Quota;

use crate::scaled_quota::{Amount, MAX_REFILL_US, ScaledQuota};

pub(crate) fn scaled(quota: Quota) -> ScaledQuota {
    ScaledQuota::new(quota).expect("the scripts support the quota")
}

/// The keys and arguments of a script, and the time at which it runs.
#[derive(Clone, Debug)]
pub(crate) struct ScriptCall {
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) now_us: u64,
}

impl ScriptCall {
    /// A call of the script `take`, with the arguments that the crate sends.
    ///
    /// A missing bucket counts as empty for `empty_for_us`, or as full if that is zero.
    pub(crate) fn take(
        op: &str,
        keys: &[String],
        charges: &[BucketCharge],
        empty_for_us: u64,
        now_us: u64,
    ) -> Self {
        let mut arguments = vec![
            op.to_owned(),
            MAX_REFILL_US.to_string(),
            empty_for_us.to_string(),
        ];
        for charge in charges {
            let scaled = charge.scaled;
            let [full, cost, unreported] = [
                scaled.full(),
                scaled.cost(charge.cost),
                scaled.cost(charge.unreported),
            ];
            arguments.push(scaled.den().to_string());
            arguments.extend(amounts(&[full, cost, unreported]));
        }
        Self {
            keys: keys.to_vec(),
            arguments,
            now_us,
        }
    }
}

/// Amounts as the scripts take them: whole microseconds and a numerator.
pub(crate) fn amounts(amounts: &[Amount]) -> impl Iterator<Item = String> {
    let numbers = amounts.iter().flat_map(|amount| [amount.us, amount.num]);
    numbers.map(|number| number.to_string())
}

/// One bucket's part in a call of the script `take`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketCharge {
    pub(crate) scaled: ScaledQuota,
    pub(crate) cost: u64,
    /// Permits admitted without the server, which the script debits first.
    pub(crate) unreported: u64,
}

impl BucketCharge {
    pub(crate) const fn new(scaled: ScaledQuota, cost: u64) -> Self {
        Self {
            scaled,
            cost,
            unreported: 0,
        }
    }
}

/// A script's numbers, or its error.
pub(crate) type ScriptReply = Result<Vec<i64>, String>;

/// Returns the numbers of a reply; fails the property test if the script failed.
pub(crate) fn numbers(reply: &ScriptReply) -> Result<&[i64], TestCaseError> {
    match reply {
        Ok(numbers) => Ok(numbers),
        Err(error) => Err(TestCaseError::fail(format!("the script failed: {error}"))),
    }
}

pub(crate) fn unsigned(number: i64) -> Result<u64, TestCaseError> {
    u64::try_from(number).map_err(|_| TestCaseError::fail(format!("{number} is negative")))
}

/// The reply of the script `take`.
#[derive(Debug)]
pub(crate) struct TakeReply {
    pub(crate) admitted: bool,
    /// The bucket with the longest wait, counted from 1; 0 if all admit.
    pub(crate) denied_by: usize,
    pub(crate) wait_us: u64,
    /// How far each bucket's TAT is ahead of the clock.
    pub(crate) ahead: Vec<Amount>,
}

impl TakeReply {
    pub(crate) fn parse(reply: &ScriptReply) -> Result<Self, TestCaseError> {
        let numbers = numbers(reply)?;
        let ahead = numbers[3..].chunks_exact(2);
        let amount = |pair: &[i64]| {
            let (us, num) = (unsigned(pair[0])?, unsigned(pair[1])?);
            Ok(Amount { us, num })
        };
        Ok(Self {
            admitted: numbers[0] == 1,
            denied_by: usize::try_from(unsigned(numbers[1])?).unwrap(),
            wait_us: unsigned(numbers[2])?,
            ahead: ahead.map(amount).collect::<Result<_, TestCaseError>>()?,
        })
    }
}
