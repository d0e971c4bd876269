//! Reads the limits of nginx's `limit_req`, such as `rate=5r/s burst=10 nodelay`.
//!
//! nginx keeps for each client the *excess*: the requests that it is ahead of the rate, in
//! thousandths. A request adds one to the excess, except for the first after a pause, and it is
//! refused if the excess would be above `burst`. That is a bucket of `burst + 1` tokens: the excess
//! is what it lacks to be full, without the token of the latest request.
//!
//! The rate is kept in thousandths of a request per second, rounded down, so `1r/m` is 0.016 per
//! second: one request in 62.5 seconds. Without `nodelay`, requests of the burst are delayed, but
//! the same requests are refused.

use std::time::Duration;

use tidegate::Quota;

/// A limit in nginx's notation, as the quota that decides the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NginxLimit {
    /// The quota.
    pub quota: Quota,
    /// What differs from how the text reads.
    pub note: String,
    /// How many requests of the burst are admitted without a delay; `None` if none is delayed.
    pub delay: Option<u64>,
}

/// Whether a text is meant for nginx: it has a `rate=`, or begins with a directive.
pub fn is_nginx(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("limit_req")
        || words(text).any(|word| word.starts_with("rate=") || word == "nodelay")
}

/// Words and semicolons apart.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter.is_whitespace() || letter == ';')
        .filter(|word| !word.is_empty())
}

/// Parses parameters of `limit_req_zone` and `limit_req`, with or without the directives' names.
///
/// # Errors
///
/// Names the word that cannot be read or what is missing.
pub fn parse(text: &str) -> Result<NginxLimit, String> {
    let (mut rate, mut burst, mut delay) = (None, None, None);
    let mut is_key = false;
    for word in words(text) {
        // The key may be any text.
        if std::mem::replace(&mut is_key, word == "limit_req_zone") {
            continue;
        }
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let is_new = match name {
            "rate" => rate.replace(value).is_none(),
            "burst" => burst.replace(number(name, value)?).is_none(),
            "delay" => delay.replace(number(name, value)?).is_none(),
            "nodelay" if value.is_empty() => delay.replace(u64::MAX).is_none(),
            "limit_req_zone" | "limit_req" | "zone" | "sync" => true,
            _ if word.starts_with('$') => true,
            _ => return Err(format!("`{word}` is no parameter of nginx's limit_req")),
        };
        if !is_new {
            return Err(format!("`{name}` twice: give one limit at a time"));
        }
    }
    let rate = rate.ok_or("nginx's limit needs its rate, such as `rate=5r/s`")?;
    let burst = burst.unwrap_or(0);
    let (count, seconds) = match rate.split_once("r/") {
        Some((count, "s")) => (count, 1),
        Some((count, "m")) => (count, 60),
        _ => {
            return Err(format!(
                "`rate={rate}`: expected `rate=5r/s` or `rate=30r/m`"
            ));
        }
    };
    let count = number("rate", count)?;
    let thousandths = count.checked_mul(1_000).ok_or("the rate is too high")? / seconds;
    let is_rounded = count * 1_000 % seconds != 0;
    let quota = if is_rounded {
        Quota::new(thousandths, Duration::from_secs(1_000))
    } else {
        Quota::new(count, Duration::from_secs(seconds))
    };
    let capacity = burst.checked_add(1).ok_or("the burst is too large")?;
    let quota = quota.and_then(|quota| quota.try_burst(capacity));
    let quota = quota.map_err(|error| error.to_string())?;
    let note = note(quota, rate, is_rounded, burst, delay);
    let delay = match delay {
        Some(u64::MAX) => None,
        _ if burst == 0 => None,
        delay => Some(delay.unwrap_or(0)),
    };
    Ok(NginxLimit { quota, note, delay })
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    let is_digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_digits);
    let number = number.filter(|number| *number > 0 || name != "rate");
    number.ok_or_else(|| format!("`{name}={value}`: expected a whole number"))
}

fn note(quota: Quota, rate: &str, is_rounded: bool, burst: u64, delay: Option<u64>) -> String {
    let mut note = format!(
        "nginx's `rate={rate} burst={burst}` decides as {quota}: it admits one request and the \
         burst at once"
    );
    if is_rounded {
        note += ", and rounds its rate down to thousandths of a request per second";
    }
    note += match delay {
        Some(u64::MAX) => ".",
        _ if burst == 0 => ".",
        Some(_) => ". Requests beyond `delay` would wait for a while, which is not shown.",
        None => ". Without `nodelay`, requests of the burst would wait, which is not shown.",
    };
    note
}

#[cfg(test)]
mod tests {
    use super::{is_nginx, parse};

    #[test]
    fn nginx_limits_are_quotas() {
        for (text, expected) in [
            ("rate=5r/s burst=10 nodelay", "5/s burst 11"),
            ("rate=5r/s", "5/s burst 1"),
            ("rate=30r/m burst=5 delay=3", "30/min burst 6"),
            ("rate=1r/m", "16/1000s burst 1"),
            ("rate=100r/m burst=20", "1666/1000s burst 21"),
            (
                "limit_req_zone $binary_remote_addr zone=one:10m rate=2r/s;\n  \
                 limit_req zone=one burst=4 nodelay;",
                "2/s burst 5",
            ),
        ] {
            assert!(is_nginx(text), "{text}");
            let quota: tidegate::Quota = expected.parse().unwrap();
            assert_eq!(parse(text).unwrap().quota, quota, "{text}");
        }
        assert!(!is_nginx("100/min burst=20") && !is_nginx("5r/s burst 3"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("limit_req zone=one burst=5", "needs its rate"),
            ("rate=5", "`rate=5`"),
            ("rate=0r/s", "whole number"),
            ("rate=-1r/s", "whole number"),
            ("rate=5r/h", "rate=30r/m"),
            ("rate=5r/s burst=x", "`burst=x`"),
            ("rate=5r/s rate=6r/s", "twice"),
            ("rate=5r/s nodelay delay=2", "twice"),
            ("rate=5r/s brust=3", "`brust=3`"),
            ("rate=99999999999999999999r/s", "whole number"),
            ("rate=5r/s burst=18446744073709551615", "too large"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
