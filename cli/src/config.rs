//! `config`: writes a limit for the servers and proxies that people run, and says what differs.

mod caddy;
mod envoy;
mod haproxy;
mod nginx;
mod portable;
mod tidegate_rules;
mod traefik;

use serde::Serialize;

use crate::failure::Failure;
use crate::output::config_text;
use crate::output::stdio;
use crate::replay::limits::WindowLimit;
use crate::values::{self, GivenQuota};
pub use portable::{Portable, Written};

/// What a limit is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// nginx's `limit_req`
    Nginx,
    /// Envoy's local rate limit
    Envoy,
    /// HAProxy's stick tables
    Haproxy,
    /// Traefik's `rateLimit`
    Traefik,
    /// Caddy with the module `mholt/caddy-ratelimit`
    Caddy,
    /// Rules of this crate's layers, in TOML
    Tidegate,
}

/// All targets.
pub const TARGETS: [Target; 6] = [
    Target::Nginx,
    Target::Envoy,
    Target::Haproxy,
    Target::Traefik,
    Target::Caddy,
    Target::Tidegate,
];

/// Arguments of `config`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    /// Token bucket, such as `100/min burst 20`, or nginx's `rate=5r/s burst=10`
    #[arg(
        value_name = "QUOTA",
        value_parser = values::given_quota,
        required_unless_present = "window",
        conflicts_with = "window"
    )]
    pub quota: Option<GivenQuota>,
    /// Sliding window instead, such as `500/h`
    #[arg(long, value_name = "LIMIT")]
    pub window: Option<WindowLimit>,
    /// What to write it for [default: all]
    #[arg(
        long = "for",
        value_enum,
        value_delimiter = ',',
        value_name = "TARGETS"
    )]
    pub targets: Vec<Target>,
    /// What the limit applies to: ip, ip-prefix, path, user, agent, or none for all requests
    #[arg(long, default_value = "ip", value_name = "KEY")]
    pub by: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs `config`.
///
/// # Errors
///
/// If writing fails.
pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    if let Some(note) = args.quota.as_ref().and_then(|given| given.note.as_ref()) {
        stdio::warn(note);
    }
    let quota = args.quota.as_ref().map(|given| Portable {
        nginx_delay: given.nginx_delay,
        ..Portable::bucket(given.quota, &args.by)
    });
    let window = args
        .window
        .map(|window| Portable::window(window.quota, &args.by));
    let Some(limit) = quota.or(window) else {
        return Err(Failure::Usage("a quota or --window is needed".to_owned()));
    };
    let targets = if args.targets.is_empty() {
        &TARGETS[..]
    } else {
        &args.targets
    };
    let written: Vec<Written> = targets
        .iter()
        .map(|target| write(&limit, *target))
        .collect();
    if args.json {
        stdio::print_json(&written)
    } else {
        stdio::print(&config_text::text(&written, stdio::width()))
    }
}

/// Writes a limit for a target.
pub fn write(limit: &Portable, target: Target) -> Written {
    match target {
        Target::Nginx => nginx::write(limit),
        Target::Envoy => envoy::write(limit),
        Target::Haproxy => haproxy::write(limit),
        Target::Traefik => traefik::write(limit),
        Target::Caddy => caddy::write(limit),
        Target::Tidegate => tidegate_rules::write(limit),
    }
}
