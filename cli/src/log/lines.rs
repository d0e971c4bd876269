//! A stream of bytes, line by line, in a buffer that does not grow with the stream.

use std::io::{self, ErrorKind, Read};

use memchr::memchr;

/// The longest line. A file without line ends must not fill the memory.
pub const LONGEST: usize = 1 << 20;

const BUFFER: usize = 256 * 1024;

/// Splits a stream into lines.
pub struct Split<R> {
    inner: R,
    buffer: Vec<u8>,
    /// What is read and not yet handed out.
    start: usize,
    end: usize,
    ended: bool,
    number: u64,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number in the stream, from 1.
    pub number: u64,
    /// Without its end, `\n` or `\r\n`; nothing if it is longer than [`LONGEST`].
    pub text: Option<&'a [u8]>,
}

impl<R> std::fmt::Debug for Split<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Split<R> {
    /// The lines of `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            ended: false,
            number: 0,
        }
    }

    /// The next line, or nothing at the end. A last line needs no end.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    #[inline]
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[searched..self.end]) {
                let end = searched + at;
                let start = self.start;
                self.start = end + 1;
                return Ok(Some(self.line(start, end)));
            }
            if self.ended {
                let (start, end) = (self.start, self.end);
                self.start = end;
                return Ok((start < end).then(|| self.line(start, end)));
            }
            if self.end - self.start > LONGEST {
                self.skip_line()?;
                self.number += 1;
                return Ok(Some(Line {
                    number: self.number,
                    text: None,
                }));
            }
            self.fill()?;
            searched = self.start;
        }
    }

    fn line(&mut self, start: usize, end: usize) -> Line<'_> {
        self.number += 1;
        let text = &self.buffer[start..end];
        Line {
            number: self.number,
            text: (text.len() <= LONGEST).then(|| text.strip_suffix(b"\r").unwrap_or(text)),
        }
    }

    /// Reads on, behind what is there.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        self.read()
    }

    fn read(&mut self) -> io::Result<()> {
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    /// Drops what is there, up to and with the next line end.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            (self.start, self.end) = (0, 0);
            self.read()?;
            if let Some(at) = memchr(b'\n', &self.buffer[..self.end]) {
                self.start = at + 1;
                return Ok(());
            }
            if self.ended {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(n);
            buffer[..n].copy_from_slice(now);
            self.0 = later;
            Ok(n)
        }
    }

    fn lines(text: &[u8], step: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut split = Split::new(Drops(text, step));
        let mut lines = Vec::new();
        while let Some(line) = split.next_line().unwrap() {
            lines.push((line.number, line.text.map(<[u8]>::to_vec)));
        }
        lines
    }

    #[test]
    fn ends() {
        for step in 1..8 {
            let some = |text: &[u8]| Some(text.to_vec());
            let expected = vec![
                (1, some(b"a")),
                (2, some(b"")),
                (3, some(b"bc")),
                (4, some(b"d")),
            ];
            assert_eq!(lines(b"a\n\nbc\r\nd", step), expected);
            assert_eq!(lines(b"a\n", step), expected[..1]);
            assert_eq!(lines(b"", step), []);
        }
    }

    #[test]
    fn long_lines() {
        for step in [4_000, 1 << 30] {
            let mut text = vec![b'x'; LONGEST];
            text.push(b'\n');
            text.extend(vec![b'y'; 3 * LONGEST]);
            text.extend(b"\nz");
            let lines = lines(&text, step);
            assert_eq!(lines.len(), 3);
            assert_eq!(lines[0].1.as_ref().unwrap().len(), LONGEST);
            assert_eq!(lines[1], (2, None));
            assert_eq!(lines[2], (3, Some(b"z".to_vec())));
        }
    }
}
