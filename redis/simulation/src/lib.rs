//! A fleet of nodes that share limits, simulated: the shipped client and the shipped scripts, with
//! a clock, a network and servers of the simulator.
//!
//! # What is real
//!
//! * The client: `tidegate-redis` as it is shipped, with its leases, breakers, time limits and
//!   caches. One `RedisStore` is a node.
//! * The scripts: each server runs the text that the client sends, on Lua 5.1, as Redis does.
//!
//! # What is simulated
//!
//! * [`clock`]: tokio's paused clock. It moves on when all tasks wait, by whole milliseconds, as
//!   tokio's timers do.
//! * [`network`]: delays, losses, other orders, and nodes that die. Its times are exact to the
//!   nanosecond, and so are those of the servers. Only what a node notices is late, by up to a
//!   millisecond.
//! * [`server`]: keys that expire, the commands that scripts call, and one script at a time, which
//!   takes as long as it was [measured](server::Costs) to take.
//! * The callers: each node gets calls at random, as many on average as the scenario says, and a
//!   refused call does not come back.
//!
//! Every random choice follows from one seed, so equal seeds give equal [traces](trace::Trace).

#[cfg(not(tidegate_simulation))]
compile_error!("run cargo inside redis/simulation/, or add --cfg tidegate_simulation to RUSTFLAGS");

pub mod bound;
pub mod clock;
pub mod contention;
pub mod engine;
pub mod figures;
pub mod fleet;
pub mod hot_keys;
pub mod keyspace;
pub mod lua_struct;
pub mod machine;
pub mod network;
pub mod report;
pub mod scenarios;
pub mod server;
pub mod shards;
pub mod trace;
pub mod zipf;
