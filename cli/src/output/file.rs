//! Files that are whole or not there: written beside their place, and renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::failure::{Failure, told};

/// Fails early if a file cannot be written: before a long log is read.
///
/// # Errors
///
/// If there is no such folder, or it may not be written to.
pub fn check(path: &Path) -> Result<(), Failure> {
    let name = path.display().to_string();
    match place(path) {
        Ok(Place::Beside(place)) => beside(&place).map(drop),
        Ok(Place::Special) => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| Failure::writing(&name, &error))
}

/// Writes a file.
///
/// # Errors
///
/// If it cannot be written. Then what was there before is still there, and nothing else.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    try_write(path, bytes).map_err(|error| {
        // A file whose reader has gone is a problem all the same: nobody asked for a part of it.
        Failure::at(
            path.display(),
            format_args!("cannot be written: {}", told(&error)),
        )
    })
}

fn try_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match place(path)? {
        Place::Special => File::options().write(true).open(path)?.write_all(bytes),
        Place::Beside(place) => {
            let mut file = beside(&place)?;
            file.write_all(bytes)?;
            // Or a full disk may show only after the rename.
            file.as_file().sync_all()?;
            file.persist(&place)?;
            Ok(())
        }
    }
}

enum Place {
    /// A file, where it really is.
    Beside(PathBuf),
    /// A device or a pipe, which cannot be replaced.
    Special,
}

fn place(path: &Path) -> io::Result<Place> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() => Ok(Place::Beside(path.canonicalize()?)),
        Ok(data) if data.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(Place::Special),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::Beside(path.to_owned())),
        Err(error) => Err(error),
    }
}

fn beside(place: &Path) -> io::Result<NamedTempFile> {
    let folder = match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(".tidegate-");
    // As any new file, and not for its owner alone.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder).map_err(|error| {
        // Without the random name of a file that nobody asked for.
        io::Error::new(error.kind(), error.kind().to_string())
    })
}
