//! Splits lines of the common log format and its relatives:
//! `host ident user [time] "request" status bytes "referer" "agent"`.
//!
//! Relatives have a virtual host or other words before the client, a list of forwarded addresses,
//! the client in brackets (ingress-nginx), or only the client before the time (HAProxy).
//!
//! A line is parsed only as far as its key needs. The names and the time are always parsed, the
//! quoted fields on demand. So a request with a truncated agent still counts for its address.

use memchr::{memchr, memchr2};

use super::address;

/// How many words may stand before the client.
const MAX_BEFORE_CLIENT: usize = 2;

/// The unquoted fields at the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The text before the time, without spaces at its ends.
    pub names: &'a [u8],
    /// The text between the brackets.
    pub time: &'a [u8],
    /// The text after the closing bracket.
    pub rest: &'a [u8],
}

/// Parses the head of a line.
///
/// # Errors
///
/// Names what is missing.
#[inline]
pub fn head(line: &[u8]) -> Result<Head<'_>, &'static str> {
    let open = bracket(line, 0)?;
    at_bracket(line, open)
}

/// The head with the next bracket, if the text in the first is not a time.
///
/// # Errors
///
/// As [`head`].
pub fn next_head<'a>(line: &'a [u8], head: &Head<'a>) -> Result<Head<'a>, &'static str> {
    let from = line.len() - head.rest.len();
    at_bracket(line, bracket(line, from)?)
}

/// Finds a bracket after a space. A user name may contain others.
fn bracket(line: &[u8], mut from: usize) -> Result<usize, &'static str> {
    loop {
        let rest = line.get(from..).unwrap_or_default();
        let at = from + memchr(b'[', rest).ok_or("no time in brackets")?;
        if at > 0 && line[at - 1] == b' ' {
            return Ok(at);
        }
        from = at + 1;
    }
}

fn at_bracket(line: &[u8], open: usize) -> Result<Head<'_>, &'static str> {
    let rest = &line[open + 1..];
    let close = memchr(b']', rest).ok_or("no bracket after the time")?;
    Ok(Head {
        names: line[..open].trim_ascii(),
        time: &rest[..close],
        rest: &rest[close + 1..],
    })
}

/// The names before the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// What stands before the client, such as a virtual host.
    pub before: &'a [u8],
    /// The client: an address, or several that are separated by spaces or commas. The first word
    /// if there is no address.
    pub client: &'a [u8],
    /// Whether `client` begins with an address.
    pub has_address: bool,
    /// The addresses in brackets, which ingress-nginx writes.
    pub in_brackets: &'a [u8],
    /// The user who logged in, or `-`.
    pub user: &'a [u8],
}

impl<'a> Head<'a> {
    /// The first word, which is the client in the common log format.
    #[inline]
    pub fn first_word(&self) -> &'a [u8] {
        match memchr(b' ', self.names) {
            Some(space) => &self.names[..space],
            None => self.names,
        }
    }

    /// Whether the request follows the time at once.
    #[inline]
    pub fn is_before_request(&self) -> bool {
        self.rest.starts_with(b" \"")
    }

    /// Finds the client among the names.
    pub fn names(&self) -> Names<'a> {
        let mut names = Names::default();
        let mut at = 0;
        for skipped in 0..=MAX_BEFORE_CLIENT {
            let (word, next) = word_at(self.names, at);
            if word.is_empty() || (word == b"-" && skipped > 0) {
                break;
            }
            if is_address(word) {
                names.before = self.names[..at].trim_ascii();
                return self.with_client(names, at);
            }
            at = next;
        }
        let (first, next) = word_at(self.names, 0);
        names.client = first;
        names.user = user(&self.names[next..]);
        names
    }

    /// Completes the names with the run of addresses that begins at `start`.
    fn with_client(&self, mut names: Names<'a>, start: usize) -> Names<'a> {
        let (mut end, mut at) = (start, start);
        let has_host = self.has_host_after(start);
        loop {
            let (word, next) = word_at(self.names, at);
            if has_host && at > start {
                break;
            }
            // A list may contain words such as `unknown`, which end with a comma.
            let is_listed = word.ends_with(b",") || self.names[..end].ends_with(b",");
            if word.is_empty() || word == b"-" || !(is_listed || is_address(word)) {
                break;
            }
            end = at + word.len();
            at = next;
        }
        names.client = &self.names[start..end];
        names.has_address = true;
        let mut rest = self.names[end..].trim_ascii_start();
        if let Some(inner) = rest.strip_prefix(b"- [")
            && let Some(close) = memchr(b']', inner)
        {
            names.in_brackets = &inner[..close];
            rest = &inner[close + 1..];
        }
        names.user = user(rest);
        names
    }

    /// Whether the word after the client at `start` is a virtual host or an identity, as in
    /// `client host user`, though it may look like an address. In longer lines, the word is one
    /// more address.
    fn has_host_after(&self, start: usize) -> bool {
        let mut words = self.names[start..]
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let (client, host) = (words.next(), words.next());
        let is_single = client.is_some_and(|client| !client.ends_with(b","));
        is_single
            && host.is_some_and(|host| {
                !host.contains(&b',') && !matches!(host.first(), Some(b'"' | b'(' | b'\''))
            })
            && words.next().is_some()
            && words.next().is_none()
    }

    /// Whether the line is of HAProxy, which writes nothing but the client before the time. Then
    /// the client always has a port. If its request follows at once, the line is of another.
    pub fn has_only_client(&self) -> bool {
        let is_single = !self.names.is_empty() && memchr(b' ', self.names).is_none();
        is_single && !self.rest.trim_ascii_start().starts_with(b"\"")
    }

    /// The quoted texts after the time.
    pub const fn quotes(&self) -> Quotes<'a> {
        Quotes(self.rest)
    }

    /// Returns the path of the request, without its query.
    ///
    /// # Errors
    ///
    /// If the request is missing.
    pub fn path(&self) -> Result<&'a [u8], &'static str> {
        let request = self.quotes().next().ok_or("no request in quotes")?;
        Ok(path_of(request))
    }

    /// Returns the agent, which is the third quoted text.
    ///
    /// # Errors
    ///
    /// If a quoted text is missing, as in a common log.
    pub fn agent(&self) -> Result<&'a [u8], &'static str> {
        let mut quotes = self.quotes();
        quotes.next().ok_or("no request in quotes")?;
        quotes.next().ok_or("no referer in quotes")?;
        quotes.next().ok_or("no agent in quotes")
    }

    /// Returns the forwarded addresses, which nginx's example format writes after the agent.
    /// Private addresses with ports are not: other formats write the upstream servers there.
    pub fn forwarded(&self) -> &'a [u8] {
        let list = self.quotes().nth(3).unwrap_or_default();
        let is_forwarded = |hop: &[u8]| {
            let ip = address::parse(hop);
            ip.is_some_and(|ip| !address::is_own(ip) || address::is_bare(hop))
        };
        let mut elements = list.split(|byte| *byte == b',');
        let is_list = elements.all(|element| memchr(b' ', element.trim_ascii()).is_none());
        if is_list && address::hops(list).any(is_forwarded) {
            list
        } else {
            b""
        }
    }

    /// Returns another field by its name, or `None` if the format has no such field.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        let request = || self.quotes().next().unwrap_or_default();
        let word = |text: &'a [u8], number: usize| {
            let mut words = text
                .split(|byte| *byte == b' ')
                .filter(|word| !word.is_empty());
            words.nth(number).unwrap_or_default()
        };
        let word_of = |number: usize| word(self.rest, number);
        let after_request = || {
            let mut quotes = self.quotes();
            quotes.next();
            quotes.0
        };
        if self.has_only_client()
            && let Some(word) = haproxy_word(name)
        {
            // The times of a request have five parts, those of a TCP connection have three.
            let times = word_of(2).split(|byte| *byte == b'/').count();
            return Some(if times == 5 { word_of(word) } else { b"" });
        }
        Some(match name {
            "client" => self.names().client,
            "host" => self.names().before,
            "user" => self.names().user,
            "method" => word(request(), 0),
            "path" => path_of(request()),
            "protocol" => word(request(), 2),
            "status" => word(after_request(), 0),
            "bytes" | "body_bytes_sent" | "bytes_sent" => word(after_request(), 1),
            "referer" => self.quotes().nth(1).unwrap_or_default(),
            "agent" => self.quotes().nth(2).unwrap_or_default(),
            "forwarded" => self.forwarded(),
            _ => return None,
        })
    }
}

/// The place of a field among the words after the time that HAProxy writes:
/// `frontend backend/server 0/0/1/2/3 200 1234`.
fn haproxy_word(field: &str) -> Option<usize> {
    match field {
        "status" => Some(3),
        "bytes" | "body_bytes_sent" | "bytes_sent" => Some(4),
        _ => None,
    }
}

/// The names of [`Head::field`].
pub const FIELDS: [&str; 11] = [
    "client",
    "host",
    "user",
    "method",
    "path",
    "protocol",
    "status",
    "bytes",
    "referer",
    "agent",
    "forwarded",
];

/// The word at an index, and the index of the next.
fn word_at(text: &[u8], at: usize) -> (&[u8], usize) {
    let rest = text.get(at..).unwrap_or_default();
    let length = memchr(b' ', rest).unwrap_or(rest.len());
    let spaces = rest[length..]
        .iter()
        .take_while(|byte| **byte == b' ')
        .count();
    (&rest[..length], at + length + spaces)
}

/// Whether a word is an address, or a list that begins with one.
fn is_address(word: &[u8]) -> bool {
    let first = word.split(|byte| *byte == b',').next().unwrap_or_default();
    let first = address::unquoted(first);
    // The cheap check comes first, because most words are names.
    let may_be = first.iter().any(u8::is_ascii_digit) || first.contains(&b':');
    may_be && address::parse(first).is_some()
}

/// The user in `ident user`, whose name may contain spaces.
fn user(names: &[u8]) -> &[u8] {
    let names = names.trim_ascii();
    match memchr(b' ', names) {
        Some(space) => names[space + 1..].trim_ascii(),
        None => b"-",
    }
}

/// The texts in quotes. A backslash escapes a quote.
#[derive(Clone, Debug)]
pub struct Quotes<'a>(&'a [u8]);

impl<'a> Iterator for Quotes<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0;
        let start = memchr(b'"', text)? + 1;
        let mut end = start;
        loop {
            end += memchr2(b'"', b'\\', text.get(end..)?)?;
            if text[end] == b'"' {
                self.0 = &text[end + 1..];
                return Some(&text[start..end]);
            }
            end += 2;
        }
    }
}

/// Returns the method of `GET /path HTTP/1.1`. Any other text is returned whole.
pub fn method_of(request: &[u8]) -> &[u8] {
    match memchr(b' ', request) {
        Some(space) if is_method(&request[..space]) => &request[..space],
        _ => request,
    }
}

/// Whether a word can be a method. A path begins with a slash.
fn is_method(word: &[u8]) -> bool {
    !word.is_empty()
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(byte))
}

/// Returns the path of `GET /path?query HTTP/1.1`, of a bare target, or of an address such as
/// `https://www.example.com/path`. Any other text is returned whole.
pub fn path_of(request: &[u8]) -> &[u8] {
    let mut words = request.splitn(3, |byte| *byte == b' ');
    let target = match (words.next(), words.next()) {
        (Some(method), Some(target)) if is_method(method) && !target.is_empty() => target,
        _ => request,
    };
    let target = match memchr(b'?', target) {
        Some(end) => &target[..end],
        None => target,
    };
    let is_whole = [&b"http://"[..], b"https://", b"ws://", b"wss://"];
    let host = is_whole
        .iter()
        .find_map(|scheme| target.strip_prefix(*scheme));
    match host.map(|host| memchr(b'/', host).map(|slash| &host[slash..])) {
        Some(Some(path)) => path,
        Some(None) => b"/",
        None => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_line() {
        let line = br#"10.0.0.1 - ann b [17/May/2015:10:05:03 +0000] "GET /a\"b?c=[d] HTTP/1.1" "#;
        let line = [&line[..], br#"200 5 "-" "Agent \\""#].concat();
        let head = head(&line).unwrap();
        assert_eq!(head.first_word(), b"10.0.0.1");
        assert_eq!(head.names().user, b"ann b");
        assert_eq!(head.time, b"17/May/2015:10:05:03 +0000");
        assert_eq!(head.path(), Ok(&br#"/a\"b"#[..]));
        assert_eq!(head.agent(), Ok(&br"Agent \\"[..]));
        for (name, expected) in [
            ("client", "10.0.0.1"),
            ("method", "GET"),
            ("protocol", "HTTP/1.1"),
            ("status", "200"),
            ("bytes", "5"),
            ("referer", "-"),
        ] {
            assert_eq!(head.field(name), Some(expected.as_bytes()));
        }
        assert!(FIELDS.iter().all(|name| head.field(name).is_some()));
        assert_eq!(head.field("tenant"), None);
    }

    #[test]
    fn missing_parts() {
        let error = |line: &'static str| head(line.as_bytes()).unwrap_err();
        assert_eq!(error(""), "no time in brackets");
        assert_eq!(error("a - - x"), "no time in brackets");
        assert_eq!(error("a - -[x]"), "no time in brackets");
        assert_eq!(error("a - - [x"), "no bracket after the time");
        let head = head(b"a - - [x] \"GET / HTTP/1.0\" 200 1").unwrap();
        assert_eq!(head.agent(), Err("no referer in quotes"));
        let truncated = Head {
            rest: b"\"GET /\\",
            ..head
        };
        assert_eq!(truncated.path(), Err("no request in quotes"));
    }

    #[test]
    fn clients_among_names() {
        for (names, before, client, user) in [
            ("203.0.113.5 - -", "", "203.0.113.5", "-"),
            ("203.0.113.5 - ann b", "", "203.0.113.5", "ann b"),
            (
                "www.example.com:443 203.0.113.5 - ann",
                "www.example.com:443",
                "203.0.113.5",
                "ann",
            ),
            (
                "web-5d4f nginx 203.0.113.5 - ann",
                "web-5d4f nginx",
                "203.0.113.5",
                "ann",
            ),
            (
                "65.215.163.8, ::ffff:10.0.0.1 - ann",
                "",
                "65.215.163.8, ::ffff:10.0.0.1",
                "ann",
            ),
            (
                "65.215.163.8,10.0.0.1 - ann",
                "",
                "65.215.163.8,10.0.0.1",
                "ann",
            ),
            (
                "65.215.163.8, unknown, 10.0.0.1 - ann",
                "",
                "65.215.163.8, unknown, 10.0.0.1",
                "ann",
            ),
            (
                "198.51.100.1:80 203.0.113.5 - ann",
                "",
                "198.51.100.1:80 203.0.113.5",
                "ann",
            ),
            ("- 203.0.113.5 - ann", "-", "203.0.113.5", "ann"),
            ("203.0.113.5 198.51.100.9 ann", "", "203.0.113.5", "ann"),
            ("10.0.0.1 198.51.100.9 -", "", "10.0.0.1", "-"),
            (
                "\"65.215.163.8, 10.0.0.1\" 10.0.0.3 - ann",
                "",
                "\"65.215.163.8, 10.0.0.1\" 10.0.0.3",
                "ann",
            ),
            (
                "10.0.0.3 (203.0.113.5) - ann",
                "",
                "10.0.0.3 (203.0.113.5)",
                "ann",
            ),
            ("\"-\" 203.0.113.5 - ann", "\"-\"", "203.0.113.5", "ann"),
            ("[2001:db8::7]:443 - ann", "", "[2001:db8::7]:443", "ann"),
            ("203.0.113.5:9", "", "203.0.113.5:9", "-"),
            ("", "", "", "-"),
        ] {
            let line = format!("{names} [t] x");
            let head = head(line.as_bytes()).unwrap();
            let found = head.names();
            assert_eq!(found.before, before.as_bytes(), "{names}");
            assert_eq!(found.client, client.as_bytes(), "{names}");
            assert_eq!(found.user, user.as_bytes(), "{names}");
            assert_eq!(found.has_address, !names.is_empty(), "{names}");
        }
        for (names, client) in [
            ("crawl.example.com - -", "crawl.example.com"),
            ("a.example - 203.0.113.5", "a.example"),
            ("- - -", "-"),
        ] {
            let line = format!("{names} [t] x");
            let found = head(line.as_bytes()).unwrap().names();
            assert_eq!(
                (found.client, found.has_address),
                (client.as_bytes(), false)
            );
        }
    }

    #[test]
    fn client_in_brackets() {
        let line = b"10.0.0.1 - [203.0.113.5] - ann [09/Mar/2024:23:50:00 +0000] \"GET /\"";
        let first = head(line).unwrap();
        assert_eq!(first.time, b"203.0.113.5");
        let head = next_head(line, &first).unwrap();
        assert_eq!(head.time, b"09/Mar/2024:23:50:00 +0000");
        let names = head.names();
        assert_eq!(names.in_brackets, b"203.0.113.5");
        assert_eq!(names.client, b"10.0.0.1");
        assert_eq!(names.user, b"ann");
    }

    #[test]
    fn forwarded_addresses_follow_the_agent() {
        for (quoted, expected) in [
            ("203.0.113.5, 10.0.0.2", "203.0.113.5, 10.0.0.2"),
            ("unknown, 203.0.113.5", "unknown, 203.0.113.5"),
            ("203.0.113.5:50123", "203.0.113.5:50123"),
            (
                "203.0.113.5:50123, 10.0.0.2:80",
                "203.0.113.5:50123, 10.0.0.2:80",
            ),
            ("[2001:db8::7]:443", "[2001:db8::7]:443"),
            ("for=203.0.113.5;proto=https", "for=203.0.113.5;proto=https"),
            ("-", ""),
            ("unknown", ""),
            ("seen from 203.0.113.5", ""),
            ("10.0.0.50:3000", ""),
            ("10.0.0.50:3000, 10.0.0.51:3000", ""),
            ("api@docker", ""),
        ] {
            let line = format!("10.0.0.1 - - [t] \"GET /\" 200 1 \"-\" \"Agent\" \"{quoted}\"");
            let head = head(line.as_bytes()).unwrap();
            assert_eq!(head.forwarded(), expected.as_bytes());
        }
    }

    #[test]
    fn paths() {
        assert_eq!(path_of(b"GET /a?b HTTP/1.1"), b"/a");
        assert_eq!(
            path_of(b"GET https://www.example.com:443/a?b HTTP/1.1"),
            b"/a"
        );
        assert_eq!(path_of(b"https://www.example.com?b"), b"/");
        assert_eq!(path_of(b"/a?b?c"), b"/a");
        assert_eq!(path_of(b"/a b c"), b"/a b c");
        assert_eq!(method_of(b"PROPFIND /a HTTP/1.1"), b"PROPFIND");
        assert_eq!(method_of(b"/a b"), b"/a b");
        assert_eq!(path_of(b"-"), b"-");
        assert_eq!(path_of(b"GET "), b"GET ");
        assert_eq!(path_of(b""), b"");
    }
}
