//! Runs the crate's scripts on a real server, at times that the test chooses.
//!
//! Four lines of the scripts are replaced; each must occur exactly once. The line that reads the clock
//! takes the time from the last two arguments instead. The lines that read and write a key do what the
//! server would do about the key's expiry at that time.

use core::cell::RefCell;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use redis::{Connection, Pipeline, Value};
use tidegate::Quota;
pub(crate) use tidegate_redis::for_tests::{MOST_US, Scaled};
use tidegate_redis::for_tests::{lease_script, take_script};

use super::server::{Server, ServerOptions, command};

/// The time at which most tests begin, in microseconds since 1970.
pub(crate) const START_US: u64 = 1_790_000_000_123_456;

/// `SET` with an expiry in whole milliseconds; the key still exists in the last of them.
const KEEP: &str = "
local function keep(now, key, value, ends)
  redis.call('SET', key, value)
  redis.call('INCR', key .. ':writes')
  if ends then
    redis.call('SET', key .. ':ends', ends)
  else
    redis.call('DEL', key .. ':ends')
  end
end
";

const REPLACED: [[&str; 2]; 4] = [
    [
        "local clock = redis.call('TIME')",
        "local clock = { table.remove(ARGV, #ARGV - 1), table.remove(ARGV) }",
    ],
    [
        "local value = redis.call('GET', key)",
        "local ends = redis.call('GET', key .. ':ends')
  if ends and math.floor(now / 1000) > tonumber(ends) then
    redis.call('DEL', key, key .. ':ends')
  end
  local value = redis.call('GET', key)",
    ],
    [
        "redis.call('SET', b.key, value, 'PXAT', ",
        "keep(now, b.key, value, ",
    ],
    ["redis.call('SET', b.key, value)", "keep(now, b.key, value)"],
];

#[track_caller]
fn replace_once(text: &str, [old, new]: [&str; 2]) -> String {
    assert_eq!(text.matches(old).count(), 1, "occurrences of {old:?}");
    text.replace(old, new)
}

fn with_chosen_time(script: &str) -> String {
    let script = REPLACED
        .into_iter()
        .fold(script.to_owned(), |text, change| {
            replace_once(&text, change)
        });
    KEEP.to_owned() + &script
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
        let mut arguments = vec![op.to_owned(), MOST_US.to_string(), empty_for_us.to_string()];
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
pub(crate) fn amounts(amounts: &[(u64, u64)]) -> impl Iterator<Item = String> {
    let numbers = amounts.iter().flat_map(|&(us, num)| [us, num]);
    numbers.map(|number| number.to_string())
}

/// One bucket's part in a call of the script `take`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketCharge {
    pub(crate) scaled: Scaled,
    pub(crate) cost: u64,
    /// Permits admitted without the server, which the script debits first.
    pub(crate) unreported: u64,
}

impl BucketCharge {
    pub(crate) const fn new(scaled: Scaled, cost: u64) -> Self {
        Self {
            scaled,
            cost,
            unreported: 0,
        }
    }
}

/// The state of a key after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredKey {
    pub(crate) value: Option<String>,
    /// The last millisecond in which the key exists; `None` for a key that never expires.
    pub(crate) last_ms: Option<u64>,
    pub(crate) writes: u64,
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
    pub(crate) ahead: Vec<(u64, u64)>,
}

impl TakeReply {
    pub(crate) fn parse(reply: &ScriptReply) -> Result<Self, TestCaseError> {
        let numbers = numbers(reply)?;
        let ahead = numbers[3..].chunks_exact(2);
        let ahead = ahead.map(|pair| Ok((unsigned(pair[0])?, unsigned(pair[1])?)));
        Ok(Self {
            admitted: numbers[0] == 1,
            denied_by: usize::try_from(unsigned(numbers[1])?).unwrap(),
            wait_us: unsigned(numbers[2])?,
            ahead: ahead.collect::<Result<_, TestCaseError>>()?,
        })
    }
}

/// The scripts, loaded into a server of their own.
pub(crate) struct Scripts {
    connection: Connection,
    take: String,
    lease: String,
    // The last field, so that the connection closes before the server ends.
    _server: Server,
}

pub(crate) fn scaled(quota: Quota) -> Scaled {
    Scaled::new(quota).expect("the scripts support the quota")
}

/// A key that no other test uses.
pub(crate) fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: each value is handed out once, and nothing else depends on it.
    format!("key{}", NEXT.fetch_add(1, Relaxed))
}

impl Scripts {
    pub(crate) fn start() -> Self {
        let server = ServerOptions::default().start();
        let mut connection = server.connection();
        let take = load(&mut connection, &with_chosen_time(&take_script()));
        let lease = load(&mut connection, &with_chosen_time(&lease_script()));
        Self {
            connection,
            take,
            lease,
            _server: server,
        }
    }

    /// Makes one change in the original scripts, in both if both contain the text.
    #[track_caller]
    pub(crate) fn mutate(&mut self, change: [&str; 2]) {
        let scripts = [take_script(), lease_script()].map(|script| with_chosen_time(&script));
        let applies = scripts.iter().any(|script| script.contains(change[0]));
        assert!(applies, "no script contains {:?}", change[0]);
        let [take, lease] = scripts.map(|script| {
            if script.contains(change[0]) {
                replace_once(&script, change)
            } else {
                script
            }
        });
        self.take = load(&mut self.connection, &take);
        self.lease = load(&mut self.connection, &lease);
    }

    /// Runs any command.
    #[track_caller]
    pub(crate) fn query<R: redis::FromRedisValue>(&mut self, words: &[&str]) -> R {
        command(words).query(&mut self.connection).unwrap()
    }

    /// Runs the script `take` several times; returns each reply with the state of the call's keys.
    pub(crate) fn take_all(&mut self, calls: &[ScriptCall]) -> Vec<(ScriptReply, Vec<StoredKey>)> {
        let sha = self.take.clone();
        self.run(&sha, calls)
    }

    pub(crate) fn take(&mut self, call: ScriptCall) -> (ScriptReply, Vec<StoredKey>) {
        self.take_all(&[call]).pop().expect("one reply per call")
    }

    /// Runs the script `take` for one bucket.
    pub(crate) fn take_one(
        &mut self,
        op: &str,
        key: &str,
        charge: BucketCharge,
        empty_for_us: u64,
        now_us: u64,
    ) -> Result<TakeReply, TestCaseError> {
        let call = ScriptCall::take(op, &[key.to_owned()], &[charge], empty_for_us, now_us);
        TakeReply::parse(&self.take(call).0)
    }

    pub(crate) fn lease(&mut self, call: ScriptCall) -> (ScriptReply, Vec<StoredKey>) {
        let sha = self.lease.clone();
        self.run(&sha, &[call]).pop().expect("one reply per call")
    }

    fn run(&mut self, sha: &str, calls: &[ScriptCall]) -> Vec<(ScriptReply, Vec<StoredKey>)> {
        let mut pipeline = Pipeline::new();
        pipeline.ignore_errors();
        for call in calls {
            let script = pipeline.cmd("EVALSHA").arg(sha).arg(call.keys.len());
            script.arg(&call.keys).arg(&call.arguments);
            script.arg([call.now_us / 1_000_000, call.now_us % 1_000_000].as_slice());
            for key in &call.keys {
                let names = [key.clone(), format!("{key}:ends"), format!("{key}:writes")];
                pipeline.cmd("MGET").arg(names.as_slice());
            }
        }
        let replies: Vec<redis::RedisResult<Value>> = pipeline.query(&mut self.connection).unwrap();
        let mut replies = replies.into_iter();
        let mut next = || replies.next().expect("one reply per command");
        let mut results = Vec::new();
        for call in calls {
            let reply = next().map_err(|error| error.to_string());
            let numbers = reply.map(|value| redis::from_redis_value(value).unwrap());
            let stored = call.keys.iter().map(|_| {
                let stored = redis::from_redis_value(next().unwrap()).unwrap();
                let (value, last_ms, writes): (_, _, Option<u64>) = stored;
                StoredKey {
                    value,
                    last_ms,
                    writes: writes.unwrap_or(0),
                }
            });
            results.push((numbers, stored.collect()));
        }
        results
    }

    /// Deletes the key, as if the server had lost its data.
    pub(crate) fn lose(&mut self, key: &str) {
        let () = self.query(&["DEL", key, &format!("{key}:ends")]);
    }
}

fn load(connection: &mut Connection, script: &str) -> String {
    let load = command(&["SCRIPT", "LOAD", script]);
    load.query(connection).unwrap()
}

/// Runs a property test on one server, with the usual number of cases divided by `divisor`.
///
/// A case is dozens of calls, so the usual number would take too long.
pub(crate) fn check_property<S: Strategy>(
    divisor: u32,
    strategy: &S,
    check: impl Fn(&mut Scripts, &S::Value) -> TestCaseResult,
) {
    let scripts = RefCell::new(Scripts::start());
    let config = ProptestConfig::default();
    let config = ProptestConfig {
        cases: (config.cases / divisor).max(1),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..config
    };
    TestRunner::new(config)
        .run(strategy, |case| check(&mut scripts.borrow_mut(), &case))
        .unwrap_or_else(|error| panic!("{error}"));
}
