//! A real server on a Unix socket, which ends with the test.

#![allow(clippy::disallowed_methods, reason = "the server starts in real time")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shell kills the server when its input ends, also if the test is killed.
const SCRIPT: &str = "redis-server --port 0 --unixsocket \"$0/socket\" --save '' --dir \"$0\" \
    >/dev/null & server=$!; read -r line; kill -9 $server; wait $server";

pub(crate) struct RedisServer {
    folder: TempDir,
    shell: Child,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("tidegate-").unwrap();
        let shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { folder, shell };
        let start = Instant::now();
        while !server.answers() {
            let waited = start.elapsed();
            assert!(
                waited < PATIENCE,
                "no server (scripts/servers.sh installs one)"
            );
            sleep(Duration::from_millis(5));
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}/socket", self.folder.path().display())
    }

    /// Sends a command whose arguments have no spaces, and returns how the answer begins.
    pub(crate) fn send(&self, command: &str) -> std::io::Result<[u8; 5]> {
        let mut stream = UnixStream::connect(self.folder.path().join("socket"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn answers(&self) -> bool {
        self.send("PING").is_ok_and(|answer| &answer == b"+PONG")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It ends because its input has ended.
        let _ = self.shell.wait();
    }
}
