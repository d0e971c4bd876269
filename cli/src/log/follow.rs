//! Reads a log that is still being written, until the program is asked to stop. What the log held
//! by then is read to its end.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How long to wait at the end of the log before looking again.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether the program was asked to stop, as by Ctrl-C.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Stops at the first Ctrl-C or request to terminate. A second one ends the program at once.
    ///
    /// # Errors
    ///
    /// If the operating system refuses.
    pub fn at_interrupt() -> io::Result<Self> {
        let stop = Self::default();
        let flag = || Arc::clone(&stop.0);
        for (signal, code) in [
            (signal_hook::consts::SIGINT, 130),
            (signal_hook::consts::SIGTERM, 143),
        ] {
            // In this order: the first signal finds the flag down, and the second finds it up.
            signal_hook::flag::register_conditional_shutdown(signal, code, flag())?;
            signal_hook::flag::register(signal, flag())?;
        }
        Ok(stop)
    }

    /// Stops now.
    pub fn stop(&self) {
        // Relaxed: the flag guards no other memory.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file whose end is waited at. If another file takes its name, or it is cut, reading goes on at
/// the beginning of that.
#[derive(Debug)]
pub struct Follow {
    file: File,
    /// Another file that has the name now. What was written to the old one meanwhile comes first.
    next: Option<File>,
    path: PathBuf,
    read: u64,
    /// How long the file was when the program was asked to stop.
    end: Option<u64>,
    stop: Stop,
}

impl Follow {
    /// Follows an open file.
    pub fn new(file: File, path: &Path, stop: Stop) -> Self {
        Self {
            file,
            next: None,
            path: path.to_owned(),
            read: 0,
            end: None,
            stop,
        }
    }

    /// How many more bytes to read after the request to stop; without one there is no limit. So a
    /// log that is written faster than it is read comes to an end too.
    fn left(&mut self) -> io::Result<u64> {
        if self.end.is_none() && self.stop.is_stopped() {
            self.end = Some(self.file.metadata()?.len());
        }
        Ok(self
            .end
            .map_or(u64::MAX, |end| end.saturating_sub(self.read)))
    }

    /// Finds out whether another file has the name now, or the file was cut.
    fn look(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.read {
            self.file.rewind()?;
            self.read = 0;
        } else if let Ok(file) = File::open(&self.path)
            && !is_same(&self.file, &file)?
        {
            self.next = Some(file);
        }
        Ok(())
    }
}

impl Read for Follow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.left()?;
            let read = (&self.file).take(left).read(buffer)?;
            if read > 0 || buffer.is_empty() || self.end.is_some() {
                self.read += read as u64;
                return Ok(read);
            }
            if let Some(next) = self.next.take() {
                self.file = next;
                self.read = 0;
                continue;
            }
            thread::park_timeout(PAUSE);
            self.look()?;
        }
    }
}

#[cfg(unix)]
fn is_same(one: &File, other: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let [one, other] = [one.metadata()?, other.metadata()?];
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it may fail on Unix")]
const fn is_same(_: &File, _: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::{File, Follow, Read, Stop};

    fn read(follow: &mut Follow, bytes: usize) -> String {
        let mut text = vec![0; bytes];
        follow.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// A log with this text, which is gone with its folder.
    fn followed(text: &str) -> (TempDir, PathBuf, Stop, Follow) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, text).unwrap();
        let stop = Stop::default();
        let follow = Follow::new(File::open(&path).unwrap(), &path, stop.clone());
        (folder, path, stop, follow)
    }

    #[test]
    fn goes_on_after_the_end() {
        let (folder, path, stop, mut follow) = followed("one\n");
        assert_eq!(read(&mut follow, 4), "one\n");
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(read(&mut follow, 4), "two\n");
        // Rotated: what is left of the old file comes first.
        log.write_all(b"three\n").unwrap();
        fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        fs::write(&path, "four\n").unwrap();
        assert_eq!(read(&mut follow, 11), "three\nfour\n");
        // Cut, as by copytruncate.
        fs::write(&path, "5\n").unwrap();
        assert_eq!(read(&mut follow, 2), "5\n");
        stop.stop();
        assert_eq!(follow.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn reads_what_was_there_at_the_stop() {
        let (_folder, path, stop, mut follow) = followed("one\ntwo\n");
        assert_eq!(read(&mut follow, 4), "one\n");
        stop.stop();
        assert_eq!(read(&mut follow, 1), "t");
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(read(&mut follow, 3), "wo\n");
        assert_eq!(follow.read(&mut [0; 9]).unwrap(), 0);
    }
}
