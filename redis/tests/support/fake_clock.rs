//! A server clock that tests set, through a small library preloaded into the server.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/fake_clock.c");

/// The library, and the file that shares the clock's offset with it.
#[derive(Debug)]
pub(crate) struct FakeClock {
    file: PathBuf,
    library: PathBuf,
}

impl FakeClock {
    /// Builds the library with the C compiler, which Rust needs for linking anyway.
    pub(crate) fn new(folder: &Path) -> Self {
        let clock = Self {
            file: folder.join("clock"),
            library: folder.join("clock.so"),
        };
        fs::write(&clock.file, [0; 8]).unwrap();
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&clock.library, Path::new(SOURCE)])
            .output()
            .expect("`cc` is installed");
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}");
        clock
    }

    /// Makes the program use this clock.
    pub(crate) fn preload(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("TIDEGATE_CLOCK_FILE", &self.file)
            // This thread sleeps until a time of the clock, so a step would mislead it.
            .args(["--jemalloc-bg-thread", "no"]);
    }

    /// Sets how far the server's clock is ahead of the machine's.
    pub(crate) fn set_offset_ms(&self, ms: i64) {
        let ns = ms.checked_mul(1_000_000).expect("less than centuries");
        let file = File::options().write(true).open(&self.file).unwrap();
        // Written in place, because the server maps this file; one word, so the change is atomic.
        file.write_all_at(&ns.to_ne_bytes(), 0).unwrap();
    }
}
