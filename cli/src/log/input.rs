//! Opens files and standard input, and decompresses them.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::diagnostics::Diagnostics;
use super::follow::Follow;
use super::json_stream;
use super::zstd::ZstdReader;
use crate::failure::{Failure, describe};
use crate::output::file::{self, Place};
use crate::output::stdio::is_stdio;

/// How many compressed bytes are read at a time.
const CHUNK: usize = 256 * 1024;
/// How much memory the dictionary of an xz file may take, in KiB. `xz -9` uses 64 MiB.
const MAX_XZ_KIB: u32 = 256 * 1024;
/// How many bytes of the text are examined for its form.
const EXAMINED: u64 = 256;

/// How many bytes of the texts of two files are compared.
const COMPARED: u64 = 64 * 1024;

/// A text.
pub struct Input {
    /// The text, decompressed.
    pub reader: Box<dyn Read>,
    /// Whether it consists of JSON objects that are not one to a line.
    pub is_json_stream: bool,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

/// Opens a file, or standard input for `-`. Decompresses gzip, bzip2, xz and zstd, which are
/// recognized by their first bytes. All members of a file are read.
///
/// # Errors
///
/// If the file does not exist or cannot be opened.
pub fn open(path: &Path, diagnostics: &Diagnostics) -> Result<Input, Failure> {
    let failed = |error: io::Error| Failure::at(name(path), describe(&error));
    let inner: Box<dyn Read> = if is_stdio(path) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(failed)?;
        match diagnostics.follow() {
            Some(stop) => Box::new(Follow::new(file, path, stop.clone())),
            None => Box::new(file),
        }
    };
    let mut inner = diagnostics.count_bytes(inner);
    // The first read of a pipe may return a single byte.
    let mut magic = Vec::with_capacity(6);
    let read = inner.by_ref().take(6).read_to_end(&mut magic);
    read.map_err(failed)?;
    let whole = Cursor::new(magic.clone()).chain(inner);
    let buffered = |whole| BufReader::with_capacity(CHUNK, whole);
    let mut reader: Box<dyn Read> = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(buffered(whole))),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(MultiBzDecoder::new(buffered(whole))),
        b"\xfd7zXZ\0" => Box::new(XzReader::new_mem_limit(buffered(whole), true, MAX_XZ_KIB)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(ZstdReader::new(buffered(whole)))
        }
        _ => Box::new(whole),
    };
    let mut head = Vec::new();
    let examined = match diagnostics.follow() {
        // The end of a file that is followed may be a long way off.
        Some(_) => EXAMINED,
        None => EXAMINED.max(TAR_MARK.end as u64),
    };
    let read = reader.by_ref().take(examined).read_to_end(&mut head);
    if let Some(problem) = unsupported(&head) {
        return Err(Failure::at(name(path), problem));
    }
    let is_json_stream = json_stream::begins(&head);
    let head = Cursor::new(head);
    Ok(Input {
        is_json_stream,
        reader: match read {
            Ok(_) => Box::new(head.chain(reader)),
            // What could be read comes first.
            Err(error) => Box::new(head.chain(Failed(Some(error)))),
        },
    })
}

/// Where a tar archive says that it is one.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// What a file is that begins so, if it is no text.
fn unsupported(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'P', b'K', 3, 4, ..] => return Some("a zip archive: unpack it first"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Some("text in UTF-16: convert it, as `iconv -f UTF-16 -t UTF-8` does");
        }
        _ if head.get(TAR_MARK) == Some(b"ustar") => {
            return Some("a tar archive: unpack it first");
        }
        _ => {}
    }
    let is_cr = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
    (!head.contains(&b'\n') && head.windows(2).any(is_cr))
        .then_some("its lines end with CR: convert it, as `tr '\\r' '\\n'` does")
}

/// Fails with an error that occurred earlier.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Replaces folders by the files in them and below, in the order of their names. Files and folders
/// that begin with a dot are left out.
///
/// # Errors
///
/// If a folder cannot be read, or has no files.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if is_stdio(path) || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        add_files(path, &mut files)?;
        if files.len() == before {
            return Err(Failure::at(path.display(), "the folder has no files"));
        }
    }
    Ok(files)
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::at(folder.display(), describe(&error));
    let entries = folder.read_dir().map_err(failed)?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            // Links to folders are not followed, because they may lead in a circle.
            let is_folder = entry.file_type().map_err(failed)?.is_dir();
            paths.push((entry.path(), is_folder));
        }
    }
    paths.sort();
    for (path, is_folder) in paths {
        if is_folder {
            add_files(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Checks that no log is given twice, by two names, or packed beside itself.
///
/// # Errors
///
/// If each of its requests would count twice.
pub fn check_once(paths: &[PathBuf]) -> Result<(), Failure> {
    let twice = |one: &Path, other: &Path, how: &str| {
        let (one, other) = (name(one), name(other));
        Failure::Usage(format!(
            "{one} and {other} {how}, so each request would count twice: give one of them"
        ))
    };
    let mut places: Vec<(&Path, Place)> = Vec::new();
    for path in paths {
        let Some(place) = file::place(path) else {
            continue;
        };
        if let Some((other, _)) = places.iter().find(|(_, other)| other.is_same(&place)) {
            return Err(twice(other, path, "are one file"));
        }
        places.push((path, place));
    }
    for path in paths.iter().filter(|path| is_packed(path)) {
        let plain = path.with_extension("");
        if paths.contains(&plain) && start(&plain)? == start(path)? {
            return Err(twice(&plain, path, "begin with the same text"));
        }
    }
    Ok(())
}

/// Whether a name ends as those of compressed files do.
fn is_packed(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["gz", "bz2", "xz", "zst"].contains(&ending))
}

/// The beginning of the text of a file.
fn start(path: &Path) -> Result<Vec<u8>, Failure> {
    let opened = open(path, &Diagnostics::new(None, true, false))?;
    let mut start = Vec::new();
    // What is damaged is reported when the file is read.
    let _ = opened.reader.take(COMPARED).read_to_end(&mut start);
    Ok(start)
}

/// The name of a file in messages.
pub fn name(path: &Path) -> String {
    if is_stdio(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Whether a file can be opened twice, unlike a pipe.
pub fn is_regular(path: &Path) -> bool {
    !is_stdio(path) && path.is_file()
}

/// The total size of all files in bytes, or `None` if one of them is not a regular file.
pub fn size(paths: &[impl AsRef<Path>]) -> Option<u64> {
    let sizes = paths.iter().map(|path| {
        let data = path.as_ref().metadata().ok()?;
        data.is_file().then_some(data.len())
    });
    sizes.sum()
}
