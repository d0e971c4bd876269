//! A limit that holds across restarts, even if the process is killed.
//!
//! ```sh
//! cargo run --features serde --example restart
//! ```
//!
//! Starts itself as a worker that sends requests at full speed, and kills it, three times. The
//! requests of all lives together stay within the quota. To copy: [`work`] and
//! [`Journal`].

#![expect(clippy::std_instead_of_core, reason = "this program needs std")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;
use std::{env, process, thread};

use tidegate::{BucketLevel, Clock, Quota, Saved, TokenBucket};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// 1 000 at once, and then 10 per second.
const QUOTA: Quota = Quota::per_second(10).burst(1_000);

/// Tokens that a thread takes before it saves. A kill loses at most this many of each thread.
const LEASE: u64 = 50;

/// Where the state is saved. A save is complete or absent, also after a loss of power.
struct Journal {
    path: PathBuf,
    /// One save at a time, so that none replaces a later one.
    writing: Mutex<()>,
}

impl Journal {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            writing: Mutex::new(()),
        }
    }

    fn write(&self, bucket: &TokenBucket) -> Outcome {
        let _writing = self.writing.lock().map_err(|error| error.to_string())?;
        let next = self.path.with_extension("next");
        let mut file = File::create(&next)?;
        serde_json::to_writer(&mut file, &bucket.save())?;
        file.sync_all()?;
        Ok(fs::rename(next, &self.path)?)
    }

    /// The bucket of the life before, or a full one in the first life.
    fn read(&self) -> Outcome<TokenBucket> {
        let fresh = TokenBucket::new(QUOTA);
        match fs::read_to_string(&self.path) {
            Ok(text) => {
                let saved: Saved<BucketLevel> = serde_json::from_str(&text)?;
                Ok(TokenBucket::restore(&saved, fresh)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(fresh),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends requests as fast as the limit allows, until the process is killed.
///
/// Tokens are taken first, then the state is saved, and then they are used. So whenever the process
/// is killed, all that was used is in the save.
fn work(bucket: &TokenBucket, journal: &Journal) -> Outcome {
    loop {
        let lease = bucket.try_acquire_up_to(LEASE);
        if lease == 0 {
            let wait = bucket.wait_time(1).unwrap_or_default();
            bucket.clock().sleep_until(bucket.clock().now() + wait);
            continue;
        }
        journal.write(bucket)?;
        for _ in 0..lease {
            send_request()?;
        }
    }
}

/// A request is a line to the parent, which counts it. It outlives the process that wrote it.
fn send_request() -> io::Result<()> {
    io::stdout().lock().write_all(b"request\n")
}

fn worker(path: &Path) -> Outcome {
    let journal = Journal::new(path);
    let bucket = journal.read()?;
    thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| work(&bucket, &journal)));
        let mut ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.try_for_each(|end| end.unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

fn start_worker(path: &Path) -> Outcome<Child> {
    let mut command = Command::new(env::current_exe()?);
    let command = command.arg("--worker").arg(path);
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// Runs a worker, kills it after `requests`, and returns how many it sent.
fn live(path: &Path, requests: u64) -> Outcome<u64> {
    let mut worker = start_worker(path)?;
    let output = worker.stdout.take().ok_or("no output")?;
    let mut sent = 0;
    for line in BufReader::new(output).lines() {
        line?;
        sent += 1;
        if sent == requests {
            worker.kill()?; // SIGKILL: it can do nothing about it
        }
    }
    worker.wait()?;
    Ok(sent)
}

fn demo() -> Outcome {
    let path = env::temp_dir().join(format!("tidegate-restart-{}.json", process::id()));
    #[expect(clippy::disallowed_methods, reason = "measures three processes")]
    let start = Instant::now();
    let mut total = 0;
    // Later lives begin with what the first one left.
    for (life, requests) in [(1, 300), (2, 1), (3, 1)] {
        let sent = live(&path, requests)?;
        total += sent;
        println!("life {life}: {sent} requests");
    }
    fs::remove_file(&path)?;

    let refilled = start.elapsed().as_millis().div_ceil(100);
    println!("{total} requests in all, at most 1000 and {refilled} that flowed in");
    assert!(u128::from(total) <= 1_000 + refilled, "{total}");
    Ok(())
}

fn main() -> Outcome {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => demo(),
        [flag, path] if flag == "--worker" => worker(Path::new(path)),
        _ => Err("usage: restart".into()),
    }
}
