//! Runs the scripts that clients send, on Lua 5.1 as Redis does.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Error, Function, Lua, MultiValue, Variadic};
use redis::Value;

use crate::keyspace::{Answer, Keyspace};
use crate::lua_struct;

/// The shipped scripts, told apart by how their text ends.
const TAKE: &str = include_str!("../../src/script/take.lua");
const LEASE: &str = include_str!("../../src/script/lease.lua");

/// What a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptKind {
    /// `take.lua`: a decision.
    Take,
    /// `lease.lua`: a refill of a node's lease.
    Lease,
    /// Another one, such as a probe.
    Other,
}

/// Lua, with the scripts that it knows and the keys that they change.
pub struct Engine {
    lua: Lua,
    scripts: HashMap<Vec<u8>, (Function, ScriptKind)>,
    state: Arc<Mutex<State>>,
}

/// What the function `redis.call` uses.
#[derive(Debug, Default)]
struct State {
    keys: Keyspace,
    now_us: u64,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("scripts", &self.scripts.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Returns an engine without keys.
    ///
    /// # Errors
    ///
    /// If Lua has no memory.
    pub fn new() -> Result<Self, Error> {
        let lua = Lua::new();
        let state = Arc::new(Mutex::new(State::default()));
        lua_struct::register(&lua)?;
        let called = Arc::clone(&state);
        let call = lua.create_function(move |lua, words: Variadic<mlua::Value>| {
            let words = words.iter().map(|word| bytes(lua, word));
            let words: Vec<Vec<u8>> = words.collect::<Result<_, _>>()?;
            let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
            let mut state = called.lock().unwrap_or_else(PoisonError::into_inner);
            state.call(lua, &words)
        })?;
        let redis = lua.create_table()?;
        redis.set("call", call)?;
        lua.globals().set("redis", redis)?;
        Ok(Self {
            lua,
            scripts: HashMap::new(),
            state,
        })
    }

    /// Runs `EVAL` or `EVALSHA` at a time. Returns what the script does, and the reply.
    pub fn run(&mut self, words: &[Vec<u8>], now_us: u64) -> (ScriptKind, Value) {
        match self.try_run(words, now_us) {
            Ok(reply) => reply,
            Err(error) => (ScriptKind::Other, server_error("ERR", &error.to_string())),
        }
    }

    fn try_run(&mut self, words: &[Vec<u8>], now_us: u64) -> Result<(ScriptKind, Value), Error> {
        let [name, body, keys, rest @ ..] = words else {
            return Err(Error::runtime("wrong number of arguments"));
        };
        let sha = match &**name {
            b"EVALSHA" => body.clone(),
            b"EVAL" => self.load(body)?,
            _ => return Err(Error::runtime("unknown command")),
        };
        let Some((function, kind)) = self.scripts.get(&sha) else {
            let error = server_error("NOSCRIPT", "No matching script.");
            return Ok((ScriptKind::Other, error));
        };
        let keys = str::from_utf8(keys).ok().and_then(|keys| keys.parse().ok());
        let split = keys.and_then(|keys: usize| rest.split_at_checked(keys));
        let (keys, arguments) = split.ok_or_else(|| Error::runtime("wrong number of keys"))?;
        for (name, values) in [("KEYS", keys), ("ARGV", arguments)] {
            let values = values.iter().map(|value| self.lua.create_string(value));
            let values: Vec<_> = values.collect::<Result<_, _>>()?;
            let table = self.lua.create_sequence_from(values)?;
            self.lua.globals().set(name, table)?;
        }
        self.lock().now_us = now_us;
        let results: MultiValue = function.call(())?;
        let result = results.into_iter().next().unwrap_or(mlua::Value::Nil);
        Ok((*kind, reply(&result)?))
    }

    /// Compiles a script, unless it is known. Returns its digest.
    fn load(&mut self, text: &[u8]) -> Result<Vec<u8>, Error> {
        let text = str::from_utf8(text).map_err(Error::external)?;
        let sha = redis::Script::new(text).get_hash().as_bytes().to_vec();
        if !self.scripts.contains_key(&sha) {
            let kind = match text {
                _ if text.ends_with(TAKE) => ScriptKind::Take,
                _ if text.ends_with(LEASE) => ScriptKind::Lease,
                _ => ScriptKind::Other,
            };
            let function = self.lua.load(text).into_function()?;
            self.scripts.insert(sha.clone(), (function, kind));
        }
        Ok(sha)
    }

    /// Returns the value that a key has or had.
    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock().keys.value(key).map(<[u8]>::to_vec)
    }

    /// Returns how many keys exist at a time, and the bytes of their names and values.
    pub fn size(&self, now_us: u64) -> (usize, usize) {
        self.lock().keys.size(now_us / 1_000)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn call(&mut self, lua: &Lua, words: &[&[u8]]) -> Result<mlua::Value, Error> {
        if words == [b"TIME"] {
            let parts = [self.now_us / 1_000_000, self.now_us % 1_000_000];
            let parts = parts.map(|part| part.to_string());
            return lua.create_sequence_from(parts).map(mlua::Value::Table);
        }
        let answer = self.keys.run(words, self.now_us / 1_000);
        match answer.map_err(Error::external)? {
            Answer::Value(Some(value)) => lua.create_string(value).map(mlua::Value::String),
            Answer::Value(None) => Ok(mlua::Value::Boolean(false)),
            Answer::Number(number) => Ok(mlua::Value::Integer(number)),
            Answer::Done => {
                let status = lua.create_table()?;
                status.set("ok", "OK")?;
                Ok(mlua::Value::Table(status))
            }
        }
    }
}

/// Converts an argument of `redis.call`. Whole numbers keep all digits, as they do in Redis.
fn bytes(lua: &Lua, word: &mlua::Value) -> Result<Vec<u8>, Error> {
    match word {
        mlua::Value::Integer(number) => Ok(number.to_string().into_bytes()),
        mlua::Value::Number(number) if number.fract() == 0.0 => {
            Ok(format!("{number:.0}").into_bytes())
        }
        other => {
            let text = lua.coerce_string(other.clone())?;
            let text =
                text.ok_or_else(|| Error::runtime("arguments must be strings or numbers"))?;
            Ok(text.as_bytes().to_vec())
        }
    }
}

/// Converts the result of a script, as Redis does: numbers lose their fraction.
#[expect(clippy::cast_possible_truncation, reason = "as Redis does")]
fn reply(result: &mlua::Value) -> Result<Value, Error> {
    Ok(match result {
        mlua::Value::Integer(number) => Value::Int(*number),
        mlua::Value::Number(number) => Value::Int(*number as i64),
        mlua::Value::String(text) => Value::BulkString(text.as_bytes().to_vec()),
        mlua::Value::Boolean(true) => Value::Int(1),
        mlua::Value::Table(table) if table.contains_key("ok")? => Value::Okay,
        mlua::Value::Table(table) => {
            let values = table.sequence_values::<mlua::Value>();
            let values = values.map(|value| reply(&value?));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        _ => Value::Nil,
    })
}

/// The reply of a server that reports an error, as it is on the wire.
fn server_error(code: &str, what: &str) -> Value {
    let line = format!("-{code} {}\r\n", what.replace(['\r', '\n'], " "));
    redis::parse_redis_value(line.as_bytes()).unwrap_or(Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::{Engine, ScriptKind};
    use redis::Value;

    fn run(engine: &mut Engine, words: &[&str], now_us: u64) -> (ScriptKind, Value) {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        engine.run(&words, now_us)
    }

    #[test]
    fn scripts_see_their_keys_arguments_and_time() {
        let mut engine = Engine::new().expect("Lua starts");
        let text = "local time = redis.call('TIME')
            redis.call('SET', KEYS[1], ARGV[1] + 1, 'PXAT', 5000)
            return { time[1] * 1000000 + time[2], redis.call('GET', KEYS[1]), false, 3.9 }";
        let (kind, value) = run(&mut engine, &["EVAL", text, "1", "a", "41"], 4_000_005);
        assert_eq!(kind, ScriptKind::Other);
        let parts = vec![
            Value::Int(4_000_005),
            Value::BulkString(b"42".to_vec()),
            Value::Nil,
            Value::Int(3),
        ];
        assert_eq!(value, Value::Array(parts));
        let sha = redis::Script::new(text).get_hash().to_owned();
        let (_, again) = run(&mut engine, &["EVALSHA", &sha, "1", "a", "1"], 1);
        assert!(matches!(again, Value::Array(_)), "{again:?}");
        let (_, unknown) = run(&mut engine, &["EVALSHA", "0", "0"], 1);
        let error = unknown.extract_error().expect_err("not known");
        assert_eq!(error.code(), Some("NOSCRIPT"));
        for wrong in [
            ["EVAL", "return (", "0"],
            ["EVAL", "error('x')", "0"],
            ["GET", "a", "0"],
        ] {
            let (_, value) = run(&mut engine, &wrong, 1);
            assert!(value.extract_error().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_pack_as_their_bytes() {
        let mut engine = Engine::new().expect("Lua starts");
        let text = "local packed = struct.pack('>I3I2c2', 66051, 1029, 'xyz')
            local a, b, c, next = struct.unpack('>I3I2c2', 'ab' .. packed, 3)
            return { packed, a, b, c, next }";
        let (_, value) = run(&mut engine, &["EVAL", text, "0"], 1);
        let parts = vec![
            Value::BulkString(b"\x01\x02\x03\x04\x05xy".to_vec()),
            Value::Int(66_051),
            Value::Int(1_029),
            Value::BulkString(b"xy".to_vec()),
            Value::Int(10),
        ];
        assert_eq!(value, Value::Array(parts));
    }
}
