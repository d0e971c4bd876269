//! Removes what containers and log daemons put before a line.
//!
//! Each prefix is recognized by its whole form, so that nothing of a line itself is removed.

use memchr::memchr;

/// A line without its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeled<'a> {
    /// The line.
    pub rest: &'a [u8],
    /// The time in the prefix, if it has a date with a year.
    pub time: Option<&'a [u8]>,
    /// The piece of a long line, if the prefix says that the line was cut.
    pub piece: Option<Piece>,
}

/// A piece of a line that a container runtime cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whether it was written to standard error.
    pub is_stderr: bool,
    /// Whether the next piece of the stream continues the line.
    pub is_partial: bool,
}

impl<'a> Peeled<'a> {
    const fn new(rest: &'a [u8], time: Option<&'a [u8]>) -> Self {
        Self {
            rest,
            time,
            piece: None,
        }
    }
}

/// Removes one prefix, or returns `None` if there is none:
///
/// * CRI: `2024-03-09T23:50:00.49Z stdout F `
/// * syslog of RFC 5424, with or without the length before it: `<190>1 2024-03-09T23:50:00Z web1
///   nginx 812 - - `
/// * syslog of RFC 3164, files of syslog daemons, and `journalctl` in its short forms:
///   `<190>Mar  9 23:50:00 web1 nginx[812]: `, also with a date of ISO 8601 or a number
/// * `docker compose logs`: `web-1  | `
/// * `kubectl logs` with names or times: `[pod/web/nginx] `, `2024-03-09T23:50:00.49Z `
pub fn peel(line: &[u8]) -> Option<Peeled<'_>> {
    match line.first()? {
        b'<' => priority(line),
        b'[' => kubectl(line),
        b'0'..=b'9' => with_time(line)
            .or_else(|| counted(line))
            .or_else(|| compose(line)),
        b'A'..=b'Z' => daemon(line).or_else(|| compose(line)),
        b'a'..=b'z' | b'_' => compose(line),
        0x1b => colored(line),
        _ => None,
    }
}

/// Takes the text up to a space, and what follows the space.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', text)?;
    Some((&text[..space], &text[space + 1..]))
}

/// Whether a word is a time with its date, such as `2024-03-09T23:50:00.49+00:00`.
pub fn is_iso_time(word: &[u8]) -> bool {
    word.len() >= 19
        && word[..4].iter().all(u8::is_ascii_digit)
        && word[4] == b'-'
        && word[7] == b'-'
        && matches!(word[10], b'T' | b't')
        && word[13] == b':'
}

/// A number since 1970 with a fraction, as `journalctl -o short-unix` writes it.
fn is_unix_time(word: &[u8]) -> bool {
    word.len() == 17
        && word[10] == b'.'
        && word
            .iter()
            .filter(|byte| **byte != b'.')
            .all(u8::is_ascii_digit)
}

/// A prefix that begins with a time.
fn with_time(line: &[u8]) -> Option<Peeled<'_>> {
    let (time, rest) = word(line)?;
    if is_unix_time(time) {
        return Some(Peeled::new(after_tag(rest)?, Some(time)));
    }
    if !is_iso_time(time) {
        return None;
    }
    for (stream, is_stderr) in [(&b"stdout "[..], false), (b"stderr ", true)] {
        if let Some(rest) = rest.strip_prefix(stream) {
            let (flags, rest) = word(rest)?;
            // Flags are separated by colons; the first says whether the line goes on.
            let is_partial = match flags.first()? {
                b'F' => false,
                b'P' => true,
                _ => return None,
            };
            let piece = Some(Piece {
                is_stderr,
                is_partial,
            });
            let time = Some(time);
            return Some(Peeled { rest, time, piece });
        }
    }
    let rest = after_tag(rest).or_else(|| is_log_line(rest).then_some(rest))?;
    Some(Peeled::new(rest, Some(time)))
}

/// Whether a text after a bare time can be a line of its own, with a time in brackets before its
/// first quote. Some logs begin with a time and go on in columns, and their time is no prefix.
fn is_log_line(text: &[u8]) -> bool {
    let names = &text[..memchr(b'"', text).unwrap_or(text.len())];
    let is_time = |text: &[u8]| {
        let is_number = text.len() >= 10
            && text
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.');
        is_number || is_iso_time(text) || text.contains(&b'/')
    };
    let mut brackets = names.split(|byte| *byte == b'[').skip(1);
    let is_in_brackets =
        brackets.any(|inner| memchr(b']', inner).is_some_and(|end| is_time(&inner[..end])));
    text.starts_with(b"{") || is_in_brackets
}

/// A syslog message with its length before it.
fn counted(line: &[u8]) -> Option<Peeled<'_>> {
    let (length, rest) = word(line)?;
    let is_length = length.iter().all(u8::is_ascii_digit) && rest.starts_with(b"<");
    is_length.then(|| priority(rest)).flatten()
}

/// A syslog message with its priority.
fn priority(line: &[u8]) -> Option<Peeled<'_>> {
    let end = memchr(b'>', line.get(..5.min(line.len()))?)?;
    if end < 2 || !line[1..end].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let rest = &line[end + 1..];
    match rest.strip_prefix(b"1 ") {
        Some(rest) => rfc5424(rest),
        None => daemon(rest).or_else(|| with_time(rest)),
    }
}

/// The header of RFC 5424 after its version.
fn rfc5424(text: &[u8]) -> Option<Peeled<'_>> {
    let (time, mut rest) = word(text)?;
    if time != b"-" && !is_iso_time(time) {
        return None;
    }
    for _ in ["host", "app", "process", "message"] {
        (_, rest) = word(rest)?;
    }
    if let Some(after) = rest.strip_prefix(b"-") {
        rest = after;
    } else {
        while rest.first() == Some(&b'[') {
            rest = &rest[element_end(rest)?..];
        }
    }
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest);
    Some(Peeled::new(rest, Some(time).filter(|time| *time != b"-")))
}

/// Where an element of structured data ends: `[id name="value"]`, with `\"`, `\\` and `\]` inside.
fn element_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b']', b'\\', text.get(at..)?)?;
        if text[at] == b']' {
            return Some(at + 1);
        }
        at += 2;
    }
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A header that begins with a month, or with a day of the week: `Mar  9 23:50:00 web1 nginx: `,
/// `Sat 2024-03-09 23:50:00 UTC web1 nginx: `.
fn daemon(line: &[u8]) -> Option<Peeled<'_>> {
    let is_clock = |text: &[u8]| text.len() >= 8 && text[2] == b':' && text[5] == b':';
    let (name, rest) = word(line)?;
    if name.len() != 3 {
        return None;
    }
    if MONTHS.contains(&name) {
        let (day, rest) = word(rest.strip_prefix(b" ").unwrap_or(rest))?;
        if day.len() > 2 || !day.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let (mut clock, mut rest) = word(rest)?;
        // Some devices write the year.
        if clock.len() == 4 && clock.iter().all(u8::is_ascii_digit) {
            (clock, rest) = word(rest)?;
        }
        return is_clock(clock)
            .then(|| after_tag(rest))
            .flatten()
            .map(|rest| Peeled::new(rest, None));
    }
    let (date, rest) = word(rest)?;
    let (clock, rest) = word(rest)?;
    let (_zone, rest) = word(rest)?;
    let is_date = date.len() == 10 && date[4] == b'-' && date[7] == b'-' && is_clock(clock);
    is_date
        .then(|| after_tag(rest))
        .flatten()
        .map(|rest| Peeled::new(rest, None))
}

/// Removes `host tag[pid]: ` or `tag: `.
fn after_tag(text: &[u8]) -> Option<&[u8]> {
    let (first, mut rest) = word(text)?;
    if !is_tag(first) {
        let second;
        (second, rest) = word(rest)?;
        if !(is_name(first) && is_tag(second)) {
            return None;
        }
    }
    // The mark of a JSON message.
    let message = rest.strip_prefix(b"@cee:").map(<[u8]>::trim_ascii_start);
    Some(message.unwrap_or(rest))
}

fn is_tag(word: &[u8]) -> bool {
    let Some(name) = word.strip_suffix(b":") else {
        return false;
    };
    let name = match name.strip_suffix(b"]") {
        Some(name) => match memchr(b'[', name) {
            Some(open) => &name[..open],
            None => return false,
        },
        None => name,
    };
    is_name(name)
}

fn is_name(word: &[u8]) -> bool {
    !word.is_empty()
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/@:".contains(byte))
}

/// The prefix of `docker compose logs`.
fn compose(line: &[u8]) -> Option<Peeled<'_>> {
    let (name, rest) = word(line)?;
    let rest = rest.trim_ascii_start().strip_prefix(b"|")?;
    let is_service = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
    is_service.then(|| Peeled::new(rest.strip_prefix(b" ").unwrap_or(rest), None))
}

/// The prefix of `docker compose logs` on a terminal, in the color of its service.
fn colored(line: &[u8]) -> Option<Peeled<'_>> {
    let peeled = compose(without_color(line)?)?;
    let rest = without_color(peeled.rest).unwrap_or(peeled.rest);
    Some(Peeled { rest, ..peeled })
}

/// What follows a sequence such as `ESC[36m`.
fn without_color(text: &[u8]) -> Option<&[u8]> {
    let color = text.strip_prefix(b"\x1b[")?;
    let end = memchr(b'm', color)?;
    let is_color = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
    color[..end].iter().all(is_color).then(|| &color[end + 1..])
}

/// The prefix of `kubectl logs --prefix`.
fn kubectl(line: &[u8]) -> Option<Peeled<'_>> {
    let name = line.strip_prefix(b"[pod/")?;
    let close = memchr(b']', name)?;
    let rest = name[close + 1..].strip_prefix(b" ")?;
    is_name(&name[..close]).then(|| Peeled::new(rest, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_removed() {
        for (prefix, time) in [
            (
                "2024-03-09T23:50:00.493000000Z stdout F ",
                "2024-03-09T23:50:00.493000000Z",
            ),
            (
                "2024-03-09T23:50:00.493000000+01:00 stderr F ",
                "2024-03-09T23:50:00.493000000+01:00",
            ),
            ("<190>Mar 09 23:50:00 web1 nginx: ", ""),
            ("<190>Mar  9 23:50:00 web1 nginx[812]: ", ""),
            ("<190>Mar  9 23:50:00 nginx: ", ""),
            ("<190>Mar  9 23:50:00 web1 nginx: @cee: ", ""),
            ("<190>Mar  9 2024 23:50:00 web1 nginx: ", ""),
            ("Mar 09 23:50:00 web1 haproxy[14389]: ", ""),
            ("Mar 09 23:50:00.493000 web1 nginx[812]: ", ""),
            ("Sat 2024-03-09 23:50:00 UTC web1 nginx[812]: ", ""),
            (
                "2024-03-09T23:50:00+0000 web1 nginx[812]: ",
                "2024-03-09T23:50:00+0000",
            ),
            (
                "2024-03-09T23:50:00.493000+00:00 web1 nginx: ",
                "2024-03-09T23:50:00.493000+00:00",
            ),
            ("1710028200.493000 web1 nginx[812]: ", "1710028200.493000"),
            (
                "<190>1 2024-03-09T23:50:00.49Z web1 nginx 812 - - ",
                "2024-03-09T23:50:00.49Z",
            ),
            ("<190>1 - web1 nginx - - - ", ""),
            ("312 <190>1 - web1 nginx - - - ", ""),
            ("web-1  | ", ""),
            ("nginx_1 | ", ""),
            ("\x1b[36mweb-1  | \x1b[0m", ""),
            ("2-web | ", ""),
            ("[pod/web-5d4f/nginx] ", ""),
            (
                "2024-03-09T23:50:00.493000000Z ",
                "2024-03-09T23:50:00.493000000Z",
            ),
        ] {
            let line = format!("{prefix}203.0.113.5 - - [09/Mar/2024:23:50:00 +0000] \"GET /\"");
            let peeled = peel(line.as_bytes()).unwrap_or_else(|| panic!("{prefix}"));
            assert!(peeled.rest.starts_with(b"203.0.113.5 - -"), "{prefix}");
            assert_eq!(peeled.time.unwrap_or_default(), time.as_bytes(), "{prefix}");
            assert_eq!(peel(peeled.rest), None);
        }
    }

    #[test]
    fn structured_data() {
        let line = b"<34>1 - h a - - [x k=\"\\]\\\"\"][y] \xef\xbb\xbfrest";
        assert_eq!(peel(line).unwrap().rest, b"rest");
    }

    #[test]
    fn pieces_of_long_lines() {
        let piece = |flags: &str| {
            let line = format!("2024-03-09T23:50:00Z stderr {flags} a");
            peel(line.as_bytes()).unwrap().piece.unwrap()
        };
        assert!(piece("P").is_partial && piece("P").is_stderr);
        assert!(!piece("F").is_partial);
        assert!(piece("P:x").is_partial);
    }

    #[test]
    fn lines_without_prefix_stay() {
        for line in [
            "203.0.113.5 - - [09/Mar/2024:23:50:00 +0000] \"GET / HTTP/1.1\" 200 1",
            "www.example.com:443 203.0.113.5 - - [09/Mar/2024:23:50:00 +0000]",
            "Mar - - [09/Mar/2024:23:50:00 +0000] \"GET / HTTP/1.1\" 200 1",
            "[2024-03-09T23:50:00.490Z] \"GET / HTTP/1.1\" 200",
            "[2001:db8::1]:443 - - [09/Mar/2024:23:50:00 +0000]",
            "https 2024-03-09T23:50:00.529000Z app/my-lb 203.0.113.5:2817",
            "2015-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 10.0.0.1:80",
            "2015-05-13T23:39:43.945958Z my-lb [2001:db8::1]:2817 10.0.0.1:80",
            "a b | c",
            "<x>",
            "<190",
            "",
            " ",
        ] {
            assert_eq!(peel(line.as_bytes()), None, "{line}");
        }
    }
}
