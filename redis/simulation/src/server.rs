//! A simulated server: one script at a time, which takes as long as on a real one.

use std::ops::Range;
use std::time::Duration;

use redis::Value;

use crate::clock::nanos;
use crate::engine::{Engine, ScriptKind};

/// The server's time when a simulation begins, in microseconds since 1970.
pub const START_US: u64 = 1_790_000_000_123_456;

/// How long the server is busy with a script.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// A decision that admits.
    pub take: Duration,
    /// A decision that denies.
    pub denial: Duration,
    /// A refill of a lease.
    pub refill: Duration,
    /// A probe, or a script that the server does not know.
    pub other: Duration,
}

impl Costs {
    /// What Redis 7.0 took in the record `2026-11-29-epyc-2-cores-shared`: the rows of a bucket
    /// with whole microseconds, and of refills by 1 000 nodes.
    ///
    /// Refills by few nodes took up to 210 us there, because scripts that run seldom find cold
    /// caches. They are too few to matter, and a busy server decides how far a fleet can grow.
    pub const MEASURED: Self = Self {
        take: Duration::from_nanos(10_460),
        denial: Duration::from_nanos(6_400),
        refill: Duration::from_nanos(45_310),
        other: Duration::from_nanos(6_400),
    };
}

/// What a server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Decisions, of which some denied.
    pub takes: u64,
    /// Decisions that denied.
    pub denials: u64,
    /// Refills of leases.
    pub refills: u64,
    /// Other scripts.
    pub others: u64,
    /// Nanoseconds of all these.
    pub busy: u64,
    /// The longest time from the arrival of a request to its start, in nanoseconds.
    pub longest_wait: u64,
}

impl Load {
    /// Returns what was done since an earlier reading. The longest wait is that of all time.
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            takes: self.takes - earlier.takes,
            denials: self.denials - earlier.denials,
            refills: self.refills - earlier.refills,
            others: self.others - earlier.others,
            busy: self.busy - earlier.busy,
            longest_wait: self.longest_wait,
        }
    }
}

/// A request that was served: when it began and ended, in nanoseconds, and the reply.
#[derive(Debug)]
pub struct Served {
    /// When the script began, which is the time that it sees.
    pub began: u64,
    /// When the reply was sent.
    pub ended: u64,
    /// The reply.
    pub reply: Value,
}

/// A server with its keys.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    costs: Costs,
    /// When the requests that have arrived are done.
    free_at: u64,
    outages: Vec<Range<u64>>,
    load: Load,
}

impl Server {
    /// Returns a server without keys.
    ///
    /// # Panics
    ///
    /// If Lua does not start.
    pub fn new(costs: Costs) -> Self {
        Self {
            engine: Engine::new().expect("Lua has memory"),
            costs,
            free_at: 0,
            outages: Vec::new(),
            load: Load::default(),
        }
    }

    /// Makes the server unreachable for a while: all that arrives is lost. It keeps its keys.
    pub fn cut_off(&mut self, span: Range<u64>) {
        self.outages.push(span);
    }

    /// Serves a request after those that arrived earlier. `None` if it is lost.
    pub fn serve(&mut self, arrival: u64, words: &[Vec<u8>]) -> Option<Served> {
        if self.outages.iter().any(|span| span.contains(&arrival)) {
            return None;
        }
        let began = arrival.max(self.free_at);
        let (kind, reply) = self.engine.run(words, server_us(began));
        let cost = match kind {
            ScriptKind::Lease => {
                self.load.refills += 1;
                self.costs.refill
            }
            ScriptKind::Take => {
                self.load.takes += 1;
                if is_denial(&reply) {
                    self.load.denials += 1;
                    self.costs.denial
                } else {
                    self.costs.take
                }
            }
            ScriptKind::Other => {
                self.load.others += 1;
                self.costs.other
            }
        };
        let ended = began + nanos(cost);
        self.free_at = ended;
        self.load.busy += nanos(cost);
        self.load.longest_wait = self.load.longest_wait.max(began - arrival);
        Some(Served {
            began,
            ended,
            reply,
        })
    }

    /// Returns what it has done so far.
    pub const fn load(&self) -> Load {
        self.load
    }

    /// Returns how many keys exist at a time in nanoseconds, and the bytes of names and values.
    pub fn size(&self, now: u64) -> (usize, usize) {
        self.engine.size(server_us(now))
    }

    /// Returns the value that a key has or had.
    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.engine.value(key)
    }
}

/// Converts the simulation's nanoseconds to the server's microseconds.
pub const fn server_us(now: u64) -> u64 {
    START_US + now / 1_000
}

/// Whether a reply of `take.lua` denies: a number below 0, or 0 at the beginning of several.
fn is_denial(reply: &Value) -> bool {
    match reply {
        Value::Int(number) => *number < 0,
        Value::Array(numbers) => match &**numbers {
            // The short reply of a bucket with fractions.
            [Value::Int(first), _] => *first < 0,
            [Value::Int(first), ..] => *first == 0,
            _ => false,
        },
        _ => false,
    }
}
