//! Splits a text of JSON objects that are not one to a line: an array of objects, or objects over
//! several lines, as `jq` and `gcloud` print them.

use std::io::{self, BufRead};

/// Whether a text that begins like this consists of such objects.
pub fn begins(head: &[u8]) -> bool {
    let head = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    match head {
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start(), [] | [b'{' | b']', ..]),
        [b'{', rest @ ..] => {
            let end = memchr::memchr(b'\n', rest);
            end.is_some_and(|end| rest[..end].trim_ascii().is_empty())
        }
        _ => false,
    }
}

/// What the next piece of the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An object, or a line that is none.
    Text,
    /// An object longer than the limit, which was skipped.
    TooLong,
    /// The end of the text.
    End,
}

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between objects.
    Between,
    /// In a line that is neither an object nor a separator.
    Other,
    /// In an object.
    Object,
    /// In a string of an object.
    String,
    /// After a backslash in a string.
    Escape,
}

/// A piece while it is read.
struct State {
    limit: usize,
    place: Place,
    depth: u64,
    is_too_long: bool,
}

/// Reads the next piece of at most `limit` bytes into `text`, and counts line ends in `lines`.
///
/// # Errors
///
/// If the stream fails.
pub fn next(
    reader: &mut impl BufRead,
    limit: usize,
    text: &mut Vec<u8>,
    lines: &mut u64,
) -> io::Result<Piece> {
    text.clear();
    let mut state = State {
        limit,
        place: Place::Between,
        depth: 0,
        is_too_long: false,
    };
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(if state.is_too_long {
                Piece::TooLong
            } else if text.is_empty() {
                Piece::End
            } else {
                Piece::Text
            });
        }
        let end = buffer.iter().position(|byte| {
            *lines += u64::from(*byte == b'\n');
            state.take(*byte, text)
        });
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(if state.is_too_long {
                Piece::TooLong
            } else {
                Piece::Text
            });
        }
    }
}

impl State {
    /// Takes a byte. Returns whether it ends the piece.
    fn take(&mut self, byte: u8, text: &mut Vec<u8>) -> bool {
        self.place = match (self.place, byte) {
            (Place::Between, b'{') => {
                self.depth = 1;
                Place::Object
            }
            // A mark begins a UTF-8 file, and a record separator an object in RFC 7464.
            (Place::Between, b'[' | b']' | b',' | 0x1e | 0 | 0xef | 0xbb | 0xbf) => return false,
            (Place::Between, _) if byte.is_ascii_whitespace() => return false,
            (Place::Between, _) => Place::Other,
            (Place::Other, b'\n') => return true,
            (Place::Object, b'"') | (Place::Escape, _) => Place::String,
            (Place::Object, b'{' | b'[') => {
                self.depth += 1;
                Place::Object
            }
            (Place::Object, b'}' | b']') => {
                self.depth -= 1;
                Place::Object
            }
            (Place::String, b'\\') => Place::Escape,
            (Place::String, b'"') => Place::Object,
            (place, _) => place,
        };
        self.push(byte, text);
        self.place == Place::Object && self.depth == 0
    }

    fn push(&mut self, byte: u8, text: &mut Vec<u8>) {
        if text.len() < self.limit {
            text.push(byte);
        } else {
            self.is_too_long = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8]) -> (Vec<String>, u64) {
        let mut reader = io::BufReader::with_capacity(3, text);
        let (mut pieces, mut piece, mut lines) = (Vec::new(), Vec::new(), 0);
        loop {
            match next(&mut reader, 100, &mut piece, &mut lines).unwrap() {
                Piece::Text => pieces.push(String::from_utf8(piece.clone()).unwrap()),
                Piece::TooLong => pieces.push("too long".to_owned()),
                Piece::End => return (pieces, lines),
            }
        }
    }

    #[test]
    fn objects_are_split() {
        for (text, expected) in [
            (
                "[{\"a\": 1}, {\"b\": [{}]}]",
                &["{\"a\": 1}", "{\"b\": [{}]}"][..],
            ),
            (
                "[\n{\n \"a\": \"}]\\\"{\"\n}\n,\n{}]\n",
                &["{\n \"a\": \"}]\\\"{\"\n}", "{}"],
            ),
            (
                "{\n}\nnot JSON\n{\"a\":\n1}\n",
                &["{\n}", "not JSON", "{\"a\":\n1}"],
            ),
            ("[]", &[]),
            ("[{\"a\": ", &["{\"a\": "]),
        ] {
            assert!(begins(text.as_bytes()), "{text}");
            let (found, lines) = pieces(text.as_bytes());
            assert_eq!(found, expected, "{text}");
            assert_eq!(lines, text.matches('\n').count() as u64);
        }
        let long = format!("[{{\"a\": \"{}\"}}, {{}}]", "x".repeat(100));
        assert_eq!(pieces(long.as_bytes()).0, ["too long", "{}"]);
    }

    #[test]
    fn lines_are_not_split() {
        for text in [
            "{\"a\": 1}\n{\"a\": 2}\n",
            "[2024-03-09T23:50:00Z] \"GET /\"",
            "[pod/web/nginx] x",
            "[::1]:443 - - [x]",
            "203.0.113.5 - - [x]",
            "",
        ] {
            assert!(!begins(text.as_bytes()), "{text}");
        }
    }
}
