//! The command line.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tidegate::Quota;

pub(crate) const HELP: &str = "\
HTTP servers in several processes that share their limits on one Redis or Valkey
server: one for all requests, which each process leases, and for each user (header
x-user) one per second and one per day. GET /stats shows the counts.

Usage: cluster_gateway --demo [--redis URL] [--seconds N] [--offer N] [QUOTAS]
       cluster_gateway serve --redis URL [--port N] [--prefix TEXT] [QUOTAS]

Options:
  --demo          start a server and three gateways, load them, stall, kill and
                  restart the server meanwhile, then check what was admitted
  --redis URL     a server that is there, such as redis://127.0.0.1/; the demo
                  neither stalls nor kills it
  --seconds N     how long the demo sends requests, 2 to 600 (default 6)
  --offer N       how many requests per second it tries to send, 10 to 1000000
                  (default 3000)
  --port N        where to listen on 127.0.0.1 (default 0: any that is free)
  --prefix TEXT   what the names of all buckets begin with (default tidegate)
  --help          print this

Quotas:
  --global QUOTA  for all requests together (default \"1000/s burst 250\")
  --user QUOTA    for each user (default \"20/s burst 10\"); 10000 per day as well
";

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    Serve(Serve),
    Demo(Plan),
}

/// What can be chosen of the limits.
#[derive(Clone, Copy)]
pub(crate) struct Quotas {
    pub(crate) global: Quota,
    pub(crate) user: Quota,
}

/// One gateway.
pub(crate) struct Serve {
    pub(crate) redis: String,
    pub(crate) port: u16,
    pub(crate) prefix: String,
    pub(crate) quotas: Quotas,
}

/// A demo.
pub(crate) struct Plan {
    /// A server that is there, or none.
    pub(crate) redis: Option<String>,
    pub(crate) duration: Duration,
    /// Requests per second.
    pub(crate) offer: u32,
    pub(crate) quotas: Quotas,
}

const SECONDS: RangeInclusive<u64> = 2..=600;
const OFFER: RangeInclusive<u32> = 10..=1_000_000;

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.peekable();
    let serve = arguments.next_if(|first| first == "serve").is_some();
    let mut demo = false;
    let mut quotas = Quotas {
        global: Quota::per_second(1_000).burst(250),
        user: Quota::per_second(20).burst(10),
    };
    let (mut redis, mut port, mut prefix) = (None, None, None);
    let (mut seconds, mut offer) = (None, None);

    while let Some(argument) = arguments.next() {
        // Both `--option value` and `--option=value`.
        let (option, mut inline) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || {
            let value = inline.take().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{option} needs a value"))
        };
        match option {
            "--help" | "-h" => return Ok(Command::Help),
            "--demo" if !serve => demo = true,
            "--redis" => redis = Some(value()?),
            "--port" if serve => port = Some(number(option, &value()?, 0..=u16::MAX)?),
            "--prefix" if serve => prefix = Some(value()?),
            "--seconds" if !serve => seconds = Some(number(option, &value()?, SECONDS)?),
            "--offer" if !serve => offer = Some(number(option, &value()?, OFFER)?),
            "--global" => quotas.global = quota(option, &value()?)?,
            "--user" => quotas.user = quota(option, &value()?)?,
            _ => return Err(format!("unknown option `{argument}`")),
        }
        if let Some(value) = inline {
            return Err(format!("{option} takes no value, but got `{value}`"));
        }
    }

    if serve {
        return Ok(Command::Serve(Serve {
            redis: redis.ok_or("serve needs --redis URL")?,
            port: port.unwrap_or(0),
            prefix: prefix.unwrap_or_else(|| "tidegate".to_owned()),
            quotas,
        }));
    }
    if !demo {
        return Err("say `--demo`, or `serve` for one gateway".to_owned());
    }
    Ok(Command::Demo(Plan {
        redis,
        duration: Duration::from_secs(seconds.unwrap_or(6)),
        offer: offer.unwrap_or(3_000),
        quotas,
    }))
}

fn quota(option: &str, text: &str) -> Result<Quota, String> {
    text.parse()
        .map_err(|error| format!("{option} `{text}`: {error}"))
}

fn number<N>(option: &str, text: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
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
