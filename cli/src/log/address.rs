//! Recognizes addresses in the forms in which logs write them.

use std::net::{IpAddr, Ipv6Addr};

/// The longest text that is parsed: an IPv6 address with brackets, zone, port and quotes.
const MAX_LENGTH: usize = 80;

/// Parses an address, without its port, brackets, quotes and zone.
///
/// `203.0.113.7`, `203.0.113.7:50000`, `2001:db8::7`, `[2001:db8::7]:443` and `fe80::1%eth0` are
/// addresses. `::ffff:203.0.113.7` is `203.0.113.7`. Names are not looked up.
///
/// An IPv6 address and its port without brackets, as HAProxy and `$remote_addr:$remote_port` write
/// them, are told apart if the whole is not an address. See [`parse_with_port`].
pub fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = bare(text)?;
    if let Some(inner) = text.strip_prefix('[') {
        let (inner, port) = inner.split_once(']')?;
        let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return has_port.then(|| parse_v6(inner)).flatten();
    }
    let parsed = match text.bytes().filter(|byte| *byte == b':').count() {
        0 => text.parse().ok(),
        1 => without_port(text)?.parse().ok().map(IpAddr::V4),
        _ => parse_v6(text).or_else(|| parse_v6(without_port(text)?)),
    };
    parsed.map(|ip| ip.to_canonical())
}

/// Parses an address that always has a port, such as `2001:db8::7:443` in a log of HAProxy.
pub fn parse_with_port(text: &[u8]) -> Option<IpAddr> {
    match bare(text)?.rsplit_once(':') {
        Some((address, port)) if is_port(port) && !address.starts_with('[') => {
            parse(address.as_bytes())
        }
        _ => parse(text),
    }
}

/// Whether an address is private or local, as those of one's own proxies are.
pub fn is_own(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether logs write this text for a missing value.
pub fn is_missing(text: &[u8]) -> bool {
    matches!(text, b"" | b"-" | b"\"-\"" | b"\"\"")
}

/// Whether a text is an address and nothing else.
pub fn is_bare(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

fn bare(text: &[u8]) -> Option<&str> {
    let text = text.trim_ascii();
    if text.len() > MAX_LENGTH {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    let unquoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    Some(unquoted.unwrap_or(text))
}

fn parse_v6(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    let ip: Ipv6Addr = address.parse().ok()?;
    Some(IpAddr::V6(ip).to_canonical())
}

fn without_port(text: &str) -> Option<&str> {
    let (address, port) = text.rsplit_once(':')?;
    is_port(port).then_some(address)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The hops of a list such as `203.0.113.5, 10.0.0.1`, or of a `Forwarded` field. Quotes and
/// parentheses around them are dropped.
pub fn hops(list: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let words = list.split(|byte| matches!(byte, b',' | b' '));
    words.filter_map(hop).filter(|hop| !hop.is_empty())
}

/// The address in a word of a list, or `None` for the other parameters of `Forwarded`.
fn hop(word: &[u8]) -> Option<&[u8]> {
    if !word.contains(&b'=') {
        return Some(unquoted(word));
    }
    word.split(|byte| *byte == b';').find_map(|part| {
        let (name, node) = unquoted(part).split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then_some(unquoted(node))
    })
}

/// A word without the quotes and parentheses around it.
pub fn unquoted(mut word: &[u8]) -> &[u8] {
    while let [b'"' | b'(' | b'\'', rest @ ..] | [rest @ .., b'"' | b')' | b'\''] = word {
        word = rest;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parsed: Option<IpAddr>) -> String {
        parsed.map_or_else(|| "none".to_owned(), |ip| ip.to_string())
    }

    #[test]
    fn forms() {
        for (raw, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:50000", "203.0.113.7"),
            ("2001:DB8:0::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("[::1]:443", "::1"),
            ("\"[2001:db8::7]:443\"", "2001:db8::7"),
            ("2001:db8::7:50000", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7:50000", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
            ("fe80::1%eth0", "fe80::1"),
            (" 203.0.113.7 ", "203.0.113.7"),
            ("www.example.com", "none"),
            ("www.example.com:443", "none"),
            ("203.0.113.7:99999", "none"),
            ("203.0.113.7:", "none"),
            ("203.0.113.7:+1", "none"),
            ("203.0.113.256", "none"),
            ("203.0.113.7,", "none"),
            ("[203.0.113.7]x", "none"),
            ("[2001:db8::7", "none"),
            ("10", "none"),
            ("unix:", "none"),
            ("-", "none"),
            ("", "none"),
        ] {
            assert_eq!(text(parse(raw.as_bytes())), expected, "{raw}");
        }
        // This could be an address of its own, so only the format tells.
        assert_eq!(text(parse(b"2001:db8::7:443")), "2001:db8::7:443");
        for raw in ["2001:db8::7:443", "[2001:db8::7]:443"] {
            assert_eq!(text(parse_with_port(raw.as_bytes())), "2001:db8::7");
        }
    }

    #[test]
    fn lists() {
        for (list, expected) in [
            ("203.0.113.5, 10.1.2.3", "203.0.113.5|10.1.2.3"),
            ("\"203.0.113.5,10.1.2.3\"", "203.0.113.5|10.1.2.3"),
            (
                "for=203.0.113.5;proto=https; host=a, By=x;FOR=\"[2001:db8::7]:443\"",
                "203.0.113.5|[2001:db8::7]:443",
            ),
            ("198.51.100.1:80 203.0.113.5", "198.51.100.1:80|203.0.113.5"),
            (
                "\"203.0.113.5, 10.0.0.1\" (10.0.0.3)",
                "203.0.113.5|10.0.0.1|10.0.0.3",
            ),
            ("\"-\"", "-"),
            ("", ""),
        ] {
            let found: Vec<&[u8]> = hops(list.as_bytes()).collect();
            assert_eq!(found.join(&b'|'), expected.as_bytes(), "{list}");
        }
    }
}
