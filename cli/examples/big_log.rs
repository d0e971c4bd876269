//! Writes a long access log for measurements. It repeats the lines of a log with increasing times.
//!
//! Usage, with the size in bytes:
//! `cargo run --release --example big_log -- tests/data/apache_access.log.gz 1000000000 > big.log`

use core::error::Error;
use std::env;
use std::io::{self, BufWriter, Read, Write};

use flate2::read::MultiGzDecoder;
use jiff::tz::Offset;

/// Seconds from one repetition to the next.
const STEP: i64 = 4 * 86_400;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(path), Some(bytes)) = (args.next(), args.next()) else {
        return Err("usage: big_log LOG.gz BYTES".into());
    };
    let bytes: u64 = bytes.parse()?;
    let mut log = String::new();
    MultiGzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut log)?;
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let mut written = 0;
    for round in 0.. {
        for line in log.lines() {
            if written >= bytes {
                out.flush()?;
                return Ok(());
            }
            let (head, rest) = line.split_once('[').ok_or("no time")?;
            let (time, rest) = rest.split_once(']').ok_or("no time")?;
            let time = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", time)?.to_timestamp()?;
            let time = time + jiff::SignedDuration::from_secs(round * STEP);
            let time = Offset::UTC
                .to_datetime(time)
                .strftime("%d/%b/%Y:%H:%M:%S +0000");
            let line = format!("{head}[{time}]{rest}\n");
            out.write_all(line.as_bytes())?;
            written += line.len() as u64;
        }
    }
    Ok(())
}
