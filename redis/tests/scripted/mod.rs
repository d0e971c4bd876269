//! The crate's scripts on a real server, on a clock that the test sets.
//!
//! The scripts are changed in four lines, each of which must be there exactly once: the one that reads the clock takes it from the last
//! two arguments, and those that read and write a key do what the server would do about its end on that clock. The rest is as it is.
#![allow(dead_code, reason = "each test file uses a part")]

use core::sync::atomic::{AtomicU64, Ordering};

use proptest::test_runner::TestCaseError;
use redis::{Connection, Pipeline, Value};
use tidegate::Quota;

pub(crate) use self::shipped::{MOST_US, Scaled, lease_script, take_script};
use crate::support::servers::{Options, Server};

mod shipped;

/// `SET` as the server does it: a key ends in whole milliseconds of its clock, and is there in the last of them.
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

const CLOCK: [&str; 2] = [
    "local clock = redis.call('TIME')",
    "local clock = { table.remove(ARGV, #ARGV - 1), table.remove(ARGV) }",
];
const GET: [&str; 2] = [
    "local value = redis.call('GET', key)",
    "local ends = redis.call('GET', key .. ':ends')
  if ends and math.floor(now / 1000) > tonumber(ends) then redis.call('DEL', key, key .. ':ends') end
  local value = redis.call('GET', key)",
];
const SET_PXAT: [&str; 2] = [
    "redis.call('SET', b.key, value, 'PXAT', ",
    "keep(now, b.key, value, ",
];
const SET: [&str; 2] = ["redis.call('SET', b.key, value)", "keep(now, b.key, value)"];

/// Fails if what is replaced is not there, or twice.
#[track_caller]
pub(crate) fn replace_once(text: &str, [old, new]: [&str; 2]) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

fn on_a_given_clock(script: &str) -> String {
    let changed = [CLOCK, GET, SET_PXAT, SET]
        .into_iter()
        .fold(script.to_owned(), |text, change| {
            replace_once(&text, change)
        });
    KEEP.to_owned() + &changed
}

/// What a script is called with, and when.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) now_us: u64,
}

/// A bucket in a call of the script `take`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) scaled: Scaled,
    pub(crate) cost: u64,
    pub(crate) owed: u64,
}

/// What the server keeps for a key after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) value: Option<String>,
    /// The last millisecond in which it is there.
    pub(crate) ends_ms: Option<u64>,
    pub(crate) writes: u64,
}

/// What a script answered: numbers or an error.
pub(crate) type Answer = Result<Vec<i64>, String>;

pub(crate) struct Scripts {
    connection: Connection,
    take: String,
    lease: String,
    // Last, so that the connection is closed first.
    server: Server,
}

pub(crate) fn scaled(quota: Quota) -> Scaled {
    Scaled::new(quota).expect("a quota that the scripts can count in")
}

/// A key that nobody has used.
pub(crate) fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: a number of its own is all that is needed.
    format!("key{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Scripts {
    pub(crate) fn start() -> Self {
        let server = Server::start(Options::default());
        let mut connection = server.connection();
        let take = load(&mut connection, &on_a_given_clock(&take_script()));
        let lease = load(&mut connection, &on_a_given_clock(&lease_script()));
        Self {
            connection,
            take,
            lease,
            server,
        }
    }

    /// Changes one place of the scripts, in both where it is in both.
    #[track_caller]
    pub(crate) fn mutate(&mut self, change: [&str; 2]) {
        let mutant = |text: String| {
            let text = on_a_given_clock(&text);
            if text.contains(change[0]) {
                replace_once(&text, change)
            } else {
                text
            }
        };
        let (take, lease) = (mutant(take_script()), mutant(lease_script()));
        assert!(
            take.contains(change[1]) || lease.contains(change[1]),
            "{} is nowhere",
            change[0]
        );
        self.take = load(&mut self.connection, &take);
        self.lease = load(&mut self.connection, &lease);
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Several calls, one after the other, and what is kept after each for each of its keys.
    pub(crate) fn take_all(&mut self, calls: &[Call]) -> Vec<(Answer, Vec<Kept>)> {
        let sha = self.take.clone();
        self.run(&sha, calls)
    }

    pub(crate) fn take(&mut self, call: Call) -> (Answer, Vec<Kept>) {
        self.take_all(&[call]).pop().expect("one call, one answer")
    }

    pub(crate) fn lease(&mut self, call: Call) -> (Answer, Vec<Kept>) {
        let sha = self.lease.clone();
        self.run(&sha, &[call]).pop().expect("one call, one answer")
    }

    fn run(&mut self, sha: &str, calls: &[Call]) -> Vec<(Answer, Vec<Kept>)> {
        let mut pipeline = Pipeline::new();
        pipeline.ignore_errors();
        for call in calls {
            let script = pipeline.cmd("EVALSHA").arg(sha).arg(call.keys.len());
            script.arg(&call.keys).arg(&call.arguments);
            script
                .arg(call.now_us / 1_000_000)
                .arg(call.now_us % 1_000_000);
            for key in &call.keys {
                pipeline
                    .cmd("MGET")
                    .arg(key)
                    .arg(format!("{key}:ends"))
                    .arg(format!("{key}:writes"));
            }
        }
        let answers: Vec<redis::RedisResult<Value>> = pipeline.query(&mut self.connection).unwrap();
        let mut answers = answers.into_iter();
        let mut next = || answers.next().expect("an answer to each command");
        calls
            .iter()
            .map(|call| {
                let answer = next().map_err(|error| error.to_string());
                let numbers = answer.map(|value| redis::from_redis_value(value).unwrap());
                let kept = call.keys.iter().map(|_| {
                    let kept = redis::from_redis_value(next().unwrap()).unwrap();
                    let (value, ends_ms, writes): (_, _, Option<u64>) = kept;
                    Kept {
                        value,
                        ends_ms,
                        writes: writes.unwrap_or(0),
                    }
                });
                (numbers, kept.collect())
            })
            .collect()
    }

    /// As a server that lost it.
    pub(crate) fn lose(&mut self, key: &str) {
        let () = redis::cmd("DEL")
            .arg(key)
            .arg(format!("{key}:ends"))
            .query(&mut self.connection)
            .unwrap();
    }
}

fn load(connection: &mut Connection, script: &str) -> String {
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg(script).query(connection).unwrap()
}

/// A call of the script `take`, with the arguments of `limits.rs`.
pub(crate) fn take_call(
    op: &str,
    empty_for_us: u64,
    keys: &[String],
    parts: &[Part],
    now_us: u64,
) -> Call {
    let mut arguments = vec![op.to_owned(), MOST_US.to_string(), empty_for_us.to_string()];
    for part in parts {
        let Part { scaled, cost, owed } = part;
        let (full, cost, owed) = (scaled.full(), scaled.cost(*cost), scaled.cost(*owed));
        let numbers = [scaled.den(), full.0, full.1, cost.0, cost.1, owed.0, owed.1];
        arguments.extend(numbers.iter().map(u64::to_string));
    }
    Call {
        keys: keys.to_vec(),
        arguments,
        now_us,
    }
}

/// Fails the case where the script fails.
pub(crate) fn numbers(answer: &Answer) -> Result<&[i64], TestCaseError> {
    match answer {
        Ok(numbers) => Ok(numbers),
        Err(error) => Err(TestCaseError::fail(format!("the script fails: {error}"))),
    }
}

pub(crate) fn whole(number: i64) -> Result<u64, TestCaseError> {
    u64::try_from(number).map_err(|_| TestCaseError::fail(format!("{number} is negative")))
}

/// Fails unless `found` tells each changed script from the real ones, and finds nothing in `sound` tries with those.
pub(crate) fn assert_all_found(
    mutants: &[(&str, [&str; 2])],
    sound: u32,
    found: impl Fn(&mut Scripts, u32) -> Option<u32>,
) {
    let mut scripts = Scripts::start();
    assert_eq!(found(&mut scripts, sound), None, "without any change");
    let mut alive = Vec::new();
    for &(name, change) in mutants {
        scripts.mutate(change);
        match found(&mut scripts, 3_000) {
            Some(tried) => eprintln!("{tried:5}: {name}"),
            None => alive.push(name),
        }
    }
    assert!(alive.is_empty(), "not found: {alive:#?}");
}
