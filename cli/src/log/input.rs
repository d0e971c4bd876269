//! Files, pipes and gzip, as one stream of bytes.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use crate::failure::{Failure, told};

/// How much is read, and unpacked, at a time.
const CHUNK: usize = 256 * 1024;

/// How far all inputs are read, in bytes of the files: of gzip, packed.
#[derive(Clone, Debug, Default)]
pub struct Position(Rc<Cell<u64>>);

impl Position {
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.0.get()
    }
}

struct Counted<R> {
    inner: R,
    position: Position,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let so_far = self.position.0.get();
        self.position.0.set(so_far.saturating_add(read as u64));
        Ok(read)
    }
}

/// Opens a file, or standard input for `-`, and unpacks it if it begins as gzip does. What is packed in several members is
/// unpacked as a whole.
///
/// # Errors
///
/// If there is no such file, or it may not be read.
pub fn open(path: &Path, position: &Position) -> Result<Box<dyn Read>, Failure> {
    let name = name(path);
    let inner: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| Failure::at(&name, told(&error)))?;
        Box::new(file)
    };
    let mut inner = Counted {
        inner,
        position: position.clone(),
    };
    // A pipe may give one byte at first, so this asks until there are two or it ends.
    let mut magic = Vec::with_capacity(2);
    let read = inner.by_ref().take(2).read_to_end(&mut magic);
    read.map_err(|error| Failure::at(&name, told(&error)))?;
    let packed = magic == [0x1f, 0x8b];
    let whole = Cursor::new(magic).chain(inner);
    if packed {
        let packed = BufReader::with_capacity(CHUNK, whole);
        Ok(Box::new(MultiGzDecoder::new(packed)))
    } else {
        Ok(Box::new(whole))
    }
}

/// What messages call a file.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// The bytes of all files together, or nothing if one of them is a pipe.
pub fn size(paths: &[impl AsRef<Path>]) -> Option<u64> {
    let sizes = paths.iter().map(|path| {
        let data = path.as_ref().metadata().ok()?;
        data.is_file().then_some(data.len())
    });
    sizes.sum()
}
