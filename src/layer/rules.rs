//! The limits of a layer from a configuration file. `live.rs` has the type, `rule_set.rs` what one
//! file becomes, and `config.rs` what a file can contain.

mod builder;
mod condition;
mod config;
mod duration_text;
mod error;
mod gate;
mod in_flight;
mod keys;
mod limit;
mod live;
mod names;
mod rule;
mod rule_set;
mod settle;
mod strict;
mod tiers;

pub use builder::RulesBuilder;
pub use config::RulesConfig;
pub use error::{RulesError, RulesErrorKind};
pub use gate::RulesGate;
pub use limit::RulesClock;

pub use live::{RuleStats, Rules};
