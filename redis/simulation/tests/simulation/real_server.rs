//! A real server gives the same replies to the same scripts at the same times.

use std::collections::{BTreeSet, HashMap};

use redis::{Pipeline, RedisResult, Value};
use tidegate_simulation::fleet::run_and_log;
use tidegate_simulation::network::LoggedCall;

use crate::everything;
use crate::server::{Server, ServerOptions, command};

/// Gives a script the time of its last two arguments, and ends keys by that time.
const CHOSEN_TIME: &str = "
local server, time = redis, { table.remove(ARGV, #ARGV - 1), table.remove(ARGV) }
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local redis = { call = function(name, key, ...)
  if name == 'TIME' then return time end
  local ends = server.call('GET', key .. ':ends')
  if ends and now_ms > tonumber(ends) then server.call('DEL', key, key .. ':ends') end
  if name == 'SET' then
    local value, _, ends = ...
    if ends then
      server.call('SET', key .. ':ends', ends)
    else
      server.call('DEL', key .. ':ends')
    end
    return server.call(name, key, value)
  elseif name == 'PEXPIREAT' then
    return server.call('SET', key .. ':ends', ...)
  elseif name == 'PERSIST' then
    return server.call('DEL', key .. ':ends')
  end
  return server.call(name, key, ...)
end }
";

const SCRIPTS: [&str; 2] = [
    include_str!("../../../src/script/take.lua"),
    include_str!("../../../src/script/lease.lua"),
];

/// The digest under which the real server has a script, by the digest that clients use.
fn load(server: &Server, calls: &[LoggedCall]) -> HashMap<Vec<u8>, String> {
    let mut known = HashMap::new();
    for call in calls.iter().filter(|call| call.words[0] == b"EVAL") {
        let text = str::from_utf8(&call.words[1]).unwrap();
        if SCRIPTS.iter().any(|script| text.ends_with(script)) {
            let sha = redis::Script::new(text).get_hash().as_bytes().to_vec();
            let text = format!("{CHOSEN_TIME}{text}");
            known.insert(sha, server.query(&["SCRIPT", "LOAD", &text]));
        }
    }
    known
}

#[test]
fn real_server_gives_the_same_replies() {
    let (_, network) = run_and_log(&everything(3));
    let calls = network.logged_calls();
    let server = ServerOptions::default().start();
    let known = load(&server, &calls);
    assert_eq!(known.len(), SCRIPTS.len(), "decisions and leases");
    let (mut pipeline, mut expected, mut keys) = (Pipeline::new(), Vec::new(), BTreeSet::new());
    pipeline.ignore_errors();
    for call in &calls {
        let [name, body, rest @ ..] = &*call.words else {
            panic!("{call:?}");
        };
        let sha = match &**name {
            b"EVAL" => {
                let text = str::from_utf8(body).unwrap();
                redis::Script::new(text).get_hash().as_bytes().to_vec()
            }
            _ => body.clone(),
        };
        let is_reply = matches!(call.reply, Value::Int(_) | Value::Array(_));
        if let (Some(sha), true) = (known.get(&sha), is_reply) {
            let time = [call.at_us / 1_000_000, call.at_us % 1_000_000];
            pipeline.cmd("EVALSHA").arg(sha).arg(rest).arg(&time);
            expected.push(call);
            keys.insert(rest[1].clone());
        }
    }
    assert!(expected.len() > 500, "{}", expected.len());
    let mut connection = server.connection();
    let replies: Vec<RedisResult<Value>> = pipeline.query(&mut connection).unwrap();
    for (call, reply) in expected.iter().zip(replies) {
        assert_eq!(reply.as_ref().unwrap(), &call.reply, "{call:?}");
    }
    for key in keys {
        let get = [b"GET".to_vec(), key.clone()];
        let value: Option<Vec<u8>> = command(&get).query(&mut connection).unwrap();
        assert_eq!(
            value,
            network.value(&key),
            "{}",
            String::from_utf8_lossy(&key)
        );
    }
}
