//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use tidegate::Quota;

use crate::demo::Load;
use crate::server::Quotas;
use crate::tiers::Tiers;
use crate::usage::UsageError;

pub(crate) const HELP: &str = "\
An HTTP server that gates every request through a token bucket for its client
address, another for its API key (header x-api-key, if it has one), a sliding
window for its route, and a token bucket for all requests. GET /stats shows the
counts, and is not gated itself.

Usage: gateway [--addr ADDRESS] [QUOTAS]
       gateway --demo [--seconds N] [--clients N] [QUOTAS]

Options:
  --addr ADDRESS  where to listen; a loopback address (default 127.0.0.1:8080)
  --demo          load the server with clients, then check and print the counts
  --seconds N     how long the clients send requests, 1 to 600 (default 3);
                  they stop earlier when they have sent 4 million
  --clients N     how many clients send at the same time, 1 to 256 (default 32)
  --help          print this

Quotas:
  --quota QUOTA              for all requests together
                             (default \"500/s burst 100\")
  --quota-per-address QUOTA  for each client address (default \"150/s burst 30\")
  --quota-per-key QUOTA      for each API key (default \"25/s burst 10\"); keys of
                             the pro tier, such as pro-7f3a9c, get 4 times that
";

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    Serve { address: SocketAddr, quotas: Quotas },
    Demo { load: Load, quotas: Quotas },
}

const DEFAULT_ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8080);
const DEFAULT_QUOTA: Quota = Quota::per_second(500).burst(100);
const DEFAULT_QUOTA_PER_ADDRESS: Quota = Quota::per_second(150).burst(30);
const DEFAULT_QUOTA_PER_KEY: Quota = Quota::per_second(25).burst(10);
const DEFAULT_SECONDS: u64 = 3;
const DEFAULT_CLIENTS: u64 = 32;

const SECONDS: RangeInclusive<u64> = 1..=600;
/// Each client takes two file descriptors of this process, which often may have no more than 1024.
const CLIENTS: RangeInclusive<u64> = 1..=256;

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, UsageError> {
    let mut arguments = arguments;
    let mut demo = false;
    let mut address = None;
    let mut global = DEFAULT_QUOTA;
    let mut per_address = DEFAULT_QUOTA_PER_ADDRESS;
    let mut per_key = DEFAULT_QUOTA_PER_KEY;
    let mut seconds = None;
    let mut clients = None;

    while let Some(argument) = arguments.next() {
        // Both `--option value` and `--option=value`.
        let (option, mut inline) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || {
            let value = inline.take().or_else(|| arguments.next());
            value.ok_or_else(|| UsageError::NeedsValue {
                option: option.to_owned(),
            })
        };
        match option {
            "--help" | "-h" => return Ok(Command::Help),
            "--demo" => demo = true,
            "--addr" => address = Some(parse_address(value()?)?),
            "--quota" => global = parse_quota(option, value()?)?,
            "--quota-per-address" => per_address = parse_quota(option, value()?)?,
            "--quota-per-key" => per_key = parse_quota(option, value()?)?,
            "--seconds" => seconds = Some(parse_number(option, value()?, SECONDS)?),
            "--clients" => clients = Some(parse_number(option, value()?, CLIENTS)?),
            _ => return Err(UsageError::UnknownOption { argument }),
        }
        if let Some(value) = inline {
            let option = option.to_owned();
            return Err(UsageError::TakesNoValue { option, value });
        }
    }

    let tiers = Tiers::new(per_key).map_err(|error| {
        let text = per_key.to_string();
        UsageError::ProQuota { text, error }
    })?;
    let quotas = Quotas {
        global,
        address: per_address,
        key: tiers,
    };
    match (demo, address, seconds.or(clients)) {
        (true, Some(_), _) => Err(UsageError::AddressOfDemo),
        (false, _, Some(_)) => Err(UsageError::LoadWithoutDemo),
        (true, None, _) => Ok(Command::Demo {
            load: Load {
                duration: Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS)),
                clients: clients.unwrap_or(DEFAULT_CLIENTS),
            },
            quotas,
        }),
        (false, address, None) => Ok(Command::Serve {
            address: address.unwrap_or_else(|| DEFAULT_ADDRESS.into()),
            quotas,
        }),
    }
}

/// Loopback only: an example should not open a port to the network by accident.
fn parse_address(text: String) -> Result<SocketAddr, UsageError> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err(UsageError::NotLoopback { text }),
        Err(_) => Err(UsageError::NotAnAddress { text }),
    }
}

fn parse_quota(option: &str, text: String) -> Result<Quota, UsageError> {
    text.parse().map_err(|error| UsageError::Quota {
        option: option.to_owned(),
        text,
        error,
    })
}

fn parse_number(option: &str, text: String, range: RangeInclusive<u64>) -> Result<u64, UsageError> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(UsageError::NotInRange {
            option: option.to_owned(),
            text,
            range,
        }),
    }
}
