//! Runs the script on a server of its own.

use core::cell::RefCell;

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::{TestCaseResult, TestRunner};
use redis::{Connection, Value};

use crate::script_harness::{CHOSEN_TIME, replace_once};
use crate::support::server::{Server, ServerOptions, command};

const PARTS: [&str; 6] = [
    include_str!("../../../src/script/time.lua"),
    include_str!("../../../src/script/bucket.lua"),
    include_str!("../../../src/script/window.lua"),
    include_str!("../../../src/script/api_state.lua"),
    include_str!("../../../src/script/api_calls.lua"),
    include_str!("../../../src/script/api.lua"),
];

/// A multiple of all lengths of slots, in microseconds since 1970.
pub(crate) const ALIGNED_US: u64 = 1_350_000_000 * 1_320_000;

pub(crate) struct ApiScript {
    connection: Connection,
    sha: String,
    // The last field, so that the connection closes before the server ends.
    _server: Server,
}

impl ApiScript {
    pub(crate) fn start() -> Self {
        let server = ServerOptions::default().start();
        let mut script = Self {
            connection: server.connection(),
            sha: String::new(),
            _server: server,
        };
        script.load(&PARTS.concat());
        script
    }

    fn load(&mut self, parts: &str) {
        let script = [CHOSEN_TIME, parts].concat();
        let load = command(&["SCRIPT", "LOAD", &script]);
        self.sha = load.query(&mut self.connection).unwrap();
    }

    /// Makes one change in the original script.
    #[track_caller]
    pub(crate) fn mutate(&mut self, change: [&str; 2]) {
        self.load(&replace_once(&PARTS.concat(), change));
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let () = command(&["SET", key, value])
            .query(&mut self.connection)
            .unwrap();
    }

    /// Forgets all keys.
    pub(crate) fn clear(&mut self) {
        let () = command(&["FLUSHALL"]).query(&mut self.connection).unwrap();
    }

    /// Runs the script at a time. An error is a text.
    pub(crate) fn run(
        &mut self,
        keys: &[String],
        arguments: &[Vec<u8>],
        now_us: u64,
    ) -> Result<Vec<i64>, String> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.sha).arg(keys.len()).arg(keys).arg(arguments);
        call.arg([now_us / 1_000_000, now_us % 1_000_000].as_slice());
        let reply: redis::RedisResult<Value> = call.query(&mut self.connection);
        reply
            .map_err(|error| error.to_string())
            .map(|value| match value {
                Value::Int(number) => vec![number],
                several => redis::from_redis_value(several).unwrap(),
            })
    }

    /// How often keys were written with `SET`, and records and ends of calls.
    pub(crate) fn writes(&mut self) -> u64 {
        let all: String = command(&["INFO", "commandstats"])
            .query(&mut self.connection)
            .unwrap();
        let calls = |line: &str| {
            let (name, values) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let (calls, _) = values.split_once(',')?;
            let writes = matches!(name, "set" | "setrange" | "hset" | "zadd" | "hdel" | "zrem");
            writes.then(|| calls.parse::<u64>().unwrap())
        };
        all.lines().filter_map(calls).sum()
    }
}

/// Runs a property test on one server, with the usual number of cases divided by `divisor`.
pub(crate) fn check_api_property<S: Strategy>(
    divisor: u32,
    strategy: &S,
    check: impl Fn(&mut ApiScript, &S::Value) -> TestCaseResult,
) {
    let script = RefCell::new(ApiScript::start());
    let config = ProptestConfig::default();
    let config = ProptestConfig {
        cases: (config.cases / divisor).max(1),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..config
    };
    TestRunner::new(config)
        .run(strategy, |case| check(&mut script.borrow_mut(), &case))
        .unwrap_or_else(|error| panic!("{error}"));
}
