//! Opens files and standard input, and decompresses gzip.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::diagnostics::Diagnostics;
use crate::failure::{Failure, describe};
use crate::output::stdio::is_stdio;

/// How many compressed bytes are read at a time.
const CHUNK: usize = 256 * 1024;

/// Opens a file, or standard input for `-`. Decompresses gzip, which is recognized by its first
/// bytes. All members of a gzip file are read.
///
/// # Errors
///
/// If the file does not exist or cannot be read.
pub fn open(path: &Path, diagnostics: &Diagnostics) -> Result<Box<dyn Read>, Failure> {
    let failed = |error: io::Error| Failure::at(name(path), describe(&error));
    let inner: Box<dyn Read> = if is_stdio(path) {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let mut inner = diagnostics.count_bytes(inner);
    // The first read of a pipe may return a single byte.
    let mut magic = Vec::with_capacity(2);
    inner
        .by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(failed)?;
    let is_gzip = magic == [0x1f, 0x8b];
    let whole = Cursor::new(magic).chain(inner);
    Ok(if is_gzip {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, whole)))
    } else {
        Box::new(whole)
    })
}

/// The name of a file in messages.
pub fn name(path: &Path) -> String {
    if is_stdio(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// The total size of all files in bytes, or `None` if one of them is not a regular file.
pub fn size(paths: &[impl AsRef<Path>]) -> Option<u64> {
    let sizes = paths.iter().map(|path| {
        let data = path.as_ref().metadata().ok()?;
        data.is_file().then_some(data.len())
    });
    sizes.sum()
}
