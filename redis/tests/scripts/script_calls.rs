//! Calls of the scripts, with the arguments that the crate sends, and their replies.

use proptest::test_runner::TestCaseError;
use tidegate::Quota;

use crate::scaled_quota::{Amount, MAX_REFILL_US, ScaledQuota};
use crate::scaled_window::MAX_COUNT;

pub(crate) fn scaled(quota: Quota) -> ScaledQuota {
    ScaledQuota::new(quota).expect("the scripts support the quota")
}

/// The keys and arguments of a script, and the time at which it runs.
#[derive(Clone, Debug)]
pub(crate) struct ScriptCall {
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<Vec<u8>>,
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
        let mut arguments;
        let is_plain = |charge: &BucketCharge| charge.unreported == 0;
        let is_short = op == "take"
            && empty_for_us == 0
            && charges.iter().all(is_plain)
            && charges.iter().any(|charge| charge.cost > 0);
        let amounts_of =
            |charge: &BucketCharge| [charge.scaled.cost(charge.cost), charge.scaled.full()];
        if is_short && charges.iter().all(|charge| charge.scaled.is_whole()) {
            let each = charges.iter().flat_map(amounts_of);
            arguments = each.map(|amount| number(amount.us)).collect();
        } else if let (true, [charge]) = (is_short, charges) {
            let den = [number(charge.scaled.den())];
            arguments = amounts(&amounts_of(charge)).chain(den).collect();
        } else {
            arguments = operation(op, empty_for_us);
            for charge in charges {
                let scaled = charge.scaled;
                let [full, cost, unreported] = [
                    scaled.full(),
                    scaled.cost(charge.cost),
                    scaled.cost(charge.unreported),
                ];
                arguments.push(number(scaled.den()));
                arguments.extend(amounts(&[full, cost, unreported]));
            }
        }
        Self {
            keys: keys.to_vec(),
            arguments,
            now_us,
        }
    }
}

/// What the arguments of any call begin with.
pub(crate) fn operation(op: &str, empty_for_us: u64) -> Vec<Vec<u8>> {
    let numbers = [MAX_REFILL_US, empty_for_us, MAX_COUNT].map(number);
    [vec![op.into()], numbers.to_vec()].concat()
}

/// A number as the scripts take it.
pub(crate) fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Amounts as the scripts take them: whole microseconds and a numerator.
pub(crate) fn amounts(amounts: &[Amount]) -> impl Iterator<Item = Vec<u8>> {
    let numbers = amounts.iter().flat_map(|amount| [amount.us, amount.num]);
    numbers.map(number)
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
    pub(crate) fn parse(
        reply: &ScriptReply,
        charges: &[BucketCharge],
    ) -> Result<Self, TestCaseError> {
        let numbers = numbers(reply)?;
        if numbers.len() <= 1 + charges.len() {
            return Self::parse_short(numbers, charges);
        }
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

    fn parse_short(numbers: &[i64], charges: &[BucketCharge]) -> Result<Self, TestCaseError> {
        let (admitted, us, nums) = if let [_] = charges {
            let us = numbers[0];
            (
                us >= 0,
                vec![if us < 0 { -1 - us } else { us }],
                &numbers[1..],
            )
        } else {
            (numbers[0] == 1, numbers[1..].to_vec(), &[][..])
        };
        let amount = |(index, us): (usize, &i64)| {
            let num = unsigned(nums.get(index).copied().unwrap_or(0))?;
            let us = unsigned(*us)?;
            Ok::<_, TestCaseError>(Amount { us, num })
        };
        let ahead: Vec<_> = us
            .iter()
            .enumerate()
            .map(amount)
            .collect::<Result<_, _>>()?;
        let (mut denied_by, mut wait_us) = (0, 0);
        if !admitted {
            for (index, (charge, ahead)) in charges.iter().zip(&ahead).enumerate() {
                let wait = charge.scaled.wait(*ahead, charge.cost).as_micros();
                let wait = u64::try_from(wait).unwrap();
                if charge.cost > 0 && wait > wait_us {
                    (denied_by, wait_us) = (index + 1, wait);
                }
            }
        }
        Ok(Self {
            admitted,
            denied_by,
            wait_us,
            ahead,
        })
    }
}
