//! The command line.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tidegate::Quota;

use crate::demo::Load;

pub(crate) const HELP: &str = "\
An HTTP server that gates every request through a token bucket and a sliding
window per route. GET /stats shows the counts, and is not gated itself.

Usage: gateway [--addr ADDRESS] [--quota QUOTA]
       gateway --demo [--quota QUOTA] [--seconds N] [--clients N]

Options:
  --addr ADDRESS  where to listen; a loopback address (default 127.0.0.1:8080)
  --quota QUOTA   for all requests together (default \"500/s burst 100\")
  --demo          load the server with clients, then check and print the counts
  --seconds N     how long the clients send requests, 1 to 600 (default 3);
                  they stop earlier when they have sent 4 million
  --clients N     how many clients send at the same time, 1 to 256 (default 32)
  --help          print this
";

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    Serve { address: SocketAddr, quota: Quota },
    Demo { load: Load, quota: Quota },
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";
const DEFAULT_QUOTA: Quota = Quota::per_second(500).burst(100);
const DEFAULT_SECONDS: u64 = 3;
const DEFAULT_CLIENTS: u64 = 32;

const SECONDS: RangeInclusive<u64> = 1..=600;
/// Each client takes two file descriptors of this process, which often may have no more than 1024.
const CLIENTS: RangeInclusive<u64> = 1..=256;

/// Reads the arguments that follow the program's name; an error is a message for the user.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments;
    let mut demo = false;
    let mut address = None;
    let mut quota = DEFAULT_QUOTA;
    let mut seconds = None;
    let mut clients = None;

    while let Some(argument) = arguments.next() {
        // Both `--option value` and `--option=value`.
        let (option, mut inline) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || {
            inline
                .take()
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("{option} needs a value"))
        };
        match option {
            "--help" | "-h" => return Ok(Command::Help),
            "--demo" => demo = true,
            "--addr" => address = Some(parse_address(&value()?)?),
            "--quota" => quota = parse_value(option, &value()?)?,
            "--seconds" => seconds = Some(parse_number(option, &value()?, &SECONDS)?),
            "--clients" => clients = Some(parse_number(option, &value()?, &CLIENTS)?),
            _ => return Err(format!("unknown option `{argument}`")),
        }
        if let Some(value) = inline {
            return Err(format!("{option} takes no value, but got `{value}`"));
        }
    }

    match (demo, address, seconds.or(clients)) {
        (true, Some(_), _) => Err("--demo chooses its own address: leave out --addr".to_owned()),
        (false, _, Some(_)) => Err("--seconds and --clients need --demo".to_owned()),
        (true, None, _) => Ok(Command::Demo {
            load: Load {
                duration: Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS)),
                clients: clients.unwrap_or(DEFAULT_CLIENTS),
            },
            quota,
        }),
        (false, address, None) => Ok(Command::Serve {
            address: address.map_or_else(|| parse_address(DEFAULT_ADDRESS), Ok)?,
            quota,
        }),
    }
}

/// Loopback only: an example should not open a port to the network by accident.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!("--addr `{text}`: not an address and port, such as {DEFAULT_ADDRESS}")
    })?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "--addr `{text}`: not a loopback address, such as {DEFAULT_ADDRESS}"
        ))
    }
}

fn parse_number(option: &str, text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = (range.start(), range.end());
            Err(format!(
                "{option} `{text}`: must be a number from {least} to {most}"
            ))
        }
    }
}

fn parse_value<T: FromStr<Err: std::fmt::Display>>(option: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error| format!("{option} `{text}`: {error}"))
}
