//! The keys of a simulated server, and the commands that the shipped scripts call.

use std::collections::HashMap;
use std::fmt;

/// What a command returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The string of a key, or none.
    Value(Option<Vec<u8>>),
    /// A number.
    Number(i64),
    /// `OK`.
    Done,
}

/// Why a command fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(String);

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CommandError {}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    /// The last millisecond in which the key exists.
    ends_ms: Option<u64>,
}

impl Entry {
    fn exists(&self, now_ms: u64) -> bool {
        self.ends_ms.is_none_or(|ends| now_ms <= ends)
    }
}

/// Keys with their values and ends.
#[derive(Debug, Default)]
pub struct Keyspace {
    entries: HashMap<Vec<u8>, Entry>,
}

impl Keyspace {
    /// Runs a command at a time.
    ///
    /// # Errors
    ///
    /// For a command or an option that no shipped script uses.
    pub fn run(&mut self, words: &[&[u8]], now_ms: u64) -> Result<Answer, CommandError> {
        let &[name, key, ref rest @ ..] = words else {
            return Err(unknown(words));
        };
        self.forget_ended(key, now_ms);
        match (name, rest) {
            (b"GET", []) => Ok(Answer::Value(self.value(key).map(<[u8]>::to_vec))),
            (b"GETRANGE", [first, last]) => {
                let value = self.value(key).unwrap_or_default();
                let part = range(value, number(first)?, number(last)?);
                Ok(Answer::Value(Some(part.to_vec())))
            }
            (b"SET", [value, end @ ..]) => {
                let ends_ms = match end {
                    [] => None,
                    [b"PX", ms] => Some(now_ms + whole(ms)?),
                    [b"PXAT", ms] => Some(whole(ms)?),
                    _ => return Err(unknown(words)),
                };
                let value = value.to_vec();
                self.entries.insert(key.to_vec(), Entry { value, ends_ms });
                Ok(Answer::Done)
            }
            (b"SETRANGE", [offset, part]) => {
                let offset = usize::try_from(whole(offset)?).map_err(|_| unknown(words))?;
                let new = Entry {
                    value: Vec::new(),
                    ends_ms: None,
                };
                let value = &mut self.entries.entry(key.to_vec()).or_insert(new).value;
                let end = offset + part.len();
                if value.len() < end {
                    value.resize(end, 0);
                }
                value[offset..end].copy_from_slice(part);
                Ok(length(value))
            }
            (b"PEXPIREAT", [ms]) => Ok(self.end_at(key, Some(whole(ms)?))),
            (b"PERSIST", []) => Ok(self.end_at(key, None)),
            _ => Err(unknown(words)),
        }
    }

    fn forget_ended(&mut self, key: &[u8], now_ms: u64) {
        let entry = self.entries.get(key);
        if entry.is_some_and(|entry| !entry.exists(now_ms)) {
            self.entries.remove(key);
        }
    }

    /// Returns the value that was stored last, also if it has ended since.
    pub fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key).map(|entry| &*entry.value)
    }

    fn end_at(&mut self, key: &[u8], ends_ms: Option<u64>) -> Answer {
        let Some(entry) = self.entries.get_mut(key) else {
            return Answer::Number(0);
        };
        // `PERSIST` tells whether the key would have ended.
        let had_end = entry.ends_ms.is_some();
        entry.ends_ms = ends_ms;
        Answer::Number(i64::from(ends_ms.is_some() || had_end))
    }

    /// Returns how many keys exist at a time, and the bytes of their names and values.
    pub fn size(&self, now_ms: u64) -> (usize, usize) {
        let live = self.entries.iter();
        let live = live.filter(|(_, entry)| entry.exists(now_ms));
        live.fold((0, 0), |(keys, bytes), (key, entry)| {
            (keys + 1, bytes + key.len() + entry.value.len())
        })
    }

    /// Forgets all keys that have ended.
    pub fn sweep(&mut self, now_ms: u64) {
        self.entries.retain(|_, entry| entry.exists(now_ms));
    }
}

fn unknown(words: &[&[u8]]) -> CommandError {
    let words = words.iter().map(|word| String::from_utf8_lossy(word));
    let words: Vec<_> = words.collect();
    CommandError(format!("the simulator has no command {words:?}"))
}

fn number(word: &[u8]) -> Result<i64, CommandError> {
    let number = str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    number.ok_or_else(|| CommandError("value is not an integer or out of range".to_owned()))
}

fn whole(word: &[u8]) -> Result<u64, CommandError> {
    let wrong = |_| CommandError("value is out of range".to_owned());
    u64::try_from(number(word)?).map_err(wrong)
}

fn length(value: &[u8]) -> Answer {
    Answer::Number(i64::try_from(value.len()).unwrap_or(i64::MAX))
}

/// Returns the bytes from `first` to `last`, both included; negative places count from the end.
fn range(value: &[u8], first: i64, last: i64) -> &[u8] {
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { (length + at).max(0) } else { at };
    let end = (place(last) + 1).min(length);
    let [first, end] = [place(first), end].map(|at| usize::try_from(at).unwrap_or(0));
    value.get(first..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Answer, Keyspace};

    fn run(keys: &mut Keyspace, command: &str, now_ms: u64) -> Answer {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        keys.run(&words, now_ms).expect("known")
    }

    fn text(text: &str) -> Answer {
        Answer::Value(Some(text.into()))
    }

    #[test]
    fn keys_exist_until_the_end_of_their_last_millisecond() {
        let mut keys = Keyspace::default();
        run(&mut keys, "SET a 1 PXAT 10", 5);
        run(&mut keys, "SET b 1 PX 10", 5);
        assert_eq!(run(&mut keys, "GET a", 10), text("1"));
        assert_eq!(keys.size(10), (2, 4));
        assert_eq!(run(&mut keys, "GET a", 11), Answer::Value(None));
        assert_eq!(run(&mut keys, "PERSIST b", 15), Answer::Number(1));
        assert_eq!(run(&mut keys, "PERSIST b", 15), Answer::Number(0));
        assert_eq!(run(&mut keys, "GET b", 1_000), text("1"));
        assert_eq!(run(&mut keys, "PEXPIREAT b 7", 5), Answer::Number(1));
        keys.sweep(8);
        assert_eq!(keys.size(0), (0, 0));
        assert_eq!(run(&mut keys, "PEXPIREAT b 7", 5), Answer::Number(0));
    }

    #[test]
    fn parts_of_values_are_read_and_written() {
        let mut keys = Keyspace::default();
        assert_eq!(run(&mut keys, "GETRANGE a 0 9", 0), text(""));
        assert_eq!(run(&mut keys, "SETRANGE a 2 xyz", 0), Answer::Number(5));
        assert_eq!(run(&mut keys, "GET a", 0), text("\0\0xyz"));
        assert_eq!(run(&mut keys, "SETRANGE a 1 abc", 0), Answer::Number(5));
        assert_eq!(run(&mut keys, "GETRANGE a 1 3", 0), text("abc"));
        assert_eq!(run(&mut keys, "GETRANGE a 3 -1", 0), text("cz"));
        assert_eq!(run(&mut keys, "GETRANGE a 4 99", 0), text("z"));
        assert_eq!(run(&mut keys, "GETRANGE a 5 99", 0), text(""));
    }

    #[test]
    fn other_commands_are_refused() {
        let mut keys = Keyspace::default();
        for command in [
            "DEL a",
            "SET a 1 EX 1",
            "SETRANGE a -1 x",
            "GET",
            "SET a 1 PX x",
        ] {
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            assert!(keys.run(&words, 0).is_err(), "{command}");
        }
        assert_eq!(keys.size(0), (0, 0));
    }
}
