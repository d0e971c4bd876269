//! Common and combined logs, byte by byte:
//! `host ident user [time] "request" status bytes "referer" "agent"`.
//!
//! A line is read only as far as its key needs: the address, the user and the time always, the quoted parts if they are asked for.
//! So an agent that was cut off does not lose the request of its address.

use memchr::{memchr, memchr2, memmem};

/// What stands at the beginning of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The client's address or name.
    pub host: &'a [u8],
    /// Who logged in; `-` for nobody.
    pub user: &'a [u8],
    /// The text between the brackets.
    pub time: &'a [u8],
    /// What follows the closing bracket.
    pub rest: &'a [u8],
}

/// The head of a line.
///
/// # Errors
///
/// What is missing.
pub fn head(line: &[u8]) -> Result<Head<'_>, &'static str> {
    let space = memchr(b' ', line).ok_or("no space after the address")?;
    let (host, rest) = line.split_at(space);
    if host.is_empty() {
        return Err("it begins with a space");
    }
    // A user's name may hold spaces and brackets, so the time begins at the first bracket after a space.
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

/// The text between the next two quotes, and what follows. A backslash takes a quote its meaning, as Apache writes it.
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
    /// The path of the request, without its query.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn path(&self) -> Result<&'a [u8], &'static str> {
        let (request, _) = quoted(self.rest).ok_or("no request in quotes")?;
        Ok(path_of(request))
    }

    /// The agent: the third quoted text.
    ///
    /// # Errors
    ///
    /// What is missing, as in a common log.
    pub fn agent(&self) -> Result<&'a [u8], &'static str> {
        let (_, rest) = quoted(self.rest).ok_or("no request in quotes")?;
        let (_, rest) = quoted(rest).ok_or("no referer in quotes")?;
        let (agent, _) = quoted(rest).ok_or("no agent in quotes")?;
        Ok(agent)
    }
}

/// The path in `GET /path?query HTTP/1.1`, or in a target alone. A request that is none is its own path.
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
    fn a_combined_line() {
        let line = br#"10.0.0.1 - ann b [17/May/2015:10:05:03 +0000] "GET /a\"b?c=[d] HTTP/1.1" 200 5 "-" "Agent \\""#;
        let head = head(line).unwrap();
        assert_eq!(head.host, b"10.0.0.1");
        assert_eq!(head.user, b"ann b");
        assert_eq!(head.time, b"17/May/2015:10:05:03 +0000");
        assert_eq!(head.path(), Ok(&br#"/a\"b"#[..]));
        assert_eq!(head.agent(), Ok(&br"Agent \\"[..]));
    }

    #[test]
    fn what_is_missing() {
        let why = |line: &'static str| head(line.as_bytes()).unwrap_err();
        assert_eq!(why(""), "no space after the address");
        assert_eq!(why(" - - [x]"), "it begins with a space");
        assert_eq!(why("a - - x"), "no time in brackets");
        assert_eq!(why("a - - [x"), "no bracket after the time");
        let head = head(b"a - - [x] \"GET / HTTP/1.0\" 200 1").unwrap();
        assert_eq!(head.agent(), Err("no referer in quotes"));
        let cut = Head {
            rest: b"\"GET /\\",
            ..head
        };
        assert_eq!(cut.path(), Err("no request in quotes"));
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
