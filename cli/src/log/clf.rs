//! Splits lines of the common and combined log formats:
//! `host ident user [time] "request" status bytes "referer" "agent"`.
//!
//! A line is parsed only as far as its key needs. The address, the user and the time are always
//! parsed, the quoted fields on demand. So a request with a truncated agent still counts for its
//! address.

use memchr::{memchr, memchr2, memmem};

/// The unquoted fields at the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The client's address or name.
    pub host: &'a [u8],
    /// The user who logged in, or `-`.
    pub user: &'a [u8],
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
pub fn head(line: &[u8]) -> Result<Head<'_>, &'static str> {
    let space = memchr(b' ', line).ok_or("no space after the address")?;
    let (host, rest) = line.split_at(space);
    if host.is_empty() {
        return Err("the line begins with a space");
    }
    // A user name may contain brackets, so the time begins at the first bracket after a space.
    let open = memmem::find(rest, b" [").ok_or("no time in brackets")?;
    let names = &rest[..open];
    let rest = &rest[open + 2..];
    let close = memchr(b']', rest).ok_or("no bracket after the time")?;
    let names = names.strip_prefix(b" ").unwrap_or(names);
    let user = match memchr(b' ', names) {
        Some(space) => names[space + 1..].trim_ascii(),
        None => b"-",
    };
    Ok(Head {
        host,
        user,
        time: &rest[..close],
        rest: &rest[close + 1..],
    })
}

/// Returns the text between the next two quotes, and the rest. A backslash escapes a quote.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = memchr(b'"', text)? + 1;
    let mut end = start;
    loop {
        end += memchr2(b'"', b'\\', text.get(end..)?)?;
        if text[end] == b'"' {
            return Some((&text[start..end], &text[end + 1..]));
        }
        end += 2;
    }
}

impl<'a> Head<'a> {
    /// Returns the path of the request, without its query.
    ///
    /// # Errors
    ///
    /// If the request is missing.
    pub fn path(&self) -> Result<&'a [u8], &'static str> {
        let (request, _) = quoted(self.rest).ok_or("no request in quotes")?;
        Ok(path_of(request))
    }

    /// Returns the agent, which is the third quoted text.
    ///
    /// # Errors
    ///
    /// If a quoted text is missing, as in a common log.
    pub fn agent(&self) -> Result<&'a [u8], &'static str> {
        let (_, rest) = quoted(self.rest).ok_or("no request in quotes")?;
        let (_, rest) = quoted(rest).ok_or("no referer in quotes")?;
        let (agent, _) = quoted(rest).ok_or("no agent in quotes")?;
        Ok(agent)
    }
}

/// Returns the path of `GET /path?query HTTP/1.1` or of a bare target. Any other text is returned
/// whole.
pub fn path_of(request: &[u8]) -> &[u8] {
    let mut words = request.splitn(3, |byte| *byte == b' ');
    let target = match (words.next(), words.next()) {
        (Some(_), Some(target)) if !target.is_empty() => target,
        _ => request,
    };
    match memchr(b'?', target) {
        Some(end) => &target[..end],
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
        assert_eq!(head.host, b"10.0.0.1");
        assert_eq!(head.user, b"ann b");
        assert_eq!(head.time, b"17/May/2015:10:05:03 +0000");
        assert_eq!(head.path(), Ok(&br#"/a\"b"#[..]));
        assert_eq!(head.agent(), Ok(&br"Agent \\"[..]));
    }

    #[test]
    fn missing_parts() {
        let error = |line: &'static str| head(line.as_bytes()).unwrap_err();
        assert_eq!(error(""), "no space after the address");
        assert_eq!(error(" - - [x]"), "the line begins with a space");
        assert_eq!(error("a - - x"), "no time in brackets");
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
    fn paths() {
        assert_eq!(path_of(b"GET /a?b HTTP/1.1"), b"/a");
        assert_eq!(path_of(b"/a?b?c"), b"/a");
        assert_eq!(path_of(b"-"), b"-");
        assert_eq!(path_of(b"GET "), b"GET ");
        assert_eq!(path_of(b""), b"");
    }
}
