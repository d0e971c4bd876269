//! Single cases at the limits of the script.

use core::time::Duration;

use tidegate::Quota;

use crate::scaled_quota::{Amount, MAX_REFILL_US};
use crate::script_calls::{BucketCharge, ScriptCall, TakeReply, scaled};
use crate::script_harness::{START_US, Scripts, fresh_key};

/// Calls the script for one bucket.
fn call(
    scripts: &mut Scripts,
    op: &str,
    key: &str,
    (quota, cost): (Quota, u64),
    now_us: u64,
) -> TakeReply {
    let charge = BucketCharge::new(scaled(quota), cost);
    scripts.take_one(op, key, charge, 0, now_us).unwrap()
}

/// Otherwise a call with the lower limit would give the rest back to nodes with the higher one.
#[test]
fn lowered_limit_waits_for_permits_taken_before() {
    let mut scripts = Scripts::start();
    let (per_day, per_second) = (Quota::per_day(10), Quota::per_second(10));
    let (key, day_us) = (fresh_key(), 86_400_000_000);
    let mut take = |quota, cost, now_us| call(&mut scripts, "take", &key, (quota, cost), now_us);
    assert!(take(per_day, 10, START_US).admitted);
    let denied = take(per_second, 1, START_US);
    let wait_us = day_us - 900_000;
    let expected = (false, wait_us, vec![Amount { us: day_us, num: 0 }]);
    assert_eq!((denied.admitted, denied.wait_us, denied.ahead), expected);
    assert!(!take(per_day, 1, START_US).admitted);
    let retry_us = START_US + wait_us;
    assert!(!take(per_second, 1, retry_us - 1).admitted);
    assert!(take(per_second, 1, retry_us).admitted);
}

#[test]
fn deepest_debt_is_50_years_and_is_paid_in_full() {
    let mut scripts = Scripts::start();
    let slowest = Quota::new(1, Duration::from_micros(MAX_REFILL_US)).unwrap();
    for quota in [Quota::per_second(3), slowest] {
        let (key, full) = (fresh_key(), scaled(quota).full());
        let deepest = Amount {
            us: full.us + MAX_REFILL_US,
            num: full.num,
        };
        let mut now_us = START_US;
        for (pause, cost) in [(0, u64::MAX), (0, 1), (1_000_000, u64::MAX)] {
            now_us += pause;
            let debt = call(&mut scripts, "debit", &key, (quota, cost), now_us);
            assert_eq!(debt.ahead, [deepest]);
        }
        // A call with a lower limit does not reduce the debt.
        let lower = (Quota::per_second(10), 1);
        let peeked = call(&mut scripts, "peek", &key, lower, now_us);
        assert!(peeked.ahead[0].us >= deepest.us);
        let (all, paid_us) = ((quota, quota.capacity()), now_us + deepest.us);
        assert!(!call(&mut scripts, "peek", &key, all, paid_us - 1).admitted);
        assert!(call(&mut scripts, "peek", &key, all, paid_us).admitted);
    }
}

/// Numbers of seven bytes, as the scripts store them.
fn stored(numbers: &[u64]) -> Vec<u8> {
    let bytes = numbers
        .iter()
        .flat_map(|number| number.to_be_bytes()[1..].to_vec());
    bytes.collect()
}

/// A bucket of a quota of three per second.
fn bucket() -> Vec<u8> {
    stored(&[1_790_000_000_456_789, 1_790_000_000_123_456, 1, 3])
}

/// Values that are no bucket.
fn foreign_values() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "hello",
        "2",
        "12345",
        "{}",
        "\n",
        " ",
        "twelve bytes",
        "exactly twenty-eight letters",
        "1 1790000000456789 1 3 1790000000123456",
    ];
    let mut values: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    // As long as a bucket with a changed quota, and as one with leases.
    values.extend([88, 420].map(|length| vec![b'x'; length]));
    let (us, last) = (1_790_000_000_456_789, 1_790_000_000_123_456);
    values.extend([
        stored(&[1 << 53, last, 1, 3]),
        stored(&[us, 1 << 53, 1, 3]),
        stored(&[us, last, 3, 3]),
        stored(&[us, last, 0, 0]),
        stored(&[us, last, 1, 1 << 53]),
    ]);
    let leased = [bucket(), vec![0; 60 + 44 + 12 * 24]].concat();
    // Every beginning of a leased bucket, except those without the leases. One as short as a whole
    // bucket is read as one whose TAT is 53 bits long.
    let lengths = (1..leased.len()).filter(|length| ![12, 28, 88].contains(length));
    values.extend(lengths.step_by(7).map(|length| leased[..length].to_vec()));
    values
}

#[test]
fn foreign_value_is_an_error_that_changes_no_key_of_the_call() {
    let mut scripts = Scripts::start();
    let quota = scaled(Quota::per_second(3));
    let several = BucketCharge {
        unreported: 1,
        ..BucketCharge::new(quota, 1)
    };
    for value in foreign_values() {
        let key = fresh_key();
        let () = scripts.query(&[&b"SET"[..], key.as_bytes(), &value]);
        let whole = scaled(Quota::per_second(10));
        for quota in [quota, whole] {
            let call = ScriptCall::take(
                "take",
                core::slice::from_ref(&key),
                &[BucketCharge::new(quota, 1)],
                0,
                START_US,
            );
            let (reply, stored) = scripts.take(call);
            let error = reply.expect_err("a short call");
            assert!(error.contains("user_script"), "{error}");
            assert_eq!(stored[0].value.as_ref(), Some(&value));
        }
        for (foreign, valid) in [(0, 1), (1, 0)] {
            let keys = [fresh_key(), fresh_key()];
            let () = scripts.query(&[&b"SET"[..], keys[foreign].as_bytes(), &value]);
            let () = scripts.query(&[&b"SET"[..], keys[valid].as_bytes(), &bucket()]);
            for op in ["take", "peek", "debit", "reset"] {
                let call = ScriptCall::take(op, &keys, &[several; 2], 0, START_US);
                let (reply, stored) = scripts.take(call);
                let error = reply.expect_err(op);
                assert!(error.contains("user_script"), "{error}");
                assert_eq!(stored[foreign].value.as_ref(), Some(&value));
                assert_eq!(stored[valid].value, Some(bucket()));
            }
            // A lease of a bucket with one token per second and a capacity of 2, for a second.
            let numbers = "1 2000000 0 0 0 0 z2 0 1 0 0 0 0 0 1000000 1000000 0 1000000 0";
            let (reply, stored) = scripts.lease(ScriptCall {
                keys: vec![keys[foreign].clone()],
                arguments: numbers.split(' ').map(Into::into).collect(),
                now_us: START_US,
            });
            assert!(reply.expect_err("a lease").contains("user_script"));
            assert_eq!(stored[0].value.as_ref(), Some(&value));
        }
    }
}
