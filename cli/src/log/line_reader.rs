//! Splits a stream into lines with bounded memory.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use memchr::memchr;

use super::json_stream::{self, Piece};

/// The longest line in bytes. The limit keeps a file without line ends from filling the memory.
pub const MAX_LINE: usize = 1 << 20;

const BUFFER: usize = 256 * 1024;

/// Splits a stream into lines. A line that lies whole in the buffer is not copied.
pub struct LineReader<R> {
    inner: BufReader<R>,
    /// How many bytes of the buffer the last line took. The next call consumes them.
    used: usize,
    /// Holds a line that goes beyond the buffer.
    long: Vec<u8>,
    is_json_stream: bool,
    number: u64,
}

/// A line without its end, `\n` or `\r\n`, and without zero bytes at its beginning. A file that is
/// truncated while a server writes to it begins with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line's bytes.
    Text(&'a [u8]),
    /// A line longer than [`MAX_LINE`], which was skipped.
    TooLong,
}

impl<R> std::fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineReader").finish_non_exhaustive()
    }
}

impl<R: Read> LineReader<R> {
    /// Reads the lines of `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner: BufReader::with_capacity(BUFFER, inner),
            used: 0,
            long: Vec::new(),
            is_json_stream: false,
            number: 0,
        }
    }

    /// Reads JSON objects, which may share lines or take several.
    pub fn of_json_stream(inner: R) -> Self {
        Self {
            is_json_stream: true,
            ..Self::new(inner)
        }
    }

    /// The number of the last line, from 1 on.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next line, or `None` at the end. The last line needs no line end.
    ///
    /// # Errors
    ///
    /// If the stream fails.
    #[inline]
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.is_json_stream {
            return self.next_object();
        }
        self.inner.consume(std::mem::take(&mut self.used));
        self.number += 1;
        let end = loop {
            match self.inner.fill_buf() {
                Ok([0, ..]) => self.skip_zeros(),
                Ok(buffer) => break memchr(b'\n', buffer),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let text = if let Some(end) = end {
            self.used = end + 1;
            &self.inner.buffer()[..end]
        } else {
            self.long.clear();
            let mut limited = self.inner.by_ref().take(MAX_LINE as u64 + 1);
            if limited.read_until(b'\n', &mut self.long)? == 0 {
                return Ok(None);
            }
            if self.long.last() == Some(&b'\n') {
                self.long.pop();
            } else if self.long.len() > MAX_LINE {
                self.inner.skip_until(b'\n')?;
                return Ok(Some(Line::TooLong));
            }
            &self.long
        };
        Ok(Some(Line::Text(text.strip_suffix(b"\r").unwrap_or(text))))
    }

    #[cold]
    fn skip_zeros(&mut self) {
        let zeros = self.inner.buffer().iter().take_while(|byte| **byte == 0);
        let zeros = zeros.count();
        self.inner.consume(zeros);
    }

    fn next_object(&mut self) -> io::Result<Option<Line<'_>>> {
        let piece = json_stream::next(&mut self.inner, MAX_LINE, &mut self.long, &mut self.number)?;
        Ok(match piece {
            Piece::Text => Some(Line::Text(&self.long)),
            Piece::TooLong => Some(Line::TooLong),
            Piece::End => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a few bytes per read.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len());
            self.0.read(&mut buffer[..n])
        }
    }

    /// The lines; `None` for one that is too long.
    fn lines(text: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut reader = LineReader::new(Trickle(text, step));
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(match line {
                Line::Text(text) => Some(text.to_vec()),
                Line::TooLong => None,
            });
        }
        lines
    }

    #[test]
    fn line_ends() {
        for step in 1..8 {
            let expected = ["a", "", "bc", "d"].map(|text| Some(text.as_bytes().to_vec()));
            assert_eq!(lines(b"a\n\nbc\r\nd", step), expected);
            assert_eq!(lines(b"a\n", step), expected[..1]);
            assert_eq!(lines(b"", step), []);
            assert_eq!(lines(b"\0\0\0\0a\n\n\0bc\nd", step), expected);
        }
    }

    #[test]
    fn long_lines() {
        for step in [4_000, 1 << 30] {
            let mut text = vec![b'x'; MAX_LINE];
            text.push(b'\n');
            text.extend(vec![b'y'; 3 * MAX_LINE]);
            text.extend(b"\nz\n");
            text.extend(vec![b'y'; MAX_LINE + 1]);
            let lines = lines(&text, step);
            assert_eq!(lines.len(), 4);
            assert_eq!(lines[0].as_ref().unwrap().len(), MAX_LINE);
            assert_eq!(lines[1..], [None, Some(b"z".to_vec()), None]);
        }
    }
}
