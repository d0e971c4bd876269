//! The addresses in header fields, and the field `Forwarded` of RFC 7239, read from the right.

use core::iter;
use core::net::{IpAddr, SocketAddr};

/// Returns the addresses in the `for` parameters of a line from the right; `None` for an element
/// that has no address: none at all, `unknown`, an obfuscated name, or a mistake.
///
/// Empty elements are left out, as lists of HTTP allow (RFC 9110, section 5.6.1.2).
///
/// Only what is to the right of an element decides how it is read. So what a client has sent, such
/// as a quote without its end, cannot hide what proxies appended.
pub(super) fn addresses(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> + '_ {
    let mut rest = Some(line);
    let elements = iter::from_fn(move || {
        let (left, element) = split_last(rest?, b',');
        rest = left;
        Some(element)
    });
    elements
        .filter(|element| !element.trim_ascii().is_empty())
        .map(address)
}

/// Reads an address with or without a port.
pub(super) fn parse_address(entry: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(entry).ok()?;
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse().ok().map(IpAddr::V6)
    };
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// The address of an element: its only parameter `for`.
fn address(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(parameters) = rest {
        let (left, parameter) = split_last(parameters, b';');
        rest = left;
        let Some(equals) = parameter.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = parameter.split_at(equals);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            if found.is_some() {
                return None;
            }
            found = Some(&value[1..]);
        }
    }
    let value = found?.trim_ascii();
    // An address contains nothing that has to be escaped.
    let unquoted = || value.strip_prefix(b"\"")?.strip_suffix(b"\"");
    let node = unquoted().unwrap_or(value);
    parse_address(without_obfuscated_port(node))
}

/// `192.0.2.43:_http` without `:_http` (RFC 7239, section 6). Other ports are read with the
/// address.
fn without_obfuscated_port(node: &[u8]) -> &[u8] {
    let colon = node.iter().rposition(|byte| *byte == b':');
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    match colon.map(|colon| node.split_at(colon)) {
        Some((address, [_, b'_', port @ ..])) if port.iter().all(is_part) => address,
        _ => node,
    }
}

/// Splits at the last separator that is not in quotes. The first part is `None` without one.
fn split_last(text: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    for (index, byte) in text.iter().enumerate().rev() {
        if *byte == b'"' && !is_escaped(text, index) {
            is_quoted = !is_quoted;
        } else if *byte == separator && !is_quoted {
            return (Some(&text[..index]), &text[index + 1..]);
        }
    }
    (None, text)
}

/// Whether an odd number of backslashes precedes a byte.
fn is_escaped(text: &[u8], index: usize) -> bool {
    let before = text[..index].iter().rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::addresses;

    fn read(line: &str) -> Vec<String> {
        let addresses = addresses(line.as_bytes());
        let texts = addresses.map(|address| address.map_or("-".into(), |ip| ip.to_string()));
        texts.collect()
    }

    /// Examples of RFC 7239, sections 4 and 6.
    #[test]
    fn forms_of_the_standard() {
        for (line, expected) in [
            (r#"for="_gazonk""#, &["-"][..]),
            (r#"For="[2001:db8:cafe::17]:4711""#, &["2001:db8:cafe::17"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"]),
            (
                "for=192.0.2.43, for=198.51.100.17",
                &["198.51.100.17", "192.0.2.43"],
            ),
            (r#"for="192.0.2.43:47011""#, &["192.0.2.43"]),
            ("for=unknown, by=203.0.113.43", &["-", "-"]),
            (r#"host="a,b;for=1.2.3.4";for=5.6.7.8"#, &["5.6.7.8"]),
            (r#"for="[2001:db8::17]:_http""#, &["2001:db8::17"]),
            ("for=192.0.2.43:_x", &["192.0.2.43"]),
            ("for=192.0.2.43, ,", &["192.0.2.43"]),
            ("", &[]),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn what_a_client_sent_hides_nothing_that_was_appended() {
        for forged in [
            "for=\"1.2.3.4",
            "\"",
            "for=1.2.3.4\\",
            "host=\"a\\",
            ";;for=\"",
            "\\\"",
        ] {
            let line = alloc::format!("{forged}, for=5.6.7.8");
            assert_eq!(read(&line)[0], "5.6.7.8", "{forged}");
            let line = alloc::format!(r#"{forged},for="[2001:db8::1]:80";proto=https"#);
            assert_eq!(read(&line)[0], "2001:db8::1", "{forged}");
        }
    }

    #[test]
    fn repeated_parameter_is_no_address() {
        assert_eq!(read("for=1.2.3.4;for=5.6.7.8"), ["-"]);
        assert_eq!(read("fort=1.2.3.4"), ["-"]);
        assert_eq!(read("for"), ["-"]);
    }
}
