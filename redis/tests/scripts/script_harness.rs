//! Runs the crate's scripts on a real server, at times that the test chooses.
//!
//! The scripts get a table `redis` that takes the time from their last two arguments, and does what
//! the server would do about the key's expiry at that time.

use core::cell::RefCell;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use redis::{Connection, Pipeline, Value};

use crate::script_calls::{BucketCharge, ScriptCall, ScriptReply, TakeReply};
use crate::support::server::{Server, ServerOptions, command};

/// The time at which most tests begin, in microseconds since 1970.
pub(crate) const START_US: u64 = 1_790_000_000_123_456;

/// A key exists until the end of its last millisecond.
pub(crate) const CHOSEN_TIME: &str = "
local server, time = redis, { table.remove(ARGV, #ARGV - 1), table.remove(ARGV) }
local redis = { call = function(name, key, ...)
  if name == 'TIME' then return time end
  local ends = server.call('GET', key .. ':ends')
  if ends and time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ends) then
    server.call('DEL', key, key .. ':ends')
  end
  if name == 'SET' then
    local value, _, ends = ...
    server.call('INCR', key .. ':writes')
    if ends then
      server.call('SET', key .. ':ends', ends)
    else
      server.call('DEL', key .. ':ends')
    end
    return server.call(name, key, value)
  elseif name == 'SETRANGE' then
    server.call('INCR', key .. ':writes')
  elseif name == 'PEXPIREAT' then
    return server.call('SET', key .. ':ends', ...)
  elseif name == 'PERSIST' then
    return server.call('DEL', key .. ':ends')
  end
  return server.call(name, key, ...)
end }
";

const TIME: &str = include_str!("../../src/script/time.lua");
const SHORT: &str = include_str!("../../src/script/short.lua");
const WINDOW_SHORT: &str = include_str!("../../src/script/window_short.lua");
const WINDOW: &str = include_str!("../../src/script/window.lua");
const WINDOW_TAKE: &str = include_str!("../../src/script/window_take.lua");
const BUCKET: &str = include_str!("../../src/script/bucket.lua");
const TAKE: &str = include_str!("../../src/script/take.lua");
const SEMAPHORE: &str = include_str!("../../src/script/semaphore.lua");
const LEASE: &str = include_str!("../../src/script/lease.lua");

/// Takes a charge back, as other scripts may. ARGV: limit, slot, reach, the charged slot, permits.
/// Returns the current slot and the permits that came back.
const UNDO: &str = "
local a = {}
for i = 1, #ARGV do a[i] = tonumber(ARGV[i]) end
local w = window_load(KEYS[1], a[1], a[2], a[3], false)
local back = window_undo(w, a[4], a[5])
if w.dirty then window_save(w) end
return { w.head, back }
";

#[track_caller]
pub(crate) fn replace_once(text: &str, [old, new]: [&str; 2]) -> String {
    assert_eq!(text.matches(old).count(), 1, "occurrences of {old:?}");
    text.replace(old, new)
}

fn scripts() -> [String; 4] {
    let take = [TIME, SHORT, WINDOW_SHORT, WINDOW, WINDOW_TAKE, BUCKET, TAKE].concat();
    [
        [CHOSEN_TIME, &take].concat(),
        [CHOSEN_TIME, TIME, BUCKET, LEASE].concat(),
        [CHOSEN_TIME, TIME, WINDOW, UNDO].concat(),
        [CHOSEN_TIME, TIME, SEMAPHORE].concat(),
    ]
}

/// The state of a key after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredKey {
    pub(crate) value: Option<Vec<u8>>,
    /// The last millisecond in which the key exists; `None` for a key that never expires.
    pub(crate) last_ms: Option<u64>,
    pub(crate) writes: u64,
}

/// The scripts, loaded into a server of their own.
pub(crate) struct Scripts {
    connection: Connection,
    take: String,
    lease: String,
    undo: String,
    semaphore: String,
    // The last field, so that the connection closes before the server ends.
    _server: Server,
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
        let loaded = scripts().map(|script| load(&mut connection, &script));
        let [take, lease, undo, semaphore] = loaded;
        Self {
            connection,
            take,
            lease,
            undo,
            semaphore,
            _server: server,
        }
    }

    /// Makes one change in the original scripts, in each that contains the text.
    #[track_caller]
    pub(crate) fn mutate(&mut self, change: [&str; 2]) {
        let scripts = scripts();
        let applies = scripts.iter().any(|script| script.contains(change[0]));
        assert!(applies, "no script contains {:?}", change[0]);
        let [take, lease, undo, semaphore] = scripts.map(|script| {
            if script.contains(change[0]) {
                replace_once(&script, change)
            } else {
                script
            }
        });
        self.take = load(&mut self.connection, &take);
        self.lease = load(&mut self.connection, &lease);
        self.undo = load(&mut self.connection, &undo);
        self.semaphore = load(&mut self.connection, &semaphore);
    }

    /// Runs any command.
    #[track_caller]
    pub(crate) fn query<R: redis::FromRedisValue, W: redis::ToRedisArgs>(
        &mut self,
        words: &[W],
    ) -> R {
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
        TakeReply::parse(&self.take(call).0, &[charge])
    }

    pub(crate) fn lease(&mut self, call: ScriptCall) -> (ScriptReply, Vec<StoredKey>) {
        let sha = self.lease.clone();
        self.run(&sha, &[call]).pop().expect("one reply per call")
    }

    pub(crate) fn semaphore(&mut self, call: ScriptCall) -> (ScriptReply, Vec<StoredKey>) {
        let sha = self.semaphore.clone();
        self.run(&sha, &[call]).pop().expect("one reply per call")
    }

    /// Takes a charge on a window back.
    pub(crate) fn undo(&mut self, call: ScriptCall) -> (ScriptReply, Vec<StoredKey>) {
        let sha = self.undo.clone();
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
            let numbers = reply.map(|value| match value {
                Value::Int(number) => vec![number],
                several => redis::from_redis_value(several).unwrap(),
            });
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
        max_shrink_iters: 500,
        ..config
    };
    TestRunner::new(config)
        .run(strategy, |case| check(&mut scripts.borrow_mut(), &case))
        .unwrap_or_else(|error| panic!("{error}"));
}
